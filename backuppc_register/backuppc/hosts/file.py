"""Read the hosts file whole, and replace it only if its content is still what was read.

The caller holds BackupPC's lock. Each writer returns the new file. It keeps owner, group and mode, and gives
the file a later modification time in whole seconds, which is all that a running BackupPC compares.
"""

import os
import stat
from pathlib import Path

from backuppc_register.backuppc.hosts import edit, syntax
from backuppc_register.backuppc.hosts.syntax import HostsFile
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.system import atomic_files, regular_files

_MODE = 0o640  # as BackupPC's own writer makes it


def read(path: Path) -> HostsFile:
    """Return the hosts file at *path*.

    Raises HostsFileError if it is missing, unreadable or not a regular file.
    """
    content, _ = _load(path)
    return syntax.parse(content)


def replace(path: Path, current: HostsFile, new: HostsFile) -> HostsFile:
    """Replace *current* in *path* by *new*, which `edit` or `syntax` made of it.

    Raises HostsFileError if *path* is no longer what *current* was read from, or if owner, group and mode
    cannot be kept; *path* is then unchanged.
    """
    return _replace(path, new, _unchanged(path, current))


def refuse_replace(path: Path, current: HostsFile) -> None:
    """Raise what `replace` would, as far as possible before anything is written."""
    _refuse_not_kept(path, _unchanged(path, current))


def append(path: Path, current: HostsFile, host: str, user: str) -> HostsFile:
    """Add the line ``HOST 0 USER`` to *path*; every other byte stays.

    A missing final newline and a missing header line are added.

    Raises HostsFileError if *path* is no longer what *current* was read from, if BackupPC would read the line
    differently, if any other host would change, or if owner, group and mode cannot be kept; *path* is then
    unchanged.
    """
    status = _unchanged(path, current)
    return _replace(path, edit.with_line(current, host, user), status)


def refuse_append(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Raise what `append` would, as far as possible before anything is written."""
    refuse_replace(path, current)
    edit.with_line(current, host, user)


def give(path: Path, current: HostsFile, host: str, user: str) -> HostsFile:
    """Set *user* as sole owner in the line of *host* and clear its moreUsers; every other byte stays.

    The spelling of the host, dhcp and a comment stay.

    Raises HostsFileError as `append`, and if *host* has not exactly one line.
    """
    status = _unchanged(path, current)
    return _replace(path, edit.with_owner(current, host, user), status)


def refuse_give(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Raise what `give` would, as far as possible before anything is written."""
    refuse_replace(path, current)
    edit.with_owner(current, host, user)


def remove(path: Path, current: HostsFile, host: str) -> HostsFile:
    """Remove the line of *host* from *path*; every other byte stays.

    At its next two nightly runs BackupPC deletes the backups of a host without a line.

    Raises HostsFileError as `append`, and if *host* has not exactly one line.
    """
    status = _unchanged(path, current)
    return _replace(path, edit.without(current, host), status)


def create(path: Path, new: HostsFile) -> HostsFile:
    """Create the missing hosts file *path*; raises HostsFileError, also if there is anything at *path*."""
    if os.path.lexists(path):
        raise HostsFileError(detail=f"{path} is there already")
    try:
        atomic_files.write(path, new.content, _MODE)
    except OSError as error:
        raise HostsFileError(detail=f"{path} cannot be created: {error}") from error
    return new


def _load(path: Path) -> tuple[bytes, os.stat_result]:
    try:
        return regular_files.read(path)
    except OSError as error:
        raise HostsFileError(detail=f"the hosts file cannot be read: {error}") from error


def _unchanged(path: Path, current: HostsFile) -> os.stat_result:
    """Return the status of *path*; raises HostsFileError unless it still holds the content of *current*."""
    content, status = _load(path)
    if content != current.content:
        raise HostsFileError(detail=f"{path} was changed by a process that does not hold BackupPC's lock")
    return status


def _replace(path: Path, new: HostsFile, status: os.stat_result) -> HostsFile:
    keep, before = atomic_files.ownership(status), atomic_files.second(status)
    try:
        atomic_files.write(path, new.content, keep, later_than=before)
    except PermissionError as error:
        raise _not_kept(path, status, str(error)) from error
    except OSError as error:
        raise HostsFileError(detail=f"{path} cannot be replaced: {error}") from error
    return new


def _refuse_not_kept(path: Path, status: os.stat_result) -> None:
    try:
        folder = path.parent.stat()
    except OSError as error:
        raise HostsFileError(detail=f"{path} cannot be replaced: {error}") from error
    # A new file has the group of its maker, or of a folder with the set-group-ID bit (inode(7)).
    inherited = bool(folder.st_mode & stat.S_ISGID) and folder.st_gid == status.st_gid
    ours = status.st_uid == os.geteuid() and (inherited or status.st_gid in (os.getegid(), *os.getgroups()))
    if os.geteuid() != 0 and not ours:
        raise _not_kept(path, status, "its owner and group could not be kept")


def _not_kept(path: Path, status: os.stat_result, reason: str) -> HostsFileError:
    hint = f"if group {status.st_gid} is not ours: chmod g+s {path.parent}"
    return HostsFileError(detail=f"{path} cannot be replaced: {reason}; {hint}")
