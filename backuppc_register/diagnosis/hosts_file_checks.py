"""Checks of BackupPC's hosts file and of the lock for it."""

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile, Line
from backuppc_register.diagnosis.finding import Answer, green, listed, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts

ADVICE = "Is [backuppc] hosts right? If so, restore the file from a copy; hosts.old beside it may be older."
# Names that a machine has today and another machine tomorrow.
_POOL = re.compile(
    r"(?:^|[.-])(?:dhcp|dyn|dynamic|pool|wifi|wlan|vpn|ppp|guest)s?[0-9]*(?:[.-]|$)"
    r"|(?:[0-9]{1,3}-){2,3}[0-9]{1,3}"
)
_SPECIAL = {"config", "localconfig", ".", ".."}


def hosts_file(facts: ServerFacts) -> Iterator[Answer]:
    """Check the hosts file: its owner and mode, its header, and each line."""
    file, path = facts.hosts, facts.config.backuppc.hosts
    yield from _access(facts, path)
    yield from _ignored(file, path)
    yield from _harmful(file.lines, path)
    yield from _capitals(facts, file.lines, path)
    yield green(f"{len(file.lines)} lines")


def _access(facts: ServerFacts, path: Path) -> Iterator[Answer]:
    """Check owner and mode, and that a new file keeps the group."""
    status, folder = path.stat(), path.parent.stat()
    if status.st_uid != facts.uid:
        yield red(f"{path} is owned by uid {status.st_uid}", f"chown {facts.account} {path}")
    inherited = folder.st_mode & stat.S_ISGID and folder.st_gid == status.st_gid
    if not inherited and status.st_gid not in (os.getgid(), *os.getgroups()):
        yield red(f"a new {path} would lose its group, so registrations fail", f"chmod g+s {path.parent}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield yellow(f"{path} can be written by others", f"chmod go-w {path}")


def _ignored(file: HostsFile, path: Path) -> Iterator[Answer]:
    """Find lines that BackupPC ignores, in whole or in part."""
    if not hosts.has_header(file.content):
        advice = f"Make this the first line of {path}: host dhcp user moreUsers"
        yield red("the hosts file has no header line: BackupPC takes its first host for the header", advice)
    advice = f"Correct {path}: a line begins with a name of letters, digits and . - _, then a blank."
    yield from listed(yellow, "BackupPC ignores:", hosts.skipped(file.content), advice)
    # The daemon takes the last line of a host, the web pages take the first one.
    doubled = [host for host, count in Counter(line.host for line in file.lines).items() if count > 1]
    yield from listed(red, "several lines:", doubled, f"Leave one line per host in {path}.")


def _harmful(lines: Sequence[Line], path: Path) -> Iterator[Answer]:
    """Find lines that BackupPC accepts, but that do harm."""

    def hosts_with(fault: Callable[[Line], bool]) -> list[str]:
        return [line.host for line in lines if fault(line)]

    special = hosts_with(lambda line: line.host in _SPECIAL or line.host.startswith("-"))
    advice = f"Rename these hosts in {path}."
    yield from listed(red, "names with another meaning for BackupPC or ssh:", special, advice)
    dhcp = hosts_with(lambda line: line.by_netbios)
    advice = f"Set the flag to 0 in {path}: else BackupPC never begins a backup of these hosts itself."
    yield from listed(yellow, "the dhcp flag is not 0:", dhcp, advice)
    advice = f"Add a user in {path}: else no owner gets a mail when the backups stop."
    yield from listed(yellow, "no user:", hosts_with(lambda line: not line.user), advice)
    pool = hosts_with(lambda line: bool(_POOL.search(line.host)))
    advice = "Another machine may have that name tomorrow: see [dns] refuse."
    yield from listed(yellow, "names of a DHCP pool:", pool, advice)


def _capitals(facts: ServerFacts, lines: Sequence[Line], path: Path) -> Iterator[Answer]:
    """Find owners with capital letters, if the web server hands over logons in lower case."""
    if facts.config.server.lower_case_logons:
        named = [f"{line.host} ({line.user})" for line in lines if line.user != line.user.lower()]
        advice = f"Their owners do not see these hosts: they register again, or you correct {path}."
        yield from listed(yellow, "[server] lower_case_logons is true, but these are not:", named, advice)


def lock(facts: ServerFacts) -> Iterator[Answer]:
    """Check that BackupPC can open its lock file for writing; else it writes without a lock."""
    folder = facts.config.backuppc.config_dir
    path = folder / "LOCK"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        yield red(f"{path} is not a regular file", f"rm {path}; BackupPC creates it again.")
    elif path.exists() and not os.access(path, os.W_OK):
        yield red(f"{facts.account} cannot write {path}, so BackupPC works without a lock", f"rm {path}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield red(f"{facts.account} cannot write in {folder}", f"chown {facts.account} {folder}")
