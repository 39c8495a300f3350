"""Check the state folder as a whole, and begin a new one."""

import os
import stat
from pathlib import Path

from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files, regular_files

HOSTS, ASIDE = "hosts", "aside"
NEW = ".new"  # below HOSTS; no host's name begins with a dot
_FORMAT = b"1"


def problem(state: Path) -> str:
    """Return why *state* cannot be used, "" if it can; raises OSError."""
    status = state.stat()
    if not stat.S_ISDIR(status.st_mode):
        return f"{state} is not a folder"
    if status.st_mode & stat.S_IWOTH:
        return f"{state} can be written by all accounts (chmod o=)"
    begun = [folder for folder in (state / HOSTS, state / ASIDE) if _is_folder(folder)]
    for folder in (state, *begun):
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK) and _is_closed(folder):
            return f"{folder} is not open to this account"
    try:
        format_, _ = regular_files.read(state / "FORMAT")
    except FileNotFoundError:
        return f"{begun[0]} is there, but no FORMAT beside it" if begun else ""
    return "" if format_.strip() == _FORMAT else f"FORMAT is {format_[:20]!r}, and only {_FORMAT!r} is known"


def _is_folder(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{path} is not a folder")
    return True


def _is_closed(folder: Path) -> bool:
    """Tell whether this account has no right to *folder*, which access(2) refused for whatever reason.

    Raises OSError for any other reason.
    """
    try:
        os.scandir(folder).close()
        (folder / "FORMAT").lstat()
    except FileNotFoundError:
        pass
    except PermissionError:
        return True
    return not atomic_files.may_create(folder)


def begin(state: Path) -> None:
    """Begin a new *state*; FORMAT first, because the rest is refused without it.

    Raises OSError, StateError.
    """
    if safe_files.is_folder(state / HOSTS):
        return
    atomic_files.write(state / "FORMAT", _FORMAT + b"\n", 0o640)
    for folder in (state / "limits", state / HOSTS):
        if not safe_files.is_folder(folder):
            safe_files.make_folder(folder)
    atomic_files.sync_folder(state)
