"""Remove what killed runs left: temporary files and unfinished folders, never those of a running process."""

import os
from contextlib import suppress
from pathlib import Path

from backuppc_register.config import BackupPC
from backuppc_register.protocol.errors import StateError
from backuppc_register.state import key_pairs, safe_files
from backuppc_register.state.state_dir import ASIDE, HOSTS, NEW
from backuppc_register.system import atomic_files, temporary


def remove(state: Path, backuppc: BackupPC, host: str) -> None:
    """Remove what is left in the folder *state* as a whole and of *host*, as far as possible.

    The caller holds BackupPC's lock, as every writer of these files does.
    """
    temporary.sweep(state)
    atomic_files.remove_leftovers(state)
    _remove_folder(state / HOSTS / NEW)
    for path in (backuppc.hosts, *(folder / f"{host}.pl" for folder in _config_folders(backuppc))):
        atomic_files.remove_leftover(path)
    _in_host_folder(state / HOSTS / host)


def remove_all(state: Path, backuppc: BackupPC) -> None:
    """Remove what is left of all hosts, as far as possible; the caller holds BackupPC's lock."""
    temporary.sweep(state)
    temporary.sweep()
    _remove_folder(state / HOSTS / NEW)
    for folder in (state, backuppc.hosts.parent, *_config_folders(backuppc)):
        atomic_files.remove_leftovers(folder)
    for folder in (state / HOSTS, state / ASIDE):
        with suppress(OSError):
            for entry in [*os.scandir(folder)]:
                if entry.is_dir(follow_symlinks=False):
                    _in_host_folder(Path(entry))


def _config_folders(backuppc: BackupPC) -> tuple[Path, Path]:
    """Return both folders in which BackupPC may have per-host configs; Debian's pc is a link to the first."""
    return backuppc.config_dir, backuppc.config_dir / "pc"


def _in_host_folder(folder: Path) -> None:
    atomic_files.remove_leftovers(folder)
    _remove_folder(folder / key_pairs.NEW)


def _remove_folder(folder: Path) -> None:
    with suppress(StateError, OSError):
        safe_files.remove_folder(folder)
