"""What a host's folder keeps out of BackupPC's reach while the host is retired: its key, and its .pl."""

from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import key_pairs, safe_files
from backuppc_register.system import atomic_files

KEY = "retired_key"
CONFIG = "retired.pl"
EDITED = "edited.pl"


def put_key_away(folder: Path) -> None:
    """Give the private key in *folder* a name that no ssh_config has; raises StateError."""
    _rename(folder, key_pairs.PRIVATE, KEY)


def bring_key_back(folder: Path) -> None:
    """Undo `put_key_away`; raises StateError."""
    _rename(folder, KEY, key_pairs.PRIVATE)


def kept_config(folder: Path) -> bytes | None:
    """Return the .pl as it was before, None where none is kept; raises StateError."""
    return safe_files.content(folder / CONFIG)


def keep_config(folder: Path, content: bytes) -> None:
    """Keep *content*, the .pl as it is, where none is kept; else it is what somebody made of the closed one.

    Raises StateError.
    """
    kept = kept_config(folder)
    if kept is None:
        with safe_files.faults():
            atomic_files.write(folder / CONFIG, content, 0o640)
    elif kept != content:
        keep_edited(folder, content)


def keep_edited(folder: Path, content: bytes) -> None:
    """Keep *content*, what somebody made of the closed .pl, for people to look at; raises StateError."""
    with safe_files.faults():
        atomic_files.write(folder / EDITED, content, 0o640)


def forget_config(folder: Path) -> None:
    """Keep no .pl any more; raises StateError."""
    with safe_files.faults():
        (folder / CONFIG).unlink(missing_ok=True)
        atomic_files.sync_folder(folder)


def _rename(folder: Path, name: str, other: str) -> None:
    """Move a private key; two different ones are never made one."""
    content = safe_files.content(folder / name)
    if content is None:
        return
    if safe_files.content(folder / other) not in (None, content):
        raise StateError(detail=f"{folder} has two keys, {name} and {other}: which one is right?")
    with safe_files.faults():
        atomic_files.write(folder / other, content, 0o600)
        (folder / name).unlink()
        atomic_files.sync_folder(folder)
