"""A host's folder of backups, pc/HOST in BackupPC's data: what is in it, and moved as a whole."""

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
from backuppc_register.system import atomic_files

# No hosts file can name it: nobody is ever given what is in there, and BackupPC never looks.
_DOOMED = "~purged"
_TRIES = 100  # each is lost to another sweep that ends in the same instant
_START, _SIZE = 2, 5  # fields of a row in `backups` (BackupPC's Storage/Text.pm)


@dataclass(frozen=True)
class Extent:
    """How much there is: whole backups, and the bytes of the files in them, each counted as often as kept.

    *made* names the backups, each by its number and when it was begun: one that goes on is another one.
    """

    backups: int
    bytes: int
    made: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.backups} backup{'' if self.backups == 1 else 's'}, {self.bytes} bytes of files"


def extent(data_dir: Path, host: str) -> Extent:
    """Return how much BackupPC has of *host* by its own list; what is damaged there counts no bytes.

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
    """Return a word for a backup: BackupPC gives a partial one's number to the next, and never its start."""
    number, start = row[0], b"".join(row[_START : _START + 1])
    return re.sub(r"\s", "_", f"{number.decode('latin-1')}@{start.decode('latin-1')}")


@dataclass(frozen=True)
class Swept:
    """What a sweep did: *deleted* hosts' folders, and the *problems* with what it had to leave, in words."""

    deleted: int = 0
    problems: tuple[str, ...] = ()


def exists(data_dir: Path, host: str) -> bool:
    """Tell whether BackupPC has a folder for *host*, be there backups in it or not."""
    return os.path.lexists(data_dir / "pc" / host)


def elsewhere(data_dir: Path, host: str) -> str:
    """Return where the folder of *host* leads, if it is a symbolic link: "" where it is none."""
    try:
        return str((data_dir / "pc" / host).readlink())
    except OSError:
        return ""


def archive(data_dir: Path, host: str, name: str) -> None:
    """Give all that BackupPC has of *host* another *name*, by one rename.

    BackupPC keeps nothing of a host's name inside its folder, and finds what it needs by the folder's.

    Raises HostsFileError, also where *name* has a folder with anything in it, where the two would not
    be on one file system, and while a backup runs.
    """
    pc = data_dir / "pc"
    with _faults(), _unused(pc / host):
        (pc / host).rename(pc / name)  # an empty folder of that name gives way
        atomic_files.sync_folder(pc)


def doom(data_dir: Path, host: str, now: datetime) -> None:
    """Take all that BackupPC has of *host* from everybody by one rename; `sweep` deletes it.

    Raises HostsFileError, also while a backup runs.
    """
    pc, doomed = data_dir / "pc", data_dir / "pc" / _DOOMED
    with _faults(), _unused(pc / host):
        for left in reversed(range(_TRIES)):
            doomed.mkdir(0o700, exist_ok=True)
            try:
                (pc / host).rename(_free_place(doomed, host, now))
                break
            except FileNotFoundError:  # a sweep that found nothing has just removed the folder
                if not left or not os.path.lexists(pc / host):
                    raise
        with suppress(FileNotFoundError):  # a sweep has deleted it already
            atomic_files.sync_folder(doomed)
        atomic_files.sync_folder(pc)


def _free_place(doomed: Path, host: str, now: datetime) -> Path:
    dated = f"{host}.{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    names = chain([dated], (f"{dated}-{n}" for n in count(2)))
    return next(place for name in names if not os.path.lexists(place := doomed / name))


def sweep(data_dir: Path) -> Swept:
    """Delete what is doomed, past whatever cannot be deleted. It may take long.

    Where somebody else sweeps already, that is enough. BackupPC frees the pool at the nightly runs that
    follow, as with every backup that is deleted.

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
            with suppress(OSError):  # something is left, or somebody else dooms another one just now
                doomed.rmdir()
    return Swept(deleted, tuple(problems))


def _delete(place: Path) -> str:
    """Delete a doomed folder; return why it stays, "" where it does not."""
    import shutil  # slow to import, and there seldom is anything to delete

    if place.is_symlink():
        return f"{place} is a link to {place.readlink()}: look what that is, and remove both"
    if not place.is_dir():
        return f"{place} is no folder of a host: nobody but you knows what it is"
    try:
        shutil.rmtree(place)
    except FileNotFoundError:
        return ""  # an administrator deletes there by hand; what is left is the next sweep's
    except OSError as error:
        return f"{place} cannot be deleted: {error}"
    return ""


@contextmanager
def _sweeping(doomed: Path) -> Iterator[bool]:
    """Keep other sweeps out; tell whether there is anything to sweep that nobody else sweeps."""
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
        # Who had the lock before may have removed the folder between our opening it and our locking it.
        yield os.fstat(descriptor).st_nlink > 0 and doomed.is_dir()
    finally:
        os.close(descriptor)


@contextmanager
def _unused(folder: Path) -> Iterator[None]:
    """Hold the lock that a running backup has on a host's counts (BackupPC_dump), if there are any yet."""
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
