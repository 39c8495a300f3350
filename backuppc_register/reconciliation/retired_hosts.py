"""Find hosts that their record and settings disagree about, and purges that do not fit any more."""

from collections.abc import Iterable
from contextlib import suppress

from backuppc_register import names
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
    """Return what does not fit of the *recorded* hosts, and of others with a line.

    A host is left out that a command is changing at the moment.
    """
    known = dict.fromkeys([*recorded, *(line.host for line in file.lines if names.is_host(line.host))])
    found = {host: one for host in known if (one := _of_host(host, file, server))}
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
    lines = file.lines_for(host)
    if not lines:
        return None
    try:
        if record is not None and record.is_closed:
            what, advice = _problem(host_status.read(host, server, file))
        else:
            what, advice = _of_an_older_copy(host, server)
    except (StateError, HostsFileError) as error:
        what, advice = f"it is not known whether it is disabled: {error.detail}", "Check who may read that."
    person = record.person if record else lines[0].user
    return Inconsistency(host, person, what, advice) if what else None


def _of_an_older_copy(host: str, server: Server) -> tuple[str, str]:
    """Return what is wrong if the .pl stops the backups of a host that is not recorded as retired."""
    if not retired_config.is_in_place(server.backuppc.config_dir, host):
        return "", ""
    what = f"{host}.pl stops the backups as that of a retired host does, but it is not recorded as retired"
    again = (
        f"{ADMIN} retire {host}, with --final if it was retired for good; after that resume {host} ends it"
    )
    return what, f"Was an older copy of our state folder restored? If so: {again}"


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
