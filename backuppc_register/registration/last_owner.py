"""The owner in the line that was last seen of a host, if the line is gone and another person registers."""

from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import HostsFileError, OtherOwner


def others(person: str, status: HostStatus) -> tuple[str, ...]:
    """Return the users of the line that was last seen; none if *person* is among them.

    A host with a line has no other owner than the line's. Raises StateError if the snapshot cannot be read.
    """
    if status.lines or status.last_seen is None:
        return ()
    users = tuple(dict.fromkeys(line.user or "nobody" for line in status.last_seen.lines))
    return () if any(same_logon(user, person) for user in users) else users


def refuse(applicant: Applicant, status: HostStatus) -> None:
    """Refuse a host with backups if its line is lost, and was another person's when it was last seen.

    Without backups the next person may have it: administrators take lines out of the file for that.

    Raises OtherOwner; HostsFileError if it is not certain whether there are backups; StateError.
    """
    if not status.backups or not (users := others(applicant.person.uid, status)):
        return
    if status.doubt:
        raise HostsFileError(detail=status.doubt)
    detail = f"no hosts line, but backups, and the last line was {', '.join(users)}'s"
    raise OtherOwner(host=applicant.host, logon=applicant.logon, detail=detail)


def note(person: str, status: HostStatus) -> str:
    """Return the last owner for the log, "" if there was no other one."""
    users, last = others(person, status), status.last_seen
    return f"the line last seen, at {last.seen}, was {', '.join(users)}'s" if users and last else ""


def take(person: str, status: HostStatus) -> None:
    """Record that the earlier users lose the host; under the lock, before anything of it changes.

    Then neither `reconcile` nor an old page of the web editor gives the new owner's host back to them. Raises
    StateError.
    """
    if others(person, status) and (last := status.last_seen):
        account = status.server.account
        users = (user for line in last.lines for user in (line.user, *line.more_users))
        lost = [user for user in users if user and not same_logon(user, account)]
        status.server.former_owners.take(status.host, lost)
        status.server.snapshot.forget(status.host)
