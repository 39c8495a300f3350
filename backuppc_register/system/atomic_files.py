"""Replace files completely or not at all; no other module writes one."""

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TEMPORARY = ".backuppc-register"
_ACL = "system.posix_acl_access"  # acl(5): who may read and write besides owner and group


@dataclass(frozen=True)
class Ownership:
    """What a replaced file must keep: owner, group and permission bits.

    `write` also keeps the access control list, which group and bits do not express.
    """

    uid: int
    gid: int
    mode: int


def ownership(status: os.stat_result) -> Ownership:
    """Return the ownership in *status*."""
    return Ownership(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))


def second(status: os.stat_result) -> int:
    """Return the whole second of the modification time; st_mtime may be rounded up."""
    return status.st_mtime_ns // 10**9


def write(path: Path, content: bytes, keep: Ownership | int, *, later_than: int | None = None) -> None:
    """Write *content* to *path*: temporary file beside it, fsync, rename, fsync of the folder.

    *keep*: the ownership that the file must have, or only its mode. *later_than*: the second of the new mtime
    must be later (BackupPC compares whole seconds). The temporary file always has the same name, so that
    interrupted runs leave at most one: callers must hold the lock of *path*.

    Raises OSError; *path* is then unchanged, unless only the fsync of the folder failed. Only regular files
    are replaced.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(f"{path} is not a regular file")
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    try:
        _fill(temporary, content, keep, _acl(path), later_than)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create(path: Path, content: bytes, mode: int) -> None:
    """Write the new file *path*, complete on disk but for its name: call `sync_folder` afterwards.

    For a folder that no one knows yet. Raises OSError, also if *path* exists.
    """
    _fill(path, content, mode, None, None)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed runs of `write` left in *folder*, as far as possible.

    The caller holds the lock of all files in it.
    """
    with suppress(OSError):
        for entry in [*os.scandir(folder)]:
            if entry.name.startswith(".") and entry.name.endswith(_TEMPORARY):
                remove_leftover(folder / entry.name[1 : -len(_TEMPORARY)])


def remove_leftover(path: Path) -> None:
    """Remove the temporary file that a killed `write` of *path* left, if possible; under its lock."""
    with suppress(OSError):
        _temporary(path).unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{_TEMPORARY}")


def may_create(folder: Path) -> bool:
    """Tell whether this account may create files in *folder*; leave none. Raises OSError in doubt."""
    try:
        os.close(os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600))
    except PermissionError:
        return False
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):  # no such files on this file system
            raise
    return True


def rehearse(path: Path) -> None:
    """Do what `write` does to replace the regular file *path*, up to the rename; then remove it again.

    The new file has the content and ownership that *path* has. Callers must hold the lock of *path*.

    Raises OSError with the reason why *path* cannot be replaced.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file")
    temporary = path.with_name(f".{path.name}.backuppc-register")
    temporary.unlink(missing_ok=True)
    try:
        _fill(temporary, path.read_bytes(), ownership(status), _acl(path), None)
    finally:
        temporary.unlink(missing_ok=True)


def _fill(
    path: Path, content: bytes, keep: Ownership | int, acl: bytes | None, later_than: int | None
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        if isinstance(keep, Ownership):
            os.fchown(file.fileno(), keep.uid, keep.gid)
            _keep_acl(acl, file.fileno())
        os.fchmod(file.fileno(), keep.mode if isinstance(keep, Ownership) else keep)
        if later_than is not None and second(os.fstat(file.fileno())) <= later_than:
            os.utime(file.fileno(), (later_than + 1, later_than + 1))
        os.fsync(file.fileno())


def _keep_acl(kept: bytes | None, descriptor: int) -> None:
    """Give the open file the access control list *kept*, not the default one of its folder."""
    if kept is not None:
        os.setxattr(descriptor, _ACL, kept)
    elif _acl(descriptor) is not None:
        os.removexattr(descriptor, _ACL)


def _acl(file: Path | int) -> bytes | None:
    try:
        return os.getxattr(file, _ACL)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODATA, errno.EOPNOTSUPP):
            return None
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in *folder* durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
