"""The data of a host is deleted: asked for, waited for, and only then done."""

from dataclasses import replace
from datetime import datetime, timedelta

from backuppc_register.backuppc import host_config, host_data, hosts
from backuppc_register.backuppc.host_data import Swept
from backuppc_register.rules import retirement
from backuppc_register.rules.custody import (
    Custody,
    Done,
    Kept,
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
from backuppc_register.state.records import Record


def ask(host: str, days: int, custody: Custody) -> Done:
    """Retire *host* and let its data be deleted in *days* days; where there is none, forget it at once.

    The hosts line stays until then: BackupPC's nightly run keeps the data of every host that has one.

    Raises what `examined` does, Refused, Busy, and faults.
    """
    with examined(host, custody) as subject:
        record = recorded(subject)
        in_place(subject, custody)
        refuse_linked_config(subject, custody)
        refuse_missing_data(subject, custody)
        if subject.data:
            line, steps = lined(subject), _ask(subject, record, days, custody)
    if subject.data:
        return Done(host, line.user, steps, stop_jobs(host, custody))
    with custody.jobs.kept_away(host) as kept:
        return _forget(host, None, kept, custody)


def due(custody: Custody) -> list[str]:
    """Return the hosts whose data may be deleted by now; raises NoConfigFile."""
    records = (custody.folders.record(host) for host in custody.folders.names())
    return [record.host for record in records if record is not None and is_due(record, custody.now)]


def is_due(record: Record, now: datetime) -> bool:
    """Tell whether the data of the host may be deleted by *now*; what is no time never comes."""
    try:
        return bool(record.purge) and datetime.fromisoformat(record.purge) <= now
    except (ValueError, TypeError):
        return False


def carry_out(host: str, custody: Custody) -> Done:
    """Delete the data of *host*, whose time has come, and forget the host.

    First nobody has the data any more, then the host has no line, then our folder of it goes aside: a killed
    run leaves less to do for the next one and never a line without its data's end. `sweep` frees the disk.

    Raises what `examined` does; Refused where it is not due any more; Busy, and faults.
    """
    with custody.jobs.kept_away(host) as kept:
        return _forget(host, custody.now, kept, custody)


def sweep(custody: Custody) -> Swept:
    """Free the disk of what was purged. It may take long.

    Raises CouldNotRegister.
    """
    return Swept() if custody.dry_run else host_data.sweep(custody.config.backuppc.data_dir)


def _ask(subject: Subject, record: Record, days: int, custody: Custody) -> tuple[str, ...]:
    when = (custody.now + timedelta(days=days)).isoformat(timespec="seconds")
    steps = (
        *retirement.missing_steps(subject, record, custody.folders),
        f"{subject.extent} of {subject.host} may be deleted from {when}",
    )
    refuse_unconfirmed(steps, custody)
    if not custody.dry_run:
        retired = replace(record, retired=record.retired or custody.moment, purge=when)
        retirement.close(subject, retired, custody)
    return steps


def _forget(host: str, now: datetime | None, kept: Kept, custody: Custody) -> Done:
    """Forget *host*, with its data where that is due by *now*."""
    places = custody.config.backuppc
    with examined(host, custody) as subject:
        record = recorded(subject)
        in_place(subject, custody)
        refuse_linked_config(subject, custody)
        refuse_missing_data(subject, custody)
        if subject.data and (now is None or not is_due(record, now)):
            raise Refused(reason=f"the data of {host} is not to be deleted yet")
        person = subject.line.user if subject.line else record.person
        steps = tuple(_steps(subject))
        refuse_unconfirmed(steps, custody)
        if not custody.dry_run:
            if subject.record is None:  # what a killed run has left is known by it
                custody.folders.put_record(record)
            custody.ledger.note_no_data(host)
            if host_data.exists(places.data_dir, host):
                host_data.doom(places.data_dir, host, custody.now)
            if subject.line:
                custody.former.take(host, users(subject, custody))
                custody.ledger.forget(host)
                hosts.remove(places.hosts, subject.hosts, host)
                custody.former.decided(host)
            config = host_config.path(places.config_dir, host) if subject.config is not None else None
            custody.folders.set_aside(host, config, custody.now)
    note = "" if custody.dry_run else kept.tell(gone=(host,))
    return Done(host, person, steps, note)


def _steps(subject: Subject) -> list[str]:
    steps = [f"{subject.extent} of {subject.host} are deleted"] if subject.data else []
    steps += [f"the hosts line of {subject.host} is removed"] if subject.line else []
    return [*steps, f"what we had made for {subject.host} is set aside, its .pl too"]
