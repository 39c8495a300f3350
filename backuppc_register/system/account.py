"""Become the account that we work as: the owner of BackupPC's configuration folder."""

import os
import pwd
from pathlib import Path

from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import os_errors


class WrongAccount(Misconfigured):
    """An account started us that is neither root nor the owner; programs exit 2."""

    advice = "This program works as the owner of BackupPC's configuration folder: start it as that account."
    exit_status = 2


def become_owner(folder: Path) -> str:
    """Become the owner of *folder* for good if started as root; return the name of that account.

    BackupPC cannot read files of root: with a hosts file that root owns it sees no hosts.

    Raises WrongAccount if another account started us, Misconfigured if the owner is root or unknown, TryAgain
    for an error that says nothing about the configuration.
    """
    where = f"[backuppc] config_dir: the owner of {folder} cannot be found"
    try:
        uid = folder.stat().st_uid
        owner = pwd.getpwuid(uid)
    except PermissionError as error:
        raise WrongAccount(detail=f"started by uid {os.geteuid()}, which may not see {folder}") from error
    except OSError as error:
        raise os_errors.fault(error, f"{where}: {error}") from error
    except KeyError as error:
        raise Misconfigured(detail=f"{where}: {error}") from error
    if uid == 0:
        raise Misconfigured(detail=f"[backuppc] config_dir: {folder} belongs to root, not to BackupPC")
    if os.geteuid() == 0:
        os.initgroups(owner.pw_name, owner.pw_gid)
        os.setresgid(owner.pw_gid, owner.pw_gid, owner.pw_gid)
        os.setresuid(uid, uid, uid)
    elif os.geteuid() != uid:
        raise WrongAccount(detail=f"started by uid {os.geteuid()}, not by {owner.pw_name}")
    return owner.pw_name
