"""Change the owner in a host's line, and remember it, so that no old editor page reverts the line."""

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import hosts_snapshot, missing_backups
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle.operation import Operation
from backuppc_register.person import same_logon
from backuppc_register.state.snapshot_file import SeenHost


def lost_access(status: HostStatus) -> tuple[str, ...]:
    """Return the step that clears moreUsers: the new owner chooses them anew."""
    more = ", ".join(status.line.more_users) if status.line else ""
    return (f"{more} could read {status.host} too, and cannot any more",) if more else ()


def note_owners(status: HostStatus, person: str = "") -> None:
    """Record that *person* gets the host, "" for no one, and who loses it; call it before the line changes.

    From then on the command counts, and not the line. Administrators lose nothing. Raises StateError.
    """
    line, account = status.line, status.server.account
    every = (status.owner, line.user, *line.more_users) if line else (status.owner,)
    users = (user for user in every if not same_logon(user, account))
    status.server.former_owners.take(status.host, users, person=person)


def set_owner(status: HostStatus, file: HostsFile, person: str) -> HostsFile:
    """Set *person* as sole owner in the host's line of *file*, the hosts file as it is now.

    The snapshot forgets the earlier line first: call `note_line` afterwards. Raises HostsFileError,
    StateError.
    """
    host, server = status.host, status.server
    note_owners(status, person)
    server.snapshot.forget(host)
    return hosts.give(server.backuppc.hosts, file, host, person)


def note_line(host: str, file: HostsFile, operation: Operation, *, data: bool) -> None:
    """Write the line that *host* has in *file* into the snapshot; under the lock.

    *data*: whether BackupPC has data of the host. Raises StateError.
    """
    lines = tuple(hosts_snapshot.noted(written) for written in file.written_for(host))
    found = missing_backups.look(host, None, operation.server.config)
    place = found.place if data and found.certain else ""
    operation.server.snapshot.note(SeenHost(host, lines, data, operation.moment, place))
