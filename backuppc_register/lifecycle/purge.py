"""The data of a host is deleted: asked for, waited for, and only then done."""

from dataclasses import replace
from datetime import datetime, timedelta

from backuppc_register.backuppc import data_folder, host_config, hosts
from backuppc_register.backuppc.daemon.jobs import Kept
from backuppc_register.backuppc.data_folder import Swept
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import retire
from backuppc_register.lifecycle.operation import (
    Done,
    Operation,
    Refused,
    examined,
    in_place,
    lined,
    readers,
    refuse_linked_config,
    refuse_missing_data,
    refuse_unconfirmed,
    stop_jobs,
)
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import StateError
from backuppc_register.state.records import PurgeRequest, Record

DAYS = 14
"""How many days there are to change one's mind, where nothing else is asked for."""


def ask(host: str, days: int | None, operation: Operation) -> Done:
    """Retire *host* and let its data be deleted in *days* days; where there is none, forget it at once.

    Without *days* they are DAYS, or those that somebody has asked for before. The hosts line stays until
    then: BackupPC's nightly run keeps the data of every host that has one.

    Raises what `examined` does, Refused, Busy, and faults.
    """
    with examined(host, operation) as status:
        record = status.recorded
        in_place(status)
        refuse_linked_config(status)
        refuse_missing_data(status)
        if status.backups:
            line, steps = lined(status), _ask(status, record, days, operation)
    if status.backups:
        return Done(host, line.user, steps, stop_jobs(host, operation))
    with operation.jobs.kept_away(host) as kept:
        return _forget(host, None, kept, operation)


def due(operation: Operation) -> list[str]:
    """Return the hosts whose data may be deleted by now; raises StateError."""
    records = (_record_or_why(host, operation) for host in operation.server.folders.names())
    return [one.host for one in records if isinstance(one, Record) and is_due(one, operation.now)]


def unknown(operation: Operation) -> list[tuple[str, str]]:
    """Return the hosts of which it cannot be told whether they are due, and why; raises StateError."""
    told = ((host, _record_or_why(host, operation)) for host in operation.server.folders.names())
    return [(host, one) for host, one in told if isinstance(one, str)]


def _record_or_why(host: str, operation: Operation) -> Record | str | None:
    try:
        return operation.server.folders.record(host)
    except StateError as error:
        return error.detail


def is_due(record: Record, now: datetime) -> bool:
    """Tell whether the data of the host may be deleted by *now*; what is no time never comes."""
    return _is_time(record.purge) and datetime.fromisoformat(record.purge) <= now


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def carry_out(host: str, operation: Operation) -> Done:
    """Delete the data of *host*, whose time has come, and forget the host.

    First nobody has the data any more, then the host has no line, then our folder of it goes aside: a killed
    run leaves less to do for the next one and never a line without its data's end. `sweep` frees the disk.

    Raises what `examined` does; Refused where it is not due any more, or was not asked of the host as it is;
    Busy, and faults.
    """
    with operation.jobs.kept_away(host) as kept:
        return _forget(host, operation.now, kept, operation)


def sweep(operation: Operation) -> Swept:
    """Free the disk of what was purged. It may take long.

    Raises HostsFileError.
    """
    return Swept() if operation.dry_run else data_folder.sweep(operation.server.backuppc.data_dir)


def asked(record: Record, when: str, owner: str, status: HostStatus, operation: Operation) -> Record:
    """Return *record* with a purge from *when* on, asked of the owner and the backups that *status* tells.

    A clock that is set forward meanwhile makes the wait no shorter.
    """
    wait = (datetime.fromisoformat(when) - operation.now).total_seconds()
    return replace(
        record,
        purge=when,
        purge_of=PurgeRequest(owner, status.extent.made),
        purge_wait=operation.uptime.after(wait) if operation.uptime else None,
    )


def of_another_owner(purge_of: PurgeRequest | None, owner: str) -> PurgeRequest | None:
    """Return the purge request *purge_of* after the host was transferred to *owner*."""
    return replace(purge_of, owner=owner) if purge_of else None


