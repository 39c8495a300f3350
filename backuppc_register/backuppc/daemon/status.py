"""The running BackupPC, over its socket.

Nothing that ends us may end BackupPC, which exits when it writes to a client that is gone (see `outliving`).
Whoever gives up a connection, or is killed, has left its end with BackupPC before: from the moment that our
message is there, and where the seed does not come at once, from then on. Unguarded are two moments: at most
_PROMPTLY seconds from the connection to the seed, and what lies between two system calls after the message; a
SIGKILL in one of them ends a BackupPC that was just about to write.
Replies are short (status of one host), so that BackupPC never waits for somebody to read them.
"""

import base64
import hashlib
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from backuppc_register.backuppc.daemon.handoff import outlive, refuse_one_more
from backuppc_register.backuppc.daemon.secret import LIBRARY
from backuppc_register.backuppc.daemon.secret import read as read_secret
from backuppc_register.system.deadline import Deadline

_HOST = re.compile(r"[a-z0-9._-]+", re.ASCII)
_MOST_ASKED = 20  # hosts of many that BackupPC is asked for, after it has read them all at once
_LONGEST = 1 << 20  # bytes of one line; a host's status is some hundreds
_PATIENCE = 5.0  # seconds at the most for what a person waits for; it answers in some milliseconds
_PROMPTLY = 0.05  # seconds in which a BackupPC that is not busy greets us
_AT_WORK = re.compile(rb"""\b(?:Job["']? => \{|(?:Bg|User|Cmd)QueueOn["']? => ["']?1)""")
# A scalar of Data::Dumper's: "word" => "text" or a number; what is a list or a table is not of interest.
_SCALAR = re.compile(rb"""["']?(\w+)["']? => (?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(-?[0-9.]+))""")

_Ask = Callable[[str], bytes]


class _DigestRefused(Exception):
    """BackupPC hung up on a message: it has a ServerMesgSecret, and that was not what we signed with."""


class _NoUse(Exception):
    """What came back is not what BackupPC answers."""


class Daemon:
    """The BackupPC that listens at *socket*; an empty one means not to tell it anything.

    *library* is BackupPC's Perl library, which tells the secret where BackupPC has one.
    """

    def __init__(self, socket: str, library: Path = LIBRARY) -> None:
        self._socket = socket
        self._library = library

    def announce(self, host: str, within: float) -> str:
        """Make sure within *within* seconds, and 5 at the most, that the running BackupPC knows *host*.

        Returns "" when it does, else one sentence for the log. Never raises: the registration stands, and
        BackupPC reads the hosts file when it starts and at each of its wakeups.
        """
        return self._tell(_make_known, host, min(within, _PATIENCE)) if self._socket else ""

    def reread(self, hosts: Sequence[str], within: float) -> str:
        """Have the running BackupPC read the hosts file, where *hosts* have got lines.

        Returns "" when it knows those that it was asked for within *within* seconds, else one sentence. Never
        raises.
        """
        asked = [host for host in hosts if _HOST.fullmatch(host)][:_MOST_ASKED]
        return self._safely(partial(_reread, asked), within) if self._socket else ""

    def problem(self, within: float) -> str:
        """Return why the running BackupPC does not answer within *within* seconds, "" where it does."""
        return self._safely(_greet, within) if self._socket else "[backuppc] socket is empty"

    def begin_full(self, host: str, user: str, within: float) -> str:
        """Ask for a full backup of *host* in the name of *user*, its owner, waiting as for an announcement.

        Returns "" when it is to be made, or is queued or running already, else one sentence for the log.
        Never raises: BackupPC begins by itself at one of its wakeups.
        """
        if not self._socket:
            return "BackupPC was not asked for a backup: [backuppc] socket is empty"
        return self._tell(partial(_begin_full, user), host, min(within, _PATIENCE))

    def status(self, host: str, within: float) -> dict[str, str]:
        """Return what the running BackupPC says of *host*, in its words (``state``, ``reason``, ``error``).

        Empty where it does not know the host, or does not answer within *within* seconds.
        """
        found: dict[str, str] = {}

        def ask(asked: str, ask: _Ask) -> str:
            found.update(_scalars(_status(asked, ask)))
            return ""

        return found if self._socket and not self._tell(ask, host, within) else {}

    def _tell(self, act: Callable[[str, _Ask], str], host: str, within: float) -> str:
        if not _HOST.fullmatch(host):
            return "BackupPC was not told: that is no name of a host"
        return self._safely(partial(act, host), within)

    def _safely(self, act: Callable[[_Ask], str], within: float) -> str:
        try:
            return self._act(act, Deadline(within))
        except (FileNotFoundError, ConnectionRefusedError):
            return "BackupPC is not running and will read the hosts file when it starts"
        except (TimeoutError, BlockingIOError):  # the last: its queue is full
            return "BackupPC did not answer in time and will read the hosts file at its next wakeup"
        except _DigestRefused:
            return "BackupPC refuses our messages: its ServerMesgSecret is not the one in its config.pl"
        except (OSError, ValueError, _NoUse) as error:
            return f"BackupPC could not be told: {error}"

    def _act(self, act: Callable[[_Ask], str], deadline: Deadline) -> str:
        try:
            return act(lambda message: _exchange(self._socket, message, b"", deadline))
        except _DigestRefused:
            secret = read_secret(self._library, _left(deadline))
            return act(lambda message: _exchange(self._socket, message, secret, deadline))


