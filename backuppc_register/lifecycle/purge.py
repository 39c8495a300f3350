"""Purge a host: plan to delete its data, wait for some days, then delete data, line and settings."""

from dataclasses import dataclass
from datetime import timedelta

from backuppc_register.backuppc import data_folder, host_config, hosts
from backuppc_register.backuppc.data_folder import Extent, Swept
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.server import Server
from backuppc_register.lifecycle import guards, owner_change, purge_request, retire
from backuppc_register.lifecycle.operation import Operation, Plan, Refused, examined, refuse_changed
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import StateError
from backuppc_register.state.records import PurgeRequest

DAYS = 14
"""The waiting period in days, if no other is given."""


@dataclass(frozen=True)
class PurgePlan(Plan):
    """The plan to disable a host and let its data be deleted from *due* on (ISO 8601).

    *days* as asked for. *instead*: when another purge was due, "" for none.
    """

    missing: retire.Missing
    extent: Extent
    days: int | None
    due: str
    instead: str

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words."""
        instead = f", and not from {self.instead} as was planned before" if self.instead else ""
        return (
            *self.missing.steps,
            f"{self.extent} of {self.host} may be deleted from {self.due}{instead}",
        )


@dataclass(frozen=True)
class DeletionPlan(Plan):
    """The plan to delete a host: *data*, of the size *extent*, and its *line*. *due*: a purge is due."""

    data: bool
    extent: Extent
    line: bool
    due: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words."""
        host, steps = self.host, []
        if self.data:
            steps.append(f"{self.extent} of {host} are deleted")
        elif not self.due:
            steps.append(f"{host} has no backups to wait for, and is forgotten at once")
        if self.line:
            steps.append(f"the hosts line of {host} is removed")
        return (*steps, f"our key, record and .pl of {host} are set aside")


def plan(host: str, days: int | None, operation: Operation) -> PurgePlan | DeletionPlan:
    """Plan to retire *host* and to delete its data in *days* days; without data, to delete it at once.

    Without *days* they are DAYS, or the purge planned before stays. The hosts line stays until then:
    BackupPC's nightly run keeps the data of every host that has one.

    Raises what `examined` does, Refused, Busy, and faults.
    """
    with examined(host, operation.server) as status:
        if status.backups:
            return _plan_purge(status, days, operation)
    return _planned_deletion(host, operation, due=False)


def plan_due(host: str, operation: Operation) -> DeletionPlan:
    """Plan to delete *host*; raises Refused if its purge is not due, or does not match the host any more."""
    return _planned_deletion(host, operation, due=True)


def apply(plan: PurgePlan | DeletionPlan, operation: Operation) -> str:
    """Carry out *plan*; return a note. Raises what `plan` does, and Refused if the plan changed."""
    return _request(plan, operation) if isinstance(plan, PurgePlan) else _delete(plan, operation)


def due(operation: Operation) -> tuple[list[str], dict[str, str]]:
    """Return the hosts to delete now, and the unreadable records of others: hosts and reasons.

    Raises StateError.
    """
    due, unreadable = [], {}
    for host in operation.server.folders.names():
        try:
            record = operation.server.folders.record(host)
        except StateError as error:
            unreadable[host] = error.detail
            continue
        if record and purge_request.is_due(record, operation.now):
            due.append(host)
    return due, unreadable


def sweep(server: Server) -> Swept:
    """Free the disk of deleted data, which may take long; raises HostsFileError."""
    return data_folder.sweep(server.backuppc.data_dir)


def objection(status: HostStatus) -> str:
    """Return why the planned purge does not match the host any more, or "".

    A host without line and data is the rest of an interrupted purge.
    """
    host, planned = status.host, status.recorded.purge_of or PurgeRequest("")
    if status.line and status.owner != planned.owner and not same_logon(status.owner, planned.owner):
        then = f"when its purge was planned, the owner was {planned.owner or 'nobody'}"
        return f"the owner of {host} is {status.owner or 'nobody'}; {then}"
    if (status.line or status.backups) and retire.missing(status):
        return f"{host} is not disabled, as a retired host is: it may be backed up"
    if any(one not in planned.backups for one in status.extent.made):
        return f"{host} has backups that it did not have when its purge was planned"
    return ""


