"""Checks of versions: our own, the libraries', BackupPC's, the machines' rsync."""

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from backuppc_register import __version__
from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.protocol.errors import StateError
from backuppc_register.state.records import Record
from backuppc_register.system import processes

_WITHIN = 3.0  # seconds
_RSYNC = Path("/usr/libexec/backuppc-rsync/rsync_bpc")
_LIBRARY = Path("/usr/share/backuppc/lib/BackupPC/Lib.pm")
_OLDEST_RSYNC = (3, 1, 3)
_LIBRARIES = {"ldap3": "python3-ldap3", "dnspython": "python3-dnspython", "paramiko": "python3-paramiko"}


def libraries(situation: Situation) -> Iterator[Answer]:
    """Look at our own version, and at those of the libraries that we use."""
    found = [f"backuppc-register {__version__}", f"Python {platform.python_version()}"]
    for name, package in _LIBRARIES.items():
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield red(f"there is no {name}", f"apt-get install {package}")
    yield green(", ".join(found))


@otherwise("Is BackupPC installed? apt-get install backuppc")
def backuppc(situation: Situation) -> Iterator[Answer]:
    """Look at BackupPC's own version: its files are what we read and write."""
    text = _LIBRARY.read_text("utf-8", "replace")
    match = re.search(r"^\s*Version\s*=>\s*'(([0-9]+)\.([0-9]+)[^']*)'", text, re.MULTILINE)
    if match is None:
        yield yellow(
            f"{_LIBRARY} does not tell BackupPC's version", "See dpkg -s backuppc: we know BackupPC 4.4."
        )
    elif (int(match[2]), int(match[3])) < (4, 4):
        yield red(
            f"BackupPC is {match[1]}", "apt-get install backuppc: 4.4 or later, its files were others before."
        )
    else:
        yield green(f"BackupPC {match[1]}")


@otherwise("See RsyncBackupPCPath in config.pl; apt-get install backuppc-rsync")
def rsync(situation: Situation) -> Iterator[Answer]:
    """Look at the version of what BackupPC copies with."""
    told = str(situation.known_settings.get("RsyncBackupPCPath", "") or _RSYNC)
    try:
        ended = processes.run([told, "--version"], _WITHIN)
    except OSError as error:
        yield red(f"{told} cannot be started: {error}", "apt-get install backuppc-rsync")
        return
    first = (ended.output + ended.errors).decode("utf-8", "replace").split("\n")[0].strip()
    if not (match := re.search(r"version ([0-9]+)\.([0-9]+)\.([0-9]+)", first)):
        yield red(f"{told} does not say its version", "apt-get install backuppc-rsync")
    elif tuple(map(int, match.groups())) < _OLDEST_RSYNC:
        yield yellow(f"{told} is {first}", "apt-get install backuppc-rsync: 3.1.3 or later.")
    else:
        yield green(first)


@otherwise("See who may read [state] directory, and if its disk is there.")
def clients(situation: Situation) -> Iterator[Answer]:
    """Look at the machines' rsync, as their last `verify` told it."""
    told = [record for record in _records(situation) if record.rsync and not record.retired]
    old = [f"{record.host} ({record.rsync})" for record in told if _is_old(record.rsync)]
    if old:
        yield yellow(
            f"machines with an rsync before 3.4: {some(old)}",
            "Their owners, whom backuppc-register-admin show names, should update it.",
        )
    elif told:
        yield green(f"{len(told)} machines have told their rsync")


def _is_old(rsync: str) -> bool:
    """Tell whether it is a release before 3.4, which closed holes; Apple's openrsync counts otherwise."""
    numbers = rsync.removeprefix("v").split(".")[:2]
    return all(number.isdigit() for number in numbers) and [int(number) for number in numbers] < [3, 4]


def _records(situation: Situation) -> Iterator[Record]:
    for host in situation.folders.names():
        try:
            record = situation.folders.record(host)
        except StateError:
            continue  # `undecided` tells
        if record is not None:
            yield record


CHECKS = {
    "backuppc": backuppc,
    "backuppc-rsync": rsync,
    "libraries": libraries,
    "clients": clients,
}
