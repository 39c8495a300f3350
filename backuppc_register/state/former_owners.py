"""Remember the former owners of hosts: an old page of BackupPC's editor must not revert to them unseen."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backuppc_register.person import same_logon
from backuppc_register.state import json_lines

NAME = "former_owners"


@dataclass(frozen=True)
class Former:
    """One host and the *users* who owned it before.

    *closed*: the owner at the time when the owner became disputed, until an administrator decides; else "".
    """

    host: str
    users: tuple[str, ...] = ()
    closed: str = ""

    def had(self, user: str) -> bool:
        """Tell whether *user* is a former owner of the host."""
        return any(same_logon(user, one) for one in self.users)


class FormerOwners:
    """The file in the folder *state*: a line with its format, then a line of JSON for each host.

    Readers and writers hold BackupPC's lock.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / NAME

    def read(self) -> dict[str, Former]:
        """Return the hosts by name; raises StateError if the file cannot be read or understood."""
        return {former.host: former for former in json_lines.read(self.path, _former)}

    def of(self, host: str) -> Former:
        """Return the former owners of *host*; raises StateError as `read`."""
        return self.read().get(host, Former(host))

    def take(self, host: str, users: Iterable[str], *, person: str = "") -> None:
        """Record that *host* passes from *users* to *person*, "" for no person; raises StateError.

        Call it before the line changes: a record of a transfer that does not happen does no harm.
        """
        before = self.of(host)
        every = dict.fromkeys([*before.users, *filter(None, users)])
        users = tuple(user for user in every if not same_logon(user, person))
        self._put(replace(before, users=users))

    def close(self, host: str, owner: str) -> None:
        """Record that the owner of *host*, until now *owner*, is disputed; raises StateError."""
        self._put(replace(self.of(host), closed=owner))

    def decided(self, host: str) -> None:
        """Record that the owner of *host* is not disputed any more; raises StateError."""
        self._put(replace(self.of(host), closed=""))

    def _put(self, former: Former) -> None:
        known = self.read()
        if known.get(former.host) != former:
            json_lines.write(self.path, map(_row, (known | {former.host: former}).values()))


def _row(former: Former) -> dict[str, object]:
    closed = {"closed": former.closed} if former.closed else {}
    return {"host": former.host, "users": former.users, **closed}


def _former(row: Any) -> Former:
    former = Former(row["host"], tuple(row["users"]), row.get("closed", ""))
    if type(row["users"]) is not list or not all(
        isinstance(text, str) for text in (former.host, former.closed, *former.users)
    ):
        raise ValueError(f"no host: {row}"[:100])
    return former
