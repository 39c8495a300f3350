"""Connect back to a machine by ssh: get its host key, log in, run one command."""

import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, cast

from backuppc_register.host_key import HostKey
from backuppc_register.network.timeout import with_timeout
from backuppc_register.protocol.errors import Internal, NotReachable
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system.deadline import Deadline

if TYPE_CHECKING:
    import paramiko

LARGEST_CONVERSATION = 1 << 20
"""Bytes that a machine may send in one connection."""

LARGEST_ANSWER = 1 << 16
"""Bytes of each of the two output streams of a command."""

_SHARE_OF_ONE_ADDRESS = 5.0  # seconds; a firewall that drops packets never answers
# sshd sends these instead of its version if it accepts no connection now (MaxStartups, PerSourcePenalties).
_SHUT_OUT = (b"Exceeded MaxStartups", b"Not allowed at this time")
_SILENCE = 1000  # above all of logging's levels
# Among them the "rejected" of a firewall, firewalld's default.
_NO_WAY = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EACCES, errno.EPERM, errno.ETIMEDOUT}


@dataclass(frozen=True)
class Place:
    """The name and port to connect to; *host* is the registered name, for error messages.

    *address*: the only one of the name's addresses to connect to, "" for all of them.
    """

    host: str
    name: str
    port: int = 22
    address: str = ""

    def __str__(self) -> str:
        return f"port {self.port} of {self.name}"


@dataclass(frozen=True)
class Answer:
    """A command's standard output and standard error, and its exit status (-1: a signal ended it)."""

    output: str
    errors: str
    status: int


class Machine:
    """An ssh server that has proved to have the key *host_key*, before any login.

    *address*: the address that accepted the connection.
    """

    def __init__(
        self, place: Place, address: str, transport: "paramiko.Transport", deadline: Deadline
    ) -> None:
        self._place, self._transport, self._deadline = place, transport, deadline
        key = transport.get_remote_server_key()
        self.address = address
        self.host_key = HostKey(key.get_name(), key.get_base64())

    def log_in(self, account: str, key: Path) -> None:
        """Log in as *account* with the private key in the file *key*; raises NotReachable."""
        self._transport.auth_timeout = self._deadline.remaining()
        with self._translated(Cause.LOGIN, account):
            further = self._transport.auth_publickey(account, _private_key(key))
        if further:
            detail = f"after the key it wants {', '.join(further)}"
            raise not_reachable(Cause.LOGIN, self._place.host, what=account, detail=detail)

    def run(self, command: str) -> Answer:
        """Run *command* there and return its answer; raises NotReachable."""
        with self._translated(Cause.WRAPPER):
            channel = self._transport.open_session(timeout=self._deadline.remaining())
            channel.exec_command(command)
            channel.shutdown_write()
            output = self._read(channel, channel.recv)
            errors = self._read(channel, channel.recv_stderr)
            ended = channel.status_event.wait(self._deadline.remaining())
            # At the deadline `connect` closes the connection, which looks like an end too.
            if not ended or not self._deadline.remaining():
                raise TimeoutError("the command closed its output, but does not end")
            return Answer(output, errors, channel.recv_exit_status())

    def _read(self, channel: "paramiko.Channel", receive: Callable[[int], bytes]) -> str:
        content = b""
        while len(content) <= LARGEST_ANSWER:
            left = self._deadline.remaining()
            if not left:
                raise TimeoutError("the command writes on and on")
            channel.settimeout(left)
            part = receive(4096)
            if not part:
                return content.decode("utf-8", "replace")
            content += part
        raise ValueError(f"the command wrote more than {LARGEST_ANSWER} bytes")

    @contextmanager
    def _translated(self, cause: Cause, what: str = "") -> Iterator[None]:
        """Turn any error of paramiko into NotReachable: by *cause*, or SILENT if the time is over."""
        try:
            yield
        except (NotReachable, Internal):
            raise
        except Exception as error:
            cause = cause if self._deadline.remaining() else Cause.SILENT
            raise not_reachable(cause, self._place.host, what=what, detail=repr(error)) from error


@contextmanager
def connect(place: Place, timeout: float, preferred: Sequence[str] = ()) -> Iterator[Machine]:
    """Connect to *place* and verify its ssh host key; the connection ends with the ``with`` statement.

    *timeout*: seconds for everything inside that statement. *preferred*: types of host keys to ask for first,
    as ssh does with those that it knows.

    Raises NotReachable, also from the methods of the machine.
    """
    deadline = Deadline(timeout)
    if not deadline.remaining():
        raise not_reachable(Cause.SILENT, place.host, detail="no time was left to connect")
    import paramiko

    paramiko.util.get_logger("paramiko").setLevel(_SILENCE)  # type: ignore[no-untyped-call,unused-ignore]
    with _connected(place, deadline) as connection:
        transport = paramiko.Transport(cast(socket.socket, connection))
        # paramiko waits without a timeout for the answers to some of its messages.
        watch = Timer(deadline.remaining(), transport.close)
        watch.daemon = True
        watch.start()
        try:
            _prefer(transport, preferred)
            _negotiate(transport, connection, place, deadline)
            yield Machine(place, connection.address, transport, deadline)
        finally:
            watch.cancel()
            transport.close()


