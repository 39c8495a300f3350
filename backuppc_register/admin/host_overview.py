"""What is known of each host, from the hosts file, the records, the keys and BackupPC's backups."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from backuppc_register import host_key
from backuppc_register.admin.context import Context
from backuppc_register.backuppc import backups, hosts
from backuppc_register.backuppc.backups import Backup
from backuppc_register.backuppc.hosts import Line
from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.state.records import Record

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """One host.

    *lines* of the hosts file, mostly one; none where the host has only a folder in our state. *key* and
    *host_keys* are fingerprints, of the key pair that we log in with and of the machine's own ssh host keys.
    *problems*: what could not be read.
    """

    host: str
    lines: tuple[Line, ...] = ()
    folder: bool = False
    record: Record | None = None
    key: str = ""
    host_keys: tuple[str, ...] = ()
    offered: str = ""
    backups: tuple[Backup, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def person(self) -> str:
        """Whose the host is: the hosts line beats the record."""
        return ", ".join(self.persons)

    @property
    def persons(self) -> tuple[str, ...]:
        """Each of them, where the host has several lines; "" is a line's without a user."""
        recorded = [self.record.person] if self.record else []
        return tuple(dict.fromkeys([line.user for line in self.lines] if self.lines else recorded))

    @property
    def retired(self) -> bool:
        """Tell whether no backups are wanted of it any more: retired by an administrator, or an archive."""
        return self.record is not None and self.record.is_closed

    @property
    def kind(self) -> str:
        """What it is, where it is no machine that has registered; "" for one that has."""
        if self.record and self.record.archive_of:
            return f"earlier backups of {self.record.archive_of}"
        by_hand = self.record.by_hand if self.record else not self.folder
        return "made by hand" if self.lines and by_hand else ""

    @property
    def last(self) -> Backup | None:
        """The last backup that is complete."""
        return next((one for one in reversed(self.backups) if one.kind in {"full", "incr"}), None)

    def json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        record = asdict(self.record) if self.record else None
        return {
            "host": self.host,
            "person": self.person,
            "lines": [asdict(line) for line in self.lines],
            "record": record,
            "key": self.key,
            "host_keys": list(self.host_keys),
            "offered_key": self.offered,
            "last_backup": _json(self.last) if self.last else None,
            "backups": [_json(one) for one in self.backups],
            "problems": list(self.problems),
        }


def names(context: Context) -> dict[str, tuple[Line, ...]]:
    """Return every host that the hosts file has or we have a folder of, sorted, and its lines there."""
    with context.server.locked():
        file = hosts.read(context.config.backuppc.hosts)
    known = {line.host for line in file.lines} | set(context.folders.names())
    lines: dict[str, tuple[Line, ...]] = dict.fromkeys(sorted(known), ())
    for line in file.lines:
        lines[line.host] += (line,)
    return lines


def view(context: Context, host: str, lines: tuple[Line, ...]) -> View:
    """Return what is known of *host*; what cannot be read is a problem of this host alone."""
    problems: list[str] = []

    def told(question: Callable[[], T], otherwise: T) -> T:
        try:
            return question()
        except RegisterError as error:
            problems.append(str(error.detail or error))
        except ValueError:  # a name in the hosts file that no host of ours could have
            pass
        return otherwise

    folders = context.folders
    public = told(lambda: folders.public_key(host), None)
    known: tuple[HostKey, ...] = told(lambda: _known_keys(context, host), ())
    offered = told(lambda: folders.offered_key(host), None)
    return View(
        host=host,
        lines=lines,
        folder=told(lambda: folders.exists(host), False),
        record=told(lambda: folders.record(host), None),
        key=fingerprint(public or ""),
        host_keys=tuple(key.fingerprint for key in known),
        offered=offered.fingerprint if offered else "",
        backups=told(lambda: backups.backups(context.config.backuppc.data_dir, host), ()),
        problems=tuple(dict.fromkeys(problems)),  # what one question stumbles over, others do too
    )


def _known_keys(context: Context, host: str) -> tuple[HostKey, ...]:
    return context.folders.known_keys(host) if context.folders.exists(host) else ()


def views(context: Context) -> Iterable[View]:
    """Return what is known of every host."""
    return (view(context, host, lines) for host, lines in names(context).items())


def fingerprint(public: str) -> str:
    """Return the fingerprint of a public key's line, "" where it is none."""
    key = host_key.read(public.strip())
    return key.fingerprint if key else ""


def moment(when: datetime | str | None) -> str:
    """Return a moment as administrators read it, in the server's own time; "-" for none."""
    if not when:
        return "-"
    try:
        parsed = datetime.fromisoformat(when) if isinstance(when, str) else when
    except ValueError:
        return str(when)
    return parsed.astimezone().strftime("%Y-%m-%d %H:%M")


def age_in_days(when: datetime) -> float:
    """Return how many days ago *when* was."""
    return (datetime.now(UTC) - when).total_seconds() / 86400


def _json(backup: Backup) -> dict[str, Any]:
    ended = backup.ended.isoformat() if backup.ended else None
    return {**asdict(backup), "started": backup.started.isoformat(), "ended": ended}
