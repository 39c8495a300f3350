"""A host is retired: its backups stop, its data stays, its key waits."""

from dataclasses import replace

from backuppc_register.backuppc import retired_config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle.operation import (
    Done,
    Operation,
    examined,
    lined,
    refuse_linked_config,
    stop_jobs,
)
from backuppc_register.state import key_pairs, retired_files, safe_files
from backuppc_register.state.records import Record


def retire(host: str, operation: Operation) -> Done:
    """Stop the backups of *host* until somebody resumes them or its owner registers again.

    Raises what `examined` does, and faults.
    """
    with examined(host, operation) as status:
        line, record = lined(status), status.recorded
        refuse_linked_config(status)
        steps = missing_steps(status)
        if steps and record.purge:  # somebody has opened it since: what was meant is not known any more
            steps += (f"the purge planned for {record.purge} is cancelled: ask for it again",)
        if steps and not operation.dry_run:
            close(status, record, operation)
    return Done(host, line.user, steps, stop_jobs(host, operation) if steps else "")


def missing_steps(status: HostStatus) -> tuple[str, ...]:
    """Return what is still to be done before the host is retired, in words."""
    host = status.host
    steps = [] if status.recorded.retired else [f"{host} is recorded as retired"]
    if status.config != retired_config.text(host):
        kept = "; the one that is there is kept" if status.config is not None else ""
        steps.append(f"{host}.pl stops the backups and is closed to its owner{kept}")
    if has_key(status):
        steps.append(f"the key of {host} is put away")
    return tuple(steps)


def has_key(status: HostStatus) -> bool:
    """Tell whether the key of the host is where BackupPC's ssh takes it from; raises StateError."""
    return safe_files.content(status.server.folders.path(status.host) / key_pairs.PRIVATE) is not None


def unpurged(record: Record) -> Record:
    """Return *record* without the purge that was asked."""
    return replace(record, purge="", purge_of=None, purge_wait=None)


def close(status: HostStatus, record: Record, operation: Operation) -> Record:
    """Retire the host; under the lock. Return its record as it is then, which asks for no purge.

    The record is first, so that whoever comes after a killed run knows what there is to undo. What may be
    backed up as ever is not to be purged: who wants that puts it down afterwards.

    Raises StateError.
    """
    host, folder, places = (
        status.host,
        operation.server.folders.path(status.host),
        operation.server.backuppc,
    )
    closed = unpurged(replace(record, retired=record.retired or operation.moment))
    operation.server.folders.put_record(closed)
    if status.config != retired_config.text(host):
        if status.config is not None:
            retired_files.keep_config(folder, status.config)
        retired_config.put(places.config_dir, host, retired_config.text(host))
    retired_files.put_key_away(folder)
    return closed
