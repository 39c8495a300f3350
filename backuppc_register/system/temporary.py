"""Make a temporary folder, or a file in memory (memfd); remove the folders of processes that were killed."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backuppc_register.protocol.errors import NoSpace

_PREFIX = "backuppc-register-"
_TRIES = 10  # each is lost to a sweep in the same instant


@contextmanager
def folder(where: Path | None = None) -> Iterator[Path]:
    """Give a folder in *where* that only we can read, and delete it afterwards unless it was moved.

    By default *where* is the system's place for temporary files. The folder is locked (flock) meanwhile, so
    that `sweep` knows the folders of killed processes. Raises NoSpace.
    """
    try:
        path, descriptor = _made(where or _default())
    except OSError as error:
        raise NoSpace(detail=f"no space for a temporary folder: {error}") from error
    try:
        yield path
    finally:
        # A program that was just killed may still create a file in it.
        _remove(path)
        with suppress(OSError):
            os.close(descriptor)


def sweep(where: Path | None = None) -> None:
    """Remove the folders in *where* of killed processes, as far as possible."""
    with suppress(OSError):
        for path in [Path(entry) for entry in os.scandir(where or _default()) if _is_ours(entry)]:
            with suppress(OSError):
                _sweep(path)


def _default() -> Path:
    import tempfile  # slow to import, and most requests do not need it

    return Path(tempfile.gettempdir())


def _made(where: Path) -> tuple[Path, int]:
    """Return a new folder, and the descriptor that locks it."""
    for _ in range(_TRIES):
        path = where / f"{_PREFIX}{secrets.token_hex(8)}"
        path.mkdir(0o700)
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), path.lstat()):
                    return path, descriptor
            except BaseException:
                os.close(descriptor)
                raise
    raise OSError(f"{where} is swept all the time")


def _is_ours(entry: "os.DirEntry[str]") -> bool:
    if not entry.name.startswith(_PREFIX) or not entry.is_dir(follow_symlinks=False):
        return False
    return entry.stat(follow_symlinks=False).st_uid == os.geteuid()


def _sweep(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if os.path.lexists(path):
        import shutil  # slow to import

        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def file(content: bytes) -> Iterator[int]:
    """Give a descriptor of a file in memory with *content*, at its beginning; raises OSError."""
    descriptor = os.memfd_create("backuppc-register")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
