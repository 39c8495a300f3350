"""Hosts whose lines are not of whom our records say they are: whose the backups are is for a verb to say."""

from collections.abc import Iterator

from backuppc_register.errors import NoConfigFile
from backuppc_register.person import same_logon
from backuppc_register.rules.contradiction import ADMIN, Contradiction, Sight
from backuppc_register.state.records import Record


def of_owner(record: Record, users: list[str], sight: Sight) -> Iterator[Contradiction]:
    """Yield that the *users* of the host's lines are not all whose our record says it is."""
    others = [user or "nobody" for user in users if not same_logon(user, record.person)]
    if not others:
        return
    what = f"the hosts line is of {', '.join(others)}, our record of {record.person}; the line counts"
    advice = _of_changed_line(record, users, sight.account)
    try:
        if closed := sight.former.of(record.host).closed:
            what = f"it was {closed}'s when somebody gave it back to whom it was taken from; it waits for you"
            advice = f"{ADMIN} transfer {record.host} {closed}, or to whose it is now."
    except NoConfigFile as error:
        what, advice = f"{what}; whose it was cannot be read: {error.detail}", "Set that right first."
    yield Contradiction(record.host, ", ".join(others), what, advice)


def _of_changed_line(record: Record, users: list[str], account: str) -> str:
    """Say which verb keeps the backups from whom they are not of."""
    host, person = record.host, record.person
    mistake = f"was it a mistake, put {person} into the line again." if person else "or leave one line of it."
    if len(users) == 1 and same_logon(users[0], account):
        return f"{ADMIN} transfer {host} {account} makes all of it {account}'s; {mistake}"
    if record.archive_of:
        return f"{ADMIN} transfer {host} {account} lets only administrators read it; {mistake}"
    whose = users[0] if len(users) == 1 and users[0] else "LOGON"
    return f"{ADMIN} transfer {host} {whose} leaves the backups to {person or account}; {mistake}"
