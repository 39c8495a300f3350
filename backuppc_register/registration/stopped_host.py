"""Judge whether a host stays retired when it is registered again, and say so to its owner; pure."""

from dataclasses import replace

from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.ownership import Applicant, Claim
from backuppc_register.person import same_logon
from backuppc_register.state.records import Record

_VERIFY = "The backups of this machine are stopped: have the server verify this machine to start them again."
_FINAL = "An administrator has stopped the backups of this machine for good: ask the help desk."


def is_stopped(applicant: Applicant, claim: Claim, status: HostStatus) -> bool:
    """Tell whether an administrator has stopped the backups of the host, and they stay stopped.

    An administrator who puts another person into the hosts line starts them again, unless they were stopped
    for good.
    """
    record = status.record
    if record is None or claim is Claim.FREE or not record.is_stopped:
        return False
    by_hand = record.by_hand and same_logon(record.person, applicant.person.uid)
    return claim is Claim.KNOWN or by_hand or bool(record.final)


def stopped_as_before(new: Record, before: Record) -> Record:
    """Return the *new* record of a host, stopped as *before*."""
    return replace(
        new,
        retired=before.retired,
        final=before.final,
        purge=before.purge,
        purge_of=before.purge_of,
        purge_wait=before.purge_wait,
    )


def advice(record: Record) -> str:
    """Return what the owner can do about it."""
    return _FINAL if record.final else _VERIFY
