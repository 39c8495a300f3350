"""BackupPC's jobs on one host: kept away while its data is moved, and stopped."""

import base64
import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from backuppc_register.backuppc.daemon.handoff import outlive, refuse_one_more
from backuppc_register.backuppc.daemon.secret import LIBRARY
from backuppc_register.backuppc.daemon.secret import read as read_secret
from backuppc_register.protocol.errors import Busy
from backuppc_register.system.deadline import Deadline

_HOST = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_US = "backuppc-register"
_LONGEST = 16 << 20  # bytes of one reply; the status of all jobs grows with them
_WITHIN = 10.0  # seconds for one exchange: a BackupPC that reads a large hosts file stands still


class Jobs:
    """The jobs of the BackupPC that listens at *socket*; an empty one means that it is never asked."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    @contextmanager
    def kept_away(self, host: str) -> Iterator["Kept"]:
        """Keep every job off *host* as long as this lasts, by the mutex that BackupPC's own programs take.

        Where BackupPC is not running there is nothing to keep away. Never entered under BackupPC's lock: the
        daemon waits for that lock itself.

        Raises Busy where a job or BackupPC_nightly is running, or the daemon does not answer properly.
        """
        if not _HOST.fullmatch(host):
            raise Busy(host=host, detail="that is no name of a host")
        channel = self._open(host)
        if channel is None:
            yield Kept(None)
            return
        with channel:
            _take(channel, host)
            yield Kept(channel)

    def stop(self, host: str, administrator: str) -> str:
        """Stop what runs on *host* and what waits to; return what BackupPC says, "" where it is not running.

        Raises Busy.
        """
        if not _HOST.fullmatch(host):
            raise Busy(host=host, detail="that is no name of a host")
        channel = self._open(host)
        if channel is None:
            return ""
        who = re.sub(r"[^A-Za-z0-9._-]", "_", administrator) or _US
        with channel:
            return channel.ask(f"stop {host} {who} 0").removeprefix("ok: ")

    def _open(self, host: str) -> "_Channel | None":
        """Return a connection on which BackupPC answers us, None where it is not running."""
        if not self._socket:
            return None
        try:
            return _connected(self._socket, host)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise Busy(host=host, detail=f"BackupPC's socket: {error}") from error


class Kept:
    """A host whose jobs are kept away, and the daemon that does it, if it is running."""

    def __init__(self, channel: "_Channel | None") -> None:
        self._channel = channel

    def tell(self, *, known: tuple[str, ...] = (), gone: tuple[str, ...] = ()) -> str:
        """Have the hosts file read again; return "", or what BackupPC does not see as it is."""
        if self._channel is None:
            return "BackupPC is not running and will read the hosts file when it starts"
        try:
            self._channel.ask("server reload")
            wrong = [f"does not know {host}" for host in known if not _knows(self._channel, host)]
            wrong += [f"still knows {host}" for host in gone if _knows(self._channel, host)]
        except Busy as error:
            return f"BackupPC could not be told: {error.detail}"
        return f"BackupPC {' and '.join(wrong)}" if wrong else ""


def _take(channel: "_Channel", host: str) -> None:
    if not _knows(channel, host):
        channel.ask("server reload")
        if not _knows(channel, host):
            return  # nothing can run on a host that BackupPC does not know
    answer = channel.ask(f"hostMutex {host} -1 {_US}")
    if answer != "ok":
        raise Busy(host=host, detail=answer.removeprefix("fail: "))
    jobs = channel.ask("status jobs")
    # Data::Dumper: a job is a key of the hash. The nightly ones are called " admin " and " admin1 ".
    if re.search(rf"""["']{re.escape(host)}["'] => \{{""", jobs):
        raise Busy(host=host, detail="a job of it is running; wait for it, or stop it in BackupPC")
    if re.search(r"""["'] admin""", jobs):
        raise Busy(host=host, detail="BackupPC_nightly is running; try again when it is done")


def _knows(channel: "_Channel", host: str) -> bool:
    return channel.ask(f"status host({host})").startswith("%StatusHost")


def _connected(path: str, host: str) -> "_Channel":
    try:
        return _answering(path, host, b"")
    except _HungUp:
        try:
            secret = read_secret(LIBRARY, _WITHIN)
        except (OSError, ValueError) as error:
            raise Busy(host=host, detail=f"BackupPC's daemon hung up, and {error}") from error
        return _answering(path, host, secret)


def _answering(path: str, host: str, secret: bytes) -> "_Channel":
    channel = _Channel(host, secret)
    try:
        channel.connect(path)
        channel.ask("status queueLen")
    except BaseException:
        channel.close()
        raise
    return channel


class _HungUp(Busy):
    """BackupPC takes no message of ours: without its secret our digest is wrong."""


class _Channel:
    """A connection to the daemon (BackupPC's Lib.pm, ServerConnect and ServerMesg); it ends what it held."""

    def __init__(self, host: str, secret: bytes) -> None:
        self._host, self._secret = host, secret
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._seed, self._count, self._rest = b"", 0, b""
        self._owed = False

    def __enter__(self) -> "_Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; where BackupPC still owes a line, once it has written that."""
        with self._socket:
            if self._owed:
                outlive(self._socket)

    def connect(self, path: str) -> None:
        """Connect to the daemon, which gives the seed that messages are signed with; raises OSError, Busy."""
        self._socket.settimeout(_WITHIN)
        refuse_one_more()
        self._socket.connect(path)
        self._owed = True
        self._seed = self._line(Deadline(_WITHIN)) + b"\n"

    def ask(self, message: str) -> str:
        """Send *message* and return the reply's line; raises Busy."""
        try:
            self._socket.settimeout(_WITHIN)
            self._owed = True
            self._socket.sendall(self._signed(message.encode("ascii")) + b"\n")
            return self._line(Deadline(_WITHIN)).decode("utf-8", "replace")
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _HungUp(host=self._host, detail="BackupPC's daemon hung up") from error
        except OSError as error:
            raise Busy(host=self._host, detail=f"BackupPC's daemon: {error}") from error

    def _signed(self, text: bytes) -> bytes:
        signed = self._seed + str(self._count).encode("ascii") + self._secret + text
        self._count += 1
        digest = hashlib.md5(signed, usedforsecurity=False).digest()
        return base64.b64encode(digest).rstrip(b"=") + b" " + text

    def _line(self, deadline: Deadline) -> bytes:
        while b"\n" not in self._rest:
            self._socket.settimeout(max(deadline.remaining(), 0.001))
            part = self._socket.recv(65536)
            if not part or len(self._rest) > _LONGEST:
                raise _HungUp(host=self._host, detail="BackupPC's daemon hung up")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        self._owed = False
        return line
