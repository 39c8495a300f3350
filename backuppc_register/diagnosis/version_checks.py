"""Checks of versions: BackupPC, rsync on the server and on the machines, libraries."""

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from backuppc_register import __version__
from backuppc_register.backuppc import host_config, installation
from backuppc_register.diagnosis.finding import Answer, green, red, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.system import os_errors, processes

RSYNC_ADVICE = "See RsyncBackupPCPath in config.pl; apt-get install backuppc-rsync"

_TIMEOUT = 3.0  # seconds
_NEW_SETUP = (
    "Run the setup of a new bundle there (backuppc-register-admin bundle): sudo sh setup.sh --repair. "
    "Without a wall, rsync before 3.5 can be led out of the shares."
)
_RSYNC = Path("/usr/libexec/backuppc-rsync/rsync_bpc")
_OLDEST_RSYNC = (3, 1, 3)
_LIBRARIES = {"ldap3": "python3-ldap3", "dnspython": "python3-dnspython"}


def backuppc(facts: ServerFacts) -> Iterator[Answer]:
    """Check BackupPC's version, because we read and write its files."""
    main = installation.main_file(facts.config.backuppc.install_dir)
    if not (number := installation.version(main)):
        yield yellow(f"{main} has no version", "See dpkg -s backuppc: we know BackupPC 4.4.")
    elif tuple(map(int, number.split(".")[:1])) < (4,) or re.match(r"4\.[0-3]\b", number):
        advice = (
            "apt-get install backuppc: 4.4 or later, because older versions have other files."
            " With BackupPC 3 every request is refused."
        )
        yield red(f"BackupPC is {number} ({main})", advice)
    else:
        yield green(f"BackupPC {number} ({main.parents[2]})")
    yield from _pc_folder(facts.config.backuppc.config_dir, main)


def _pc_folder(config_dir: Path, main: Path) -> Iterator[Answer]:
    """Check that BackupPC reads the hosts' own settings where we write them."""
    ours, below = host_config.folder(config_dir), config_dir / "pc"
    match installation.reads_pc_folder(main):
        case True if ours != below and not os_errors.exists(below):
            what = f"BackupPC reads the settings of hosts in {below}, which is not there"
            yield red(
                what, f"Make that folder, then chown it as {config_dir} is; move the .pl of hosts there."
            )
        case False if ours == below:
            what = f"BackupPC reads the settings of hosts in {config_dir}, not in the folder {below}"
            yield red(what, f"Move the .pl of hosts to {config_dir}, then rm -r {below}")


def backuppc_rsync(facts: ServerFacts) -> Iterator[Answer]:
    """Check the version of the rsync that BackupPC copies with."""
    path = str(facts.known_settings.get("RsyncBackupPCPath", "") or _RSYNC)
    try:
        ended = processes.run([path, "--version"], _TIMEOUT)
    except OSError as error:
        yield red(f"{path} cannot be started: {error}", RSYNC_ADVICE)
        return
    first = (ended.output + ended.errors).decode("utf-8", "replace").split("\n")[0].strip()
    if not (match := re.search(r"version ([0-9]+)\.([0-9]+)\.([0-9]+)", first)):
        yield red(f"{path} does not report its version", RSYNC_ADVICE)
    elif tuple(map(int, match.groups())) < _OLDEST_RSYNC:
        yield yellow(f"{path} is {first}", "apt-get install backuppc-rsync: 3.1.3 or later.")
    else:
        yield green(first)


def libraries(_: ServerFacts) -> Iterator[Answer]:
    """Report our own version and the versions of our libraries."""
    found = [f"backuppc-register {__version__}", f"Python {platform.python_version()}"]
    for name, package in _LIBRARIES.items():
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield red(f"{name} is not installed", f"apt-get install {package}")
    yield green(", ".join(found))


def clients(facts: ServerFacts) -> Iterator[Answer]:
    """Check the machines' rsync, and the wall around it, as their last `verify` reported them."""
    known = [record for record in facts.records if (record.rsync or record.verified) and not record.retired]
    old = [f"{record.host} ({record.rsync})" for record in known if _is_old(record.rsync)]
    if old:
        advice = "Ask their owners to update rsync; backuppc-register-admin show HOST names the owner."
        yield yellow(f"machines with an rsync before 3.4: {some(old)}", advice)
    bare = [f"{record.host} ({record.rsync or 'unknown'})" for record in known if not record.has_wall]
    if bare:
        yield yellow(f"machines without a wall around rsync: {some(bare)}", _NEW_SETUP)
    if known and not old and not bare:
        yield green(f"{len(known)} machines reported their rsync")


def _is_old(rsync: str) -> bool:
    """Tell whether *rsync* is a release before 3.4, which closed security holes; Apple's openrsync is not."""
    numbers = rsync.removeprefix("v").split(".")[:2]
    return all(number.isdigit() for number in numbers) and [int(number) for number in numbers] < [3, 4]
