"""Checks of this machine: disks, clock."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, otherwise, red, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.system import processes

_LOW, _LOWEST = 0.05, 0.01  # of a disk's space or inodes
_LEAST = 1 << 30  # bytes
_WITHIN = 5.0  # seconds
_SET_IT = "See systemctl status systemd-timesyncd, chrony or ntpd."


@otherwise("See [backuppc] data_dir, config_dir and [state] directory: are their disks mounted?")
def disks(situation: Situation) -> Iterator[Answer]:
    """Look at space and inodes where BackupPC and we write."""
    places = situation.config.backuppc
    for folder in (places.data_dir, places.config_dir, situation.config.state.directory):
        if folder.exists():
            yield from _disk(folder)


def _disk(folder: Path) -> Iterator[Answer]:
    disk = os.statvfs(folder)
    space = disk.f_bavail / disk.f_blocks if disk.f_blocks else 1.0
    inodes = disk.f_favail / disk.f_files if disk.f_files else 1.0
    free = disk.f_bavail * disk.f_frsize
    # What is small by nature, a tmpfs say, is not full; what is nearly full in parts has gigabytes left.
    low = space < _LOW and free < 20 * _LEAST
    advice = f"Make room in {folder} (df -h, df -i): without it backups and requests fail."
    for what, share, is_low in (("space", space, low), ("inodes", inodes, inodes < _LOW)):
        if share < _LOWEST and is_low:
            yield red(f"{folder}: {share:.1%} of the {what} left", advice)
        elif is_low:
            yield yellow(f"{folder}: {share:.1%} of the {what} left", advice)


@otherwise("See who may read [state] directory and [backuppc] data_dir.")
def clock(situation: Situation) -> Iterator[Answer]:
    """Look whether the clock went back: times in the future make BackupPC miss what has changed."""
    places = situation.config.backuppc
    watched = (situation.config.state.directory / "ledger", places.config_dir, places.data_dir / "pc")
    ahead = [path for path in watched if path.exists() and path.stat().st_mtime > time.time() + 3600]
    if ahead:
        what = f"the clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, and {ahead[0]} is of later"
        yield red(what, _SET_IT)
    if _synchronized() == "no":
        yield yellow("nothing keeps this machine's clock right", _SET_IT)


def _synchronized() -> str:
    """Return what systemd says about the clock, ``yes`` or ``no``; "" where it says nothing."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        ended = processes.run(command, _WITHIN)
    except OSError:
        return ""
    return ended.output.decode("ascii", "replace").strip()


CHECKS = {
    "disks": disks,
    "clock": clock,
}
