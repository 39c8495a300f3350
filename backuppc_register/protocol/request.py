"""What sshd hands over, made into a Request; pure."""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

from backuppc_register import host_key
from backuppc_register.host_key import HostKey
from backuppc_register.person import possible_logon
from backuppc_register.protocol.errors import BadUser, NoCommand, OsTypeUnknown

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST = 256
# Behind the % stands an interface's name, which may hold nearly any byte on Linux. No blank, equals sign or
# backslash is let in: the text begins replies and log lines.
_ADDRESS = re.compile(r"[0-9A-Za-z.:]+(?:%[!-<>-\[\]-~]+)?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True)
class Connection:
    """SSH_CONNECTION, *text* as sshd gave it and *peer* as an address.

    An IPv4-mapped peer is the IPv4 address; a link-local one keeps its zone.
    """

    text: str
    peer: Address


@dataclass(frozen=True)
class Request:
    """What a machine asks for: *verb* is ``register``, ``check`` or ``verify``; *os* a configured word.

    *host_keys*: what it says, with ``verify``, to be its own ssh host keys.
    """

    verb: str
    os: str
    logon: str
    host_keys: tuple[HostKey, ...] = ()


def connection(text: str) -> Connection | None:
    """Read SSH_CONNECTION: "peer port server port" (sshd(8)); None where it is absent or malformed."""
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
    """Build a Request from SSH_ORIGINAL_COMMAND, *command*; bytes that are not UTF-8 come as surrogates.

    Raises NoCommand or OsTypeUnknown; a logon that no directory could hold is BadUser.
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
    """Read the lines ``hostkey:TYPE BASE64`` that a machine sends with ``verify``, up to a line ``.``.

    A line that is not of that form counts as a key that no machine has: what we cannot read never makes
    us less careful than what we can. Only blank lines do not count.
    """
    lines = (line.strip() for line in content.decode("ascii", "replace").split("\n"))
    named = [line for line in takewhile(lambda line: line != ".", lines) if line]
    return tuple(_host_key(line) for line in named)


def _host_key(line: str) -> HostKey:
    keyword, _, value = line.partition(":")
    key = host_key.read(value.strip()) if keyword == "hostkey" else None
    return key or host_key.UNREADABLE
