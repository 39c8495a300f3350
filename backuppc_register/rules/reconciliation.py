"""Lines of the hosts file that got lost come back, before BackupPC deletes the data of hosts without one."""

import re
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
from backuppc_register.rules import missing_data
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.ledger import Known, Ledger, Noted

_LOCK_PATIENCE = 10.0  # seconds, design section 4
_FOR_BACKUPPC = 10.0  # seconds for telling BackupPC
_SHOWN = 3  # hosts named where there may be hundreds
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
    GIVEN_BACK = "given-back"
    BACKUPPC = "backuppc"


_LOUD = (Kind.MASS_LOSS, Kind.NOT_RESTORED, Kind.NOT_NOTED, Kind.DATA_MISSING, Kind.GIVEN_BACK)


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
        return self.kind in _LOUD


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
    """The hosts that have lost all their lines, by what happens to them.

    *doubt*: why no data that is gone counts as cleaned up, "" where it does.
    """

    back: tuple[Known, ...]
    cleaned: tuple[Known, ...]
    doubt: str


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
    """Let the lost line of *host* go for good, or, of a host with a line, the data that is missing.

    Tell whether it was known. Raises NotAllowed while the host has a line and no data is missing;
    CouldNotRegister and NoConfigFile as `reconcile`.
    """
    places = site.config.backuppc
    with locked(places.config_dir, _LOCK_PATIENCE):
        if hosts.read(places.hosts).lines_for(host):
            if not missing_data.why_missing(site.ledger.read().get(host), site.config):
                raise NotAllowed(reason=f"{host} has a line; take it out of {places.hosts} first")
            if change:
                _forget_data(host, site)
            return True
        known = host in site.ledger.read()
        if known and change:
            site.ledger.forget(host)
    return known


def _forget_data(host: str, site: Site) -> None:
    """Forget that the missing data of *host* ever was; what is there now is noted in its place."""
    site.ledger.note_no_data(host)
    without = site.ledger.read()[host]
    site.ledger.note(_with_data(without, None, site))


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
        host: _with_data(Known(host, tuple(lines), data=False, seen=_time(now)), known.get(host), site)
        for host, lines in by_host.items()
    }


def _noted(written: Written) -> Noted:
    return Noted(written.raw, written.line.dhcp, written.line.user, written.line.more_users)


def _written(known: Known) -> Iterable[Written]:
    return (
        Written(Line(known.host, line.dhcp, line.user, line.more_users), line.raw) for line in known.lines
    )


def _with_data(host: Known, before: Known | None, site: Site) -> Known:
    """Return *host* with whether it has or had data, and where; what is missing stays noted as it was."""
    if before is not None and missing_data.why_missing(before, site.config):
        return replace(host, data=before.data, place=before.place)
    if not missing_data.has_data(host.host, site.config):
        return replace(host, data=False, place="")
    try:
        place = backups.place(site.config.backuppc.data_dir, host.host)
    except CouldNotRegister:
        place = before.place if before else ""
    return replace(host, data=True, place=place)


def _loss(known: dict[str, Known], seen: dict[str, Known], site: Site) -> _Loss:
    lost = [_with_data(host, host, site) for name, host in known.items() if name not in seen]
    doubt = _doubt([*known.values()], site)
    cleaned = tuple(
        host for host in lost if host.data and not doubt and not missing_data.has_data(host.host, site.config)
    )
    return _Loss(tuple(host for host in lost if host not in cleaned), cleaned, doubt)


def _doubt(known: Sequence[Known], site: Site) -> str:
    """Say why the data that is gone may be on a disk that is not mounted, and not deleted; else ""."""
    had_data = [host for host in known if host.data]
    if elsewhere := [host.host for host in had_data if missing_data.is_elsewhere(host, site.config)]:
        shown = ", ".join(elsewhere[:_SHOWN]) + (" and others" if len(elsewhere) > _SHOWN else "")
        return f"what is mounted now is not the disk that had the backups of {shown}"
    if had_data and not any(missing_data.has_data(host.host, site.config) for host in had_data):
        return "no host has its backups any more"
    return ""


def _mass_loss(loss: _Loss, current: HostsFile) -> Iterable[News]:
    lost = len(loss.back) + len(loss.cleaned)
    if lost > _MANY or (lost and not current.lines):
        yield News(
            Kind.MASS_LOSS,
            f"{lost} hosts lost their lines at once; the hosts file had {len(current.lines)} left",
            "Find out who or what rewrote the hosts file: BackupPC's LOG has the web editor's deletions.",
        )
    if loss.doubt:
        yield News(
            Kind.DATA_MISSING,
            f"{loss.doubt}, so no loss of data is taken for cleaning up",
            "Is the disk of [backuppc] data_dir mounted? If the data was deleted or moved on purpose: "
            "backuppc-register-admin reconcile --forget HOST, for each host",
        )


def _changes(known: dict[str, Known], seen: dict[str, Known]) -> Iterable[News]:
    for name, host in seen.items():
        before = known.get(name)
        if before and _meaning(before) != _meaning(host):
            what = f"the line was changed by hand: {_told(before)} became {_told(host)}"
            if _is_given_back(host, before, seen):
                what += "; that is whose the host was before a transfer, as in an old page of the web editor"
                advice = (
                    f"{host.users} can read it now. Transfer it again, with the logon of whose it is: "
                    f"backuppc-register-admin transfer {name} LOGON"
                )
                yield News(Kind.GIVEN_BACK, what, advice, name, host.users)
            else:
                yield News(Kind.CHANGED, what, host=name, person=host.users)


def _is_given_back(host: Known, before: Known, seen: dict[str, Known]) -> bool:
    """Tell whether who has *host* only since now has archived backups of it."""
    users = {line.user.lower() for line in host.lines} - {line.user.lower() for line in before.lines}
    archive = re.compile(rf"{re.escape(host.host)}_[0-9]{{8}}(-[0-9]+)?", re.ASCII)
    archived = (one for name, one in seen.items() if archive.fullmatch(name))
    return any(same_logon(line.user, user) for one in archived for line in one.lines for user in users)


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
