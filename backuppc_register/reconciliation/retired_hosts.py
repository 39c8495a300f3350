"""Hosts that are not to be backed up any more, and were closed half, or opened again by somebody."""

from collections.abc import Iterable
from contextlib import suppress

from backuppc_register.backuppc import data_folder, host_config, retired_config
from backuppc_register.backuppc.lock import locked
from backuppc_register.inventory import missing_backups
from backuppc_register.lifecycle import purge, retire
from backuppc_register.lifecycle.operation import Subject
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation.inconsistency import ADMIN, Contradiction, Sight
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

_LOCK_PATIENCE = 2.0  # seconds for what an administrator may be doing just now


def of_closed_hosts(recorded: Iterable[str], sight: Sight) -> list[Contradiction]:
    """Return what does not fit of the *recorded* hosts, unless somebody is at work on them at this moment."""
    found = {host: one for host in recorded if (one := _of_closed(host, sight))}
    if not found:
        return []
    # Who cannot wait for the lock tells what was found without it.
    with suppress(HostsFileError), locked(sight.config.backuppc.config_dir, _LOCK_PATIENCE):
        found = {host: one for host in found if (one := _of_closed(host, sight))}
    return [*found.values()]


def _of_closed(host: str, sight: Sight) -> Contradiction | None:
    """Return what was done half, or undone by somebody, to what should not be backed up any more."""
    try:
        record = sight.folders.record(host)
    except StateError:  # `consistency` tells
        return None
    if record is None or not record.is_closed or not sight.hosts.lines_for(host):
        return None
    try:
        what, advice = _told(_subject(record, sight), record, sight.folders)
    except (StateError, HostsFileError) as error:
        what, advice = f"it cannot be told whether it is closed: {error.detail}", "See who may read that."
    return Contradiction(host, record.person, what, advice) if what else None


def _told(subject: Subject, record: Record, folders: HostFolders) -> tuple[str, str]:
    host = subject.host
    if is_open := _open_parts(subject, folders):
        what = f"it is recorded as retired, but {is_open}: it may be backed up, and its owner may change that"
        return what, f"{ADMIN} retire {host}" + ("" if record.archive_of else f", or resume {host}")
    if record.purge and (reason := purge.objection(subject, record, folders)):
        what = f"its purge, due from {record.purge} on, will not be carried out: {reason}"
        return what, f"{ADMIN} purge {host} asks for it anew, resume {host} forgets it"
    return "", ""


def _subject(record: Record, sight: Sight) -> Subject:
    """Return the host of *record* as it stands, which has a line."""
    places, host = sight.config.backuppc, record.host
    line = sight.hosts.lines_for(host)[0]
    return Subject(
        host=host,
        hosts=sight.hosts,
        line=line,
        owner=sight.former.of(host).closed or line.user,
        record=record,
        config=host_config.read(places.config_dir, host),
        data=missing_backups.has_data(host, sight.config),
        extent=data_folder.extent(places.data_dir, host),
    )


def _open_parts(subject: Subject, folders: HostFolders) -> str:
    host = subject.host
    parts = []
    if subject.config != retired_config.text(host):
        parts.append(f"{host}.pl is {'gone' if subject.config is None else 'not the one that stops backups'}")
    if retire.has_key(host, folders):
        parts.append("its key is in use")
    return " and ".join(parts)
