"""Judge whether a host stays retired when it is registered again, and say so to its owner."""

from dataclasses import replace
from datetime import UTC, datetime

from backuppc_register.backuppc import retired_config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.ownership import Applicant, Claim
from backuppc_register.state.records import Record

_VERIFY = "The backups of this machine are stopped: have the server verify this machine to start them again."
_FINAL = "An administrator has stopped the backups of this machine for good: ask the help desk."


def record_of(status: HostStatus) -> Record | None:
    """Return the record of the host; one of a host that was stopped for good if only its .pl is left of that.

    It is so after the loss of our state. Whether only an administrator can resume the host is not known then.
    """
    if status.record is not None or status.config != retired_config.text(status.host):
        return status.record
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(status.recorded, retired=now, final=now)


def is_stopped(applicant: Applicant, claim: Claim, record: Record | None) -> bool:
    """Tell whether an administrator has stopped the backups of the host, and they stay stopped.

    An administrator who puts another person into the hosts line starts them again, unless they were stopped
    for good.
    """
    if record is None or claim is Claim.FREE or not record.is_stopped:
        return False
    by_hand = record.by_hand and applicant.person.has(record.person)
    return claim is Claim.KNOWN or by_hand or bool(record.final)


def stopped_as_before(new: Record, before: Record) -> Record:
    """Return the *new* record of a host, stopped as *before*, with a fresh key."""
    return replace(
        new,
        retired=before.retired,
        final=before.final,
        purge=before.purge,
        purge_of=before.purge_of,
        purge_wait=before.purge_wait,
        fresh=True,
    )


def advice(record: Record) -> str:
    """Return what the owner can do about it."""
    return _FINAL if record.final else _VERIFY
