"""Read which backups BackupPC has of a host."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.system import regular_files

_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_HOST = re.compile(r"[a-z0-9_.\\ -]+", re.ASCII)  # what a hosts line can name
_LEAST_FIELDS = 11  # up to xferErrs


@dataclass(frozen=True)
class Backup:
    """One backup, a row of a host's ``backups`` (BackupPC's Storage/Text.pm, BackupInfoRead).

    *kind*: ``full``, ``incr``, ``partial`` or ``active``. *ended* is None while it runs. *files* and *size*,
    in bytes, count all files in it. *errors* counts those of its transfer.
    """

    number: int
    kind: str
    started: datetime
    ended: datetime | None
    files: int
    size: int
    errors: int


def backups(data_dir: Path, host: str) -> tuple[Backup, ...]:
    """Return the backups of *host* below *data_dir*, oldest first; none if BackupPC has no list of them.

    Raises HostsFileError if the list cannot be read or understood.
    """
    path = data_dir / "pc" / host / "backups"
    try:
        content, _ = regular_files.read(path, follow=True)
        rows = [_backup(row) for row in content.split(b"\n") if row.strip()]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError, OverflowError) as error:
        raise HostsFileError(detail=f"the list of backups {path}: {error}") from error
    return tuple(sorted(rows, key=lambda backup: backup.number))


def has_full(data_dir: Path, host: str) -> bool:
    """Tell whether BackupPC has a full backup of *host*; True if its list cannot be read."""
    try:
        return any(backup.kind == "full" for backup in backups(data_dir, host))
    except HostsFileError:
        return True


def _backup(row: bytes) -> Backup:
    fields = row.decode("ascii").split("\t")
    if len(fields) < _LEAST_FIELDS:
        raise ValueError(f"has a row of {len(fields)} fields")
    number, kind, start, end, count, size = fields[:6]
    return Backup(
        number=int(number),
        kind=kind,
        started=_time(start),
        ended=_time(end) if end else None,
        files=int(count or 0),
        size=int(size or 0),
        errors=int(fields[10] or 0),
    )


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


@dataclass(frozen=True)
class Data:
    """Whether BackupPC has data of a host; *doubt*: why that cannot be told, "" if it can.

    Data that cannot be read counts as data, such as a link to a missing disk.
    """

    exists: bool
    doubt: str = ""


def data(data_dir: Path, host: str) -> Data:
    """Tell whether BackupPC has data of *host* (its lower-case name) below *data_dir*, its TopDir.

    Data is a numbered folder in pc/HOST or a row in its ``backups``. ``backups.old`` does not count: BackupPC
    never reads it, and its rows remain after all backups were deleted.

    Raises HostsFileError if *data_dir* has no readable ``pc``.
    """
    pc = data_dir / "pc"
    try:
        os.scandir(pc).close()
    except OSError as error:
        raise HostsFileError(detail=f"[backuppc] data_dir: {error}") from error
    folder = pc / host
    try:
        folder.lstat()
    except FileNotFoundError:
        return Data(exists=False)
    except OSError as error:
        return Data(exists=True, doubt=f"the data of {host} cannot be read: {error}")
    try:
        return Data(_has_data(folder))
    except OSError as error:
        return Data(exists=True, doubt=f"the data of {host} cannot be read: {error}")


def has_backups(data_dir: Path, host: str) -> bool:
    """Tell whether `data` exists; True in doubt. Raises HostsFileError as `data`."""
    return data(data_dir, host).exists


def place(data_dir: Path, host: str) -> str:
    """Return the place of the data of *host*: the number of the device, and of the folder if it exists.

    Raises HostsFileError.
    """
    pc = data_dir / "pc"
    try:
        with suppress(FileNotFoundError):
            status = (pc / host).stat()
            return f"{status.st_dev}:{status.st_ino}"
        return f"{pc.stat().st_dev}:"
    except OSError as error:
        raise HostsFileError(detail=f"[backuppc] data_dir: {error}") from error


def is_other_place(before: str, now: str) -> bool:
    """Tell whether the place *now* is on another disk than the place *before*.

    A restart may change a disk's number; the folder's own number stays with its file system.
    """
    device, _, folder = before.partition(":")
    device_now, _, folder_now = now.partition(":")
    return bool(before) and device != device_now and (not folder or folder != folder_now)


def hosts_with_folder(data_dir: Path) -> tuple[str, ...]:
    """Return the hosts that have a folder below *data_dir*, BackupPC's TopDir, with or without backups.

    Raises HostsFileError if *data_dir* has no readable ``pc``.
    """
    try:
        with os.scandir(data_dir / "pc") as entries:
            return tuple(sorted(entry.name for entry in entries if _HOST.fullmatch(entry.name)))
    except OSError as error:
        raise HostsFileError(detail=f"[backuppc] data_dir: {error}") from error


def _has_data(folder: Path) -> bool:
    """Tell whether *folder* has backups; raises OSError in doubt."""
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries}
    numbered = any(_NUMBER.fullmatch(name) for name in names)
    return numbered or ("backups" in names and _has_rows(folder / "backups"))


def _has_rows(backups: Path) -> bool:
    """Tell whether *backups* holds anything: a damaged row was a backup once. Raises OSError in doubt."""
    content, _ = regular_files.read(backups, follow=True)
    return any(line.strip() for line in content.split(b"\n"))
