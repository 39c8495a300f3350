"""Checks of this machine: its disks, its clock and its syslog."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.system import log_daemons, processes

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
    """Check that syslog listens, and that a test line arrives in a log that the verb `log` reads."""
    where, names = facts.config.syslog, [one.name for one in log_daemons.installed()]
    service = names[0] if names else "systemd-journald"
    if not Path(where.socket).is_socket():
        advice = f"systemctl start {service}, or see [syslog] socket: requests are not logged."
        yield red(f"nothing listens at {where.socket}", advice)
        return
    match facts.arrived:
        case None:
            yield green("a test line was sent; only root can see whether it arrived")
        case "":
            yield _lost(where.facility, service)
        case place:
            yield from _arrived(place, where.facility)


def _arrived(place: str, facility: str) -> Iterator[Answer]:
    """Report the *place* of the test line; a rule of ours must have brought the line into our own file."""
    ruled = [one for one in log_daemons.installed() if one.rule.exists()]
    if place == str(log_daemons.LOG) or not ruled:
        yield green(f"a test line arrived in {place}")
        return
    what = f"a test line arrived in {place}, but not in {log_daemons.LOG}"
    yield yellow(what, f"See that {ruled[0].rule} has {facility}; then systemctl restart {ruled[0].name}")


def _lost(facility: str, service: str) -> Answer:
    """Report that the test line is nowhere, on a server with this syslog daemon."""
    places = f"{log_daemons.LOG}, /var/log/syslog, /var/log/messages or the journal"
    what, rules = f"a test line did not arrive in {places}", [one.rule for one in log_daemons.installed()]
    if not rules:
        return red(what, f"See systemctl status {service}; with rsyslog: backuppc-register-admin init")
    return red(what, f"See that {rules[0]} has {facility} (init writes it); then systemctl restart {service}")
