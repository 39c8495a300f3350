"""Apply what a site allows, and refuse logons that are no person's."""

from collections.abc import Callable

from backuppc_register import names
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.config import Limits
from backuppc_register.person import Person, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, NotAllowed

_BACKUPPC = "backuppc"


def is_own_account(logon: str, account: str) -> bool:
    """Tell whether *logon* is BackupPC's own *account*, or called like it."""
    return any(same_logon(logon, own) for own in (_BACKUPPC, account))


def refuse_own_account(logon: str, account: str) -> None:
    """Refuse BackupPC's own account, which its web interface takes for an administrator (CgiAdminUsers).

    Raises BadUser.
    """
    if is_own_account(logon, account):
        raise BadUser(logon=logon, detail="BackupPC's own account")


def find_person(logon: str, find: Callable[[str], Person], account: str) -> Person:
    """Return the person of *logon*, which *find* asks of the directory.

    Raises BadUser, also for BackupPC's own *account*, and what *find* raises.
    """
    if not possible_logon(logon):
        raise BadUser(logon=logon, detail="not a possible logon")
    refuse_own_account(logon, account)
    person = find(logon)
    refuse_own_account(person.uid, account)
    return person


def refuse_one_too_many(
    person: str, host: str, hosts: HostsFile, limits: Limits, retired: Callable[[str], bool]
) -> None:
    """Refuse *host* to a *person* (a uid) who has as many others as ``hosts_per_person`` allows.

    Archives do not count: no machine has their names. What is *retired* does not count either.

    Raises NotAllowed.
    """
    most = limits.hosts_per_person
    owned = {
        line.host for line in hosts.lines if same_logon(line.user, person) and names.is_machine(line.host)
    }
    owned.discard(host)
    if most and len(owned) >= most:
        owned = {one for one in owned if not retired(one)}
    if most and len(owned) >= most:
        raise NotAllowed(
            reason=f"{most} machines at the most for a person", detail=f"{person} has {len(owned)}"
        )
