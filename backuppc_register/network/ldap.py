"""Ask the LDAP directory which person has a logon."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from socket import socket
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from ldap3 import ANONYMOUS, DEREF_NEVER, NONE, SIMPLE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPInvalidDNSyntaxResult, LDAPInvalidFilterError
from ldap3.core.results import RESULT_SIZE_LIMIT_EXCEEDED, RESULT_SUCCESS
from ldap3.utils.conv import escape_filter_chars

from backuppc_register import config
from backuppc_register.network.timeout import with_timeout
from backuppc_register.person import Person, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, DirectoryUnavailable, Misconfigured
from backuppc_register.system.deadline import Deadline

LARGEST_ANSWER = 1 << 20
"""Bytes that a server may send; after that it counts as failed."""

_IDENTITIES = ("entryUUID", "objectGUID", "ipaUniqueID")
_LONGEST_DETAIL = 300


class Ldap:
    """The site's LDAP servers, as in *settings*."""

    def __init__(self, settings: config.Directory) -> None:
        self._settings = settings

    def find(self, logon: str, timeout: float) -> Person:
        """Return the one person with *logon*, spelled as the directory spells it.

        *timeout*: seconds for all servers together. They are asked in order until one gives an answer: "no
        such person" is an answer, any failure is not. The failures of servers that were skipped are in
        the person's *note*, or in the detail of the error.

        Raises BadUser, DirectoryUnavailable, and Misconfigured if our filter, base or CA file is wrong.
        """
        if not possible_logon(logon):
            raise _nobody(logon, "no possible logon")
        failures: list[str] = []
        try:
            person = self._one(self._first_answer(logon, Deadline(timeout), failures), logon)
        except (BadUser, Misconfigured) as error:
            error.add_detail(_passed_over(failures))
            raise
        return replace(person, note=_passed_over(failures))

    def _first_answer(self, logon: str, deadline: Deadline, failures: list[str]) -> list["_Entry"]:
        """Ask one server after the other and add what fails to *failures*.

        Each has a share of the time, so that a slow one leaves time for the next.
        """
        servers = self._settings.servers
        for position, url in enumerate(servers):
            fair = deadline.remaining() / (len(servers) - position)
            try:
                return self._entries(url, logon, min(self._settings.timeout, fair))
            except _Failed as failure:
                failures.append(f"{url}: {failure}")
        raise DirectoryUnavailable(detail="; ".join(failures))

    def _entries(self, url: str, logon: str, seconds: float) -> list["_Entry"]:
        """Return the entries that the server at *url* has for *logon*; raises _Failed, Misconfigured."""
        deadline = Deadline(seconds)
        try:
            return with_timeout(seconds, partial(self._ask, url, logon, deadline))
        except (_Failed, Misconfigured):
            raise
        except (LDAPInvalidFilterError, LDAPInvalidDNSyntaxResult) as error:
            detail = f"[directory] filter, base or bind_dn: {url}: {self._reason(error)}"
            raise Misconfigured(detail=detail) from None
        except Exception as error:  # ldap3 raises KeyError, struct.error and more for malformed answers
            raise _Failed(self._reason(error)) from None

    def _ask(self, url: str, logon: str, deadline: Deadline) -> list["_Entry"]:
        settings = self._settings
        connection = Connection(
            self._server(url),
            user=settings.bind_dn or None,
            password=settings.password.reveal() or None,
            authentication=SIMPLE if settings.bind_dn else ANONYMOUS,
            # Without it a failed search returns False, which would read as "no such person".
            raise_exceptions=True,
            auto_referrals=False,
            auto_range=False,
            # There is no schema to check against, and ldap3's formatters fail on unusual values.
            check_names=False,
        )
        try:
            self._open(connection, deadline)
            return self._search(connection, logon, deadline)
        finally:
            with suppress(Exception):
                connection.unbind()

    def _server(self, url: str) -> Server:
        parts = urlsplit(url)
        over_tls = parts.scheme == "ldaps"
        tls = self._tls() if over_tls or self._settings.start_tls else None
        return Server(parts.hostname or "", port=parts.port, use_ssl=over_tls, get_info=NONE, tls=tls)

    def _tls(self) -> "_VerifiedTls":
        try:
            return _VerifiedTls(ssl.create_default_context(cafile=self._settings.ca_file or None))
        except OSError as error:
            raise Misconfigured(detail=f"[directory] ca_file: {self._settings.ca_file!r}: {error}") from error

    def _open(self, connection: Connection, deadline: Deadline) -> None:
        """Connect and bind."""
        server = connection.server
        # ldap3 tries all addresses of a name, each for connect_timeout.
        addresses = server.address_info
        if not addresses:
            raise _Failed("its name has no address")
        server.connect_timeout = _time_left(deadline) / len(addresses)
        connection.open(read_server_info=False)
        connection.socket = _Metered(connection.socket, deadline)
        if self._settings.start_tls and not server.ssl:
            if not connection.start_tls(read_server_info=False):
                raise _Failed("StartTLS did not start")
            connection.socket = _Metered(connection.socket, deadline)
        connection.bind(read_server_info=False)
        _expect("bindResponse", connection.result)

    def _search(self, connection: Connection, logon: str, deadline: Deadline) -> list["_Entry"]:
        settings = self._settings
        wanted = (settings.logon_attribute, settings.name_attribute, *_IDENTITIES)
        connection.search(
            settings.base,
            filter_for(settings.filter, logon),
            SUBTREE,
            dereference_aliases=DEREF_NEVER,
            attributes=[attribute for attribute in wanted if attribute],
            size_limit=2,
            time_limit=int(_time_left(deadline)) + 1,
        )
        answers = connection.response or []
        found = (each for each in answers if each["type"] == "searchResEntry")
        entries = [_Entry(each["dn"], each["raw_attributes"]) for each in found]
        # ldap3 raises neither it nor timeLimitExceeded. With fewer entries it is the server's own limit.
        if len(entries) > 1 and connection.result["result"] == RESULT_SIZE_LIMIT_EXCEEDED:
            return entries
        _expect("searchResDone", connection.result)
        # An entry here counts, whatever other servers have. Without one, another server may have it.
        if not entries and any(each["type"] == "searchResRef" for each in answers):
            raise _Failed("refers to other servers (referrals are not followed: choose a base without any)")
        return entries

    def _one(self, entries: list["_Entry"], logon: str) -> Person:
        if not entries:
            raise _nobody(logon, "no entry")
        if len(entries) > 1:
            raise _nobody(logon, "more than one entry: " + "; ".join(entry.dn for entry in entries))
        return self._person(entries[0], logon)

    def _person(self, entry: "_Entry", logon: str) -> Person:
        values = [_text(value) for value in entry.values(self._settings.logon_attribute)]
        uids = {value for value in values if same_logon(value, logon)}
        if len(uids) != 1:
            shown = ", ".join(values) or "not readable"
            raise _nobody(logon, f"{entry.dn}: {self._settings.logon_attribute} is {shown}")
        names = entry.values(self._settings.name_attribute) if self._settings.name_attribute else []
        return Person(uid=uids.pop(), name=_text(names[0]) if names else "", entry_id=_identity(entry))

    def _reason(self, error: Exception) -> str:
        """Describe *error* for the administrator, without the password (a server may send it back)."""
        text = str(error) if isinstance(error, _Failed) else f"{type(error).__name__}: {error}"
        password = self._settings.password.reveal()
        return (text.replace(password, "...") if password else text)[:_LONGEST_DETAIL]


