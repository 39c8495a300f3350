"""The hosts file on disk: read whole, and replaced only where nobody has changed it meanwhile.

Whoever calls holds BackupPC's lock. What is replaced keeps owner, group and mode, and the second of its
modification time is a later one, which is all that a running BackupPC compares.
"""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from backuppc_register.backuppc.hosts import edit, syntax
from backuppc_register.backuppc.hosts.syntax import HostsFile, Written
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.system import atomic_files

_MODE = 0o640  # as BackupPC's own writer makes it


def read(path: Path) -> HostsFile:
    """Return the hosts file at *path*.

    Raises HostsFileError where it is missing, unreadable or not a regular file.
    """
    content, _ = _load(path)
    return syntax.parse(content)


def restore_header(path: Path, current: HostsFile) -> None:
    """Put `meant` of *current* into *path*; every other byte stays.

    Raises HostsFileError as `append`; *path* is then what it was.
    """
    _replace(path, syntax.meant(current).content, _unchanged(path, current))


def append(path: Path, current: HostsFile, host: str, user: str) -> Written:
    """Add the line ``HOST 0 USER`` to *path* and return it; every other byte stays.

    A final newline and a header line are added where they are missing.

    Raises HostsFileError where *path* is not what *current* was read from, where BackupPC would not take
    the line so, where any other host would change, or where owner, group and mode cannot be kept; *path* is
    then what it was.
    """
    status = _unchanged(path, current)
    longer, added = edit.with_line(current, host, user)
    _replace(path, longer, status)
    return added


def refuse_append(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Raise what `append` would, as far as that can be told before anything is written."""
    status = _unchanged(path, current)
    edit.with_line(current, host, user)
    _refuse_not_kept(path, status)


def give(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Make *user* the only one whose the line of *host* in *path* is; every other byte stays.

    Nobody is in its moreUsers any more. Host as it is spelled, dhcp and a comment stay.

    Raises HostsFileError as `append`, and where *host* has not exactly one line.
    """
    status = _unchanged(path, current)
    _replace(path, edit.given(current, host, user), status)


def replace_line(path: Path, current: HostsFile, wanted: Written) -> None:
    """Put *wanted* in the place of the only line that its host has in *path*; every other byte stays.

    Raises HostsFileError as `give`, and where it would not mean the same any more.
    """
    status = _unchanged(path, current)
    _replace(path, edit.with_other(current, wanted), status)


def refuse_give(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Raise what `give` would, as far as that can be told before anything is written."""
    status = _unchanged(path, current)
    edit.given(current, host, user)
    _refuse_not_kept(path, status)


def remove(path: Path, current: HostsFile, host: str) -> None:
    """Take the line of *host* out of *path*; every other byte stays.

    BackupPC deletes at its next two nightly runs what backups there still are of a host without a line.

    Raises HostsFileError as `append`, and where *host* has not exactly one line.
    """
    status = _unchanged(path, current)
    _replace(path, edit.without(current, host), status)


def restore_lines(path: Path, current: HostsFile, lost: Sequence[Written]) -> tuple[Written, ...]:
    """Put *lost* lines, of hosts that have none now, back at the end of *path*.

    Each gets exactly its old bytes, or, where the header now has other columns, bytes that mean the same. One
    that cannot be written so is left out; those that are written are returned.

    Raises HostsFileError as `append`; *path* is then what it was.
    """
    status = _unchanged(path, current)
    longer, put = edit.with_lines(syntax.headed(current.content), lost)
    if put:
        _replace(path, longer, status)
    return put


def make_anew(path: Path, lost: Sequence[Written]) -> tuple[Written, ...]:
    """Make a hosts file that is not there at all, of a header and *lost* lines, as `restore_lines` does.

    Raises HostsFileError, also where there is anything at *path*.
    """
    if os.path.lexists(path):
        raise HostsFileError(detail=f"{path} is there already")
    content, put = edit.with_lines(syntax.HEADER, lost)
    try:
        atomic_files.write(path, content, _MODE)
    except OSError as error:
        raise HostsFileError(detail=f"{path} cannot be made: {error}") from error
    return put


def _load(path: Path) -> tuple[bytes, os.stat_result]:
    # Without O_NONBLOCK a named pipe would make us wait for a writer.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise HostsFileError(detail=f"{path} is not a regular file")
            return file.read(), status
    except OSError as error:
        # ELOOP is what O_NOFOLLOW makes of a link (open(2)), and its words say something else.
        reason = f"{path} is a symbolic link" if error.errno == errno.ELOOP else str(error)
        raise HostsFileError(detail=f"the hosts file cannot be read: {reason}") from error


def _unchanged(path: Path, current: HostsFile) -> os.stat_result:
    """Return the status of *path*; raises HostsFileError unless it holds what *current* was read from."""
    content, status = _load(path)
    if content != current.content:
        raise HostsFileError(detail=f"{path} was changed by somebody who does not hold BackupPC's lock")
    return status


def _replace(path: Path, content: bytes, status: os.stat_result) -> None:
    try:
        atomic_files.write(
            path, content, atomic_files.ownership(status), later_than=atomic_files.second(status)
        )
    except PermissionError as error:
        raise _not_kept(path, status, str(error)) from error
    except OSError as error:
        raise HostsFileError(detail=f"{path} cannot be replaced: {error}") from error


def _refuse_not_kept(path: Path, status: os.stat_result) -> None:
    folder = path.parent.stat()
    # A new file has the group of who makes it, or of a folder with the set-group-ID bit (inode(7)).
    inherited = bool(folder.st_mode & stat.S_ISGID) and folder.st_gid == status.st_gid
    ours = status.st_uid == os.geteuid() and (inherited or status.st_gid in (os.getegid(), *os.getgroups()))
    if os.geteuid() != 0 and not ours:
        raise _not_kept(path, status, "its owner and group could not be kept")


def _not_kept(path: Path, status: os.stat_result, reason: str) -> HostsFileError:
    hint = f"if group {status.st_gid} is not ours: chmod g+s {path.parent}"
    return HostsFileError(detail=f"{path} cannot be replaced: {reason}; {hint}")
