"""The plan of `init`, and a step of it."""

import argparse
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.config import Config
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import data_files

NONE = "there is none"


class NotDone(Exception):
    """A step cannot be done here, and has left nothing behind; the text says why."""


@dataclass(frozen=True)
class Step:
    """One thing that a ready server has: *missing* returns what it lacks, or ""; *make* adds it.

    *make* may raise NotDone.
    """

    what: str
    missing: Callable[[], str]
    make: Callable[[], object]


@dataclass(frozen=True)
class Plan:
    """What the steps work with; *text* is the configuration to write, or "" if there is one."""

    path: Path
    settings: Config
    text: str
    owner: pwd.struct_passwd
    options: argparse.Namespace

    def as_owner(self, work: Callable[[], Any]) -> Any:
        """Do *work* as BackupPC's account: root follows no path that this account can change."""
        return run_as_owner(self.settings.backuppc.config_dir, work)


def owner_of(folder: Path) -> pwd.struct_passwd:
    """Return BackupPC's account, which owns its configuration *folder*; raises Misconfigured."""
    try:
        owner = pwd.getpwuid(folder.lstat().st_uid)
    except (OSError, KeyError) as error:
        raise Misconfigured(detail=f"[backuppc] config_dir: {folder} has no owner: {error}") from error
    if owner.pw_uid == 0:
        raise Misconfigured(detail=f"[backuppc] config_dir: {folder} is owned by root, not by BackupPC")
    return owner


def packaged(name: str) -> str:
    """Return the text of the file *name* in packaging/."""
    return data_files.find(f"packaging/{name}").read_text("utf-8")
