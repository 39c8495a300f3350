"""Retire a host: its backups stop, its data stays, its key is set aside."""

from dataclasses import dataclass, replace

from backuppc_register.backuppc import retired_config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import guards, purge_request
from backuppc_register.lifecycle.operation import Operation, Plan, examined, refuse_changed
from backuppc_register.state import retired_files
from backuppc_register.state.records import Record


@dataclass(frozen=True)
class Missing:
    """What is missing before the backups of *host* are disabled.

    *record*: the record does not say so. *config*: the .pl does not; *kept*: there is one, which is kept.
    *key*: ssh can use the key. *purge*: when a purge is due that is cancelled, because the host is enabled.
    """

    host: str
    record: bool
    config: bool
    kept: bool
    key: bool
    purge: str

    def __bool__(self) -> bool:
        return self.record or self.config or self.key

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the missing steps in words."""
        host = self.host
        steps = [f"{host} is recorded as retired"] if self.record else []
        if self.config:
            kept = "; the present one is kept" if self.kept else ""
            steps.append(f"{host}.pl disables the backups, and its owner cannot edit it{kept}")
        if self.key:
            steps.append(f"the key of {host} is set aside")
        return tuple(steps)

    @property
    def cancelled(self) -> tuple[str, ...]:
        """Return the step that cancels a planned purge, if there is one."""
        return (f"the purge planned for {self.purge} is cancelled: plan it again",) if self.purge else ()


@dataclass(frozen=True)
class RetirePlan(Plan):
    """The plan to retire a host.

    *final*: from now on only an administrator can resume it. *anew*: its machine was given a fresh key since
    it was retired, which proves nothing any more.
    """

    missing: Missing
    final: bool
    anew: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words."""
        final = (f"only an administrator can resume {self.host}, and not its machine",) if self.final else ()
        anew = (f"a registration of {self.host} since then counts no more",) if self.anew else ()
        return (*self.missing.steps, *self.missing.cancelled, *final, *anew)


def plan(host: str, operation: Operation, *, final: bool = False) -> RetirePlan:
    """Plan to stop the backups of *host* until it is resumed, or until its machine is verified again.

    *final*: only an administrator can resume it.

    Raises what `examined` does, Refused, and faults.
    """
    with examined(host, operation.server) as status:
        return _plan(status, final=final)


def apply(plan: RetirePlan, operation: Operation) -> str:
    """Carry out *plan*; return a note. Raises what `plan` does, and Refused if the plan changed."""
    with examined(plan.host, operation.server) as status:
        refuse_changed(plan, _plan(status, final=plan.final))
        if plan.missing:
            disable(status, operation, final=plan.final)
        elif plan.final or plan.anew:
            record = status.recorded
            final = operation.moment if plan.final else record.final
            operation.server.folders.put_record(replace(record, final=final, fresh=False))
    return operation.stop_jobs(plan.host) if plan.missing else ""


def missing(status: HostStatus) -> Missing:
    """Return what is missing before the backups of the host are disabled."""
    record, config = status.recorded, status.config != retired_config.text(status.host)
    key = status.key_in_use
    return Missing(
        host=status.host,
        record=not record.retired,
        config=config,
        kept=config and status.config is not None,
        key=key,
        purge=record.purge if not record.retired or config or key else "",
    )


def disable(status: HostStatus, operation: Operation, *, final: bool = False) -> Record:
    """Disable the backups of the host; under the lock. Return its new record, which has no planned purge.

    *final*: only an administrator can resume it; a host that is retired so already stays so. A fresh key of
    an earlier decision proves nothing any more.

    The record is written first, so that `resume.enable` can undo an interrupted run. A host that may still
    be backed up must not be purged: plan the purge afterwards.

    Raises StateError.
    """
    host, server, before = status.host, status.server, status.recorded
    folder, disabled = server.folders.path(host), retired_config.text(host)
    since = before.final or (operation.moment if final else "")
    record = replace(before, retired=before.retired or operation.moment, final=since, fresh=False)
    record = purge_request.cancelled(record)
    server.folders.put_record(record)
    if status.config != disabled:
        if status.config is not None:
            retired_files.keep_config(folder, status.config)
        retired_config.put(server.backuppc.config_dir, host, disabled)
    server.folders.let_ssh_use_fresh_key(host, also=False)
    retired_files.put_key_away(folder)
    return record


def _plan(status: HostStatus, *, final: bool) -> RetirePlan:
    line = guards.the_line(status)
    guards.refuse_linked_config(status)
    final = final and not status.recorded.final
    anew = status.recorded.has_fresh_key
    return RetirePlan(status.host, line.user, missing(status), final, anew)
