"""Take BackupPC's own lock on its configuration folder."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backuppc_register.protocol.errors import HostsFileError, TryAgain
from backuppc_register.system.deadline import Deadline

TIMEOUT = 10.0
"""Seconds to wait for the lock (design, section 4)."""

_PAUSE = 0.02  # seconds between two tries at first
_SHORTEST = 0.001  # and at the end: who has waited longest asks most often, so that no one waits in vain


@contextmanager
def locked(folder: Path, timeout: float = TIMEOUT) -> Iterator[None]:
    """Hold BackupPC's own lock on its configuration *folder*; wait for it at most *timeout* seconds.

    It is flock(2) on a file of its own (BackupPC's Storage/Text.pm): a rename gives the hosts file a new
    inode, and a lock on the old one would guard nothing. The daemon waits while we hold it.

    Raises TryAgain if the lock is not free in time; HostsFileError if LOCK cannot be opened for writing:
    BackupPC then works without any lock.
    """
    path = folder / "LOCK"
    descriptor = _open(path)
    try:
        _take(descriptor, path, timeout)
        yield
    finally:
        with suppress(OSError):  # the lock is released all the same (close(2))
            os.close(descriptor)


def _open(path: Path) -> int:
    # Without O_NONBLOCK a named pipe would make us wait for a reader.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise HostsFileError(detail=f"BackupPC's lock cannot be opened: {error}") from error


def _close_to_others(descriptor: int) -> None:
    """Let no other account hold the lock: BackupPC makes it readable for its folder's group, www-data."""
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        with suppress(OSError):  # a folder that is read-only for now; the lock works all the same
            os.fchmod(descriptor, 0o600)


def _take(descriptor: int, path: Path, timeout: float) -> None:
    deadline = Deadline(timeout)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise HostsFileError(detail=f"BackupPC's lock {path} is not a regular file")
        _close_to_others(descriptor)
        while not _taken(descriptor):
            if not deadline.remaining():
                raise TryAgain(detail=f"another process held BackupPC's lock {path} all the time")
            time.sleep(max(_SHORTEST, _PAUSE * deadline.remaining() / timeout))
        if not _is_at(descriptor, path):
            raise TryAgain(detail=f"BackupPC's lock {path} was replaced while we waited for it")
    except OSError as error:
        raise HostsFileError(detail=f"BackupPC's lock {path} cannot be taken: {error}") from error


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
