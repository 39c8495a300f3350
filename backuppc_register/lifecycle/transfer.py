"""Transfer a host: the new owner gets the machine, and never the earlier backups."""

from collections.abc import Iterator
from contextlib import contextmanager

from backuppc_register.backuppc import data_folder, host_config, hosts, retired_config
from backuppc_register.backuppc.daemon.jobs import Kept
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import owner_change
from backuppc_register.lifecycle.operation import Operation, examined, refuse_changed
from backuppc_register.lifecycle.purge_request import requested, with_owner
from backuppc_register.lifecycle.transfer_plan import ReturnPlan, TransferPlan, plan_transfer
from backuppc_register.person import Person
from backuppc_register.protocol.errors import Busy, StateError
from backuppc_register.state import retired_files
from backuppc_register.state.records import Record


def plan(
    host: str, person: Person, operation: Operation, *, purge_in: int | None = None
) -> ReturnPlan | TransferPlan:
    """Plan to give *host* to *person*; its backups stay with their owner, under an archived name.

    *purge_in*: they may be deleted in so many days; None: they stay.

    Raises what `examined` does; Refused; Busy, and faults.
    """
    with _kept_away(host, operation), examined(host, operation.server) as status:
        return plan_transfer(status, person, operation, purge_in)


def apply(plan: ReturnPlan | TransferPlan, operation: Operation) -> str:
    """Carry out *plan*; return a note. Raises what `plan` does, and Refused if the plan changed.

    If it is interrupted, no person reads the files of others, and the same transfer again finishes the work:
    until the last step, the hosts line, the host is its earlier owner's.
    """
    host = plan.host
    with _kept_away(host, operation) as kept:
        with examined(host, operation.server) as status:
            refuse_changed(plan, plan_transfer(status, plan.to, operation, plan.purge_in))
            if isinstance(plan, ReturnPlan):
                _return(plan, status, operation)
                known: tuple[str, ...] = (host,)
            else:
                _transfer(plan, status, operation)
                known = tuple(filter(None, (host, plan.archive)))
        return kept.tell(known=known)


@contextmanager
def _kept_away(host: str, operation: Operation) -> Iterator[Kept]:
    """Keep jobs away from *host*; raises Busy with advice about one that never ends."""
    try:
        with operation.jobs.kept_away(host) as kept:
            yield kept
    except Busy as error:
        error.add_detail(
            f"if a backup of it does not end: backuppc-register-admin retire {host}, which stops it"
        )
        raise


def _return(plan: ReturnPlan, status: HostStatus, operation: Operation) -> None:
    folders, record = operation.server.folders, with_owner(status.recorded, plan.person)
    if plan.archive:
        folders.put_record(record)
    file = owner_change.set_owner(status, status.hosts, plan.person)
    owner_change.note_line(plan.host, file, operation, data=status.backups)
    if status.record and status.record != record and not plan.archive:
        folders.put_record(record)


def _transfer(plan: TransferPlan, status: HostStatus, operation: Operation) -> None:
    """Write *plan*, each step complete on disk before the next; the hosts line is the commit.

    The archive has its record, config and line before it has data: no nightly run finds data without a line.
    A nightly run that goes through the hosts by name, as BackupPC's do, counts moving data at least once: the
    archived name sorts behind the host's own.
    """
    host, server, file = plan.host, operation.server, status.hosts
    if plan.archived:
        file = _make_archive(plan.archived, file, operation)
        server.snapshot.note_no_data(host)
        data_folder.archive(server.backuppc.data_dir, host, plan.archive)
        owner_change.note_line(plan.archive, file, operation, data=True)
    elif data_folder.exists(server.backuppc.data_dir, host):
        data_folder.doom(server.backuppc.data_dir, host, operation.now)  # the log of interrupted backups
    _replace_settings(plan, status, operation)
    file = owner_change.set_owner(status, file, plan.person)
    owner_change.note_line(host, file, operation, data=False)
    # Last, because an interrupted transfer may leave the host with its earlier owner, who is still backed up.
    if plan.archived and plan.archived.purge != plan.due:
        owner = plan.archived.person
        server.folders.put_record(requested(plan.archived, plan.due, owner, status, operation))


def _make_archive(record: Record, file: HostsFile, operation: Operation) -> HostsFile:
    """Give the archive its record, config and line; return the hosts file."""
    server, archive = operation.server, record.host
    server.folders.put_record(record)
    retired_config.put(server.backuppc.config_dir, archive, retired_config.text(archive))
    if not file.lines_for(archive):
        file = hosts.append(server.backuppc.hosts, file, archive, record.person)
    owner_change.note_line(archive, file, operation, data=False)  # as long as the data may refuse to move
    return file


def _replace_settings(plan: TransferPlan, status: HostStatus, operation: Operation) -> None:
    """Set the earlier owner's key and .pl aside, and make new ones with the new owner's record."""
    host, config_dir, folders = status.host, status.server.backuppc.config_dir, status.server.folders
    config = host_config.path(config_dir, host) if status.config is not None else None
    folders.set_parts_aside(host, retired_files.OF_AN_OWNER, config, operation.now)
    if plan.record.by_hand:
        folders.put_record(plan.record)
    else:
        folders.complete(plan.record)
        if folders.public_key(host) is None:
            raise StateError(detail=f"{host} has no key pair after all")
    host_config.write(config_dir, host, plan.config)
