"""Tell a wrong configuration from a fault of the moment, by the error of the operating system."""

import errno
from pathlib import Path

from backuppc_register.protocol.errors import Misconfigured, RegisterError, TryAgain

_OF_CONFIGURATION = (
    None,  # an error of ours, such as "is not a regular file"
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EACCES,
    errno.EPERM,
)


def is_momentary(error: OSError) -> bool:
    """Tell whether *error* may be gone at the next try: it says nothing about the configuration.

    For example EIO, ESTALE, ENFILE, ENOMEM, EROFS.
    """
    return error.errno not in _OF_CONFIGURATION


def fault(error: OSError, detail: str) -> RegisterError:
    """Return the error to raise for *error*, where a lasting one means a wrong configuration."""
    return (TryAgain if is_momentary(error) else Misconfigured)(detail=detail)


def exists(path: Path) -> bool:
    """Tell whether anything is at *path*, also a dangling link; raises OSError in doubt."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
