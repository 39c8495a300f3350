"""Move files of an earlier owner aside, named by the day; they are never deleted."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files
from backuppc_register.state.state_dir import ASIDE
from backuppc_register.system import atomic_files, os_errors


@safe_files.faults()
def move_folder(state: Path, folder: Path, config: Path | None, now: datetime) -> Path:
    """Move a host's *folder* aside as a whole; return its new path.

    *config*, its .pl, is copied into the folder before it is removed, so that the same call completes an
    interrupted one. *now* has a time zone.

    Raises StateError.
    """
    if not safe_files.is_folder(folder):
        raise StateError(detail=f"{folder} is not there")
    if config is not None:
        _move_into(folder, config)
    place = _free_place(state, folder.name, now)
    folder.rename(place)
    atomic_files.sync_folder(place.parent)
    atomic_files.sync_folder(folder.parent)
    return place


@safe_files.faults()
def move_files(state: Path, folder: Path, names: Iterable[str], config: Path | None, now: datetime) -> None:
    """Move the files *names* of a host's *folder* aside, with a copy of *config*, its .pl.

    All are copied before any is removed. The same call completes an interrupted one, with the copies that it
    made. Raises StateError.
    """
    moved = [path for name in names if safe_files.content(path := folder / name) is not None]
    copied = moved + ([config] if config is not None else [])
    if not copied:
        return
    contents = {path.name: safe_files.content(path) or b"" for path in copied}
    place = _begun(state, folder.name, contents)
    if place is None:
        place = _free_place(state, folder.name, now)
        safe_files.make_folder(place)
    for name, content in contents.items():
        if safe_files.content(place / name) is None:
            atomic_files.write(place / name, content, 0o600)
    atomic_files.sync_folder(place.parent)
    for path in moved:
        path.unlink()
    if moved:
        atomic_files.sync_folder(folder)


def _begun(state: Path, host: str, contents: Mapping[str, bytes]) -> Path | None:
    """Return where an interrupted run began to copy the *contents* of *host*, None if none did."""
    aside = state / ASIDE
    if not safe_files.is_folder(aside):
        return None
    for place in sorted(aside.glob(f"{host}.*"), reverse=True):
        if safe_files.is_folder(place):
            atomic_files.remove_leftovers(place)
            copied = {path.name: safe_files.content(path) for path in place.iterdir() if path.is_file()}
            if all(contents.get(name) == content for name, content in copied.items()):
                return place
    return None


def _free_place(state: Path, host: str, now: datetime) -> Path:
    """Return an unused path below the folder for all such files; make that folder if it is missing."""
    aside = state / ASIDE
    if not safe_files.is_folder(aside):
        safe_files.make_folder(aside)
        atomic_files.sync_folder(state)
    dated = f"{host}.{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    place, n = aside / dated, 1
    while os_errors.exists(place):  # a rename would replace an empty folder
        n += 1
        place = aside / f"{dated}-{n}"
    return place


def _move_into(folder: Path, config: Path) -> None:
    content = safe_files.content(config)
    if content is None:
        return
    atomic_files.write(folder / config.name, content, 0o640)
    config.unlink()
    atomic_files.sync_folder(config.parent)
