"""Start the remote rsync with BackupPC's own ssh command, and read its greeting or its list of files."""

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from backuppc_register.host_key import HostKey
from backuppc_register.network.ssh import pinned, run_until
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system import processes

GREETING = 4
"""Bytes of the greeting of rsync: its protocol version (compat.c)."""

_FOR_A_FILE = 6.0  # seconds
_FILE = re.compile(rb"^[-lpsbc][-rwxsStT]{9} +[\d,.]+[KMGTP]? \d{4}/\d\d/\d\d ", re.MULTILINE)
_FOLDER = re.compile(_FILE.pattern.replace(b"[-lpsbc]", b"d"), re.MULTILINE)


class Transfer(Protocol):
    """The start of a backup, as BackupPC makes it."""

    @property
    def words(self) -> tuple[bytes, ...]:
        """Arguments that rsync passes to its remote shell: the machine's name and the command."""

    @property
    def handshake(self) -> bytes:
        """Bytes that it then sends to the remote rsync, up to and including its protocol version."""

    def listing(self, shell: str, folder: Path) -> list[bytes]:
        """Return the command that lists by *shell* what would be saved; it may write to *folder*."""


def read_greeting(
    host: str, key: HostKey, ssh: Sequence[str], transfer: Transfer, timeout: float
) -> processes.ProgramResult:
    """Begin *transfer* with *ssh* and return the output so far, GREETING bytes or more, or how it ended.

    *ssh*: the program and its options as BackupPC has them. Only the ssh host key *key*, which *host* has
    proved to have, is accepted, and none is stored.

    Raises NotReachable if it takes too long, Misconfigured if ssh cannot be started, NoSpace.
    """
    with pinned(host, key, ssh) as (shell, _):
        command: list[str | bytes] = [*shell, *transfer.words]
        try:
            return run_until(command, transfer.handshake, lambda output: len(output) >= GREETING, timeout)
        except processes.TimedOut as late:
            said = f"; so far: {late.error_text}" if late.error_text else ""
            raise not_reachable(Cause.SILENT, host, detail=f"no greeting of rsync in time{said}") from late


def list_files(
    host: str, key: HostKey, ssh: Sequence[str], transfer: Transfer, timeout: float
) -> processes.ProgramResult:
    """List with BackupPC's rsync what *transfer* would save; return its output and errors up to a first file.

    If neither a file nor the end comes within some seconds, the status is that of a signal.

    Raises Misconfigured if rsync cannot be started, NoSpace.
    """
    with pinned(host, key, ssh) as (shell, folder):
        command = transfer.listing(" ".join(shell), folder)
        try:
            return run_until(command, b"", has_file, min(timeout, _FOR_A_FILE), together=True)
        except processes.TimedOut as late:
            return processes.ProgramResult(-signal.SIGKILL, late.output, b"")


def has_file(listing: bytes) -> bool:
    """Tell whether the output of `list_files` names a file: mode, size, date, time, name."""
    return _FILE.search(listing) is not None


def has_folder(listing: bytes) -> bool:
    """Tell whether the output of `list_files` names a folder; the first is the one to save."""
    return _FOLDER.search(listing) is not None
