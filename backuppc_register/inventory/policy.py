"""Apply what a site allows: which people may have hosts, and how many."""

from collections.abc import Callable
from dataclasses import replace

from backuppc_register import names
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.config import Limits
from backuppc_register.person import Person, different_entry, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, NotAllowed

_BACKUPPC = "backuppc"
_MOST_LOGONS = 4  # further logons of an entry: each costs a question to the directory


def is_own_account(logon: str, account: str) -> bool:
    """Tell whether *logon* is BackupPC's own *account*, or has its usual name."""
    return any(same_logon(logon, own) for own in (_BACKUPPC, account))


def find_person(
    logon: str, find: Callable[[str], Person], account: str, *, lower_case: bool = False
) -> Person:
    """Return the person of *logon*, as *find* gets it from the directory; in *lower_case* if that is true.

    A further logon of the entry counts only if no other entry has it too.

    Raises BadUser, also for BackupPC's own *account*, and the errors of *find*.
    """
    if not possible_logon(logon):
        raise BadUser(logon=logon, detail="not a possible logon")
    _refuse_own_account(logon, account)
    person = find(logon)
    _refuse_own_account(person.uid, account)
    possible = [one for one in person.others if not is_own_account(one, account)]
    others = tuple(one for one in possible[:_MOST_LOGONS] if _is_only_of(person, one, find))
    person = replace(person, unproved=tuple(one for one in possible if one not in others))
    if lower_case:
        return replace(person, uid=person.uid.lower(), others=tuple(one.lower() for one in others))
    return replace(person, others=others)


def _is_only_of(person: Person, logon: str, find: Callable[[str], Person]) -> bool:
    """Tell whether the directory finds *person* by *logon* too, and no other entry."""
    try:
        found = find(logon)
    except BadUser:
        return False
    return found.has(person.uid) and not different_entry(found.entry_id, person.entry_id)


def refuse_one_too_many(
    person: Person, host: str, hosts: HostsFile, limits: Limits, is_retired: Callable[[str], bool]
) -> None:
    """Refuse *host* to a *person* who has as many other hosts as ``hosts_per_person`` allows.

    Archives do not count: no machine has their names. Retired hosts do not count either.

    Raises NotAllowed.
    """
    most = limits.hosts_per_person
    owned = {line.host for line in hosts.lines if person.may_have(line.user) and names.is_machine(line.host)}
    owned.discard(host)
    if most and len(owned) >= most:
        owned = {one for one in owned if not is_retired(one)}
    if most and len(owned) >= most:
        raise NotAllowed(
            reason=f"{most} machines at the most for a person", detail=f"{person.uid} has {len(owned)}"
        )


def _refuse_own_account(logon: str, account: str) -> None:
    # BackupPC's web pages take this account for an administrator (CgiAdminUsers).
    if is_own_account(logon, account):
        raise BadUser(logon=logon, detail="BackupPC's own account")
