"""Judge whether an applicant may have a host, and refuse a host that has another owner; pure."""

from dataclasses import dataclass, replace
from enum import Enum

from backuppc_register.inventory import provisional
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.person import Person, different_entry, same_entry
from backuppc_register.protocol.errors import HostsFileError, InvalidDnsName, OtherOwner
from backuppc_register.state.records import Record


@dataclass(frozen=True)
class Applicant:
    """A confirmed applicant: the *person* by the directory, *full_name* and *host* by the DNS.

    *logon* is the one that was typed, *address* the peer's, as text. *earlier_name*: the full name in the
    record of a renamed machine, if BackupPC comes to that host by the new name.
    """

    host: str
    full_name: str
    person: Person
    logon: str
    os: str
    address: str
    earlier_name: str | None = None


class Claim(Enum):
    """Why the applicant may have the host."""

    KNOWN = "our record names this person and this machine"
    TAKEN_OVER = "the hosts line names this person, and our record is missing or names an earlier person"
    FREE = "the host has no owner"


def as_known(applicant: Applicant, status: HostStatus) -> Applicant:
    """Return *applicant* by the logon that owns the host, if it is another one of the same entry.

    The hosts line keeps that logon, in the directory's spelling.
    """
    person, record = applicant.person, status.record
    owners = [line.user for line in status.lines] or ([record.person] if record else [])
    uid = person.spelling_of(owners[0]) if owners else ""
    if uid in ("", person.uid):
        return applicant
    others = (person.uid, *(one for one in person.others if one != uid))
    return replace(applicant, person=replace(person, uid=uid, others=others))


def judge(applicant: Applicant, status: HostStatus) -> Claim:
    """Return why the applicant may have the host.

    Raises OtherOwner; InvalidDnsName if an administrator has reserved the name; HostsFileError if it is not
    certain whether there are backups.
    """
    if status.lines:
        return _judge_lines(applicant, status)
    if _is_recorded(applicant, status.record):
        return Claim.KNOWN
    if status.doubt:
        raise HostsFileError(detail=status.doubt)
    if status.backups:
        raise _refusal(applicant, f"no hosts line, but backups of {_owner(status.record)}")
    if status.record is None and status.reserved:
        raise InvalidDnsName(
            detail=f"{applicant.host} is reserved: it has a config, but no line, data or record"
        )
    if status.overriding:
        raise InvalidDnsName(
            detail=f"{applicant.host} is reserved: it has a config that BackupPC reads instead of ours"
        )
    if status.record is not None and status.record.final:
        again = f"backuppc-register-admin purge {applicant.host} frees it"
        raise _refusal(applicant, f"it was retired for good, and has no hosts line: {again}")
    return Claim.FREE


def refuse_other_owner(applicant: Applicant, status: HostStatus) -> None:
    """Refuse an applicant if the effective owner is another person; the caller holds BackupPC's lock.

    The hosts line may be lost, or reverted to the applicant. Raises OtherOwner; StateError in doubt.
    """
    if status.owner and not applicant.person.has(status.owner):
        again = "backuppc-register-admin reconcile restores the line"
        raise _refusal(applicant, f"the owner is {status.owner}: {again}")


def _judge_lines(applicant: Applicant, status: HostStatus) -> Claim:
    person, record = applicant.person, status.record
    others = [line.user or "no owner" for line in status.lines if not person.has(line.user)]
    if others:
        said = f"the hosts file says {', '.join(others)}{_renamed(applicant, record)}"
        raise _refusal(applicant, said + _note(applicant, status))
    if record is None or not person.has(record.person):
        return Claim.TAKEN_OVER
    if record.by_hand and not different_entry(record.entry, applicant.person.entry_id):
        return Claim.TAKEN_OVER
    if not _is_recorded(applicant, record):
        both = f"the record is of {_owner(record)}, this is {_name(applicant)}"
        raise _refusal(applicant, both + _note(applicant, status))
    return Claim.KNOWN


def _is_recorded(applicant: Applicant, record: Record | None) -> bool:
    """Tell whether *record* names this person and this machine.

    Two entries with the same uid are two persons: uids are reused.
    """
    if record is None:
        return False
    person = applicant.person
    same_person = person.has(record.person) and not different_entry(record.entry, person.entry_id)
    return same_person and record.full_name in (applicant.full_name, applicant.earlier_name)


def _refusal(applicant: Applicant, detail: str) -> OtherOwner:
    return OtherOwner(host=applicant.host, logon=applicant.logon, detail=detail)


def _note(applicant: Applicant, status: HostStatus) -> str:
    return provisional.help_desk_note(status, applicant.person.uid)


def _renamed(applicant: Applicant, record: Record | None) -> str:
    """Return what the help desk should know if the record is of the same entry, under an earlier logon."""
    host, person = applicant.host, applicant.person
    if record is None or person.has(record.person) or not same_entry(record.entry, person.entry_id):
        return ""
    return (
        f"; the record is of the same entry of the directory, which has another logon now: "
        f"backuppc-register-admin transfer {host} {person.uid} gives it the host with its backups"
    )


def _owner(record: Record | None) -> str:
    return f"{record.person} {record.entry} {record.full_name}" if record else "an unknown person"


def _name(applicant: Applicant) -> str:
    return f"{applicant.person.uid} {applicant.person.entry_id} {applicant.full_name}"
