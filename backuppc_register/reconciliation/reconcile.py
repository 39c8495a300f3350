"""The hosts file is compared with what was last seen of it, and put right before BackupPC deletes data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import hosts_snapshot, missing_backups
from backuppc_register.inventory.server import Server
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.protocol.errors import StateError
from backuppc_register.reconciliation import changed_lines, lost_lines, reverted_lines
from backuppc_register.reconciliation.changed_lines import Change
from backuppc_register.reconciliation.report import Kind, News
from backuppc_register.state.former_owners import Former, FormerOwners
from backuppc_register.state.snapshot_file import SeenHost

_FOR_BACKUPPC = 10.0  # seconds for telling BackupPC


@dataclass(frozen=True)
class Outcome:
    """What a run found and did; *hosts* is the file as it was afterwards."""

    news: tuple[News, ...]
    hosts: HostsFile


class Daemon(Protocol):
    """The running BackupPC."""

    def reread(self, hosts: Sequence[str], within: float) -> str:
        """Make it read the hosts file; return "" where it knows all of *hosts*, else a sentence."""


def reconcile(server: Server, daemon: Daemon, now: datetime, *, change: bool) -> Outcome:
    """Put lost lines back, note those that are there, and tell what happened; without *change* only tell.

    A line comes back with its very bytes while its host has data, or never had any. Where there was data and
    it is gone, an administrator has cleaned: what we have of the host is set aside. A line that has changed
    is noted as it is, unless it gives a host back to somebody from whom it was taken (`handed_back`).

    Raises HostsFileError where the hosts file cannot be read or its lock is not had, and StateError where
    what we noted cannot be read.
    """
    with server.locked():
        known = server.snapshot.read()
        news, current = _with_header(_hosts_file(server, known), server, change=change)
        told, current, restored = _put_right(known, current, server, now, change=change)
    news += told
    if restored and change and (problem := daemon.reread(restored, _FOR_BACKUPPC)):
        news.append(News(Kind.BACKUPPC, problem))
    return Outcome(tuple(news), current)


def _put_right(
    known: dict[str, SeenHost], current: HostsFile, server: Server, now: datetime, *, change: bool
) -> tuple[list[News], HostsFile, list[str]]:
    """Do what there is to do, and note it; return the news, the hosts file, and what BackupPC is to know."""
    config, former = server.config, server.former_owners
    seen, had = hosts_snapshot.seen(current, known, config, now), former.read()
    loss, changed = lost_lines.between(known, seen, config), changed_lines.between(known, seen)
    back = reverted_lines.among(changed, had, server.account)
    news = [*lost_lines.alarms(loss, current), *changed_lines.told(one for one in changed if one not in back)]
    news += changed_lines.again(known, seen, had, server.folders.names())
    current, told = reverted_lines.undo(back, loss.back, current, server, change=change)
    restored, more = lost_lines.restore(loss.back, current, config, change=change)
    news += [*told, *more, *lost_lines.set_aside(loss.cleaned, config, server.folders, now, change=change)]
    if change:
        _note_decisions((one for one in changed if one not in back), had, former)
        current = hosts.read(config.backuppc.hosts) if restored else current
        after = hosts_snapshot.seen(current, known, config, now) if restored or back else seen
        lost = {host.host: host for host in loss.back if host.host not in after}
        stays = {one.host: known[one.host] for one in told if one.kind is Kind.GIVEN_BACK}
        news += _note((after | lost | stays).values(), server)
    return news, current, restored + [one.now.host for one in back]


def _note_decisions(changed: Iterable[Change], had: dict[str, Former], former: FormerOwners) -> None:
    """Note of lines that were closed in doubt that somebody has changed them, and so decided."""
    for one in changed:
        if one.now.host in had and had[one.now.host].closed:
            former.decided(one.now.host)


def _note(hosts: Iterable[SeenHost], server: Server) -> Iterable[News]:
    try:
        server.snapshot.write(hosts)
    except StateError as error:
        yield News(Kind.NOT_NOTED, f"the lines could not be noted: {error.detail}", "Is the disk full?")


def forget(host: str, server: Server, *, change: bool) -> bool:
    """Let the lost line of *host* go for good, or, of a host with a line, the data that is missing.

    Tell whether it was known. Raises Refused while the host has a line and no data is missing;
    HostsFileError and StateError as `reconcile`.
    """
    places = server.backuppc
    with server.locked():
        if hosts.read(places.hosts).lines_for(host):
            if not missing_backups.why_missing(server.snapshot.read().get(host), server.config):
                raise Refused(reason=f"{host} has a line; take it out of {places.hosts} first")
            if change:
                _forget_data(host, server)
            return True
        known = host in server.snapshot.read()
        if known and change:
            server.snapshot.forget(host)
    return known


def _forget_data(host: str, server: Server) -> None:
    """Forget that the missing data of *host* ever was; what is there now is noted in its place."""
    server.snapshot.note_no_data(host)
    without = server.snapshot.read()[host]
    server.snapshot.note(hosts_snapshot.with_data(without, None, server.config))


def _hosts_file(server: Server, known: dict[str, SeenHost]) -> HostsFile:
    """Return the hosts file; one that is not there at all, though we know of hosts, is one without lines."""
    path = server.backuppc.hosts
    if known and not path.is_symlink() and not path.exists() and path.parent.is_dir():
        return HostsFile(())
    return hosts.read(path)


def _with_header(current: HostsFile, server: Server, *, change: bool) -> tuple[list[News], HostsFile]:
    """Put a header back that got lost: without it the first host is none, and the others have no columns."""
    restored = hosts.with_header(current)
    if restored is current:
        return [], current
    what = f"the line that names the columns was gone: BackupPC did not see {restored.lines[0].host}"
    if change:
        hosts.restore_header(server.backuppc.hosts, current)
    return [News(Kind.HEADER, f"{what}; it is put back")], restored
