"""Report hosts with another owner in the hosts file than by a command or in our record; a command decides."""

from collections.abc import Iterator

from backuppc_register.person import same_logon
from backuppc_register.reconciliation.inconsistency import ADMIN, Inconsistency
from backuppc_register.state.records import Record


def find(record: Record, users: list[str], given_to: str, account: str) -> Iterator[Inconsistency]:
    """Yield that the *users* of the host's lines are not all its owner.

    *given_to*: the owner by the last administrator's command, "" if there was none. *account*: BackupPC's.
    """
    host, owner = record.host, given_to or record.person
    if others := _others(users, owner):
        names = ", ".join(others)
        if len(users) > 1:
            what = f"the hosts lines name {names}, and the owner is {owner}"
            advice = f"Leave one line of {host} in the hosts file."
        elif given_to:
            what = f"the hosts line names {names}, but a command gave the host to {given_to}"
            advice = (
                f"{ADMIN} reconcile restores the line. To change the owner: {ADMIN} transfer {host} LOGON"
            )
        else:
            what = f"the hosts line is of {names}, our record of {owner}; the line counts"
            advice = _of_changed_line(record, users[0], account)
        yield Inconsistency(host, names, what, advice)
    elif not same_logon(owner, record.person):
        what = f"the hosts line is of {owner}, our record of {record.person}: a command was interrupted"
        yield Inconsistency(host, owner, what, f"Repeat it: {ADMIN} transfer {host} {owner}")


def _others(users: list[str], owner: str) -> list[str]:
    return [user or "nobody" for user in users if not same_logon(user, owner)]


def _of_changed_line(record: Record, user: str, account: str) -> str:
    """Suggest the command that keeps the backups private to their owner."""
    host, person = record.host, record.person
    private = record.archive_of or same_logon(user, account)
    new = account if private else user or "LOGON"
    then = "only administrators read it" if private else f"the backups stay {person or account}'s"
    mistake = f" A mistake: put {person} into the line again." if person else ""
    return f"Meant: {ADMIN} transfer {host} {new}, and {then}.{mistake}"
