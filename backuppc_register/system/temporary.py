"""Make a temporary folder, or a file in memory (memfd)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backuppc_register.protocol.errors import NoSpace


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that only we can read, and delete it afterwards; raises NoSpace."""
    from tempfile import TemporaryDirectory  # slow to import, and most requests do not need it

    try:
        # A program that was just killed may still create a file in it.
        made = TemporaryDirectory(prefix="backuppc-register-", ignore_cleanup_errors=True)
    except OSError as error:
        raise NoSpace(detail=f"no space for a temporary folder: {error}") from error
    with made as name:
        yield Path(name)


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
