"""Send messages to the running BackupPC and read its replies (BackupPC's Lib.pm, ServerConnect, ServerMesg).

BackupPC exits when it writes to a client that is gone (see `handoff`). So a connection that ends while
BackupPC may still write hands over its own end first. With the last message it does so at once, and even a
SIGKILL does no harm. A SIGKILL still does harm in at most _PROMPTLY seconds before the seed, between two
system calls after a last message, and during the wait for any other reply.
"""

import base64
import hashlib
import re
import socket
from collections.abc import Callable
from typing import Self, TypeVar

from backuppc_register.backuppc.daemon.handoff import hand_over, refuse_one_more
from backuppc_register.backuppc.daemon.secret import read as read_secret
from backuppc_register.system.deadline import Deadline

Ask = Callable[[str], str]
"""Send a message and return BackupPC's reply."""

_Result = TypeVar("_Result")
_HOST = re.compile(r"[a-z0-9._-]+", re.ASCII)
_LONGEST = 16 << 20  # bytes of one reply; the status of all jobs grows with them
_PROMPTLY = 0.05  # seconds in which a BackupPC that is not busy sends its seed


class BadReply(ConnectionError):
    """BackupPC sent what is no reply of its own."""


class MessageRefused(ConnectionError):
    """BackupPC hung up on a message: it has a ServerMesgSecret, and the message was not signed with it."""


class Connection:
    """A connection to the BackupPC that listens at *path*; *secret* signs its messages.

    *deadline* is called for the end of each exchange. Raises OSError, such as TimeoutError and BadReply.
    """

    def __init__(self, path: str, secret: bytes, deadline: Callable[[], Deadline]) -> None:
        self._secret, self._seed, self._count, self._reply_due = secret, b"", 0, False
        self._deadline = deadline
        while not self._seed:
            refuse_one_more()
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._connect(path, deadline())
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and all locks that BackupPC holds for it."""
        with self._socket:
            if self._reply_due:
                self._hand_over()

    def ask(self, message: str, *, last: bool = False) -> str:
        """Send *message* and return the reply; nothing can be sent after the *last* message.

        Raises MessageRefused, and what the class does.
        """
        deadline = self._deadline()
        try:
            self._socket.settimeout(_left(deadline))
            self._reply_due = True
            self._socket.sendall(self._signed(message.encode("ascii")))
            if last:
                self._hand_over()
            return self._line(deadline).decode("utf-8", "replace")
        except (BrokenPipeError, ConnectionResetError) as error:
            raise MessageRefused("it hung up") from error

    def _connect(self, path: str, deadline: Deadline) -> None:
        """Connect and read the seed; if the seed comes late, it stays empty and the connection is closed."""
        self._socket.settimeout(_left(deadline))
        self._socket.connect(path)
        self._reply_due = True
        try:
            self._seed = self._line(Deadline(min(_PROMPTLY, deadline.remaining()))) + b"\n"
        except TimeoutError:
            self._hand_over()
            self._line(deadline)
            self.close()

    def _hand_over(self) -> None:
        hand_over(self._socket)
        self._reply_due = False

    def _signed(self, text: bytes) -> bytes:
        signed = self._seed + str(self._count).encode("ascii") + self._secret + text
        self._count += 1
        digest = hashlib.md5(signed, usedforsecurity=False).digest()
        return base64.b64encode(digest).rstrip(b"=") + b" " + text + b"\n"

    def _line(self, deadline: Deadline) -> bytes:
        """Return the next line without its newline; raises ConnectionResetError if there is none."""
        line = bytearray()
        while not line.endswith(b"\n"):
            self._socket.settimeout(_left(deadline))
            part = self._socket.recv(65536)
            if not part:
                raise (
                    BadReply("it hung up in the middle of a line")
                    if line
                    else ConnectionResetError("it hung up")
                )
            line += part
            if len(line) > _LONGEST:
                raise BadReply("it answers without an end")
        self._reply_due = False
        return bytes(line[:-1])


def with_secret(
    act: Callable[[bytes], _Result], deadline: Callable[[], Deadline], install_dir: str
) -> _Result:
    """Return what *act* does without a secret; if BackupPC refuses that, with its secret.

    BackupPC's own Perl, in *install_dir*, reads the secret. Raises OSError, and what *act* does.
    """
    try:
        return act(b"")
    except MessageRefused as refused:
        try:
            secret = read_secret(install_dir, _left(deadline()))
        except ValueError as error:
            raise ConnectionError(f"{refused}, and {error}") from error
        return act(secret)


def is_askable(host: str) -> bool:
    """Tell whether a message can name *host*, and cannot mean anything else."""
    return _HOST.fullmatch(host) is not None


def host_status(host: str, ask: Ask) -> str:
    """Return BackupPC's status of *host*, "" if it does not know the host; raises BadReply."""
    if not is_askable(host):
        raise BadReply(f"{host!r} is no name of a host")
    reply = ask(f"status host({host})")
    if reply and not reply.startswith("%StatusHost"):
        raise BadReply(f"it answers {reply[:80]!r}")
    return reply


def _left(deadline: Deadline) -> float:
    """Return the seconds until *deadline*; raises TimeoutError if there are none."""
    left = deadline.remaining()
    if not left:
        raise TimeoutError("timed out")
    return left
