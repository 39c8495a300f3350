"""Store a snapshot of the lines of BackupPC's hosts file, from which lost lines are restored."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backuppc_register.state import json_lines, safe_files

NAME = "ledger"


@dataclass(frozen=True)
class SeenLine:
    """One line: its exact bytes without the newline, and what BackupPC read in them."""

    raw: bytes
    dhcp: str
    user: str
    more_users: tuple[str, ...]


@dataclass(frozen=True)
class SeenHost:
    """A host as last seen: *lines* in the file's order, the time *seen* (UTC, ISO 8601).

    *data*: whether BackupPC has had data of it since it is known; *place*: on which disk, "" if unknown.
    *taken_from*: the owner of the line that was last seen before another person registered the host.
    """

    host: str
    lines: tuple[SeenLine, ...]
    data: bool
    seen: str
    place: str = ""
    taken_from: str = ""

    @property
    def users(self) -> str:
        """Return the owners of the host as text."""
        return ", ".join(dict.fromkeys(line.user or "nobody" for line in self.lines))


class HostsSnapshot:
    """The file in the folder *state*: a line with its format, then a line of JSON for each host.

    Readers and writers hold BackupPC's lock.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / NAME

    def read(self) -> dict[str, SeenHost]:
        """Return the hosts by name, in the order in which they were first seen; none before the first run.

        Raises StateError if the file cannot be read or understood: that is never "no hosts".
        """
        return {seen.host: seen for seen in json_lines.read(self.path, _seen)}

    def has(self, host: str) -> bool:
        """Tell whether the snapshot has *host*, without parsing it whole; raises StateError."""
        content = safe_files.content(self.path) or b""
        return b'\n{"host": ' + json.dumps(host).encode("ascii") + b", " in content

    def write(self, hosts: Iterable[SeenHost]) -> None:
        """Replace the snapshot by *hosts*, complete on disk or not at all; raises StateError."""
        json_lines.write(self.path, map(_row, hosts))

    def note(self, seen: SeenHost) -> None:
        """Add or replace one host in the snapshot; raises StateError."""
        self.write((self.read() | {seen.host: seen}).values())

    def note_no_data(self, host: str) -> None:
        """Record that the data of *host* is deleted on purpose, and not missing. Raises StateError.

        Call it before the deletion: the next snapshot finds data that still exists.
        """
        seen = self.read().get(host)
        if seen is not None and seen.data:
            self.note(replace(seen, data=False, place=""))

    def forget(self, host: str) -> None:
        """Remove *host*, so that its line, removed on purpose, is not restored. Raises StateError.

        Call it before the line is removed: the next snapshot finds a line that still exists.
        """
        hosts = self.read()
        if hosts.pop(host, None) is not None:
            self.write(hosts.values())


def _row(seen: SeenHost) -> dict[str, object]:
    lines = [[_text(line.raw), line.dhcp, line.user, *line.more_users] for line in seen.lines]
    rare = {"place": seen.place, "taken_from": seen.taken_from}
    more = {name: value for name, value in rare.items() if value}
    return {"host": seen.host, "data": seen.data, "seen": seen.seen, **more, "lines": lines}


def _seen(row: Any) -> SeenHost:
    texts = [row["host"], row["seen"], *(text for line in row["lines"] for text in line)]
    texts += [place := row.get("place", ""), taken_from := row.get("taken_from", "")]
    if not row["lines"] or type(row["data"]) is not bool or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"no host: {row}"[:100])
    lines = ((raw, dhcp, user, more) for raw, dhcp, user, *more in row["lines"])
    seen = tuple(SeenLine(_bytes(raw), dhcp, user, tuple(more)) for raw, dhcp, user, more in lines)
    return SeenHost(row["host"], seen, row["data"], row["seen"], place, taken_from)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