class _Metered:
    """A socket for paramiko that ends after LARGEST_CONVERSATION and keeps the first bytes."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self.address = str(raw.getpeername()[0])
        self.received = 0
        self.beginning = b""

    def recv(self, size: int) -> bytes:
        part = self._raw.recv(size) if self.received < LARGEST_CONVERSATION else b""
        self.received += len(part)
        self.beginning += part[: max(0, 1024 - len(self.beginning))]
        return part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    @property
    def speaks_ssh(self) -> bool:
        # A server may send other lines before its version (RFC 4253, section 4.2).
        return any(line.startswith(b"SSH-") for line in self.beginning.split(b"\n"))


@contextmanager
def _connected(place: Place, deadline: Deadline) -> Iterator[_Metered]:
    """Connect to the first address of *place* that accepts, in the order in which ssh tries them."""
    addresses = _addresses(place, deadline)
    for position, (family, address) in enumerate(addresses):
        fair = deadline.remaining() / (len(addresses) - position)
        try:
            raw = _connect(family, address, min(fair, _SHARE_OF_ONE_ADDRESS))
        except OSError as error:
            failure = error
            continue
        with raw:
            yield _Metered(raw)
            return
    raise _no_connection(place, failure)


def _connect(family: int, address: Any, timeout: float) -> socket.socket:
    raw = socket.socket(family, socket.SOCK_STREAM)
    try:
        raw.settimeout(max(timeout, 0.01))
        raw.connect(address)
    except BaseException:
        raw.close()
        raise
    return raw


def _no_connection(place: Place, error: OSError) -> NotReachable:
    if isinstance(error, ConnectionRefusedError):
        return not_reachable(Cause.REFUSED, place.host, what=str(place), detail=str(error))
    if isinstance(error, TimeoutError) or error.errno in _NO_WAY:
        return not_reachable(Cause.FIREWALL, place.host, what=str(place), detail=str(error))
    return not_reachable(Cause.HUNG_UP, place.host, what=str(place), detail=str(error))


def _addresses(place: Place, deadline: Deadline) -> list[tuple[int, Any]]:
    """Ask the system for the addresses; getaddrinfo(3) has no timeout."""
    ask = partial(socket.getaddrinfo, place.name, place.port, type=socket.SOCK_STREAM)
    try:
        found = with_timeout(deadline.remaining(), ask)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise not_reachable(Cause.NAME, place.host, what=place.name, detail=str(error)) from error
    if not found:
        raise not_reachable(Cause.NAME, place.host, what=place.name, detail="no address")
    places: list[tuple[int, Any]] = [(family, address) for family, _, _, _, address in found]
    if not place.address:
        return places
    chosen = [one for one in places if ip_address(one[1][0]) == ip_address(place.address)]
    if not chosen:
        detail = (
            f"this server's resolver gives other addresses than {place.address}: getent ahosts {place.name}"
        )
        raise not_reachable(Cause.NAME, place.host, what=place.name, detail=detail)
    return chosen


def _prefer(transport: "paramiko.Transport", types: Sequence[str]) -> None:
    options = transport.get_security_options()  # type: ignore[no-untyped-call,unused-ignore]
    known = tuple(options.key_types)
    first = tuple(kind for kind in known if _key_type(kind) in types)
    options.key_types = (*first, *(kind for kind in known if kind not in first))


def _key_type(algorithm: str) -> str:
    # All RSA keys are ssh-rsa, whatever their signature algorithm (RFC 8332).
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _negotiate(
    transport: "paramiko.Transport", connection: _Metered, place: Place, deadline: Deadline
) -> None:
    transport.banner_timeout = transport.handshake_timeout = deadline.remaining()
    problem = "it did not answer in time"
    try:
        transport.start_client(timeout=deadline.remaining())
    except Exception as error:  # paramiko raises struct.error, IndexError and more for malformed packets
        problem = repr(error)
    if transport.is_active() and transport.initial_kex_done:
        return
    detail = f"{problem}, after {connection.beginning[:80]!r}"
    raise not_reachable(_why_not(connection, deadline), place.host, what=str(place), detail=detail)


def _why_not(connection: _Metered, deadline: Deadline) -> Cause:
    if connection.speaks_ssh:
        return Cause.NEGOTIATION
    if not connection.received:
        return Cause.HUNG_UP if deadline.remaining() else Cause.NOT_SSH
    return Cause.HUNG_UP if connection.beginning.startswith(_SHUT_OUT) else Cause.NOT_SSH


def _private_key(path: Path) -> "paramiko.PKey":
    """Return our private key; if it cannot be read, that is our fault, not the machine's."""
    import paramiko

    try:
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise Internal(detail=f"{path} cannot be used: {error!r}") from error
