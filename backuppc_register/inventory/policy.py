"""What a site allows beyond the rules that hold everywhere."""

from collections.abc import Callable

from backuppc_register import names
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.config import Limits
from backuppc_register.person import same_logon
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


def refuse_one_too_many(
    person: str, host: str, hosts: HostsFile, limits: Limits, retired: Callable[[str], bool]
) -> None:
    """Refuse *host* to a *person* (a uid) who has as many others as ``hosts_per_person`` allows.

    Archived backups, by whose names no machine is called, do not count, nor does what is *retired*.

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
