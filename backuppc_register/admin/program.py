"""Where the forced command is, as a line of authorized_keys names it."""

import os
import shlex
import sys
from pathlib import Path

from backuppc_register import config, resources
from backuppc_register.errors import Misconfigured
from backuppc_register.state.register_keys import PROGRAM


def path() -> Path:
    """Return where the forced command is: beside the program that runs, or in the checkout that it is of."""
    beside = Path(sys.argv[0]).absolute().parent / PROGRAM
    return beside if beside.is_file() else resources.find("__init__.py").parents[1] / "bin" / PROGRAM


def command(config_path: Path) -> str:
    """Return the command line for sshd, without the register-key's label.

    ``-I``: neither the account's environment nor its files have a say in what Python loads.

    Raises Misconfigured where this account, as which sshd will start it, cannot read the program.
    """
    if not os.access(path(), os.R_OK):
        raise Misconfigured(detail=f"BackupPC's account cannot read {path()}, which sshd would start as it")
    words = [sys.executable, "-I", str(path())]
    if config_path != config.DEFAULT_PATH:
        words += ["--config", str(config_path.absolute())]
    return shlex.join(words)
