"""The state folder as a whole: whether it is one that we can work with, and how a new one begins."""

import os
import stat
from pathlib import Path

from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files

HOSTS, ASIDE = "hosts", "aside"
_FORMAT = b"1"


def problem(state: Path) -> str:
    """Return why *state* cannot be worked with, "" where it can; raises OSError, StateError."""
    status = state.stat()
    if not stat.S_ISDIR(status.st_mode):
        return f"{state} is not a folder"
    if status.st_mode & stat.S_IWOTH:
        return f"{state} can be written by everybody (chmod o=)"
    begun = [folder for folder in (state / HOSTS, state / ASIDE) if safe_files.is_folder(folder)]
    for folder in (state, *begun):
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return f"{folder} is not open to this account"
    told = safe_files.content(state / "FORMAT")
    if told is None:
        return f"{begun[0]} is there, but no FORMAT beside it" if begun else ""
    return "" if told.strip() == _FORMAT else f"FORMAT is {told[:20]!r}, and we know {_FORMAT!r} alone"


def begin(state: Path) -> None:
    """Make a new *state* what it must be; FORMAT first, without which nobody accepts the rest.

    Raises OSError, StateError.
    """
    if safe_files.is_folder(state / HOSTS):
        return
    atomic_files.write(state / "FORMAT", _FORMAT + b"\n", 0o640)
    for folder in (state / "limits", state / HOSTS):
        if not safe_files.is_folder(folder):
            safe_files.make_folder(folder)
    atomic_files.sync_folder(state)
