"""Room for what is needed for a while: a folder that is ours alone, a file that is on no disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backuppc_register.protocol.errors import NoSpace


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that goes away with all that is in it; raises NoSpace where there is no room."""
    from tempfile import TemporaryDirectory  # slow to import, and most requests need none

    try:
        # A program that was just killed may be making a file in it yet.
        made = TemporaryDirectory(prefix="backuppc-register-", ignore_cleanup_errors=True)
    except OSError as error:
        raise NoSpace(detail=f"no space for a temporary folder: {error}") from error
    with made as name:
        yield Path(name)


@contextmanager
def file(content: bytes) -> Iterator[int]:
    """Give the number of an open file that holds *content*, at its beginning; raises OSError."""
    descriptor = os.memfd_create("backuppc-register")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
