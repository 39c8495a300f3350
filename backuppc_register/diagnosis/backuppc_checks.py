"""Checks of what is BackupPC's: its files, its settings, its daemon, its programs."""

import os
import re
import stat
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backuppc_register.backuppc import host_config, hosts
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.backuppc.settings import SettingsReader
from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.system import data_files, processes

_WITHIN = 3.0  # seconds
_FOR_HOSTS = 10.0  # seconds, for all hosts' own settings
_ASKED = 5  # hosts that the running BackupPC is asked for
_HARDEN = "Append packaging/backuppc-hardening.pl to config.pl: backuppc-register-admin init does."
_HOSTS = "Is [backuppc] hosts right? Else put that file back from a copy; hosts.old beside it may be older."
_CLOSED = re.compile(r"^\$Conf\{CgiUserConfigEdit\}\{(\w+)\} = 0;", re.MULTILINE)
_CLOSED_LIKE = re.compile(r"^\$Conf\{CgiUserConfigEdit\}\{\$_\} = 0 for grep \{ /(\S+)/ \}", re.MULTILINE)
# What reaches a command line on this server: whoever may edit one of them runs programs as BackupPC.
_RUNS = {"RsyncSshArgs", "RsyncArgs", "RsyncArgsExtra", "RsyncFullArgsExtra", "RsyncIncrArgsExtra"}
_RUNS |= {"RsyncRestoreArgs", "RsyncRestoreArgsExtra", "RsyncClientPath", "RsyncBackupPCPath", "XferMethod"}
_POOL = re.compile(
    r"(?:^|[.-])(?:dhcp|dyn|dynamic|pool|wifi|wlan|vpn|ppp|guest)s?[0-9]*(?:[.-]|$)"
    r"|(?:[0-9]{1,3}-){2,3}[0-9]{1,3}"
)
_HARMFUL = {"config", "localconfig", ".", ".."}
_RSYNC = Path("/usr/libexec/backuppc-rsync/rsync_bpc")
_LIBRARY = Path("/usr/share/backuppc/lib/BackupPC/Lib.pm")
_OLDEST_RSYNC = (3, 1, 3)


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


@otherwise(
    "See config.pl in [backuppc] config_dir: perl -c tells a mistake. Is BackupPC's own Perl installed?"
)
def settings(situation: Situation) -> Iterator[Answer]:
    """Look whether BackupPC's settings can be read: what BackupPC cannot read is as if it were not set."""
    count = len(situation.settings)
    yield green(f"config.pl has {count} settings")


@otherwise("See [backuppc] config_dir, and who may enter it.")
def perl_files(situation: Situation) -> Iterator[Answer]:
    """Look at the settings, which BackupPC runs as programs: it can read them, and nobody else write them."""
    places, account = situation.config.backuppc, situation.account
    files = [path for folder in (places.config_dir, places.templates) for path in sorted(folder.glob("*.pl"))]
    if closed := [str(path) for path in files if not os.access(path, os.R_OK)]:
        yield red(f"closed to {account}: {some(closed)}", f"Their backups fail: chown {account} them.")
    modes = {str(path): path.stat() for path in (places.config_dir, *files) if path.exists()}
    if loose := [path for path, status in modes.items() if status.st_mode & stat.S_IWOTH]:
        yield red(f"everybody can write {some(loose)}, and so run programs as {account}", "chmod o-w them")
    if loose := [path for path, status in modes.items() if _a_group_writes(status)]:
        yield yellow(f"a group can write {some(loose)}, and so run programs as {account}", "chmod g-w them")


def _a_group_writes(status: os.stat_result) -> bool:
    return bool(status.st_mode & stat.S_IWGRP) and status.st_gid not in (0, os.getgid())


