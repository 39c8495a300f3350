"""Checks of the hosts file, and of its lock."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator

from backuppc_register.backuppc import hosts
from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation

_HOSTS = "Is [backuppc] hosts right? Else put that file back from a copy; hosts.old beside it may be older."
_POOL = re.compile(
    r"(?:^|[.-])(?:dhcp|dyn|dynamic|pool|wifi|wlan|vpn|ppp|guest)s?[0-9]*(?:[.-]|$)"
    r"|(?:[0-9]{1,3}-){2,3}[0-9]{1,3}"
)
_HARMFUL = {"config", "localconfig", ".", ".."}


@otherwise(_HOSTS)
def hosts_file(situation: Situation) -> Iterator[Answer]:
    """Look at the hosts file: readable, of the right owner, with a group that a new one can keep."""
    path = situation.config.backuppc.hosts
    found = situation.hosts
    status = path.stat()
    if status.st_uid != situation.uid:
        yield red(f"{path} is owned by uid {status.st_uid}", f"chown {situation.account} {path}")
    folder = path.parent.stat()
    kept = folder.st_mode & stat.S_ISGID and folder.st_gid == status.st_gid
    if not kept and status.st_gid not in (os.getgid(), *os.getgroups()):
        yield red(f"a new {path} would lose its group, so registrations fail", f"chmod g+s {path.parent}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield yellow(f"{path} can be written by others", f"chmod go-w {path}")
    yield green(f"{len(found.lines)} lines")


@otherwise(_HOSTS)
def hosts_header(situation: Situation) -> Iterator[Answer]:
    """Look for the line that names the columns: without it the first host is none."""
    if not hosts.has_header(situation.hosts.content):
        advice = f"Make this the first line of {situation.config.backuppc.hosts}: host dhcp user moreUsers"
        yield red("the hosts file has no header line: BackupPC takes its first host for one", advice)


@otherwise(_HOSTS)
def hosts_skipped(situation: Situation) -> Iterator[Answer]:
    """Look for lines that BackupPC passes over without a word."""
    if skipped := hosts.skipped(situation.hosts.content):
        advice = (
            f"Mend {situation.config.backuppc.hosts}: a line begins with a name of letters, digits,"
            " dots, hyphens, underscores, and a blank after it."
        )
        yield yellow(f"BackupPC ignores: {some(skipped)}", advice)


@otherwise(_HOSTS)
def hosts_doubled(situation: Situation) -> Iterator[Answer]:
    """Look for hosts with several lines: the daemon takes the last one, the web pages take the first one."""
    doubled = [host for host, count in Counter(line.host for line in situation.lines).items() if count > 1]
    if doubled:
        advice = f"Leave one line of each host in {situation.config.backuppc.hosts}."
        yield red(f"several lines: {some(doubled)}", advice)


@otherwise(_HOSTS)
def hosts_lines(situation: Situation) -> Iterator[Answer]:
    """Look for lines that BackupPC takes, to somebody's harm."""
    lines, path = situation.lines, situation.config.backuppc.hosts
    if harmful := [line.host for line in lines if line.host in _HARMFUL or line.host.startswith("-")]:
        advice = f"Give them other names in {path}."
        yield red(f"mean something else to BackupPC or ssh: {some(harmful)}", advice)
    if dhcp := [line.host for line in lines if line.dhcp not in ("", "0")]:
        advice = f"Put 0 there in {path}: BackupPC looks for such hosts by NetBIOS."
        yield yellow(f"the dhcp flag is not 0: {some(dhcp)}", advice)
    if nobodys := [line.host for line in lines if not line.user]:
        advice = f"Add a user in {path}: else nobody gets a mail when their backups stop."
        yield yellow(f"no user: {some(nobodys)}", advice)


@otherwise(_HOSTS)
def pool_names(situation: Situation) -> Iterator[Answer]:
    """Look for names that a machine has today and another one tomorrow."""
    pool = [line.host for line in situation.lines if _POOL.search(line.host)]
    if pool:
        advice = "Their backups are of whichever machine has the name that day: see [dns] refuse."
        yield yellow(f"names of a pool: {some(pool)}", advice)


@otherwise("See [backuppc] config_dir, and who may enter it.")
def lock(situation: Situation) -> Iterator[Answer]:
    """Look at BackupPC's lock: where it cannot be opened for writing BackupPC works without any."""
    folder = situation.config.backuppc.config_dir
    path = folder / "LOCK"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        yield red(f"{path} is not a regular file", f"Remove {path}; BackupPC makes it again.")
    elif path.exists() and not os.access(path, os.W_OK):
        yield red(f"{path} is closed to {situation.account}: BackupPC writes without a lock", f"rm {path}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield red(f"{situation.account} cannot write in {folder}", f"chown {situation.account} {folder}")


CHECKS = {
    "hosts-file": hosts_file,
    "hosts-header": hosts_header,
    "hosts-skipped": hosts_skipped,
    "hosts-doubled": hosts_doubled,
    "hosts-lines": hosts_lines,
    "pool-names": pool_names,
    "lock": lock,
}
