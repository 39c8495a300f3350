"""Release registrations that were never verified and have no backups, after the days that the site allows."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from backuppc_register.backuppc import host_config, hosts
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.backuppc.hosts import HostsFile, Line
from backuppc_register.inventory import host_status, missing_backups, provisional
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.server import Server
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation import lost_lines
from backuppc_register.reconciliation.inconsistency import ADMIN
from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.state.records import Record

MOST = 10
"""Registrations released in one run: more at once look like a wrong clock."""

GAP = timedelta(days=30)
"""A last run of `reconcile` that is further away from now looks like a wrong clock."""

_DOUBT = "the disk with all backups may be missing"
_CLOCK = f"Is the clock right? See {ADMIN} list --unverified. If so: {ADMIN} reconcile --release-many"


@dataclass(frozen=True)
class Release:
    """A registration of *host* by *person* that is to be released.

    *line*: it has a hosts line.
    """

    host: str
    person: str
    since: str
    line: bool

    def item(self, problem: str = "", note: str = "") -> Item:
        """Return the item of the report; *problem*: why it could not be released."""
        what = f"it was registered at {self.since}, never verified, and has no backups"
        if problem:
            what += f"; it is not released: {problem}"
            return Item(Word.NOT_RELEASED, what, "The next run tries again.", self.host, self.person)
        line = "its hosts line is removed, and " if self.line else ""
        what += f": {line}our key, record and .pl are set aside" + (f"; {note}" if note else "")
        advice = f"If the machine is still there, {self.person} registers it again and verifies it."
        return Item(Word.RELEASED, what, advice, self.host, self.person)


def find(file: HostsFile, server: Server, now: datetime) -> list[Release]:
    """Return the registrations to release, by the hosts *file* as it is now; *now* has a time zone.

    Needs no lock, and writes nothing: `release` plans each of them again. None is returned if there is a
    doubt about the backups of all hosts.

    Raises StateError if our state cannot be listed.
    """
    days = server.config.limits.unverified_days
    candidates = [host for host in server.folders.names() if _is_overdue(host, server, days, now)]
    if not candidates or _is_doubtful(file, server):
        return []
    return [one for host in candidates if (one := _planned(host, file, server, now))]


def obstacle(host: str, file: HostsFile, server: Server) -> str:
    """Return why the registration of *host* is not released, however old it is, or "".

    A backup that runs at the time prevents it, too, and so do too many of them at once. Needs no lock.
    """
    try:
        status = host_status.read(host, server, file)
        found = _obstacle(status, status.recorded)
        return found or (_DOUBT if _is_doubtful(file, server) else "")
    except (StateError, HostsFileError) as error:
        return error.detail or str(error)


def held_back(
    releases: list[Release], server: Server, last_run: datetime | None, now: datetime
) -> tuple[list[Release], list[Item]]:
    """Return the *releases* that may be made without an administrator, and items for the others.

    Too many at once may be due only because the clock is wrong. So may each one if *last_run*, the last run
    of `reconcile`, is far away: then this run releases none, and the next one does.
    """
    days = server.config.limits.unverified_days
    if len(releases) > MOST:
        what = f"{len(releases)} registrations were never verified for {days} days; none of them is released"
        return [], [Item(Word.MANY_UNVERIFIED, what, _CLOCK)]
    if last_run is not None and abs(now - last_run) > GAP:
        problem = f"the last run of reconcile was at {last_run.isoformat(timespec='seconds')}"
        return [], [one.item(problem=problem) for one in releases]
    return releases, []


def release(planned: Release, server: Server, jobs: Jobs, now: datetime) -> Iterator[Item]:
    """Release one registration; yield the item of the report, or nothing if the host has changed meanwhile.

    Under the job lock and the lock it is certain that there are no backups and none begins. An interrupted
    run leaves a record without a line, and the next run finishes it.
    """
    host = planned.host
    try:
        with jobs.kept_away(host) as kept:
            with server.locked():
                status = host_status.read(host, server)
                if _plan(status, now) != planned:
                    return
                _write(status, planned, now)
            note = kept.tell(gone=(host,) if planned.line else ())
    except (HostsFileError, StateError) as error:  # Busy is a HostsFileError
        yield planned.item(problem=error.detail or str(error))
        return
    yield planned.item(note=note)


def _write(status: HostStatus, planned: Release, now: datetime) -> None:
    host, server = planned.host, status.server
    if planned.line:
        server.former_owners.take(host, [planned.person])
        server.snapshot.forget(host)
        hosts.remove(server.backuppc.hosts, status.hosts, host)
    config = host_config.path(server.backuppc.config_dir, host) if status.config is not None else None
    server.folders.set_aside(host, config, now)


def _is_overdue(host: str, server: Server, days: int, now: datetime) -> bool:
    with suppress(StateError):  # `inconsistencies` reports a record that cannot be read
        record = server.folders.record(host)
        due = provisional.released_from(record, days) if record else None
        return due is not None and due <= now
    return False


def _is_doubtful(file: HostsFile, server: Server) -> bool:
    """Tell whether the disk with all backups may be missing."""
    present = [line.host for line in file.lines]
    found, known = missing_backups.look_at_all(present, server.snapshot.read(), server.config)
    return bool(lost_lines.find(known, known, found).doubt)


def _planned(host: str, file: HostsFile, server: Server, now: datetime) -> Release | None:
    with suppress(StateError, HostsFileError):  # a doubt releases nothing
        return _plan(host_status.read(host, server, file), now)
    return None


def _plan(status: HostStatus, now: datetime) -> Release | None:
    """Return the release of a host, None if it stays. Raises HostsFileError and StateError in doubt."""
    record, server = status.record, status.server
    due = provisional.released_from(record, server.config.limits.unverified_days) if record else None
    if record is None or due is None or due > now or _obstacle(status, record):
        return None
    return Release(status.host, record.person, record.registered, line=bool(status.lines))


def _obstacle(status: HostStatus, record: Record) -> str:
    """Return why a registration is not released, however old it is, or "". Raises what `_plan` does."""
    host, server, path = status.host, status.server, status.server.backuppc.config_dir
    if status.doubt:
        return status.doubt
    if status.backups:
        return "it has backups"
    if status.last_seen is not None and status.last_seen.data:
        return "its backups are missing, and may come back"
    if owner := server.former_owners.of(host).owner:
        return f"an administrator gave it to {owner}"
    if status.overriding:
        return f"BackupPC reads {status.overriding}"
    if host_config.path(path, host).is_symlink():
        return f"{host}.pl is a link"
    if not status.lines:
        return "its hosts line is lost" if status.last_seen else ""
    return "" if _is_as_registered(status.lines, record.person) else "its hosts line was changed"


def _is_as_registered(lines: tuple[Line, ...], person: str) -> bool:
    """Tell whether *lines* are the one that a registration of *person* writes."""
    line, *others = lines
    return not others and line.dhcp == "0" and not line.more_users and same_logon(line.user, person)
