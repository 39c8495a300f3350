"""Who got a host by an administrator's command, and who lost it, so that no old editor page reverts that."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backuppc_register.person import same_logon
from backuppc_register.state import json_lines

NAME = "former_owners"


@dataclass(frozen=True)
class Owners:
    """The owners of a host by administrators' commands.

    *former*: users who lost the host. *owner*: who got it by the last command, "" if no one did or if that is
    not known.
    """

    host: str
    former: tuple[str, ...] = ()
    owner: str = ""

    def is_former(self, user: str) -> bool:
        """Tell whether *user* lost the host."""
        return any(same_logon(user, one) for one in self.former)


class FormerOwners:
    """The file in the folder *state*: a line with its format, then a line of JSON for each host.

    Readers and writers hold BackupPC's lock.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / NAME

    def read(self) -> dict[str, Owners]:
        """Return the hosts by name; raises StateError if the file cannot be read or understood."""
        return {owners.host: owners for owners in json_lines.read(self.path, _owners)}

    def of(self, host: str) -> Owners:
        """Return the owners of *host*; raises StateError as `read`."""
        return self.read().get(host, Owners(host))

    def take(self, host: str, users: Iterable[str], *, person: str = "") -> None:
        """Record that *users* lose *host* to *person*, "" if it gets no new owner; raises StateError.

        Call it before the line changes. If the command is interrupted in between, `reconcile` finishes it.
        """
        known = self.read()
        every = dict.fromkeys([*known.get(host, Owners(host)).former, *filter(None, users)])
        owners = Owners(host, tuple(user for user in every if not same_logon(user, person)), person)
        if known.get(host) != owners:
            json_lines.write(self.path, map(_row, (known | {host: owners}).values()))


def _row(owners: Owners) -> dict[str, object]:
    return {"host": owners.host, "users": owners.former, "owner": owners.owner}


def _owners(row: Any) -> Owners:
    # Releases before 0.2.0 wrote no "owner". In doubt they gave the line to BackupPC's account, and noted the
    # owner in "closed" until a command decided. An interrupted command left that mark, its owner in "users".
    host, users = row["host"], row["users"]
    closed = row.get("closed", "")
    owners = Owners(host, tuple(users), row.get("owner", closed))
    texts = (host, owners.owner, closed, *users)
    if type(users) is not list or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"no host: {row}"[:100])
    stale = "owner" not in row and owners.is_former(owners.owner)
    return Owners(host, owners.former) if stale else owners
