"""What an rsync on a machine says first, asked for by the very ssh that BackupPC's rsync calls."""

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import Misconfigured, NoSpace
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system import atomic_files, processes, temporary

GREETING = 4
"""Bytes that rsync says first: its protocol (compat.c)."""

_FOR_A_FILE = 6.0  # seconds
_STOPPED = -signal.SIGKILL
_FILE = re.compile(rb"^[-lpsbc][-rwxsStT]{9} +[\d,.]+[KMGTP]? \d{4}/\d\d/\d\d ", re.MULTILINE)
_FOLDER = re.compile(_FILE.pattern.replace(b"[-lpsbc]", b"d"), re.MULTILINE)


class Transfer(Protocol):
    """The beginning of a backup, as BackupPC has it."""

    @property
    def words(self) -> tuple[bytes, ...]:
        """What rsync gives its remote shell: the machine's name and the command."""

    @property
    def handshake(self) -> bytes:
        """What it then says to the rsync there, up to and with its protocol."""

    def listing(self, shell: str, folder: Path) -> list[bytes]:
        """Return the command that lists by *shell* what would be saved, what it keeps being in *folder*."""


def read_greeting(
    host: str, key: HostKey, ssh: Sequence[str], transfer: Transfer, within: float
) -> processes.ProgramResult:
    """Begin *transfer* by *ssh*; return what is said first there, GREETING bytes or more, or how it ended.

    *ssh*: the program and its options as BackupPC has them. No ssh host key but *key*, which has been proved
    to be that of *host*, is taken, and none is kept.

    Raises NotReachable where it takes too long, Misconfigured where ssh cannot be started, NoSpace
    where there is no room for what it needs.
    """
    with _trusting(host, key, ssh) as (words, _):
        try:
            command: list[str | bytes] = [*words, *transfer.words]
            return _began(command, transfer.handshake, lambda said: len(said) >= GREETING, within)
        except processes.TimedOut as late:
            raise not_reachable(Cause.SILENT, host, detail="no first word of rsync in time") from late


def list_files(
    host: str, key: HostKey, ssh: Sequence[str], transfer: Transfer, within: float
) -> processes.ProgramResult:
    """Let BackupPC's rsync list what *transfer* would save; return what it said up to a first file.

    Where neither a file nor its end came in some seconds the status is that of a signal. What it complains of
    is in what it said.

    Raises Misconfigured where rsync cannot be started, NoSpace as `read_greeting`.
    """
    with _trusting(host, key, ssh) as (words, folder):
        command = transfer.listing(" ".join(words), folder)
        try:
            return _began(command, b"", has_file, min(within, _FOR_A_FILE), together=True)
        except processes.TimedOut as late:
            return processes.ProgramResult(_STOPPED, late.output, b"")


def has_file(listed: bytes) -> bool:
    """Tell whether a file, and no folder alone, stands in what rsync lists: mode, size, date, time, name."""
    return _FILE.search(listed) is not None


def has_folder(listed: bytes) -> bool:
    """Tell whether a folder stands in it; the first is the one that was asked for."""
    return _FOLDER.search(listed) is not None


def _began(
    command: Sequence[str | bytes], told: bytes, enough: Callable[[bytes], bool], within: float, **how: bool
) -> processes.ProgramResult:
    try:
        return processes.run_until(command, told, enough, within, **how)
    except processes.TimedOut:
        raise
    except (OSError, ValueError) as error:
        raise Misconfigured(detail=f"{command[0]!r} cannot be started: {error}") from error


@contextmanager
def _trusting(host: str, key: HostKey, ssh: Sequence[str]) -> Iterator[tuple[list[str], Path]]:
    """Give the words of an *ssh* that takes no other host key, and a folder for a while."""
    with temporary.folder() as folder:
        known = folder / "known_hosts"
        try:
            atomic_files.write(known, f"{host} {key}\n".encode("ascii"), 0o600)
        except OSError as error:
            raise NoSpace(detail=f"no room for a temporary file: {error}") from error
        # What stands first wins with ssh.
        ours = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
        yield [ssh[0], *ours, *ssh[1:]], folder