@otherwise("See [backuppc] config_dir, and who may enter it.")
def host_settings(situation: Situation) -> Iterator[Answer]:
    """Look whether BackupPC can read what each host's own .pl changes, as far as the time allows."""
    places = situation.config.backuppc
    known = sorted({line.host for line in situation.lines if host_config.exists(places, line.host)})
    if not known or not situation.known_settings:
        return  # `backuppc-config` tells
    start = int(time.time() // 600) % len(known)
    told = SettingsReader(places).each(known[start:] + known[:start], _FOR_HOSTS)
    problems = [f"{host} ({why})" for host, why in sorted(told.items()) if isinstance(why, str)]
    if problems:
        advice = f"Mend their .pl in {places.config_dir}: no backup of them is made until then."
        yield red(f"BackupPC cannot read the settings of {some(problems, '; ')}", advice)
    yield green(f"the settings of {len(told)} of {len(known)} hosts looked at")


@otherwise("See [backuppc] data_dir: is its disk mounted?")
def top_dir(situation: Situation) -> Iterator[Answer]:
    """Look whether our data_dir is BackupPC's: else hosts with backups look as if they had none."""
    ours = situation.config.backuppc.data_dir
    if not (ours / "pc").is_dir():
        yield red(f"{ours}/pc is not there", "Is the disk mounted? See [backuppc] data_dir.")
    told = str(situation.known_settings.get("TopDir", ""))
    if told and Path(told).resolve() != ours.resolve():
        yield red(
            f"BackupPC's TopDir is {told}, our data_dir is {ours}", f'Set [backuppc] data_dir = "{told}".'
        )


@otherwise(_HARDEN)
def web_editor(situation: Situation) -> Iterator[Answer]:
    """Look at what owners may edit: some settings run programs on this server, some stop the backups."""
    yield from open_to_owners(situation.known_settings)


def open_to_owners(told: dict[str, Any]) -> Iterator[Answer]:
    """Yield what owners may edit to somebody's harm, by what config.pl has set, *told*."""
    editable = told.get("CgiUserConfigEdit", {})
    if not told or not told.get("CgiUserConfigEditEnable", True) or not isinstance(editable, dict):
        return
    snippet = data_files.find("packaging/backuppc-hardening.pl").read_text("utf-8")
    closed, like = set(_CLOSED.findall(snippet)), [re.compile(one) for one in _CLOSED_LIKE.findall(snippet)]
    # What config.pl does not name is closed (CGI/EditConfig.pm).
    open_ = {name for name, value in editable.items() if value not in (0, "0", "", None)}
    runs = sorted(name for name in open_ if name in _RUNS or name.endswith("Cmd"))
    if runs:
        yield red(f"every owner of a host can run programs here, by {some(runs)}", _HARDEN)
    elif loose := sorted(name for name in open_ if name in closed or any(one.search(name) for one in like)):
        yield yellow(f"owners can edit {some(loose)}", _HARDEN)


@otherwise("See CgiAdminUsers in config.pl.")
def admin_users(situation: Situation) -> Iterator[Answer]:
    r"""Look who is an administrator without being meant: BackupPC finds a logon in the list by ``\b``."""
    admins = str(situation.known_settings.get("CgiAdminUsers", "") or "")
    if admins.strip() == "*":
        yield red(
            "CgiAdminUsers is *: everybody is an administrator", "Name them: CgiAdminUsers in config.pl."
        )
        return
    meant = set(re.split(r"[\s,]+", admins))
    by_chance = [
        one for one in situation.persons if one not in meant and re.search(rf"\b{re.escape(one)}\b", admins)
    ]
    if by_chance:
        what = f"CgiAdminUsers makes administrators of {some(by_chance)}"
        yield red(what, "Use other names in CgiAdminUsers: jean-admin lets in jean and admin.")
    elif parts := sorted(name for name in meant if re.search(r"\w\W+\w", name)):
        what = f"CgiAdminUsers has {some(parts)}: who is called like a part of it is an administrator"
        yield yellow(what, "Use names of letters and digits alone in CgiAdminUsers.")


@otherwise("systemctl status backuppc; see also [backuppc] socket.")
def daemon(situation: Situation) -> Iterator[Answer]:
    """Look whether the running BackupPC answers, and knows the hosts."""
    talk = Daemon(situation.config.backuppc.socket)
    if problem := talk.problem(_WITHIN):
        advice = "systemctl status backuppc; see also [backuppc] socket. No backups are made meanwhile."
        yield red(problem, advice)
        return
    asked = [line.host for line in situation.lines][-_ASKED:]
    if unknown := [host for host in asked if not talk.status(host, _WITHIN)]:
        advice = "BackupPC_serverMesg server reload; then see BackupPC's LOG."
        yield yellow(f"BackupPC does not know {some(unknown)}", advice)
    yield green("BackupPC answers")


@otherwise("Is BackupPC installed? apt-get install backuppc")
def version(situation: Situation) -> Iterator[Answer]:
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


CHECKS = {
    "hosts-file": hosts_file,
    "hosts-header": hosts_header,
    "hosts-skipped": hosts_skipped,
    "hosts-doubled": hosts_doubled,
    "hosts-lines": hosts_lines,
    "pool-names": pool_names,
    "lock": lock,
    "backuppc-config": settings,
    "settings-files": perl_files,
    "host-settings": host_settings,
    "top-dir": top_dir,
    "web-editor": web_editor,
    "admin-users": admin_users,
    "daemon": daemon,
    "backuppc": version,
    "backuppc-rsync": rsync,
}