def objection(status: HostStatus) -> str:
    """Say why the purge in *record* was not asked of what there is of the host now, "" where it was.

    Of what is neither backed up nor has backups, a killed run has left the rest.
    """
    host, line, record = status.host, status.line, status.recorded
    requested = record.purge_of or PurgeRequest("")
    owner = requested.owner
    if line and status.owner != owner and not same_logon(status.owner, owner):
        whose = f"{host} is {status.owner or 'nobody'}'s"
        return f"{whose}, and its purge was asked when it was {owner or 'nobody'}'s"
    if (line or status.backups) and retire.missing_steps(status):
        return f"{host} is not closed, as a retired host is: it may be backed up"
    if any(one not in requested.backups for one in status.extent.made):
        return f"{host} has backups that it did not have when its purge was asked"
    return ""


def _ask(status: HostStatus, record: Record, days: int | None, operation: Operation) -> tuple[str, ...]:
    steps = retire.missing_steps(status)
    pending = record.purge if not steps and _is_time(record.purge) else ""
    wanted = operation.now + timedelta(days=DAYS if days is None else days)
    when = pending if pending and days is None else wanted.isoformat(timespec="seconds")
    instead = "" if pending in ("", when) else f", and not from {pending} as was asked before"
    steps += (f"{status.extent} of {status.host} may be deleted from {when}{instead}",)
    refuse_unconfirmed(steps, operation)
    if not operation.dry_run:
        closed = retire.close(status, record, operation)
        operation.server.folders.put_record(asked(closed, when, status.owner, status, operation))
    return steps


def _forget(host: str, now: datetime | None, kept: Kept, operation: Operation) -> Done:
    """Forget *host*, with its data where that is due by *now*."""
    places = operation.server.backuppc
    with examined(host, operation) as status:
        record = status.recorded
        in_place(status)
        refuse_linked_config(status)
        refuse_missing_data(status)
        _refuse_unasked(status, now, operation)
        person = status.line.user if status.line else record.person
        steps = tuple(_steps(status, now))
        refuse_unconfirmed(steps, operation)
        if not operation.dry_run:
            if status.record is None:  # what a killed run has left is known by it
                operation.server.folders.put_record(record)
            operation.server.snapshot.note_no_data(host)
            if data_folder.exists(places.data_dir, host):
                data_folder.doom(places.data_dir, host, operation.now)
            if status.line:
                operation.server.former_owners.take(host, readers(status))
                operation.server.snapshot.forget(host)
                hosts.remove(places.hosts, status.hosts, host)
                operation.server.former_owners.decided(host)
            config = host_config.path(places.config_dir, host) if status.config is not None else None
            operation.server.folders.set_aside(host, config, operation.now)
    note = "" if operation.dry_run else kept.tell(gone=(host,))
    return Done(host, person, steps, note)


def _refuse_unasked(status: HostStatus, now: datetime | None, operation: Operation) -> None:
    """Raise Refused where nobody has asked to forget the host as it is; without *now* somebody does.

    What was due a moment ago may have been resumed, registered again or transferred since.
    """
    host, record = status.host, status.record
    asked = not status.backups if now is None else record is not None and is_due(record, now)
    if not asked:
        raise Refused(reason=f"the data of {host} is not to be deleted yet")
    if now and record and operation.uptime and operation.uptime.is_before(record.purge_wait):
        reason = f"the days that {host} was to wait have not passed since, whatever the date is: was it set?"
        raise Refused(reason=reason)
    if now and record and (reason := objection(status)):
        raise Refused(reason=f"{reason}: look at it, then backuppc-register-admin purge {host}")


def _steps(status: HostStatus, now: datetime | None) -> list[str]:
    at_once = [] if now else [f"{status.host} has no backups to wait for, and is forgotten at once"]
    steps = [f"{status.extent} of {status.host} are deleted"] if status.backups else at_once
    steps += [f"the hosts line of {status.host} is removed"] if status.line else []
    return [*steps, f"what we had made for {status.host} is set aside, its .pl too"]
