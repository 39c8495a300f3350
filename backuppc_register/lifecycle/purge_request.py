"""Keep, in a host's record, the request to delete its data, and tell when that is due."""

from dataclasses import replace
from datetime import datetime

from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle.operation import Operation
from backuppc_register.state.records import PurgeRequest, Record


def requested(record: Record, due: str, owner: str, status: HostStatus, operation: Operation) -> Record:
    """Return *record* with a purge from *due* on (ISO 8601) of *owner*'s backups, those in *status*.

    A clock that is set forward meanwhile does not shorten the waiting period.
    """
    seconds = (datetime.fromisoformat(due) - operation.now).total_seconds()
    wait = operation.uptime.after(seconds) if operation.uptime else None
    return replace(record, purge=due, purge_of=PurgeRequest(owner, status.extent.made), purge_wait=wait)


def cancelled(record: Record) -> Record:
    """Return *record* without a planned purge."""
    return replace(record, purge="", purge_of=None, purge_wait=None)


def with_owner(record: Record, person: str) -> Record:
    """Return *record* as *person*'s, a planned purge too; the entry id stays."""
    purge_of = replace(record.purge_of, owner=person) if record.purge_of else None
    return replace(record, person=person, purge_of=purge_of)


def is_due(record: Record, now: datetime) -> bool:
    """Tell whether the data may be deleted by *now*; a text that is no time is never due."""
    return is_time(record.purge) and datetime.fromisoformat(record.purge) <= now


def is_time(text: str) -> bool:
    """Tell whether *text* is a time with a time zone, in ISO 8601."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
