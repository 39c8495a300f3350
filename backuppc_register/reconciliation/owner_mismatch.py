"""Hosts whose lines are not of whom our records say they are: whose the backups are is for a verb to say."""

from collections.abc import Iterator

from backuppc_register.inventory.server import Server
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import StateError
from backuppc_register.reconciliation.inconsistency import ADMIN, Contradiction
from backuppc_register.state.records import Record


def of_owner(record: Record, users: list[str], server: Server) -> Iterator[Contradiction]:
    """Yield that the *users* of the host's lines are not all whose our record says it is."""
    others = [user or "nobody" for user in users if not same_logon(user, record.person)]
    if not others:
        return
    what = f"the hosts line is of {', '.join(others)}, our record of {record.person}; the line counts"
    advice = _of_changed_line(record, users, server.account)
    try:
        if closed := server.former_owners.of(record.host).closed:
            what = f"it was {closed}'s when somebody gave it back to whom it was taken from; it waits for you"
            advice = f"{ADMIN} transfer {record.host} {closed}, or to whose it is now."
    except StateError as error:
        what, advice = f"{what}; whose it was cannot be read: {error.detail}", "Set that right first."
    yield Contradiction(record.host, ", ".join(others), what, advice)


def _of_changed_line(record: Record, users: list[str], account: str) -> str:
    """Say which verb keeps the backups from whom they are not of."""
    host, person = record.host, record.person
    if len(users) > 1:
        return f"Leave one line of {host} in the hosts file."
    hidden = record.archive_of or same_logon(users[0], account)
    whose = account if hidden else users[0] or "LOGON"
    then = "only administrators read it" if hidden else f"the backups stay {person or account}'s"
    mistake = f" A mistake: put {person} into the line again." if person else ""
    return f"Meant: {ADMIN} transfer {host} {whose}, and {then}.{mistake}"
