"""Parse what sshd passes to the forced command into a Request; pure."""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

from backuppc_register import host_key
from backuppc_register.host_key import HostKey
from backuppc_register.person import possible_logon
from backuppc_register.protocol.errors import BadUser, NoCommand, OsTypeUnknown

OWN_TEST = "asked by this server itself, as diagnose does"
"""The detail of a request without a command that this server has made."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST = 256
# An interface's name follows the %, on Linux nearly any bytes. A blank, an equals sign or a backslash is
# refused, because the text is at the beginning of replies and log lines.
_ADDRESS = re.compile(r"[0-9A-Za-z.:]+(?:%[!-<>-\[\]-~]+)?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True)
class Connection:
    """SSH_CONNECTION: *text* as sshd set it, and the address of the *peer*.

    An IPv4-mapped peer becomes the IPv4 address; a link-local one keeps its zone.
    """

    text: str
    peer: Address

    @property
    def own(self) -> bool:
        """Tell whether the peer is this server itself."""
        server = _plain(ipaddress.ip_address(self.text.split(" ")[2]))
        return self.peer.is_loopback or self.peer == server


@dataclass(frozen=True)
class Request:
    """A machine's request: *verb* is ``register``, ``check`` or ``verify``; *os* is a configured word."""

    verb: str
    os: str
    logon: str


def connection(text: str) -> Connection | None:
    """Parse SSH_CONNECTION, "peer port server port" (sshd(8)); return None if it is absent or malformed."""
    fields = text.split(" ")
    forms = (_ADDRESS, _PORT, _ADDRESS, _PORT)
    if len(fields) != 4 or not all(map(re.Pattern.fullmatch, forms, fields)):
        return None
    peer, _, server, _ = fields
    try:
        ipaddress.ip_address(server)
        return Connection(text, _plain(ipaddress.ip_address(peer)))
    except ValueError:
        return None


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def parse(command: str, ostypes: Collection[str]) -> Request:
    """Build a Request from SSH_ORIGINAL_COMMAND; in *command* bytes that are not UTF-8 are surrogates.

    Raises NoCommand, OsTypeUnknown, or BadUser if no directory can have such a logon.
    """
    if not command:
        raise NoCommand
    if len(command.encode("utf-8", "surrogateescape")) > _LONGEST:
        raise OsTypeUnknown(detail="the command is over 256 bytes")
    match command.split(":"):
        case [os, logon]:
            verb = "register"
        case ["check" | "verify" as verb, os, logon]:
            pass
        case _:
            raise OsTypeUnknown(detail=f"neither OS:LOGON nor VERB:OS:LOGON: {command}")
    if os not in ostypes:
        raise OsTypeUnknown(detail=f"not an OS of this site: {os}")
    if not possible_logon(logon):
        raise BadUser(logon=logon, os=os, detail="not a possible logon")
    return Request(verb, os, logon)


def host_keys(content: bytes) -> tuple[HostKey, ...]:
    """Parse the lines ``hostkey:TYPE BASE64`` that a machine sends with ``verify``, up to a line ``.``.

    A line of another form counts as UNREADABLE, a key that no machine has: it must not make the check less
    strict. Blank lines are ignored.
    """
    lines = (line.strip() for line in content.decode("ascii", "replace").split("\n"))
    named = [line for line in takewhile(lambda line: line != ".", lines) if line]
    return tuple(_host_key(line) for line in named)


def _host_key(line: str) -> HostKey:
    keyword, _, value = line.partition(":")
    key = host_key.read(value.strip()) if keyword == "hostkey" else None
    return key or host_key.UNREADABLE