def _plan_purge(status: HostStatus, days: int | None, operation: Operation) -> PurgePlan:
    line = guards.the_line(status)
    _refuse_unmovable(status)
    missing, planned = retire.missing(status), status.recorded.purge
    pending = planned if not missing and purge_request.is_time(planned) else ""
    wanted = operation.now + timedelta(days=DAYS if days is None else days)
    due = pending if pending and days is None else wanted.isoformat(timespec="seconds")
    instead = "" if pending == due else pending
    return PurgePlan(status.host, line.user, missing, status.extent, days, due, instead)


def _request(plan: PurgePlan, operation: Operation) -> str:
    with examined(plan.host, operation.server) as status:
        refuse_changed(plan, _plan_purge(status, plan.days, operation))
        record = retire.disable(status, operation)
        record = purge_request.requested(record, plan.due, status.owner, status, operation)
        operation.server.folders.put_record(record)
    return operation.stop_jobs(plan.host)


def _planned_deletion(host: str, operation: Operation, *, due: bool) -> DeletionPlan:
    with operation.jobs.kept_away(host), examined(host, operation.server) as status:
        return _plan_deletion(status, operation, due=due)


def _plan_deletion(status: HostStatus, operation: Operation, *, due: bool) -> DeletionPlan:
    _refuse_unmovable(status)
    if due:
        _refuse_not_due(status, operation)
    elif status.backups:
        raise Refused(reason=f"the data of {status.host} is not to be deleted yet")
    person = status.line.user if status.line else status.recorded.person
    return DeletionPlan(
        status.host, person, status.backups, status.extent, line=status.line is not None, due=due
    )


def _refuse_unmovable(status: HostStatus) -> None:
    guards.refuse_linked_data(status)
    guards.refuse_linked_config(status)
    guards.refuse_missing_data(status)


def _refuse_not_due(status: HostStatus, operation: Operation) -> None:
    """Raise Refused unless the purge is due of the host as it is.

    A host that was due a moment ago may have been resumed, registered again or transferred since.
    """
    host, record, uptime = status.host, status.recorded, operation.uptime
    if not purge_request.is_due(record, operation.now):
        raise Refused(reason=f"the data of {host} is not to be deleted yet")
    if uptime and uptime.is_before(record.purge_wait):
        raise Refused(reason=f"the waiting period of {host} is not over; was the system clock changed?")
    if reason := objection(status):
        raise Refused(reason=f"{reason}: look at it, then backuppc-register-admin purge {host}")


def _delete(plan: DeletionPlan, operation: Operation) -> str:
    """Delete the host; `sweep` frees the disk later.

    First the data is out of everybody's reach, then the host has no line, then our folder is set aside: an
    interrupted run leaves less to do for the next one, and never data without a line.
    """
    with operation.jobs.kept_away(plan.host) as kept:
        with examined(plan.host, operation.server) as status:
            refuse_changed(plan, _plan_deletion(status, operation, due=plan.due))
            _delete_data(status, operation)
            _remove_line(status)
            config = host_config.path(operation.server.backuppc.config_dir, plan.host)
            aside = config if status.config is not None else None
            operation.server.folders.set_aside(plan.host, aside, operation.now)
        return kept.tell(gone=(plan.host,))


def _delete_data(status: HostStatus, operation: Operation) -> None:
    host, server = status.host, status.server
    if status.record is None:  # the rest of an interrupted run is found by its record
        server.folders.put_record(status.recorded)
    server.snapshot.note_no_data(host)
    if data_folder.exists(server.backuppc.data_dir, host):
        data_folder.doom(server.backuppc.data_dir, host, operation.now)


def _remove_line(status: HostStatus) -> None:
    host, server = status.host, status.server
    if status.line:
        owner_change.note_owners(status)
        server.snapshot.forget(host)
        hosts.remove(server.backuppc.hosts, status.hosts, host)
