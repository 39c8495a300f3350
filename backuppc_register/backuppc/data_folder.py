"""Measure, rename and delete a host's folder of backups, pc/HOST in BackupPC's data, as a whole."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.system import atomic_files, os_errors

# No hosts file can name it: no person ever gets what is in there, and BackupPC never looks.
_DOOMED = "~purged"
_TRIES = 100  # each is lost to another sweep that ends in the same instant
_START, _SIZE = 2, 5  # fields of a row in `backups` (BackupPC's Storage/Text.pm)


@dataclass(frozen=True)
class Extent:
    """How much data a host has: backups, and bytes of the files in them, each counted in every backup.

    *made* names the backups, each by its number and start time: a continued backup is another one.
    """

    backups: int
    bytes: int
    made: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.backups} backup{'' if self.backups == 1 else 's'}, {self.bytes} bytes of files"


def extent(data_dir: Path, host: str) -> Extent:
    """Return how much BackupPC has of *host* by its own list; a damaged row counts no bytes.

    Raises HostsFileError.
    """
    with _faults():
        try:
            content = (data_dir / "pc" / host / "backups").read_bytes()
        except FileNotFoundError:
            return Extent(0, 0)
    rows = [row.split(b"\t") for row in content.split(b"\n") if row.strip()]
    sizes = (row[_SIZE] for row in rows if len(row) > _SIZE)
    return Extent(len(rows), sum(int(size) for size in sizes if size.isdigit()), tuple(map(_name, rows)))


def _name(row: list[bytes]) -> str:
    """Return a word that names a backup: BackupPC reuses a partial backup's number, but never its start."""
    number, start = row[0], b"".join(row[_START : _START + 1])
    return re.sub(r"\s", "_", f"{number.decode('latin-1')}@{start.decode('latin-1')}")


@dataclass(frozen=True)
class Swept:
    """The result of a sweep: the number of *deleted* folders, and a sentence for each that is left."""

    deleted: int = 0
    problems: tuple[str, ...] = ()


def exists(data_dir: Path, host: str) -> bool:
    """Tell whether BackupPC has a folder for *host*, with or without backups; raises HostsFileError."""
    with _faults():
        return os_errors.exists(data_dir / "pc" / host)


def elsewhere(data_dir: Path, host: str) -> str:
    """Return the target of the folder of *host* if it is a symbolic link, else ""; raises HostsFileError."""
    folder = data_dir / "pc" / host
    with _faults():
        return str(folder.readlink()) if folder.is_symlink() else ""


def archive(data_dir: Path, host: str, name: str) -> None:
    """Rename the data of *host* to *name*, by one rename.

    BackupPC writes no host's name inside the folder; it finds the data by the folder's name.

    Raises HostsFileError, also if *name* has a folder that is not empty, if the two would be on different
    file systems, and while a backup runs.
    """
    pc = data_dir / "pc"
    with _faults(), _unused(pc / host):
        (pc / host).rename(pc / name)  # an empty folder of that name gives way
        atomic_files.sync_folder(pc)


def doom(data_dir: Path, host: str, now: datetime) -> None:
    """Move the data of *host* out of everyone's reach by one rename; `sweep` deletes it.

    Raises HostsFileError, also while a backup runs.
    """
    pc, doomed = data_dir / "pc", data_dir / "pc" / _DOOMED
    with _faults(), _unused(pc / host):
        for left in reversed(range(_TRIES)):
            doomed.mkdir(0o700, exist_ok=True)
            try:
                (pc / host).rename(_free_place(doomed, host, now))
                break
            except FileNotFoundError:  # a sweep has just removed the empty folder
                if not left or not os_errors.exists(pc / host):
                    raise
        with suppress(FileNotFoundError):  # a sweep has deleted it already
            atomic_files.sync_folder(doomed)
        atomic_files.sync_folder(pc)


def _free_place(doomed: Path, host: str, now: datetime) -> Path:
    dated = f"{host}.{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    names = chain([dated], (f"{dated}-{n}" for n in count(2)))
    return next(place for name in names if not os_errors.exists(place := doomed / name))


def sweep(data_dir: Path) -> Swept:
    """Delete the data that `doom` moved, as far as possible. It may take long.

    If another process sweeps already, nothing is done. BackupPC frees the pool at its next nightly runs, as
    after every deleted backup.

    Raises HostsFileError.
    """
    doomed = data_dir / "pc" / _DOOMED
    deleted, problems = 0, []
    with _faults(), _sweeping(doomed) as ours:
        for place in sorted(doomed.iterdir()) if ours else ():
            problem = _delete(place)
            deleted += not problem
            problems += [problem] if problem else []
        if ours:
            with suppress(OSError):  # something is left, or another process has just moved a folder here
                doomed.rmdir()
    return Swept(deleted, tuple(problems))


def _delete(place: Path) -> str:
    """Delete the folder *place*; return "", or why it stays."""
    import shutil  # slow to import, and there seldom is anything to delete

    if place.is_symlink():
        return f"{place} is a link to {place.readlink()}: check its target, and remove both"
    if not place.is_dir():
        return f"{place} is not the folder of a host: check what it is, and remove it"
    try:
        shutil.rmtree(place)
    except FileNotFoundError:
        return ""  # an administrator deletes there too; the next sweep deletes the rest
    except OSError as error:
        return f"{place} cannot be deleted: {error}"
    return ""


@contextmanager
def _sweeping(doomed: Path) -> Iterator[bool]:
    """Lock out other sweeps; give False if there is nothing to sweep, or another process sweeps."""
    try:
        descriptor = os.open(doomed, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # The process that had the lock before may have removed the folder after we opened it.
        yield os.fstat(descriptor).st_nlink > 0 and doomed.is_dir()
    finally:
        os.close(descriptor)


@contextmanager
def _unused(folder: Path) -> Iterator[None]:
    """Hold the lock that a running backup has on a host's reference counts (BackupPC_dump), if any exist."""
    try:
        descriptor = os.open(folder / "refCnt" / "LOCK", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except BlockingIOError:
            raise HostsFileError(detail=f"a backup uses {folder}") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostsFileError(detail=f"BackupPC's data: {error}") from error
