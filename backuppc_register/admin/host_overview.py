"""Read what is known about each host: hosts line, record, keys, backups."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from backuppc_register import host_key
from backuppc_register.admin.context import Context
from backuppc_register.backuppc import backups, hosts, retired_config
from backuppc_register.backuppc.backups import Backup
from backuppc_register.backuppc.hosts import Line
from backuppc_register.host_key import HostKey
from backuppc_register.names import is_host
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.state.records import Record

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """One host.

    *lines* has its lines in the hosts file: mostly one, none if the host has only a folder in our state.
    *key* is the fingerprint of the host's key pair, *host_keys* has those of the machine's ssh host keys.
    *stopped*: its .pl is that of a retired host. *problems* says what could not be read.
    """

    host: str
    lines: tuple[Line, ...] = ()
    folder: bool = False
    record: Record | None = None
    key: str = ""
    host_keys: tuple[str, ...] = ()
    offered: str = ""
    backups: tuple[Backup, ...] = ()
    stopped: bool = False
    problems: tuple[str, ...] = ()

    @property
    def person(self) -> str:
        """Return the owners, joined."""
        return ", ".join(self.persons)

    @property
    def persons(self) -> tuple[str, ...]:
        """Return the owner in each hosts line, "" without a user; without a line, the record's."""
        recorded = [self.record.person] if self.record else []
        return tuple(dict.fromkeys([line.user for line in self.lines] if self.lines else recorded))

    @property
    def retired(self) -> bool:
        """Tell whether the host is not backed up any more: it is retired, or an archive."""
        return self.record is not None and self.record.is_closed

    @property
    def kind(self) -> str:
        """Return what the host is if no machine registered it, or ""."""
        if self.record and self.record.archive_of:
            return f"earlier backups of {self.record.archive_of}"
        manual = self.record.by_hand if self.record else not self.folder
        return "manually added" if self.lines and manual else ""

    @property
    def last(self) -> Backup | None:
        """Return the last complete backup."""
        return next((one for one in reversed(self.backups) if one.kind in {"full", "incr"}), None)

    def json(self) -> dict[str, Any]:
        """Return everything for JSON."""
        record = asdict(self.record) if self.record else None
        return {
            "host": self.host,
            "person": self.person,
            "lines": [asdict(line) for line in self.lines],
            "record": record,
            "key": self.key,
            "host_keys": list(self.host_keys),
            "offered_key": self.offered,
            "stopped": self.stopped,
            "last_backup": _json(self.last) if self.last else None,
            "backups": [_json(one) for one in self.backups],
            "problems": list(self.problems),
        }


def names(context: Context) -> dict[str, tuple[Line, ...]]:
    """Return each host of the hosts file or of our state, sorted, with its hosts lines."""
    with context.server.locked():
        file = hosts.read(context.config.backuppc.hosts)
    known = {line.host for line in file.lines} | set(context.folders.names())
    lines: dict[str, tuple[Line, ...]] = dict.fromkeys(sorted(known), ())
    for line in file.lines:
        lines[line.host] += (line,)
    return lines


def view(context: Context, host: str, lines: tuple[Line, ...]) -> View:
    """Return what is known about *host*; what cannot be read is listed in its problems."""
    problems: list[str] = []

    def read(question: Callable[[], T], otherwise: T) -> T:
        try:
            return question()
        except RegisterError as error:
            problems.append(str(error.detail or error))
        except ValueError:  # a name in the hosts file that our hosts cannot have
            pass
        return otherwise

    folders = context.folders
    record = read(lambda: folders.record(host), None)
    key = host_key.read((read(lambda: folders.public_key(host, record), None) or "").strip())
    exists = read(lambda: folders.exists(host), False)
    known: tuple[HostKey, ...] = read(lambda: folders.known_keys(host), ()) if exists else ()
    offered = read(lambda: folders.offered_key(host), None)
    return View(
        host=host,
        lines=lines,
        folder=exists,
        record=record,
        key=key.fingerprint if key else "",
        host_keys=tuple(one.fingerprint for one in known),
        offered=offered.fingerprint if offered else "",
        stopped=is_host(host) and retired_config.is_in_place(context.config.backuppc.config_dir, host),
        backups=read(lambda: backups.backups(context.config.backuppc.data_dir, host), ()),
        problems=tuple(dict.fromkeys(problems)),  # several questions meet the same problem
    )


def views(context: Context) -> Iterable[View]:
    """Return what is known about every host."""
    return (view(context, host, lines) for host, lines in names(context).items())


def moment(when: datetime | str | None) -> str:
    """Return a moment for people, in the server's time zone; "-" for none."""
    if not when:
        return "-"
    try:
        parsed = datetime.fromisoformat(when) if isinstance(when, str) else when
    except ValueError:
        return str(when)
    return parsed.astimezone().strftime("%Y-%m-%d %H:%M")


def _json(backup: Backup) -> dict[str, Any]:
    ended = backup.ended.isoformat() if backup.ended else None
    return {**asdict(backup), "started": backup.started.isoformat(), "ended": ended}
