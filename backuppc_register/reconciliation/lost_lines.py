"""Hosts that have lost all their lines: those that come back, and those that an administrator has cleaned."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from backuppc_register.backuppc import host_config, hosts
from backuppc_register.backuppc.hosts import HostsFile, Written
from backuppc_register.config import Config
from backuppc_register.inventory import hosts_snapshot, missing_backups
from backuppc_register.lifecycle.operation import host_named
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import HostsFileError, NotRegistered, StateError
from backuppc_register.reconciliation.report import Kind, News
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.snapshot_file import SeenHost

_SHOWN = 3  # hosts named where there may be hundreds
_MANY = 10  # lines lost at once: more than somebody takes out by hand between two runs


@dataclass(frozen=True)
class Loss:
    """The hosts that have lost all their lines, by what happens to them.

    *doubt*: why no data that is gone counts as cleaned up, "" where it does.
    """

    back: tuple[SeenHost, ...]
    cleaned: tuple[SeenHost, ...]
    doubt: str


def between(known: dict[str, SeenHost], seen: dict[str, SeenHost], config: Config) -> Loss:
    """Return what was lost of the *known* hosts, of which *seen* still have a line."""
    lost = [hosts_snapshot.with_data(host, host, config) for name, host in known.items() if name not in seen]
    doubt = _doubt([*known.values()], config)
    cleaned = tuple(
        host for host in lost if host.data and not doubt and not missing_backups.has_data(host.host, config)
    )
    return Loss(tuple(host for host in lost if host not in cleaned), cleaned, doubt)


def _doubt(known: Sequence[SeenHost], config: Config) -> str:
    """Say why the data that is gone may be on a disk that is not mounted, and not deleted; else ""."""
    had_data = [host for host in known if host.data]
    if elsewhere := [host.host for host in had_data if missing_backups.is_elsewhere(host, config)]:
        shown = ", ".join(elsewhere[:_SHOWN]) + (" and others" if len(elsewhere) > _SHOWN else "")
        return f"what is mounted now is not the disk that had the backups of {shown}"
    if had_data and not any(missing_backups.has_data(host.host, config) for host in had_data):
        return "no host has its backups any more"
    return ""


def alarms(loss: Loss, current: HostsFile) -> Iterable[News]:
    """Tell of a loss that is more than one host's."""
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


def restore(
    back: Sequence[SeenHost], current: HostsFile, config: Config, *, change: bool
) -> tuple[list[str], list[News]]:
    """Put the lines of *back* into the hosts file; return the hosts that have them again, and the news."""
    written = [line for host in back for line in hosts_snapshot.written(host)]
    try:
        put = set(_put_back(written, current, config)) if change else set(written)
    except HostsFileError as error:
        advice = (
            "Put it right before BackupPC's next nightly run, which deletes data of hosts without a line."
        )
        what = f"{len(back)} lost lines could not be put back: {error.detail}"
        return [], [News(Kind.NOT_RESTORED, what, advice)]
    news, restored = [], []
    for host in back:
        if put.issuperset(hosts_snapshot.written(host)):
            restored.append(host.host)
            news.append(_restored(host))
        else:
            what = f"the line cannot be written so that it means the same: {_shown(host)}"
            news.append(News(Kind.NOT_RESTORED, what, "Add it by hand.", host.host, host.users))
    return restored, news


def _put_back(lost: Sequence[Written], current: HostsFile, config: Config) -> Sequence[Written]:
    path = config.backuppc.hosts
    if not lost:
        return ()
    _, added = hosts.restore_lines(path, current, lost) if path.exists() else hosts.create(path, lost)
    return added


def _restored(host: SeenHost) -> News:
    what = f"the line was gone and is put back, as last seen at {host.seen}: {_shown(host)}"
    advice = f"If it is to go: backuppc-register-admin {_way_out(host.host)}"
    return News(Kind.RESTORED, what, advice, host.host, host.users)


def _way_out(host: str) -> str:
    """Return the words that let *host* go: with a blank in its name it can be forgotten and no more."""
    try:
        return f"purge {host_named(host)}"
    except NotRegistered:
        return f"reconcile --forget {shlex.quote(host)}"


def _shown(host: SeenHost) -> str:
    return " and ".join(line.raw.decode("utf-8", "surrogateescape").replace("\t", " ") for line in host.lines)


def set_aside(
    cleaned: Sequence[SeenHost], config: Config, folders: HostFolders, now: datetime, *, change: bool
) -> Iterable[News]:
    """Set aside what we have of the *cleaned* hosts, and tell it."""
    for host in cleaned:
        aside = _aside(host, config, folders, now, change=change)
        what = f"line and backups are gone, so an administrator has cleaned{aside}; the line is not put back"
        yield News(Kind.CLEANED, what, host=host.host, person=host.users)


def _aside(host: SeenHost, config: Config, folders: HostFolders, now: datetime, *, change: bool) -> str:
    """Set aside what we have of a cleaned host, unless it is of somebody who came later; say so.

    Who had it does not get it back by an old page of the web editor either, when it is somebody else's.
    """
    try:
        if change:
            FormerOwners(config.state.directory).take(host.host, _readers(host))
        record = folders.record(host.host)
        if record is None or not any(same_logon(line.user, record.person) for line in host.lines):
            return ""
        if not change:
            return ", and our record is to be set aside"
        # Without line, data and record, a .pl would keep the name from everybody; a retired host's is ours.
        ours = record.config or record.retired
        theirs = host_config.path(config.backuppc.config_dir, host.host) if ours else None
        return f", and our record is now {folders.set_aside(host.host, theirs, now)}"
    except StateError as error:
        return f", but our record could not be set aside ({error.detail})"
    except ValueError:  # a line that never was a machine's: nothing of ours has such a name
        return ""


def _readers(host: SeenHost) -> Iterable[str]:
    return (user for line in host.lines for user in (line.user, *line.more_users))
