"""Ask one LDAP server within a limit of time: the only importer of ldap3."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from socket import socket
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ldap3 import ANONYMOUS, BASE, DEREF_NEVER, NONE, SIMPLE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPInvalidDNSyntaxResult, LDAPInvalidFilterError
from ldap3.core.results import RESULT_SIZE_LIMIT_EXCEEDED, RESULT_SUCCESS
from ldap3.utils.conv import escape_filter_chars

from backuppc_register import config
from backuppc_register.network.timeout import with_timeout
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system.deadline import Deadline

LARGEST_ANSWER = 1 << 20
"""Bytes that a server may send; after that it counts as failed."""

LONGEST_DETAIL = 300
"""Characters of the description of an error."""

Result = TypeVar("Result")


class Failed(Exception):
    """A server gave no usable answer; the text says why."""


@dataclass(frozen=True)
class Entry:
    """An entry of the directory, with the values of its attributes as bytes."""

    dn: str
    attributes: Mapping[str, list[bytes] | None]

    def values(self, attribute: str) -> list[bytes]:
        """Return the values of *attribute*, [] if it is absent or unreadable."""
        return self.attributes.get(attribute) or []

    def texts(self, attribute: str) -> list[str]:
        """Return the values of *attribute* as text."""
        return [text(value) for value in self.values(attribute)]


@dataclass(frozen=True)
class Answer:
    """What a search found.

    *referrals*: the URLs of other servers that may have more. *cut*: there are more entries than asked for.
    """

    entries: list[Entry]
    referrals: list[str]
    cut: bool


class Conversation:
    """An open connection to one server, bound as [directory] says."""

    def __init__(self, connection: Connection, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def search(self, base: str, wanted: str, attributes: Sequence[str], *, most: int = 2) -> Answer:
        """Return what the filter *wanted* finds below *base*; raises Failed and what ldap3 raises.

        *most*: entries after which the server may stop.
        """
        self._search(base, wanted, attributes, SUBTREE, most)
        answers = self._connection.response or []
        entries = _entries(answers)
        # ldap3 raises neither it nor timeLimitExceeded. With fewer entries it is the server's own limit.
        size_limit = self._connection.result["result"] == RESULT_SIZE_LIMIT_EXCEEDED
        cut = size_limit and len(entries) >= most
        if not cut:
            _expect("searchResDone", self._connection.result)
        referrals = [url for each in answers if each["type"] == "searchResRef" for url in each["uri"]]
        return Answer(entries, referrals, cut)

    def read(self, dn: str, attributes: Sequence[str], wanted: str = "(objectClass=*)") -> Entry | None:
        """Return the entry *dn* if the filter *wanted* is true for it.

        Raises Failed and what ldap3 raises.
        """
        self._search(dn, wanted, attributes, BASE, 1)
        _expect("searchResDone", self._connection.result)
        return next(iter(_entries(self._connection.response or [])), None)

    def _search(self, base: str, wanted: str, attributes: Sequence[str], scope: Any, most: int) -> None:
        self._connection.search(
            base,
            wanted,
            scope,
            dereference_aliases=DEREF_NEVER,
            attributes=list(attributes),
            size_limit=most,
            time_limit=int(_time_left(self._deadline)) + 1,
        )


def ask(
    url: str, settings: config.Directory, seconds: float, work: Callable[[Conversation], Result]
) -> Result:
    """Return what *work* makes of a conversation with the server at *url*; raises Failed, Misconfigured."""
    deadline = Deadline(seconds)
    try:
        return with_timeout(seconds, partial(_converse, url, settings, deadline, work))
    except (Failed, Misconfigured):
        raise
    except (LDAPInvalidFilterError, LDAPInvalidDNSyntaxResult) as error:
        detail = f"[directory] filter, base or bind_dn: {url}: {_reason(error, settings)}"
        raise Misconfigured(detail=detail) from None
    except Exception as error:  # ldap3 raises KeyError, struct.error and more for malformed answers
        raise Failed(_reason(error, settings)) from None


def filter_for(template: str, logon: str) -> str:
    """Return the LDAP filter *template* with *logon* in it as a literal value (RFC 4515)."""
    return template.replace("{logon}", escape_filter_chars(logon))


def text(value: bytes) -> str:
    """Return *value* as text, whatever it is."""
    return value.decode("utf-8", errors="replace")


def _converse(
    url: str, settings: config.Directory, deadline: Deadline, work: Callable[[Conversation], Result]
) -> Result:
    connection = Connection(
        _server(url, settings),
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
        _open(connection, settings, deadline)
        return work(Conversation(connection, deadline))
    except Failed as error:
        raise Failed(_reason(error, settings)) from None
    finally:
        with suppress(Exception):
            connection.unbind()


def _server(url: str, settings: config.Directory) -> Server:
    parts = urlsplit(url)
    over_tls = parts.scheme == "ldaps"
    tls = _tls(settings) if over_tls or settings.start_tls else None
    return Server(parts.hostname or "", port=parts.port, use_ssl=over_tls, get_info=NONE, tls=tls)


def _tls(settings: config.Directory) -> "_VerifiedTls":
    try:
        return _VerifiedTls(ssl.create_default_context(cafile=settings.ca_file or None))
    except OSError as error:
        raise Misconfigured(detail=f"[directory] ca_file: {settings.ca_file!r}: {error}") from error


def _open(connection: Connection, settings: config.Directory, deadline: Deadline) -> None:
    """Connect and bind."""
    server = connection.server
    # ldap3 tries all addresses of a name, each for connect_timeout.
    addresses = server.address_info
    if not addresses:
        raise Failed("its name has no address")
    server.connect_timeout = _time_left(deadline) / len(addresses)
    connection.open(read_server_info=False)
    connection.socket = _Metered(connection.socket, deadline)
    if settings.start_tls and not server.ssl:
        if not connection.start_tls(read_server_info=False):
            raise Failed("StartTLS did not start")
        connection.socket = _Metered(connection.socket, deadline)
    connection.bind(read_server_info=False)
    _expect("bindResponse", connection.result)


def _entries(answers: Sequence[Mapping[str, Any]]) -> list[Entry]:
    return [Entry(each["dn"], each["raw_attributes"]) for each in answers if each["type"] == "searchResEntry"]


def _expect(kind: str, result: Mapping[str, Any]) -> None:
    """Raise Failed unless *result* is the success of an operation of this *kind*."""
    if result["type"] != kind or result["result"] != RESULT_SUCCESS:
        raise Failed(f"{result['type']} {result['description']}: {result['message']}")


def _reason(error: Exception, settings: config.Directory) -> str:
    """Describe *error* for the administrator, without the password (a server may send it back)."""
    words = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
    password = settings.password.reveal()
    return (words.replace(password, "...") if password else words)[:LONGEST_DETAIL]


def _time_left(deadline: Deadline) -> float:
    if not (left := deadline.remaining()):
        raise TimeoutError("out of time")
    return left


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
