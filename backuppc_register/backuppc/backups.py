"""What backups BackupPC has of a host."""

import os
import re
from pathlib import Path

from backuppc_register.errors import CouldNotRegister

_NUMBER = re.compile(r"[0-9]+", re.ASCII)


def has_backups(data_dir: Path, host: str) -> bool:
    """Tell whether BackupPC has data of *host* (its name as BackupPC keys it) below *data_dir*, its TopDir.

    That is a numbered folder in pc/HOST or a row in its ``backups``; what cannot be read counts as data, such
    as a link to a disk that is not there. ``backups.old`` does not count: BackupPC never reads it, and it
    keeps its rows where all backups were deleted.

    Raises CouldNotRegister where *data_dir* has no readable ``pc``.
    """
    pc = data_dir / "pc"
    try:
        os.scandir(pc).close()
    except OSError as error:
        raise CouldNotRegister(detail=f"[backuppc] data_dir: {error}") from error
    folder = pc / host
    try:
        folder.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return _has_data(folder)


def _has_data(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name for entry in entries}
        numbered = any(_NUMBER.fullmatch(name) for name in names)
        return numbered or ("backups" in names and _has_rows(folder / "backups"))
    except OSError:
        return True


def _has_rows(backups: Path) -> bool:
    """Tell whether *backups* holds anything: a damaged row was a backup once."""
    if not backups.is_file():
        return True
    with backups.open("rb") as file:
        return any(line.strip() for line in file)
