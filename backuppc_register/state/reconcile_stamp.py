"""Store when `reconcile` last completed; nothing else writes this file."""

from datetime import UTC, datetime
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files

NAME = "reconciled"


def write(state: Path, now: datetime) -> None:
    """Record in the folder *state* that `reconcile` completed at *now*; under BackupPC's lock.

    Raises StateError.
    """
    moment = now.astimezone(UTC).isoformat(timespec="seconds")
    with safe_files.faults():
        atomic_files.write(state / NAME, f"{moment}\n".encode("ascii"), 0o640)


def read(state: Path) -> datetime | None:
    """Return when `reconcile` last completed, None if it never did; raises StateError in doubt."""
    content = safe_files.content(state / NAME)
    if content is None:
        return None
    try:
        moment = datetime.fromisoformat(content.decode("ascii").strip())
    except ValueError as error:
        raise StateError(detail=f"{state / NAME} has no time: {content[:40]!r}") from error
    if moment.tzinfo is None:
        raise StateError(detail=f"{state / NAME} has a time without a zone: {content[:40]!r}")
    return moment
