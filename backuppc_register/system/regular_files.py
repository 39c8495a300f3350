"""Read a regular file whole; a link, a folder or a named pipe in its place is an error."""

import errno
import os
import stat
from pathlib import Path


def read(path: Path, *, follow: bool = False) -> tuple[bytes, os.stat_result]:
    """Return content and status of the regular file at *path*; *follow* a symbolic link.

    Raises OSError, FileNotFoundError included.
    """
    # Without O_NONBLOCK a named pipe would make us wait for a writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:  # its own text is misleading (open(2), O_NOFOLLOW)
            raise OSError(f"{path} is a symbolic link") from error
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(), status
    finally:
        os.close(descriptor)