def _make_known(host: str, ask: _Ask) -> str:
    if _knows(host, ask):
        return ""
    # The reply to a reload is "ok" whether or not the hosts file could be read.
    ask("server reload")
    return "" if _knows(host, ask) else f"BackupPC has read its files again and does not know {host}"


def _greet(ask: _Ask) -> str:
    reply = ask("status queueLen")
    return "" if reply.startswith(b"%QueueLen") else f"BackupPC answers {reply[:80]!r}"


def _reread(hosts: Sequence[str], ask: _Ask) -> str:
    ask("server reload")
    unknown = [host for host in hosts if not _knows(host, ask)]
    return f"BackupPC has read its files again and does not know {', '.join(unknown)}" if unknown else ""


def _begin_full(user: str, host: str, ask: _Ask) -> str:
    if problem := _make_known(host, ask):
        return problem
    if _AT_WORK.search(_status(host, ask)):
        return ""
    # It goes to the address by its own settings; the first name counts for hosts without a fixed one alone.
    reply = ask(f"backup {host} {host} {user} doFull")
    return "" if reply.startswith(b"ok") else f"BackupPC makes no backup: {reply[:80]!r}"


def _knows(host: str, ask: _Ask) -> bool:
    return bool(_status(host, ask))


def _status(host: str, ask: _Ask) -> bytes:
    """Return BackupPC's status of *host*, nothing for one that it does not know."""
    reply = ask(f"status host({host})")
    if reply and not reply.startswith(b"%StatusHost"):
        raise _NoUse(f"it answers {reply[:80]!r}")
    return reply


def _scalars(reply: bytes) -> dict[str, str]:
    return {
        word.decode("ascii"): re.sub(rb"\\(.)", rb"\1", one or other or number).decode("utf-8", "replace")
        for word, one, other, number in _SCALAR.findall(reply)
    }


def _exchange(path: str, message: str, secret: bytes, deadline: Deadline) -> bytes:
    """Send one message and return the reply's line (BackupPC's Lib.pm, ServerConnect and ServerMesg)."""
    with _greeted(path, deadline) as (channel, seed):
        signed = _signed(seed, secret, message)
        try:
            channel.sendall(signed)
            outlive(channel)
            reply = _line(channel, deadline)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _DigestRefused from error
        if not reply:
            raise _DigestRefused
        return reply.removesuffix(b"\n")


@contextmanager
def _greeted(path: str, deadline: Deadline) -> Iterator[tuple[socket.socket, bytes]]:
    """Give a connection and the seed that BackupPC has sent on it."""
    seed = b""
    while not seed:
        refuse_one_more()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(_left(deadline))
            channel.connect(path)
            if seed := _seed(channel, deadline):
                yield channel, seed


def _seed(channel: socket.socket, deadline: Deadline) -> bytes:
    """Return the seed, b"" where it came late: then *channel* has done what it can."""
    seed, promptly = b"", Deadline(min(_PROMPTLY, deadline.remaining()))
    try:
        seed = _line(channel, promptly)
    except TimeoutError:
        pass
    finally:
        if not seed:
            outlive(channel)
    if not seed and not _line(channel, deadline):
        raise _NoUse("it hung up")
    return seed


def _signed(seed: bytes, secret: bytes, message: str) -> bytes:
    # The 0 is the message's number in its connection.
    text = message.encode("ascii")
    digest = hashlib.md5(seed + b"0" + secret + text, usedforsecurity=False).digest()
    return base64.b64encode(digest).rstrip(b"=") + b" " + text + b"\n"


def _line(channel: socket.socket, deadline: Deadline) -> bytes:
    """Return the next line with its newline, b"" at the end of the connection."""
    line = b""
    while not line.endswith(b"\n"):
        channel.settimeout(_left(deadline))
        part = channel.recv(4096)
        if not part:
            if line:
                raise _NoUse("it hung up in the middle of a line")
            return b""
        line += part
        if len(line) > _LONGEST:
            raise _NoUse("it answers without an end")
    return line


def _left(deadline: Deadline) -> float:
    left = deadline.remaining()
    if not left:
        raise TimeoutError
    return left
