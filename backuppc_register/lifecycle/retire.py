"""A host is retired: its backups stop, its data stays, its key waits."""

from dataclasses import replace

from backuppc_register.backuppc import retired_config
from backuppc_register.lifecycle.operation import (
    Done,
    Operation,
    Subject,
    examined,
    lined,
    recorded,
    refuse_linked_config,
    stop_jobs,
)
from backuppc_register.state import key_pairs, retired_files, safe_files
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record


def retire(host: str, operation: Operation) -> Done:
    """Stop the backups of *host* until somebody resumes them or its owner registers again.

    Raises what `examined` does, and faults.
    """
    with examined(host, operation) as subject:
        line, record = lined(subject), recorded(subject)
        refuse_linked_config(subject, operation)
        steps = missing_steps(subject, record, operation.folders)
        if steps and record.purge:  # somebody has opened it since: what was meant is not known any more
            steps += (f"the purge planned for {record.purge} is cancelled: ask for it again",)
        if steps and not operation.dry_run:
            close(subject, record, operation)
    return Done(host, line.user, steps, stop_jobs(host, operation) if steps else "")


def missing_steps(subject: Subject, record: Record, folders: HostFolders) -> tuple[str, ...]:
    """Return what is still to be done before the host is retired, in words."""
    host = subject.host
    steps = [] if record.retired else [f"{host} is recorded as retired"]
    if subject.config != retired_config.text(host):
        kept = "; the one that is there is kept" if subject.config is not None else ""
        steps.append(f"{host}.pl stops the backups and is closed to its owner{kept}")
    if has_key(host, folders):
        steps.append(f"the key of {host} is put away")
    return tuple(steps)


def has_key(host: str, folders: HostFolders) -> bool:
    """Tell whether the key of *host* is where BackupPC's ssh takes it from; raises StateError."""
    return safe_files.content(folders.path(host) / key_pairs.PRIVATE) is not None


def unpurged(record: Record) -> Record:
    """Return *record* without the purge that was asked."""
    return replace(record, purge="", purge_of="", purge_wait="")


def close(subject: Subject, record: Record, operation: Operation) -> Record:
    """Retire the host; under the lock. Return its record as it is then, which asks for no purge.

    The record is first, so that whoever comes after a killed run knows what there is to undo. What may be
    backed up as ever is not to be purged: who wants that puts it down afterwards.

    Raises StateError.
    """
    host, folder, places = subject.host, operation.folders.path(subject.host), operation.config.backuppc
    closed = unpurged(replace(record, retired=record.retired or operation.moment))
    operation.folders.put_record(closed)
    if subject.config != retired_config.text(host):
        if subject.config is not None:
            retired_files.keep_config(folder, subject.config)
        retired_config.put(places.config_dir, host, retired_config.text(host))
    retired_files.put_key_away(folder)
    return closed
