"""Check whether backups of hosts are paused on BackupPC's page."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.diagnosis.backup_checks import open_hosts
from backuppc_register.diagnosis.finding import Answer, green, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts

_TIMEOUT = 5.0  # seconds for all hosts
_SHORT = timedelta(days=2)


def pauses(facts: ServerFacts) -> Iterator[Answer]:
    """Find hosts with backups that are paused for more than two days."""
    hosts = open_hosts(facts)
    if not hosts:
        return
    places = facts.config.backuppc
    found, now = Daemon(places.socket, places.install_dir).pauses(hosts, _TIMEOUT), datetime.now(UTC)
    ends = sorted((end, host) for host in hosts if (end := found.end(host, now)))
    if long := [
        f"{host} until {end.astimezone():%Y-%m-%d}" for end, host in reversed(ends) if end - now > _SHORT
    ]:
        advice = "reconcile lifts those beyond [limits] longest_pause_days; the host's page any, by 0 hours."
        yield yellow(f"backups are paused on BackupPC's page: {some(long)}", advice)
    if unknown := [host for host in hosts if found.doubt(host)]:
        what = f"it is not known whether {some(unknown)} are paused: {found.doubt(unknown[0])}"
        yield yellow(what, "systemctl status backuppc; see also [backuppc] socket.")
    yield green(f"the pauses of {len(hosts) - len(unknown)} of {len(hosts)} hosts checked")
