"""Access to the files of a host's folder: what fails there is a fault of ours."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.system import atomic_files

# O_NONBLOCK: a FIFO in a file's place must not make us wait.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def faults() -> Iterator[None]:
    """Let an OSError come out as StateError."""
    try:
        yield
    except OSError as error:
        raise StateError(detail=str(error)) from error


@faults()
def content(path: Path) -> bytes | None:
    """Return what the regular file at *path* holds, None where there is nothing of that name.

    Raises StateError for a link, a folder, a file that we may not read: a doubt is never "no file".
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StateError(detail=f"{path} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


@faults()
def is_folder(path: Path) -> bool:
    """Tell whether there is a folder at *path*; anything else there, a link too, is StateError."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        raise StateError(detail=f"{path} is not a folder")
    return True


@faults()
def remove_folder(path: Path) -> None:
    """Remove what a killed run left at *path*, if anything; raises StateError."""
    if is_folder(path):
        import shutil  # slow to import, and there seldom is anything to remove

        shutil.rmtree(path)


def make_folder(path: Path) -> None:
    """Make the folder *path*, open to our account and its group whatever the umask; raises OSError."""
    path.mkdir(0o750)
    path.chmod(0o750)


@faults()
def add(path: Path, new: bytes) -> bool:
    """Write *new* to *path* where there is nothing; tell whether it was. Raises StateError."""
    if content(path) is not None:
        return False
    atomic_files.write(path, new, 0o640)
    return True


@faults()
def put(path: Path, new: bytes) -> bool:
    """Write *new* to *path* where it holds something else; tell whether it did. Raises StateError."""
    if content(path) == new:
        return False
    atomic_files.write(path, new, 0o640)
    return True
