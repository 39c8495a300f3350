"""Resume the backups of a retired host with the key and the settings that it had."""

from dataclasses import replace
from datetime import UTC, datetime

from backuppc_register.backuppc import retired_config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle.operation import (
    Done,
    Operation,
    Refused,
    examined,
    lined,
)
from backuppc_register.lifecycle.retire import unpurged
from backuppc_register.state import retired_files
from backuppc_register.state.records import Record

_KEPT = "the data of {host} is not deleted"


def resume(host: str, operation: Operation) -> Done:
    """Let the backups of *host* go on with the key and the settings that it had, and keep its data.

    Of archived backups, which no machine stands behind, only the purge is forgotten.

    Raises Refused for archived backups that stay anyway; what `examined` does, and faults.
    """
    with examined(host, operation) as status:
        line, record = lined(status), status.recorded
        if record.archive_of:
            if not record.purge:
                raise Refused(reason=f"{host} are archived backups: there is nothing to resume")
            if not operation.dry_run:
                operation.server.folders.put_record(unpurged(record))
            return Done(host, line.user, (_kept(status),))
        steps = tuple(_resuming(status, record))
        if steps and not operation.dry_run:
            reopen(status)
    return Done(host, line.user, steps)


def reopen(status: HostStatus) -> None:
    """Undo `close`, how far it ever came; under the lock.

    What somebody wrote into the closed .pl meanwhile is kept beside our files. A purge is cancelled first:
    what is half open is never deleted. The rest of the record is last: of a host whose line was made by hand
    nothing of ours is left in use.

    Raises StateError.
    """
    host, record, config, folders = status.host, status.recorded, status.config, status.server.folders
    folder, config_dir = folders.path(host), status.server.backuppc.config_dir
    if record.purge:
        folders.put_record(unpurged(record))
    retired_files.bring_key_back(folder)
    kept = retired_files.kept_config(folder)
    if kept is not None and config != kept:
        if config is not None and config != retired_config.text(host):
            retired_files.keep_edited(folder, config)
        retired_config.put(config_dir, host, kept)
    elif kept is None and config == retired_config.text(host):
        retired_config.remove(config_dir, host)
    retired_files.forget_config(folder)
    if record.by_hand:
        folders.set_aside(host, None, datetime.now(UTC))
    else:
        folders.put_record(replace(unpurged(record), retired=""))


def _resuming(status: HostStatus, record: Record) -> list[str]:
    back = "its settings" if record.by_hand else "its key and its settings"
    steps = [f"{record.host} has {back} back, and is backed up"] if record.retired else []
    return steps + ([_kept(status)] if record.purge else [])


def _kept(status: HostStatus) -> str:
    """Say what becomes of the purge that is cancelled: a run that was killed may have come too far."""
    gone = f"there are no backups of {status.host} any more: the purge had begun"
    return _KEPT.format(host=status.host) if status.backups else gone
