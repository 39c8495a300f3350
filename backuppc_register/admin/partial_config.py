"""Our configuration as far as it can be read, and BackupPC's account even if it is broken."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backuppc_register import config
from backuppc_register.backuppc import installation
from backuppc_register.config import Config
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system.account import WrongAccount

_STATE = "/var/lib/backuppc-register"


@dataclass(frozen=True)
class PartialConfig:
    """The *document* that can be read, and the *problem* with the rest, or "".

    *folder* is owned by BackupPC's account.
    """

    path: Path
    document: dict[str, Any]
    problem: str
    folder: Path

    @property
    def settings(self) -> Config:
        """Return the settings without any check."""
        return config.as_far_as_readable(self.document)

    def checked(self) -> tuple[Config, str]:
        """Return the settings and the first problem, or ""; call it as BackupPC's account."""
        if self.problem:
            return self.settings, self.problem
        try:
            return config.check(self.document), ""
        except Misconfigured as error:
            return self.settings, error.detail


def read(path: Path) -> PartialConfig:
    """Read our configuration, which may be broken or missing.

    Raises WrongAccount; Misconfigured if no folder has BackupPC's account as owner.
    """
    try:
        document, problem = config.read(path), ""
    except Misconfigured as error:
        document, problem = {}, error.detail
    if not isinstance(document.get("backuppc", {}), dict):
        document = {}
    folder = installation.config_dir()
    document["backuppc"] = {"hosts": f"{folder}/hosts", "config_dir": folder, **document.get("backuppc", {})}
    document.setdefault("state", {"directory": _STATE})
    return PartialConfig(path, document, problem, _folder_of_the_account(config.as_far_as_readable(document)))


def _folder_of_the_account(settings: Config) -> Path:
    """Return the first folder that BackupPC's account should own and that root does not own."""
    for folder in (settings.backuppc.config_dir, settings.backuppc.data_dir, settings.state.directory):
        try:
            if pwd.getpwuid(folder.stat().st_uid).pw_uid:
                return folder
        except PermissionError as error:
            raise WrongAccount(detail=f"uid {os.geteuid()} may not see {folder}") from error
        except (OSError, KeyError):
            continue
    raise Misconfigured(
        detail="no folder of BackupPC or of ours has an owner but root. Is BackupPC installed?"
    )
