"""Hosts that are not to be backed up any more, and were closed half, or opened again by somebody."""

from collections.abc import Iterable
from contextlib import suppress

from backuppc_register.backuppc import retired_config
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import host_status
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.server import Server
from backuppc_register.lifecycle import purge
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation.inconsistency import ADMIN, Contradiction

_LOCK_PATIENCE = 2.0  # seconds for what an administrator may be doing just now


def of_closed_hosts(recorded: Iterable[str], file: HostsFile, server: Server) -> list[Contradiction]:
    """Return what does not fit of the *recorded* hosts, unless somebody is at work on them at this moment."""
    found = {host: one for host in recorded if (one := _of_closed(host, file, server))}
    if not found:
        return []
    # Who cannot wait for the lock tells what was found without it.
    with suppress(HostsFileError), server.locked(_LOCK_PATIENCE):
        found = {host: one for host in found if (one := _of_closed(host, file, server))}
    return [*found.values()]


def _of_closed(host: str, file: HostsFile, server: Server) -> Contradiction | None:
    """Return what was done half, or undone by somebody, to what should not be backed up any more."""
    try:
        record = server.folders.record(host)
    except StateError:  # `consistency` tells
        return None
    if record is None or not record.is_closed or not file.lines_for(host):
        return None
    try:
        what, advice = _told(host_status.read(host, server, file))
    except (StateError, HostsFileError) as error:
        what, advice = f"it cannot be told whether it is closed: {error.detail}", "See who may read that."
    return Contradiction(host, record.person, what, advice) if what else None


def _told(status: HostStatus) -> tuple[str, str]:
    host, record = status.host, status.recorded
    if is_open := _open_parts(status):
        what = f"it is recorded as retired, but {is_open}: it may be backed up, and its owner may change that"
        return what, f"{ADMIN} retire {host}" + ("" if record.archive_of else f", or resume {host}")
    if record.purge and (reason := purge.objection(status)):
        what = f"its purge, due from {record.purge} on, will not be carried out: {reason}"
        return what, f"{ADMIN} purge {host} asks for it anew, resume {host} forgets it"
    return "", ""


def _open_parts(status: HostStatus) -> str:
    host = status.host
    parts = []
    if status.config != retired_config.text(host):
        parts.append(f"{host}.pl is {'gone' if status.config is None else 'not the one that stops backups'}")
    if status.key_in_use:
        parts.append("its key is in use")
    return " and ".join(parts)
