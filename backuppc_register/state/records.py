"""The record of a registration: who has a host, from which machine, and what we wrote for it."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files

NAME = "record.json"
FORMAT = 1
_NEVER_EMPTY = ("host",)
_MAY_BE_ABSENT = ("verified", "retired", "purge", "purge_of", "purge_wait", "rsync", "archive_of")


@dataclass(frozen=True)
class Record:
    """One registration, or what we have to remember of a host whose line was made by hand.

    Of the latter *full_name* and *registered* are empty, and *person* may be.
    *person* is the canonical uid, *entry* the directory's own mark of that person (`Person.entry`).
    *address* is the peer's at the time *registered* (UTC, ISO 8601, whole seconds). *config* is the SHA-256,
    in hex, of the per-host .pl as we wrote it; empty where the .pl is not ours. *verified* and *retired* say
    when the way back was last proved and backups were stopped, *purge* from when the data may be deleted;
    each is empty for never. *purge_of* is what that was asked of (`rules.purge`), *purge_wait* the
    same moment by `uptime`. *rsync* is the machine's
    version, as it told when it was verified. *archive_of* is the host whose earlier backups these are, by a
    name that no machine has; empty for a host.
    """

    host: str
    full_name: str
    person: str
    entry: str
    os: str
    address: str
    registered: str
    config: str
    verified: str = ""
    retired: str = ""
    purge: str = ""
    purge_of: str = ""
    purge_wait: str = ""
    rsync: str = ""
    archive_of: str = ""

    @property
    def by_hand(self) -> bool:
        """Tell whether no machine has ever registered so."""
        return not self.full_name

    @property
    def is_closed(self) -> bool:
        """Tell whether the host is not to be backed up: it is retired, or archived backups."""
        return bool(self.retired or self.archive_of)


def to_bytes(record: Record) -> bytes:
    """Return the record as its file holds it."""
    return json.dumps({"format": FORMAT, **asdict(record)}, indent=1).encode("ascii") + b"\n"


def from_bytes(content: bytes) -> Record:
    """Read a record's file back.

    Keys that we do not know are skipped, so that a later version can add some; one whose loss would do harm
    comes with a new format number.

    Raises ValueError.
    """
    try:
        told = json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("is nested too deep") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ValueError(f"is no record of format {FORMAT}")
    values: dict[str, str] = {}
    for name in (field.name for field in fields(Record)):
        value = told.get(name, "" if name in _MAY_BE_ABSENT else None)
        if not isinstance(value, str) or (name in _NEVER_EMPTY and not value):
            raise ValueError(f"has no {name}")
        values[name] = value
    record = Record(**values)
    if record.by_hand and record.registered:
        raise ValueError("has no full_name")
    if not record.by_hand and not record.person:
        raise ValueError("has no person")
    return record


def read(folder: Path) -> Record | None:
    """Return the record in *folder*, None where there is none.

    Raises StateError where it cannot be read or understood: a doubt is never "no record".
    """
    path = folder / NAME
    content = safe_files.content(path)
    if content is None:
        return None
    try:
        return from_bytes(content)
    except ValueError as error:
        raise StateError(detail=f"{path}: {error}") from error


def write(folder: Path, record: Record) -> None:
    """Put the record into *folder*; raises StateError."""
    with safe_files.faults():
        atomic_files.write(folder / NAME, to_bytes(record), 0o640)
