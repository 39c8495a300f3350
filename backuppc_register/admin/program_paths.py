"""Where our programs are, as a line of authorized_keys or a timer names them."""

import os
import shlex
import sys
from pathlib import Path

from backuppc_register import config
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.state.authorized_keys import PROGRAM
from backuppc_register.system import data_files


def path(name: str = PROGRAM) -> Path:
    """Return where the program *name* is: beside the one that runs, or in the checkout that it is of."""
    beside = Path(sys.argv[0]).absolute().parent / name
    return beside if beside.is_file() else data_files.find("__init__.py").parents[1] / "bin" / name


def command(config_path: Path) -> str:
    """Return the forced command's line for sshd, without the register-key's label.

    Raises Misconfigured where this account, as which sshd will start it, cannot read the program.
    """
    if not os.access(path(), os.R_OK):
        raise Misconfigured(detail=f"BackupPC's account cannot read {path()}, which sshd would start as it")
    return shlex.join(_words(PROGRAM, config_path))


def admin_words(config_path: Path) -> list[str]:
    """Return the command line of the administrators' program, without a verb."""
    return _words(f"{PROGRAM}-admin", config_path)


def _words(name: str, config_path: Path) -> list[str]:
    # -I: neither the account's environment nor its files have a say in what Python loads.
    words = [sys.executable, "-I", str(path(name))]
    return words if config_path == config.DEFAULT_PATH else [*words, "--config", str(config_path.absolute())]
