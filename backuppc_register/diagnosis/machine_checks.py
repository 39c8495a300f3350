"""Checks of this machine: its disks, its clock and its syslog."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.system import processes

_LOW, _LOWEST = 0.05, 0.01  # of a disk's space or inodes
_MUCH = 20 << 30  # bytes; no disk with so much free space is full
_TIMEOUT = 5.0  # seconds
_ADVICE = "See systemctl status systemd-timesyncd, chrony or ntpd."


def disks(facts: ServerFacts) -> Iterator[Answer]:
    """Check the free space and inodes where BackupPC and we write."""
    places = facts.config.backuppc
    for folder in (places.data_dir, places.config_dir, facts.config.state.directory):
        if folder.exists():
            yield from _disk(folder)


def _disk(folder: Path) -> Iterator[Answer]:
    disk = os.statvfs(folder)
    space = disk.f_bavail / disk.f_blocks if disk.f_blocks else 1.0
    inodes = disk.f_favail / disk.f_files if disk.f_files else 1.0
    low = space < _LOW and disk.f_bavail * disk.f_frsize < _MUCH
    advice = f"Make room in {folder} (df -h, df -i): without it, backups and requests fail."
    for what, share, is_low in (("space", space, low), ("inodes", inodes, inodes < _LOW)):
        if is_low:
            answer = red if share < _LOWEST else yellow
            yield answer(f"{folder}: {share:.1%} of the {what} left", advice)


def clock(facts: ServerFacts) -> Iterator[Answer]:
    """Check that the clock did not go back: BackupPC misses changes of files with times in the future."""
    places = facts.config.backuppc
    watched = (facts.server.snapshot.path, places.config_dir, places.data_dir / "pc")
    ahead = [path for path in watched if path.exists() and path.stat().st_mtime > time.time() + 3600]
    if ahead:
        what = f"the clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, but {ahead[0]} has a later time"
        yield red(what, _ADVICE)
    if _synchronized() == "no":
        yield yellow("this machine's clock is not synchronized", _ADVICE)


def _synchronized() -> str:
    """Return systemd's word about the clock, ``yes`` or ``no``, or "" without systemd."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        ended = processes.run(command, _TIMEOUT)
    except OSError:
        return ""
    return ended.output.decode("ascii", "replace").strip()


def syslog(facts: ServerFacts) -> Iterator[Answer]:
    """Check that syslog listens, and that a test line arrives in the log file."""
    where = facts.config.syslog
    if not Path(where.socket).is_socket():
        advice = "systemctl start rsyslog, or see [syslog] socket: requests are not logged."
        yield red(f"nothing listens at {where.socket}", advice)
        return
    match facts.arrived:
        case None:
            yield green("a test line was sent; only root can see whether it arrived")
        case False:
            advice = f"See that packaging/rsyslog.conf has {where.facility}; then systemctl restart rsyslog"
            yield red("a test line did not arrive in the log file", advice)
        case _:
            yield green("a test line arrived")
