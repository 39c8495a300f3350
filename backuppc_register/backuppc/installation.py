"""Find the installation of BackupPC: its Perl library and its version."""

import re
from pathlib import Path

from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import os_errors

PLACES = tuple(
    map(Path, ("/usr/share/backuppc", "/usr/local/BackupPC", "/usr/share/BackupPC", "/opt/BackupPC"))
)
"""Where Debian's package, an installation from source and EPEL's package are, then one more usual place."""

CONFIG_DIRS = ("/etc/backuppc", "/etc/BackupPC")

_MAIN = "lib/BackupPC/Lib.pm"
_HEAD = 32 << 10  # bytes; both values are in the first 4 KiB
_VERSION = re.compile(rb"""^\s*Version\s*=>\s*["']([0-9]+)\.([0-9]+)([^"'\s]*)["']""", re.MULTILINE)
_FHS = re.compile(rb"^\s*my\s*\$useFHS\s*=\s*([01])", re.MULTILINE)
_KEY = "[backuppc] install_dir"


def config_dir() -> str:
    """Return the usual folder of BackupPC's settings on this server: Debian's or EPEL's."""
    return next((folder for folder in CONFIG_DIRS if Path(folder).is_dir()), CONFIG_DIRS[0])


def library(install_dir: str) -> Path:
    """Return BackupPC's Perl library in *install_dir*, or in a usual place if that is empty.

    Raises Misconfigured if there is none, or one of BackupPC 3; TryAgain in doubt.
    """
    main = main_file(install_dir)
    number = version(main)
    if number and int(number.partition(".")[0]) < 4:
        detail = f"BackupPC is {number} ({main}); backuppc-register needs BackupPC 4.4 or later"
        raise Misconfigured(detail=detail)
    return main.parents[1]


def main_file(install_dir: str) -> Path:
    """Return the file that has BackupPC's version; raises Misconfigured if there is none, TryAgain."""
    places = (Path(install_dir),) if install_dir else PLACES
    for place in places:
        try:
            if os_errors.exists(place / _MAIN):
                return place / _MAIN
        except OSError as error:
            raise os_errors.fault(error, f"{_KEY}: {error}") from error
    if install_dir:
        raise Misconfigured(detail=f"{_KEY}: there is no {places[0] / _MAIN}")
    raise Misconfigured(detail=f"BackupPC is not in {', '.join(map(str, places))}: set {_KEY}")


def reads_pc_folder(main: Path) -> bool | None:
    """Tell whether BackupPC reads the hosts' own settings in pc/ of its folder; None if *main* does not say.

    Raises Misconfigured, TryAgain.
    """
    found = _FHS.search(_head(main))
    return found[1] != b"0" if found else None


def version(main: Path) -> str:
    """Return the version in BackupPC's file *main*, "" if it has none; raises Misconfigured, TryAgain."""
    found = _VERSION.search(_head(main))
    return "{}.{}{}".format(*(part.decode("ascii", "replace") for part in found.groups())) if found else ""


def _head(main: Path) -> bytes:
    try:
        with main.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise os_errors.fault(error, f"{_KEY}: {error}") from error
