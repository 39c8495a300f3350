"""Find our programs, for a line of authorized_keys or a timer."""

import os
import shlex
import sys
from pathlib import Path

from backuppc_register import config
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.state.authorized_keys import PROGRAM
from backuppc_register.system import data_files


def path(name: str = PROGRAM) -> Path:
    """Return the path of the program *name*: beside the running one, or in the same checkout."""
    beside = Path(sys.argv[0]).absolute().parent / name
    return beside if beside.is_file() else data_files.find("__init__.py").parents[1] / "bin" / name


def command(config_path: Path) -> str:
    """Return the forced command for sshd, without the register-key's label.

    Raises Misconfigured if this account cannot read the program, because sshd starts it as this account.
    """
    if not os.access(path(), os.R_OK):
        raise Misconfigured(detail=f"BackupPC's account cannot read {path()}, which sshd starts")
    return shlex.join(_words(PROGRAM, config_path))


def admin_words(config_path: Path) -> list[str]:
    """Return the command line of the administrators' program, without a verb."""
    return _words(f"{PROGRAM}-admin", config_path)


def _words(name: str, config_path: Path) -> list[str]:
    # -I: Python loads no code from the account's environment or home folder.
    words = [sys.executable, "-I", str(path(name))]
    return words if config_path == config.DEFAULT_PATH else [*words, "--config", str(config_path.absolute())]
