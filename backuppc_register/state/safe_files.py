"""Access files in the state folder safely; an OSError becomes a StateError."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.system import atomic_files, regular_files


@contextmanager
def faults() -> Iterator[None]:
    """Turn an OSError into a StateError."""
    try:
        yield
    except OSError as error:
        raise StateError(detail=str(error)) from error


@faults()
def content(path: Path) -> bytes | None:
    """Return the content of the regular file at *path*, None if nothing has that name.

    Raises StateError for a link, a folder, an unreadable file: in doubt there is a file.
    """
    try:
        return regular_files.read(path)[0]
    except FileNotFoundError:
        return None


@faults()
def is_folder(path: Path) -> bool:
    """Tell whether there is a folder at *path*; raises StateError for anything else, such as a link."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        raise StateError(detail=f"{path} is not a folder")
    return True


@faults()
def remove_folder(path: Path) -> None:
    """Remove the folder at *path*, if an interrupted run left one; raises StateError."""
    if is_folder(path):
        import shutil  # slow to import, and there seldom is anything to remove

        shutil.rmtree(path)


def make_folder(path: Path) -> None:
    """Make the folder *path*, open to our account and its group under any umask; raises OSError."""
    path.mkdir(0o750)
    path.chmod(0o750)


@faults()
def add(path: Path, new: bytes) -> bool:
    """Write *new* to *path* if there is no file; return whether it was written. Raises StateError."""
    if content(path) is not None:
        return False
    atomic_files.write(path, new, 0o640)
    return True


@faults()
def put(path: Path, new: bytes) -> bool:
    """Write *new* to *path* if the content differs; return whether it was written. Raises StateError."""
    if content(path) == new:
        return False
    atomic_files.write(path, new, 0o640)
    return True
