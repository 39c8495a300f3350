"""Checks of BackupPC: its settings, its data, its daemon."""

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from backuppc_register.backuppc import host_config
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.backuppc.settings import SettingsReader
from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation

_WITHIN = 3.0  # seconds
_FOR_HOSTS = 10.0  # seconds, for all hosts' own settings
_ASKED = 5  # hosts that the running BackupPC is asked for


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


CHECKS = {
    "backuppc-config": settings,
    "settings-files": perl_files,
    "host-settings": host_settings,
    "top-dir": top_dir,
    "daemon": daemon,
}
