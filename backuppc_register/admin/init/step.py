"""What init works with, and what a step of it is."""

import argparse
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.config import Config
from backuppc_register.protocol.errors import Misconfigured


@dataclass(frozen=True)
class Step:
    """One thing that a ready server has: *missing* tells what it lacks, "" for nothing; *make* mends that."""

    what: str
    missing: Callable[[], str]
    make: Callable[[], None]


@dataclass(frozen=True)
class Plan:
    """What init works with; *text* is the configuration to write, "" where there is one."""

    path: Path
    settings: Config
    text: str
    owner: pwd.struct_passwd
    options: argparse.Namespace

    def as_owner(self, work: Callable[[], Any]) -> Any:
        """Do *work* as BackupPC's account: root follows no path that this account can bend."""
        return run_as_owner(self.settings.backuppc.config_dir, work)


def owner_of(folder: Path) -> pwd.struct_passwd:
    """Return BackupPC's account, which owns its configuration *folder*; raises Misconfigured."""
    try:
        owner = pwd.getpwuid(folder.lstat().st_uid)
    except (OSError, KeyError) as error:
        raise Misconfigured(detail=f"[backuppc] config_dir: whose is {folder}? {error}") from error
    if owner.pw_uid == 0:
        raise Misconfigured(detail=f"[backuppc] config_dir: {folder} belongs to root, not to BackupPC")
    return owner
