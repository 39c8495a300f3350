"""Resume the backups of a retired host, with the key and the settings that it had."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from backuppc_register.backuppc import retired_config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import guards
from backuppc_register.lifecycle.operation import Operation, Plan, Refused, examined, refuse_changed
from backuppc_register.lifecycle.purge_request import cancelled
from backuppc_register.state import key_pairs, retired_files, safe_files


@dataclass(frozen=True)
class ResumePlan(Plan):
    """The plan to resume a host.

    *restored*: what comes back, "" if the backups are not resumed. *purge*: a planned purge is cancelled;
    *data*: there is still data.
    """

    restored: str
    purge: bool
    data: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words; an interrupted purge may have deleted the data already."""
        host = self.host
        resumed = (f"{host} has {self.restored} back, and is backed up",) if self.restored else ()
        kept = f"the data of {host} is not deleted"
        gone = f"there are no backups of {host} any more: the purge had begun"
        return (*resumed, kept if self.data else gone) if self.purge else resumed


def plan(host: str, operation: Operation) -> ResumePlan:
    """Plan to resume the backups of *host*; of an archive, only to cancel its purge.

    Raises Refused for an archive without a planned purge; what `examined` does, and faults.
    """
    with examined(host, operation.server) as status:
        return _plan(status)


def apply(plan: ResumePlan, operation: Operation) -> str:
    """Carry out *plan*; return a note. Raises what `plan` does, and Refused if the plan changed."""
    with examined(plan.host, operation.server) as status:
        refuse_changed(plan, _plan(status))
        if status.recorded.archive_of:
            operation.server.folders.put_record(cancelled(status.recorded))
        elif plan.steps:
            enable(status)
    return ""


def config_after(status: HostStatus) -> bytes | None:
    """Return the .pl that the host has after `enable`, None if it has none; raises StateError."""
    kept = retired_files.kept_config(status.server.folders.path(status.host))
    disabled = status.config == retired_config.text(status.host)
    return status.config if kept is None and not disabled else kept


def enable(status: HostStatus) -> None:
    """Undo `retire.disable`, even an interrupted one; under the lock.

    A planned purge is cancelled first: a host that is half enabled is never deleted. Edits of the .pl that
    disables the backups are kept beside our files. The rest of the record is last: of a manually added host
    nothing of ours stays in use.

    Raises StateError.
    """
    host, record, folders = status.host, status.recorded, status.server.folders
    if record.purge:
        folders.put_record(cancelled(record))
    fresh = folders.fresh_key(host)
    if fresh and not _has_key(folders.path(host)):
        folders.promote_fresh_key(record, datetime.now(UTC))
    retired_files.bring_key_back(folders.path(host))
    # The machine has one of the two, and only a verification shows which.
    folders.let_ssh_use_fresh_key(host, also=fresh is not None)
    _restore_config(status)
    if record.by_hand:
        folders.set_aside(host, None, datetime.now(UTC))
    else:
        folders.put_record(replace(cancelled(record), retired="", final="", provisional=False, fresh=False))


def _has_key(folder: Path) -> bool:
    names = (retired_files.KEY, key_pairs.PRIVATE)
    return any(safe_files.content(folder / name) is not None for name in names)


def _restore_config(status: HostStatus) -> None:
    host, config, config_dir = status.host, status.config, status.server.backuppc.config_dir
    folder, disabled = status.server.folders.path(host), retired_config.text(host)
    kept = retired_files.kept_config(folder)
    if kept is not None and config != kept:
        if config not in (None, disabled):
            retired_files.keep_edited(folder, config)
        retired_config.put(config_dir, host, kept)
    elif kept is None and config == disabled:
        retired_config.remove(config_dir, host)
    retired_files.forget_config(folder)


def _plan(status: HostStatus) -> ResumePlan:
    host, line, record = status.host, guards.the_line(status), status.recorded
    if record.archive_of and not record.purge:
        raise Refused(reason=f"{host} are archived backups: there is nothing to resume")
    restored = "its settings" if record.by_hand else "its key and its settings"
    resumed = record.retired and not record.archive_of
    return ResumePlan(host, line.user, restored if resumed else "", bool(record.purge), status.backups)
