"""The record of a registration: owner, machine, and what we wrote for it."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files
from backuppc_register.system.uptime import Uptime

NAME = "record.json"
FORMAT = 1
_NEVER_EMPTY = ("host",)
_OPTIONAL = ("verified", "retired", "purge", "rsync", "wall", "archive_of", "final")
_WALLS = ("namespace", "sandbox", "confine-root")


@dataclass(frozen=True)
class PurgeRequest:
    """The owner of a host, and its backups, when its purge was requested; the backups as `Extent.made`."""

    owner: str
    backups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One registration, or what we have to remember of a manually added host.

    Of the latter *full_name* and *registered* are empty, and *person* may be.
    *person* is the canonical uid, *entry* the directory's id of that person's entry (`Person.entry`).
    *address* is the peer's at the time *registered* (UTC, ISO 8601, whole seconds). *config* is the SHA-256,
    in hex, of the per-host .pl as we wrote it; empty if the .pl is not ours.
    *verified*: when the connection back was last proved. *retired*: when backups were stopped. *purge*: from
    when the data may be deleted. Each is empty for never. *purge_wait* is the moment *purge* by the machine's
    uptime. *rsync* is the machine's version of rsync when it was verified, *wall* what kept that rsync inside
    the shared folders, in the word of `probe`; empty for a setup of an earlier release, and in its records.
    *archive_of* is the host that these archived backups come from, under a name that no machine has; empty
    for a host.
    *final*: since when only an administrator can end the retirement, empty if the machine can do it too.
    *provisional*: the machine registered a free name and was never verified, and no administrator has decided
    about it since. Records of earlier releases do not have this mark.
    *fresh*: since an administrator stopped the host, its machine was given a fresh key, which only root can
    have installed there.
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
    purge_of: PurgeRequest | None = None
    purge_wait: Uptime | None = None
    rsync: str = ""
    wall: str = ""
    archive_of: str = ""
    final: str = ""
    provisional: bool = False
    fresh: bool = False

    @property
    def by_hand(self) -> bool:
        """Tell whether the host was added manually and no machine has registered it."""
        return not self.full_name

    @property
    def is_closed(self) -> bool:
        """Tell whether backups are disabled: the host is retired, or this is an archive."""
        return bool(self.retired or self.archive_of)

    @property
    def has_wall(self) -> bool:
        """Tell whether something was known to keep rsync inside when the machine was verified."""
        return self.wall in _WALLS

    @property
    def has_fresh_key(self) -> bool:
        """Tell whether a login with the fresh key proves root on the machine since the host was stopped."""
        return self.fresh and self.is_stopped

    @property
    def is_stopped(self) -> bool:
        """Tell whether an administrator has stopped the backups, or plans to delete them."""
        return bool(self.retired or self.purge)


def to_bytes(record: Record) -> bytes:
    """Return the record as its file holds it."""
    scope, wait = record.purge_of, record.purge_wait
    lists = {
        "purge_of": [scope.owner, *scope.backups] if scope else "",
        "purge_wait": [wait.boot, wait.seconds] if wait else "",
    }
    return json.dumps({"format": FORMAT, **asdict(record), **lists}, indent=1).encode("ascii") + b"\n"


def from_bytes(content: bytes) -> Record:
    """Parse a record's file.

    Unknown keys are skipped, so that a later version can add some. A key that must not be lost comes with a
    new format number.

    Raises ValueError.
    """
    try:
        values = json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("is nested too deep") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"is no record of format {FORMAT}")
    record = Record(
        **{field.name: _text(values, field.name) for field in fields(Record) if field.type is str},
        purge_of=_purge_of(values.get("purge_of", "")),
        purge_wait=_purge_wait(values.get("purge_wait", "")),
        provisional=_flag(values, "provisional"),
        fresh=_flag(values, "fresh"),
    )
    if record.by_hand and record.registered:
        raise ValueError("has no full_name")
    if not record.by_hand and not record.person:
        raise ValueError("has no person")
    return record


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name, "" if name in _OPTIONAL else None)
    if not isinstance(value, str) or (name in _NEVER_EMPTY and not value):
        raise ValueError(f"has no {name}")
    return value


def _flag(values: dict[str, Any], name: str) -> bool:
    value = values.get(name, False)
    if type(value) is not bool:
        raise ValueError(f"has no {name}")
    return value


def _purge_of(value: Any) -> PurgeRequest | None:
    """Parse owner and backups, a list; a text separated by blanks in records of earlier releases."""
    parts = value.split(" ") if isinstance(value, str) and value else value or []
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("has no purge_of")
    return PurgeRequest(parts[0], tuple(parts[1:])) if parts else None


def _purge_wait(value: Any) -> Uptime | None:
    """Parse boot and seconds, a list; ``BOOT@SECONDS`` in records of earlier releases."""
    if isinstance(value, str):
        boot, _, seconds = value.partition("@")
        return Uptime(boot, int(seconds)) if boot and seconds.isdecimal() else None
    match value:
        case [str(name), int() | float() as moment]:
            return Uptime(name, moment)
    raise ValueError("has no purge_wait")


def read(folder: Path) -> Record | None:
    """Return the record in *folder*, None if there is none.

    Raises StateError if it cannot be read or understood: that is never "no record".
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
    """Write the record into *folder*; raises StateError."""
    with safe_files.faults():
        atomic_files.write(folder / NAME, to_bytes(record), 0o640)
