"""Apply what a site allows: which people may have hosts, and how many."""

from collections.abc import Callable

from backuppc_register import names
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.config import Limits
from backuppc_register.person import Person, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, NotAllowed

_BACKUPPC = "backuppc"


def is_own_account(logon: str, account: str) -> bool:
    """Tell whether *logon* is BackupPC's own *account*, or has its usual name."""
    return any(same_logon(logon, own) for own in (_BACKUPPC, account))


def find_person(logon: str, find: Callable[[str], Person], account: str) -> Person:
    """Return the person of *logon*, as *find* gets it from the directory.

    Raises BadUser, also for BackupPC's own *account*, and the errors of *find*.
    """
    if not possible_logon(logon):
        raise BadUser(logon=logon, detail="not a possible logon")
    _refuse_own_account(logon, account)
    person = find(logon)
    _refuse_own_account(person.uid, account)
    return person


def refuse_one_too_many(
    person: str, host: str, hosts: HostsFile, limits: Limits, is_retired: Callable[[str], bool]
) -> None:
    """Refuse *host* to a *person* (a uid) who has as many other hosts as ``hosts_per_person`` allows.

    Archives do not count: no machine has their names. Retired hosts do not count either.

    Raises NotAllowed.
    """
    most = limits.hosts_per_person
    owned = {
        line.host for line in hosts.lines if same_logon(line.user, person) and names.is_machine(line.host)
    }
    owned.discard(host)
    if most and len(owned) >= most:
        owned = {one for one in owned if not is_retired(one)}
    if most and len(owned) >= most:
        raise NotAllowed(
            reason=f"{most} machines at the most for a person", detail=f"{person} has {len(owned)}"
        )


def _refuse_own_account(logon: str, account: str) -> None:
    # BackupPC's web pages take this account for an administrator (CgiAdminUsers).
    if is_own_account(logon, account):
        raise BadUser(logon=logon, detail="BackupPC's own account")
