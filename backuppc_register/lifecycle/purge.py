"""The data of a host is deleted: asked for, waited for, and only then done."""

from dataclasses import replace
from datetime import datetime, timedelta

from backuppc_register.backuppc import data_folder, host_config, hosts
from backuppc_register.backuppc.data_folder import Swept
from backuppc_register.lifecycle import retire
from backuppc_register.lifecycle.operation import (
    Done,
    Kept,
    Operation,
    Refused,
    Subject,
    examined,
    in_place,
    lined,
    recorded,
    refuse_linked_config,
    refuse_missing_data,
    refuse_unconfirmed,
    stop_jobs,
    users,
)
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import StateError
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

DAYS = 14
"""How many days there are to change one's mind, where nothing else is asked for."""


def ask(host: str, days: int | None, operation: Operation) -> Done:
    """Retire *host* and let its data be deleted in *days* days; where there is none, forget it at once.

    Without *days* they are DAYS, or those that somebody has asked for before. The hosts line stays until
    then: BackupPC's nightly run keeps the data of every host that has one.

    Raises what `examined` does, Refused, Busy, and faults.
    """
    with examined(host, operation) as subject:
        record = recorded(subject)
        in_place(subject, operation)
        refuse_linked_config(subject, operation)
        refuse_missing_data(subject, operation)
        if subject.data:
            line, steps = lined(subject), _ask(subject, record, days, operation)
    if subject.data:
        return Done(host, line.user, steps, stop_jobs(host, operation))
    with operation.jobs.kept_away(host) as kept:
        return _forget(host, None, kept, operation)


def due(operation: Operation) -> list[str]:
    """Return the hosts whose data may be deleted by now; raises StateError."""
    records = (_record_or_why(host, operation) for host in operation.folders.names())
    return [one.host for one in records if isinstance(one, Record) and is_due(one, operation.now)]


def unknown(operation: Operation) -> list[tuple[str, str]]:
    """Return the hosts of which it cannot be told whether they are due, and why; raises StateError."""
    told = ((host, _record_or_why(host, operation)) for host in operation.folders.names())
    return [(host, one) for host, one in told if isinstance(one, str)]


def _record_or_why(host: str, operation: Operation) -> Record | str | None:
    try:
        return operation.folders.record(host)
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
    return Swept() if operation.dry_run else data_folder.sweep(operation.config.backuppc.data_dir)


def asked(record: Record, when: str, subject: Subject, operation: Operation) -> Record:
    """Return *record* with a purge from *when* on, asked of the owner and the backups that *subject* tells.

    A clock that is set forward meanwhile makes the wait no shorter.
    """
    wait = (datetime.fromisoformat(when) - operation.now).total_seconds()
    return replace(
        record,
        purge=when,
        purge_of=" ".join((subject.owner, *subject.extent.made)),
        purge_wait=operation.uptime.after(wait) if operation.uptime else "",
    )


def of_another_owner(purge_of: str, owner: str) -> str:
    """Return what a purge was asked of, as it is when that has become *owner*'s."""
    return " ".join((owner, *purge_of.split(" ")[1:])) if purge_of else ""


def objection(subject: Subject, record: Record, folders: HostFolders) -> str:
    """Say why the purge in *record* was not asked of what there is of the host now, "" where it was.

    Of what is neither backed up nor has backups, a killed run has left the rest.
    """
    host, line = subject.host, subject.line
    owner, *made = record.purge_of.split(" ")
    if line and subject.owner != owner and not same_logon(subject.owner, owner):
        whose = f"{host} is {subject.owner or 'nobody'}'s"
        return f"{whose}, and its purge was asked when it was {owner or 'nobody'}'s"
    if (line or subject.data) and retire.missing_steps(subject, record, folders):
        return f"{host} is not closed, as a retired host is: it may be backed up"
    if any(one not in made for one in subject.extent.made):
        return f"{host} has backups that it did not have when its purge was asked"
    return ""


def _ask(subject: Subject, record: Record, days: int | None, operation: Operation) -> tuple[str, ...]:
    steps = retire.missing_steps(subject, record, operation.folders)
    pending = record.purge if not steps and _is_time(record.purge) else ""
    wanted = operation.now + timedelta(days=DAYS if days is None else days)
    when = pending if pending and days is None else wanted.isoformat(timespec="seconds")
    instead = "" if pending in ("", when) else f", and not from {pending} as was asked before"
    steps += (f"{subject.extent} of {subject.host} may be deleted from {when}{instead}",)
    refuse_unconfirmed(steps, operation)
    if not operation.dry_run:
        closed = retire.close(subject, record, operation)
        operation.folders.put_record(asked(closed, when, subject, operation))
    return steps


def _forget(host: str, now: datetime | None, kept: Kept, operation: Operation) -> Done:
    """Forget *host*, with its data where that is due by *now*."""
    places = operation.config.backuppc
    with examined(host, operation) as subject:
        record = recorded(subject)
        in_place(subject, operation)
        refuse_linked_config(subject, operation)
        refuse_missing_data(subject, operation)
        _refuse_unasked(subject, now, operation)
        person = subject.line.user if subject.line else record.person
        steps = tuple(_steps(subject, now))
        refuse_unconfirmed(steps, operation)
        if not operation.dry_run:
            if subject.record is None:  # what a killed run has left is known by it
                operation.folders.put_record(record)
            operation.ledger.note_no_data(host)
            if data_folder.exists(places.data_dir, host):
                data_folder.doom(places.data_dir, host, operation.now)
            if subject.line:
                operation.former.take(host, users(subject, operation))
                operation.ledger.forget(host)
                hosts.remove(places.hosts, subject.hosts, host)
                operation.former.decided(host)
            config = host_config.path(places.config_dir, host) if subject.config is not None else None
            operation.folders.set_aside(host, config, operation.now)
    note = "" if operation.dry_run else kept.tell(gone=(host,))
    return Done(host, person, steps, note)


def _refuse_unasked(subject: Subject, now: datetime | None, operation: Operation) -> None:
    """Raise Refused where nobody has asked to forget the host as it is; without *now* somebody does.

    What was due a moment ago may have been resumed, registered again or transferred since.
    """
    host, record = subject.host, subject.record
    asked = not subject.data if now is None else record is not None and is_due(record, now)
    if not asked:
        raise Refused(reason=f"the data of {host} is not to be deleted yet")
    if now and record and operation.uptime and operation.uptime.is_before(record.purge_wait):
        reason = f"the days that {host} was to wait have not passed since, whatever the date is: was it set?"
        raise Refused(reason=reason)
    if now and record and (reason := objection(subject, record, operation.folders)):
        raise Refused(reason=f"{reason}: look at it, then backuppc-register-admin purge {host}")


def _steps(subject: Subject, now: datetime | None) -> list[str]:
    at_once = [] if now else [f"{subject.host} has no backups to wait for, and is forgotten at once"]
    steps = [f"{subject.extent} of {subject.host} are deleted"] if subject.data else at_once
    steps += [f"the hosts line of {subject.host} is removed"] if subject.line else []
    return [*steps, f"what we had made for {subject.host} is set aside, its .pl too"]
