"""Restrict a host or an archive to administrators."""

from dataclasses import dataclass

from backuppc_register.backuppc import hosts
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import guards, owner_change, retire
from backuppc_register.lifecycle.operation import Operation, Plan, Refused, examined, refuse_changed
from backuppc_register.lifecycle.purge_request import with_owner
from backuppc_register.person import same_logon


@dataclass(frozen=True)
class RevokePlan(Plan):
    """The plan to make BackupPC's account the only owner; *lost*: the step that clears moreUsers."""

    missing: retire.Missing
    lost: tuple[str, ...]
    archive: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words."""
        restricted = f"{self.host} is {self.person}'s: only administrators read its backups"
        return (*self.missing.steps, *self.missing.cancelled, restricted, *self.lost)


def plan(host: str, operation: Operation) -> RevokePlan:
    """Plan to give *host* to BackupPC's account: only administrators see its pages, and it is not backed up.

    For data that the second person of a reused logon could read.

    Raises what `examined` does; Refused; HostsFileError, also if the hosts file would not take the line.
    """
    with examined(host, operation.server) as status:
        return _plan(status)


def apply(plan: RevokePlan, operation: Operation) -> str:
    """Carry out *plan*; return a note. Raises what `plan` does, and Refused if the plan changed.

    If it is interrupted, the same command again finishes the work.
    """
    host, server = plan.host, operation.server
    with examined(host, server) as status:
        refuse_changed(plan, _plan(status))
        record = retire.disable(status, operation) if plan.missing else status.recorded
        # The line first: a registration in between finds a line of another owner.
        file = owner_change.set_owner(status, status.hosts, plan.person)
        owner_change.note_line(host, file, operation, data=status.backups)
        server.folders.put_record(with_owner(record, plan.person))
    return "" if plan.archive else operation.stop_jobs(host)


def _plan(status: HostStatus) -> RevokePlan:
    host, account = status.host, status.server.account
    line, record = guards.the_line(status), status.recorded
    guards.refuse_linked_config(status)
    guards.refuse_missing_data(status)
    owners = (line.user, status.owner, record.person or account)
    if all(same_logon(owner, account) for owner in owners) and not line.more_users:
        raise Refused(reason=f"{host} is {account}'s already")
    hosts.refuse_give(status.server.backuppc.hosts, status.hosts, host, account)
    lost = owner_change.lost_access(status)
    return RevokePlan(host, account, retire.missing(status), lost, archive=bool(record.archive_of))