def filter_for(template: str, logon: str) -> str:
    """Return the LDAP filter *template* with *logon* in it as a literal value (RFC 4515)."""
    return template.replace("{logon}", escape_filter_chars(logon))


def _passed_over(failures: list[str]) -> str:
    return "passed over " + "; ".join(failures) if failures else ""


def _nobody(logon: str, detail: str) -> BadUser:
    return BadUser(logon=logon, detail=detail[:_LONGEST_DETAIL])


class _Failed(Exception):
    """A server gave no usable answer; the text says why."""


@dataclass(frozen=True)
class _Entry:
    dn: str
    attributes: Mapping[str, list[bytes] | None]

    def values(self, attribute: str) -> list[bytes]:
        """Return the values of *attribute*, [] if it is absent or unreadable."""
        return self.attributes.get(attribute) or []


class _VerifiedTls(Tls):
    """TLS with names checked by OpenSSL, IP addresses too: ldap3's check needs what Python 3.12 removed."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Start TLS on the socket of *connection*."""
        plain = connection.socket
        if isinstance(plain, _Metered):
            plain = plain.plain
        connection.socket = self._context.wrap_socket(plain, server_hostname=connection.server.host)


class _Metered:
    """The part of a socket that ldap3 uses, with limits in total time and size: ldap3's are for each read."""

    def __init__(self, plain: socket, deadline: Deadline) -> None:
        self.plain = plain
        self._deadline = deadline
        self._received = 0

    def recv(self, size: int) -> bytes:
        """Read as a socket does; raises OSError after the deadline or LARGEST_ANSWER."""
        self.plain.settimeout(_time_left(self._deadline))
        data = self.plain.recv(size)
        self._received += len(data)
        if self._received > LARGEST_ANSWER:
            raise OSError(f"an answer over {LARGEST_ANSWER} bytes")
        return data

    def sendall(self, data: bytes) -> None:
        self.plain.sendall(data)

    def shutdown(self, how: int) -> None:
        self.plain.shutdown(how)

    def close(self) -> None:
        self.plain.close()


def _time_left(deadline: Deadline) -> float:
    if not (left := deadline.remaining()):
        raise TimeoutError("out of time")
    return left


def _expect(kind: str, result: Mapping[str, Any]) -> None:
    """Raise _Failed unless *result* is the success of an operation of this *kind*."""
    if result["type"] != kind or result["result"] != RESULT_SUCCESS:
        raise _Failed(f"{result['type']} {result['description']}: {result['message']}")


def _identity(entry: _Entry) -> str:
    """Return the entry id for `Person`, in the same spelling whichever server answers."""
    values = ((attribute, entry.values(attribute)) for attribute in _IDENTITIES)
    return " ".join(f"{attribute}:{_id_text(attribute, found[0])}" for attribute, found in values if found)


def _id_text(attribute: str, value: bytes) -> str:
    # objectGUID is 16 bytes, the first fields little-endian (MS-DTYP 2.3.4.2).
    if attribute == "objectGUID":
        return str(UUID(bytes_le=value)) if len(value) == 16 else value.hex()
    return _text(value).lower().replace(" ", "_")


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")
