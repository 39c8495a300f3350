"""Lines of the hosts file that got lost come back, before BackupPC deletes the data of hosts without one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol

from backuppc_register.backuppc import backups, host_config, hosts
from backuppc_register.backuppc.hosts import HostsFile, Line, Written
from backuppc_register.backuppc.lock import locked
from backuppc_register.config import Config
from backuppc_register.errors import CouldNotRegister, NoConfigFile, NotAllowed
from backuppc_register.person import same_logon
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.ledger import Known, Ledger, Noted

_LOCK_PATIENCE = 10.0  # seconds, design section 4
_FOR_BACKUPPC = 10.0  # seconds for telling BackupPC
_MANY = 10  # lines lost at once: more than somebody takes out by hand between two runs


class Kind(Enum):
    """What is told of a host, or, where it names none, of all."""

    RESTORED = "restored"
    CLEANED = "cleaned"
    CHANGED = "changed"
    HEADER = "header"
    MASS_LOSS = "mass-loss"
    NOT_RESTORED = "not-restored"
    NOT_NOTED = "not-noted"
    DATA_MISSING = "data-missing"
    BACKUPPC = "backuppc"


@dataclass(frozen=True)
class News:
    """Something that happened since the last run; *person* is whose the host was."""

    kind: Kind
    what: str
    advice: str = ""
    host: str = ""
    person: str = ""

    @property
    def loud(self) -> bool:
        """Tell whether somebody has to look at once."""
        return self.kind in (Kind.MASS_LOSS, Kind.NOT_RESTORED, Kind.NOT_NOTED, Kind.DATA_MISSING)


@dataclass(frozen=True)
class Outcome:
    """What a run found and did; *hosts* is the file as it was afterwards."""

    news: tuple[News, ...]
    hosts: HostsFile


class Daemon(Protocol):
    """The running BackupPC."""

    def reread(self, hosts: Sequence[str], within: float) -> str:
        """Make it read the hosts file; return "" where it knows all of *hosts*, else a sentence."""


@dataclass(frozen=True)
class Site:
    """Everything a run works with."""

    config: Config
    folders: HostFolders
    ledger: Ledger
    daemon: Daemon


@dataclass(frozen=True)
class _Loss:
    """The hosts that have lost all their lines, by what happens to them."""

    back: tuple[Known, ...]
    cleaned: tuple[Known, ...]
    doubtful: bool


def reconcile(site: Site, now: datetime, *, change: bool) -> Outcome:
    """Put lost lines back, note those that are there, and tell what happened; without *change* only tell.

    A line comes back with its very bytes while its host has data, or never had any. Where there was data and
    it is gone, an administrator has cleaned: what we have of the host is set aside. A line that has changed
    is noted as it is.

    Raises CouldNotRegister where the hosts file cannot be read or its lock is not had, and NoConfigFile where
    the ledger cannot be read.
    """
    places = site.config.backuppc
    with locked(places.config_dir, _LOCK_PATIENCE):
        known = site.ledger.read()
        news, current = _with_header(_hosts_file(site, known), site, change=change)
        seen = _seen(current, known, site, now)
        loss = _loss(known, seen, site)
        news += [*_mass_loss(loss, current), *_changes(known, seen)]
        restored, told = _restore(loss.back, current, site, change=change)
        news += [*told, *_clean(loss.cleaned, site, now, change=change)]
        if change:
            news += _note([*seen.values(), *loss.back], site)
        if change and restored:
            current = hosts.read(places.hosts)
    if restored and change and (problem := site.daemon.reread(restored, _FOR_BACKUPPC)):
        news.append(News(Kind.BACKUPPC, problem))
    return Outcome(tuple(news), current)


def _note(hosts: Iterable[Known], site: Site) -> Iterable[News]:
    try:
        site.ledger.write(hosts)
    except NoConfigFile as error:
        yield News(Kind.NOT_NOTED, f"the lines could not be noted: {error.detail}", "Is the disk full?")


def forget(host: str, site: Site, *, change: bool) -> bool:
    """Let the lost line of *host* go for good; tell whether it was known.

    Raises NotAllowed while the host has a line, CouldNotRegister and NoConfigFile as `reconcile`.
    """
    places = site.config.backuppc
    with locked(places.config_dir, _LOCK_PATIENCE):
        if hosts.read(places.hosts).lines_for(host):
            raise NotAllowed(reason=f"{host} has a line; take it out of {places.hosts} first")
        known = host in site.ledger.read()
        if known and change:
            site.ledger.forget(host)
    return known


def noted(host: str, user: str, *, data: bool, now: datetime) -> Known:
    """Return what the ledger is to know of a host whose line we have just added."""
    line = Noted(f"{host}\t0\t{user}".encode("utf-8", "surrogateescape"), "0", user, ())
    return Known(host, (line,), data, _time(now))


def _hosts_file(site: Site, known: dict[str, Known]) -> HostsFile:
    """Return the hosts file; one that is not there at all, though we know of hosts, is one without lines."""
    path = site.config.backuppc.hosts
    if known and not path.is_symlink() and not path.exists() and path.parent.is_dir():
        return HostsFile(())
    return hosts.read(path)


def _with_header(current: HostsFile, site: Site, *, change: bool) -> tuple[list[News], HostsFile]:
    """Put a header back that got lost: without it the first host is none, and the others have no columns."""
    meant = hosts.meant(current)
    if meant is current:
        return [], current
    what = f"the line that names the columns was gone: BackupPC did not see {meant.lines[0].host}"
    path = site.config.backuppc.hosts
    if change:
        hosts.restore_header(path, current)
    return [News(Kind.HEADER, f"{what}; it is put back")], hosts.read(path) if change else meant


def _seen(current: HostsFile, known: dict[str, Known], site: Site, now: datetime) -> dict[str, Known]:
    """Return what the ledger is to know of the hosts that have a line."""
    by_host: dict[str, list[Noted]] = {}
    for written in current.written():
        by_host.setdefault(written.line.host, []).append(_noted(written))
    return {
        host: Known(host, tuple(lines), _had_data(host, known.get(host), site), _time(now))
        for host, lines in by_host.items()
    }


def _noted(written: Written) -> Noted:
    return Noted(written.raw, written.line.dhcp, written.line.user, written.line.more_users)


def _written(known: Known) -> Iterable[Written]:
    return (
        Written(Line(known.host, line.dhcp, line.user, line.more_users), line.raw) for line in known.lines
    )


def _had_data(host: str, known: Known | None, site: Site) -> bool:
    """Tell whether *host* has or ever had data; in doubt it has: nobody has cleaned what cannot be seen."""
    return bool(known and known.data) or _has_data(host, site)


def _has_data(host: str, site: Site) -> bool:
    try:
        return backups.has_backups(site.config.backuppc.data_dir, host)
    except CouldNotRegister:
        return True


def _loss(known: dict[str, Known], seen: dict[str, Known], site: Site) -> _Loss:
    lost = [
        replace(host, data=_had_data(name, host, site)) for name, host in known.items() if name not in seen
    ]
    without_data = {host.host for host in lost if host.data and not _has_data(host.host, site)}
    # All data of all hosts gone: nobody cleans so, but a disk that is not mounted looks like it.
    doubtful = bool(without_data) and _all_data_is_gone([*known.values()], site)
    cleaned = tuple(host for host in lost if host.host in without_data and not doubtful)
    return _Loss(tuple(host for host in lost if host not in cleaned), cleaned, doubtful)


def _all_data_is_gone(known: Sequence[Known], site: Site) -> bool:
    had_data = [host.host for host in known if host.data]
    return len(had_data) > 1 and not any(_has_data(host, site) for host in had_data)


def _mass_loss(loss: _Loss, current: HostsFile) -> Iterable[News]:
    lost = len(loss.back) + len(loss.cleaned)
    if lost > _MANY or (lost and not current.lines):
        yield News(
            Kind.MASS_LOSS,
            f"{lost} hosts lost their lines at once; the hosts file had {len(current.lines)} left",
            "Find out who or what rewrote the hosts file: BackupPC's LOG has the web editor's deletions.",
        )
    if loss.doubtful:
        yield News(
            Kind.DATA_MISSING,
            "no host has its backups any more, so their loss was not taken for cleaning up",
            "Is the disk of [backuppc] data_dir mounted?",
        )


def _changes(known: dict[str, Known], seen: dict[str, Known]) -> Iterable[News]:
    for name, host in seen.items():
        before = known.get(name)
        if before and _meaning(before) != _meaning(host):
            what = f"the line was changed by hand: {_told(before)} became {_told(host)}"
            yield News(Kind.CHANGED, what, host=name, person=host.users)


def _meaning(known: Known) -> list[Noted]:
    return [replace(line, raw=b"") for line in known.lines]


def _told(known: Known) -> str:
    lines = (
        f"{line.dhcp or '-'} {line.user or '-'} {','.join(line.more_users)}".strip() for line in known.lines
    )
    return " and ".join(lines)


def _restore(
    back: Sequence[Known], current: HostsFile, site: Site, *, change: bool
) -> tuple[list[str], list[News]]:
    """Put the lines of *back* into the hosts file; return the hosts that have them again, and the news."""
    written = [line for host in back for line in _written(host)]
    try:
        put = set(_put_back(written, current, site)) if change else set(written)
    except CouldNotRegister as error:
        advice = (
            "Put it right before BackupPC's next nightly run, which deletes data of hosts without a line."
        )
        what = f"{len(back)} lost lines could not be put back: {error.detail}"
        return [], [News(Kind.NOT_RESTORED, what, advice)]
    news, restored = [], []
    for host in back:
        if put.issuperset(_written(host)):
            restored.append(host.host)
            news.append(_restored(host, site))
        else:
            what = f"the line cannot be written so that it means the same: {_shown(host)}"
            news.append(News(Kind.NOT_RESTORED, what, "Add it by hand.", host.host, host.users))
    return restored, news


def _put_back(lost: Sequence[Written], current: HostsFile, site: Site) -> Sequence[Written]:
    path = site.config.backuppc.hosts
    if not lost:
        return ()
    return hosts.restore_lines(path, current, lost) if path.exists() else hosts.make_anew(path, lost)


def _restored(host: Known, site: Site) -> News:
    what = f"the line was gone and is put back, as last seen at {host.seen}: {_shown(host)}"
    way = "purge" if _is_ours(host.host, site.folders) else "reconcile --forget"
    advice = f"If it is to go: backuppc-register-admin {way} {host.host}"
    return News(Kind.RESTORED, what, advice, host.host, host.users)


def _is_ours(host: str, folders: HostFolders) -> bool:
    try:
        return folders.exists(host)
    except (NoConfigFile, ValueError):
        return False


def _shown(host: Known) -> str:
    return " and ".join(line.raw.decode("utf-8", "surrogateescape").replace("\t", " ") for line in host.lines)


def _clean(cleaned: Sequence[Known], site: Site, now: datetime, *, change: bool) -> Iterable[News]:
    for host in cleaned:
        aside = _set_aside(host, site, now, change=change)
        what = f"line and backups are gone, so an administrator has cleaned{aside}; the line is not put back"
        yield News(Kind.CLEANED, what, host=host.host, person=host.users)


def _set_aside(host: Known, site: Site, now: datetime, *, change: bool) -> str:
    """Set aside what we have of a cleaned host, unless it is of somebody who came later; say so."""
    try:
        record = site.folders.record(host.host)
        if record is None or not any(same_logon(line.user, record.person) for line in host.lines):
            return ""
        if not change:
            return ", and our record is to be set aside"
        # Without line, data and record, a .pl would keep the name from everybody.
        ours = host_config.path(site.config.backuppc.config_dir, host.host) if record.config else None
        return f", and our record is now {site.folders.set_aside(host.host, ours, now)}"
    except NoConfigFile as error:
        return f", but our record could not be set aside ({error.detail})"
    except ValueError:  # a line that never was a machine's: nothing of ours has such a name
        return ""


def _time(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")
