"""Checks of BackupPC: its settings, its data folder, its daemon."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import time as clock

from backuppc_register import names
from backuppc_register.backuppc import host_config
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.backuppc.settings import Settings
from backuppc_register.diagnosis.finding import Answer, green, listed, red, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.system.deadline import Deadline

SETTINGS_ADVICE = (
    "See config.pl in [backuppc] config_dir: perl -c finds mistakes, but not an exit or an endless loop."
    " Is BackupPC's own Perl installed?"
)

# Without these BackupPC does not start, makes no backup or finds no machine.
_NEEDED = (
    "Language",
    "WakeupSchedule",
    "MaxBackups",
    "XferMethod",
    "FullPeriod",
    "SshPath",
    "RsyncBackupPCPath",
)
_TIMEOUT = 3.0  # seconds for one question
_FOR_NAMES = 3.0  # seconds for the addresses of all hosts
_ASKED = 5  # hosts that the running BackupPC must know


def settings(facts: ServerFacts) -> Iterator[Answer]:
    """Check that BackupPC's settings can be read and are there: what it cannot read counts as not set."""
    path, known = facts.config.backuppc.config_dir / "config.pl", facts.settings
    missing = [name for name in _NEEDED if known.get(name) in (None, "")]
    advice = (
        f"Restore {path} from a copy (config.pl.old beside it may be one): it is empty, cut or incomplete."
    )
    yield from listed(red, f"BackupPC cannot work: {path} does not set", missing, advice)
    yield green(f"config.pl has {len(known)} settings")


def settings_files(facts: ServerFacts) -> Iterator[Answer]:
    """Check that BackupPC can read its settings and that others cannot write them: they are programs."""
    places, account = facts.config.backuppc, facts.account
    folders = {places.config_dir, host_config.folder(places.config_dir), places.templates}
    files = [path for folder in sorted(folders) for path in sorted(folder.glob("*.pl"))]
    unreadable = [str(path) for path in files if not os.access(path, os.R_OK)]
    advice = f"chown {account} these files: the backups of these hosts fail."
    yield from listed(red, f"{account} cannot read", unreadable, advice)
    modes = {str(path): path.stat() for path in (places.config_dir, *files) if path.exists()}
    if loose := [path for path, status in modes.items() if status.st_mode & stat.S_IWOTH]:
        what = f"everybody can write {some(loose)}, and so run programs as {account}"
        yield red(what, "chmod o-w these files")
    if loose := [path for path, status in modes.items() if _a_group_writes(status)]:
        what = f"a group can write {some(loose)}, and so run programs as {account}"
        yield yellow(what, "chmod g-w these files")


def _a_group_writes(status: os.stat_result) -> bool:
    return bool(status.st_mode & stat.S_IWGRP) and status.st_gid not in (0, os.getgid())


def host_settings(facts: ServerFacts) -> Iterator[Answer]:
    """Check that BackupPC can read each host's own .pl, as far as the time allows."""
    if not facts.known_settings or not (known := facts.hosts_with_settings):
        return  # `backuppc-config` reports it
    places, results = facts.config.backuppc, facts.host_settings
    problems = [f"{host} ({why})" for host, why in sorted(results.items()) if isinstance(why, str)]
    advice = f"Correct their .pl in {places.config_dir}: these hosts are not backed up until then."
    yield from listed(red, "BackupPC cannot read the settings of", problems, advice)
    advice = "It is backed up twice: backuppc-register-admin retire one, or correct its ClientNameAlias."
    yield from listed(yellow, "hosts that are one machine:", [*_same_machines(facts)], advice)
    yield green(f"the settings of {len(results)} of {len(known)} hosts checked")


def _same_machines(facts: ServerFacts) -> Iterator[str]:
    """Return the hosts to which BackupPC comes by one name or address, as far as their settings were read."""
    by_name: dict[str, list[str]] = {}
    for host in dict.fromkeys(line.host for line in facts.lines if names.is_machine(line.host)):
        read = facts.host_settings.get(host)
        clients = read.clients if isinstance(read, Settings) else ()
        client = clients[0].lower().removesuffix(".") if clients else host
        dotted = [client] if "." in client else [f"{client}.{one}" for one in facts.config.dns.domains]
        for name in dotted:
            by_name.setdefault(name, []).append(host)
    for name, addresses in [*_addresses(facts, [*by_name])]:
        for address in addresses:  # an alias may be an address, too
            known = by_name.setdefault(address, [])
            known += [host for host in by_name[name] if host not in known]
    # Hosts with a name and several addresses in common are named once.
    return iter(dict.fromkeys(" and ".join(sorted(hosts)) for hosts in by_name.values() if len(hosts) > 1))


def _addresses(facts: ServerFacts, known: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the *known* names and their addresses, as far as the time allows; `dns` reports faults."""
    from backuppc_register.network.reverse_dns import ReverseDns  # if it is missing, other checks still run

    resolver, time = ReverseDns(facts.config.dns), Deadline(_FOR_NAMES)
    start = int(clock() // 600) % max(len(known), 1)  # other names first each time
    for name in known[start:] + known[:start]:
        if not time.remaining():
            return
        with suppress(RegisterError):
            yield name, resolver.addresses_of(name, min(1.0, time.remaining()))


def top_dir(facts: ServerFacts) -> Iterator[Answer]:
    """Check that our data_dir is BackupPC's: else hosts with backups look like hosts without."""
    ours = facts.config.backuppc.data_dir
    if not (ours / "pc").is_dir():
        yield red(f"there is no folder {ours}/pc", "See [backuppc] data_dir: is its disk mounted?")
    theirs = str(facts.known_settings.get("TopDir", ""))
    if theirs and Path(theirs).resolve() != ours.resolve():
        advice = f'Set [backuppc] data_dir = "{theirs}".'
        yield red(f"BackupPC's TopDir is {theirs}, our data_dir is {ours}", advice)


def daemon(facts: ServerFacts) -> Iterator[Answer]:
    """Check that the running BackupPC answers, and knows the hosts."""
    places = facts.config.backuppc
    theirs = str(facts.known_settings.get("RunDir") or "")
    if theirs and places.socket and Path(theirs).resolve() != Path(places.socket).parent.resolve():
        advice = f'Set [backuppc] socket = "{theirs}/BackupPC.sock": until then, no job of it is noticed.'
        yield red(f"BackupPC's RunDir is {theirs}, our socket is {places.socket}", advice)
    running = Daemon(places.socket, places.install_dir)
    if problem := running.problem(_TIMEOUT):
        advice = "systemctl status backuppc; see also [backuppc] socket. No backups are made until then."
        yield red(problem, advice)
        return
    asked = [line.host for line in facts.lines][-_ASKED:]
    unknown = [host for host in asked if not running.status(host, _TIMEOUT)]
    advice = "BackupPC_serverMesg server reload; then see BackupPC's LOG."
    yield from listed(yellow, "BackupPC does not know", unknown, advice)
    yield green("BackupPC answers")
