"""The lines of BackupPC's hosts file as last seen, so that one that gets lost can be put back."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files

NAME = "ledger"
FORMAT = 1


@dataclass(frozen=True)
class SeenLine:
    """One line: its very bytes without the newline, and what BackupPC read in them."""

    raw: bytes
    dhcp: str
    user: str
    more_users: tuple[str, ...]


@dataclass(frozen=True)
class SeenHost:
    """A host as last seen: *lines* in the file's order, *seen* when (UTC, ISO 8601).

    *data*: whether BackupPC ever had data of it since it is known; *place*: on which disk, "" where unknown.
    """

    host: str
    lines: tuple[SeenLine, ...]
    data: bool
    seen: str
    place: str = ""

    @property
    def users(self) -> str:
        """Return whose the host was, for people to read."""
        return ", ".join(dict.fromkeys(line.user or "nobody" for line in self.lines))


class HostsSnapshot:
    """The file in the folder *state*: a line that tells its format, then a line of JSON for each host.

    Who reads or writes holds BackupPC's lock.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / NAME

    def read(self) -> dict[str, SeenHost]:
        """Return the hosts by name, in the order in which they were first seen; none before the first run.

        Raises StateError where the file cannot be read or understood: a doubt is never "no hosts".
        """
        content = safe_files.content(self.path)
        if content is None:
            return {}
        try:
            return {known.host: known for known in _from_bytes(content)}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StateError(detail=f"{self.path} cannot be understood: {error}") from error

    def write(self, hosts: Iterable[SeenHost]) -> None:
        """Put down *hosts* and no others, complete on disk or not at all; raises StateError."""
        rows: list[object] = [{"format": FORMAT}, *map(_row, hosts)]
        with safe_files.faults():
            atomic_files.write(
                self.path, "".join(json.dumps(row) + "\n" for row in rows).encode("ascii"), 0o640
            )

    def note(self, known: SeenHost) -> None:
        """Put down one host as it is now; raises StateError."""
        self.write((self.read() | {known.host: known}).values())

    def note_no_data(self, host: str) -> None:
        """Note that *host* has no data any more: on purpose, and not missing. Raises StateError.

        Call it before the data goes: what still has data is noted again.
        """
        known = self.read().get(host)
        if known is not None and known.data:
            self.note(replace(known, data=False, place=""))

    def forget(self, host: str) -> None:
        """Let *host* go, whose line is about to be removed on purpose: it will not be put back.

        Call it before the line goes: what still has a line is noted again. Raises StateError.
        """
        known = self.read()
        if known.pop(host, None) is not None:
            self.write(known.values())


def _row(known: SeenHost) -> dict[str, object]:
    lines = [[_text(line.raw), line.dhcp, line.user, *line.more_users] for line in known.lines]
    place = {"place": known.place} if known.place else {}
    return {"host": known.host, "data": known.data, "seen": known.seen, **place, "lines": lines}


def _from_bytes(content: bytes) -> Iterable[SeenHost]:
    head, *rows = content.decode("ascii").removesuffix("\n").split("\n")
    if json.loads(head) != {"format": FORMAT}:
        raise ValueError(f"is no ledger of format {FORMAT}")
    return map(_known, map(json.loads, rows))


def _known(row: Any) -> SeenHost:
    texts = [row["host"], row["seen"], *(text for line in row["lines"] for text in line)]
    texts.append(place := row.get("place", ""))  # earlier releases noted none
    if not row["lines"] or type(row["data"]) is not bool or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"no host: {row}"[:100])
    lines = ((raw, dhcp, user, more) for raw, dhcp, user, *more in row["lines"])
    noted = tuple(SeenLine(_bytes(raw), dhcp, user, tuple(more)) for raw, dhcp, user, more in lines)
    return SeenHost(row["host"], noted, row["data"], row["seen"], place)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
