"""Tell which registrations wait for their first verification, and from when they are released; pure."""

from datetime import datetime, timedelta

from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.person import same_logon
from backuppc_register.state.records import Record


def is_waiting(record: Record) -> bool:
    """Tell whether a machine registered the host, and was never verified since."""
    return bool(record.registered) and not (record.verified or record.is_stopped or record.archive_of)


def released_from(record: Record, days: int) -> datetime | None:
    """Return from when a registration without backups is released, None for never.

    *days* after the registration; 0 is never. Repeated registrations do not change when that was. Records of
    earlier releases, and hosts about which an administrator has decided, are never released.
    """
    if not days or not record.provisional or not is_waiting(record):
        return None
    try:
        since = datetime.fromisoformat(record.registered)
        return since + timedelta(days=days) if since.tzinfo else None
    except (ValueError, OverflowError):
        return None


def help_desk_note(status: HostStatus, person: str) -> str:
    """Return what the help desk should know if *person* is refused the host, "" for nothing."""
    record, host = status.record, status.host
    if record is None or not is_waiting(record) or status.backups or status.doubt:
        return ""
    if not all(same_logon(line.user, record.person) for line in status.lines):
        return ""  # an administrator has changed the line
    # A transfer of a host to its own person does nothing.
    other = not same_logon(record.person, person)
    give = f"transfer {host} {person} gives it to {person}, " if other else ""
    return (
        f"; never verified since {record.registered}, and without backups: "
        f"backuppc-register-admin {give}purge {host} frees it"
    )
