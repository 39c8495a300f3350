"""Compare the hosts file with its snapshot, and correct it before BackupPC deletes data."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import hosts_snapshot, missing_backups
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Daemon
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation import changed_lines, deleted_hosts, lost_lines, reverted_lines
from backuppc_register.reconciliation.deleted_hosts import DeletedHost
from backuppc_register.reconciliation.lost_lines import Restoration
from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.reconciliation.reverted_lines import RevertedLine
from backuppc_register.state import leftovers, reconcile_stamp
from backuppc_register.state.snapshot_file import SeenHost

_FOR_BACKUPPC = 10.0  # seconds to inform BackupPC
_EMPTY = HostsFile(())


@dataclass(frozen=True)
class Plan:
    """What a run will do: nothing in it was written.

    The hosts file *before*, None if it is missing, becomes *after*. *header*: the host that BackupPC did not
    see, because it took its line for the missing header, "" if there is one. *notices*: what needs no change.
    """

    before: HostsFile | None
    after: HostsFile
    snapshot: tuple[SeenHost, ...]
    header: str = ""
    notices: tuple[Item, ...] = ()
    reverted: tuple[RevertedLine, ...] = ()
    restoration: Restoration = Restoration()
    deleted: tuple[DeletedHost, ...] = ()

    @property
    def report(self) -> tuple[Item, ...]:
        """Return the plan in words: the report of a run that succeeds."""
        return (*self.about_lines(), *(host.item() for host in self.deleted))

    def about_lines(self, problem: str = "") -> Iterator[Item]:
        """Yield the items about hosts lines; *problem*: why the hosts file could not be written."""
        if self.header:
            what = f"the line that names the columns was gone: BackupPC did not see {self.header}"
            failed = Item(Word.NOT_RESTORED, f"{what}; it could not be restored: {problem}")
            yield failed if problem else Item(Word.HEADER, f"{what}; it is restored")
        yield from self.notices
        yield from (line.item(problem) for line in self.reverted)
        yield from self.restoration.items(problem)

    @property
    def hosts(self) -> list[str]:
        """Return the hosts that BackupPC has to read anew."""
        return [*self.restoration.hosts, *(line.host for line in self.reverted if not line.problem)]


@dataclass(frozen=True)
class Outcome:
    """The report of a run, and the *hosts* file after it."""

    report: tuple[Item, ...]
    hosts: HostsFile


def plan(server: Server, now: datetime) -> Plan:
    """Plan a run, and change nothing.

    Raises HostsFileError if the hosts file cannot be read or its lock is not free, and StateError if our
    state cannot be read.
    """
    with server.locked():
        return _plan(server, now)


def reconcile(server: Server, daemon: Daemon, now: datetime) -> Outcome:
    """Restore lost and reverted lines, set aside what is left of deleted hosts, and renew the snapshot.

    A lost line is restored byte for byte if its host has data, or never had any. If the data is gone as well,
    the host was deleted on purpose. A changed line stays, unless it contradicts an administrator's command.

    Raises what `plan` does.
    """
    with server.locked():
        leftovers.remove_all(server.config.state.directory, server.backuppc)
        done = _plan(server, now)
        problem = _write(done, server)
        report = [*done.about_lines(problem)]
        failed = {host: deleted_hosts.set_aside(host, server, now) for host in done.deleted}
        report += [host.item(why) for host, why in failed.items()]
        unfinished = [host.seen for host, why in failed.items() if why or host.problem]
        report += _write_snapshot([*done.snapshot, *unfinished], server, now)
    if done.hosts and not problem and (doubt := daemon.reread(done.hosts, _FOR_BACKUPPC)):
        report.append(Item(Word.BACKUPPC, doubt))
    return Outcome(tuple(report), (done.before or _EMPTY) if problem else done.after)


def _plan(server: Server, now: datetime) -> Plan:
    noted_before, owners = server.snapshot.read(), server.former_owners.read()
    before = _hosts_file(server, noted_before)
    current = hosts.with_header(before or _EMPTY)
    present = (line.host for line in current.lines)
    found, known = missing_backups.look_at_all(present, noted_before, server.config)
    seen = hosts_snapshot.seen(current, known, found, now)
    loss = lost_lines.find(known, seen, found)
    after, restoration = lost_lines.restore(loss.lost, current)
    noted = seen | {host.host: host for host in loss.lost}
    after, reverted = reverted_lines.restore(reverted_lines.find(known, noted, owners), after)
    restored = {line.host for line in reverted}
    notices = (
        *lost_lines.alarms(loss, current),
        *(line.item for line in changed_lines.find(known, seen) if line.now.host not in restored),
        *changed_lines.taken(known),
        *changed_lines.returned(known, seen, owners, server.folders.names()),
    )
    return Plan(
        before=before,
        after=after,
        snapshot=_snapshot(noted, reverted, after),
        header=current.lines[0].host if before and current is not before else "",
        notices=notices,
        reverted=reverted,
        restoration=restoration,
        deleted=tuple(deleted_hosts.plan(host, server) for host in loss.deleted),
    )


def _hosts_file(server: Server, known: Mapping[str, SeenHost]) -> HostsFile | None:
    """Return the hosts file; None if it is missing although the snapshot has hosts."""
    path = server.backuppc.hosts
    try:
        missing = not path.is_symlink() and not path.exists() and path.parent.is_dir()
    except OSError as error:
        raise HostsFileError(detail=f"the hosts file cannot be looked up: {error}") from error
    return None if known and missing else hosts.read(path)


def _snapshot(
    noted: Mapping[str, SeenHost], reverted: Iterable[RevertedLine], after: HostsFile
) -> tuple[SeenHost, ...]:
    """Return the new snapshot: *noted*, and for each reverted line the one that its host should have."""
    new = dict(noted)
    for line in reverted:
        if not line.problem:
            lines = tuple(hosts_snapshot.noted(written) for written in after.written_for(line.host))
            new[line.host] = replace(line.now, lines=lines)
        elif line.before:
            new[line.host] = line.before
        else:
            del new[line.host]
    return tuple(new.values())


def _write(plan: Plan, server: Server) -> str:
    """Write the hosts file; return why that failed, or ""."""
    path = server.backuppc.hosts
    try:
        if plan.before is None and plan.after.lines:
            hosts.create(path, plan.after)
        elif plan.before is not None and plan.before != plan.after:
            hosts.replace(path, plan.before, plan.after)
    except HostsFileError as error:
        return str(error.detail)
    return ""


def _write_snapshot(hosts: Iterable[SeenHost], server: Server, now: datetime) -> Iterator[Item]:
    """Write the snapshot, and when this was done; yield an item if that failed.

    A deleted host that could not be set aside stays in it, so that the next run tries again.
    """
    try:
        server.snapshot.write(hosts)
        reconcile_stamp.write(server.config.state.directory, now)
    except StateError as error:
        yield Item(Word.NOT_NOTED, f"the snapshot could not be written: {error.detail}", "Is the disk full?")
