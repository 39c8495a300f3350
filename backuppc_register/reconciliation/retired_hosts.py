"""Find retired hosts that are only partly disabled, were enabled again, or cannot be purged as planned."""

from collections.abc import Iterable
from contextlib import suppress

from backuppc_register.backuppc import retired_config
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import host_status
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.server import Server
from backuppc_register.lifecycle import purge
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation.inconsistency import ADMIN, Inconsistency

_LOCK_TIMEOUT = 2.0  # seconds for a command that is running


def find(recorded: Iterable[str], file: HostsFile, server: Server) -> list[Inconsistency]:
    """Return what does not fit of the *recorded* hosts, unless a command is changing them at the moment."""
    found = {host: one for host in recorded if (one := _of_host(host, file, server))}
    if not found:
        return []
    # If the lock is not free in time, what was found without it is reported.
    with suppress(HostsFileError), server.locked(_LOCK_TIMEOUT):
        found = {host: one for host in found if (one := _of_host(host, file, server))}
    return [*found.values()]


def _of_host(host: str, file: HostsFile, server: Server) -> Inconsistency | None:
    try:
        record = server.folders.record(host)
    except StateError:  # `inconsistencies` reports it
        return None
    if record is None or not record.is_closed or not file.lines_for(host):
        return None
    try:
        what, advice = _problem(host_status.read(host, server, file))
    except (StateError, HostsFileError) as error:
        what, advice = f"it is not known whether it is disabled: {error.detail}", "Check who may read that."
    return Inconsistency(host, record.person, what, advice) if what else None


def _problem(status: HostStatus) -> tuple[str, str]:
    host, record = status.host, status.recorded
    if enabled := _enabled_parts(status):
        what = f"it is recorded as retired, but {enabled}: it may be backed up, and its owner may change that"
        return what, f"{ADMIN} retire {host}" + ("" if record.archive_of else f", or resume {host}")
    if record.purge and (reason := purge.objection(status)):
        what = f"its purge, due from {record.purge} on, will not be carried out: {reason}"
        return what, f"{ADMIN} purge {host} plans it anew, resume {host} cancels it"
    return "", ""


def _enabled_parts(status: HostStatus) -> str:
    host = status.host
    parts = []
    if status.config != retired_config.text(host):
        parts.append(f"{host}.pl is {'gone' if status.config is None else 'not the one that stops backups'}")
    if status.key_in_use:
        parts.append("its key is in use")
    return " and ".join(parts)
