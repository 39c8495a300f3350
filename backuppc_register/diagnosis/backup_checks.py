"""Check whether backups still save what they saved: failures, backups that shrank, backups that never end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from backuppc_register.backuppc import backups
from backuppc_register.backuppc.backups import Backup
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.diagnosis.finding import Answer, green, listed, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.protocol.errors import HostsFileError

ADVICE = "See [backuppc] data_dir, and who may read it."

_TIMEOUT = 5.0  # seconds for all hosts
_LONG = timedelta(days=1)
_MANY, _SHARE = 100, 10  # files at least; a tenth of them is left


def saved(facts: ServerFacts) -> Iterator[Answer]:
    """Find hosts with backups that fail, that run for over a day, or that save much less than before.

    By its settings, an owner can leave out all files, or nearly all.
    """
    hosts, now = open_hosts(facts), datetime.now(UTC)
    places = facts.config.backuppc
    failures = Daemon(places.socket, places.install_dir).pauses(hosts, _TIMEOUT).failures
    failed = [f"{host} ({failures[host] or 'no reason given'})" for host in hosts if host in failures]
    advice = "See XferLOG on the page of the host; backuppc-register-admin show HOST."
    yield from listed(yellow, "the last backup failed:", failed, advice)
    known = {host: rows for host in hosts if (rows := _known(facts, host)) is not None}
    unread = [host for host in hosts if host not in known]
    yield from listed(yellow, "the list of backups cannot be read:", unread, ADVICE)
    less = [f"{host} ({what})" for host, rows in known.items() if (what := shrunk(rows))]
    advice = "See RsyncShareName, BackupFilesOnly and BackupFilesExclude in its .pl: its owner can edit them."
    yield from listed(yellow, "the newest backup has far fewer files than an earlier one:", less, advice)
    endless = [host for host, rows in known.items() if _runs_long(rows, now)]
    advice = "backuppc-register-admin retire HOST stops it; MaxBackups is how many run at one time."
    yield from listed(yellow, "a backup runs for over a day, or broke off:", endless, advice)
    yield green(f"the backups of {len(known)} of {len(hosts)} hosts checked")


def open_hosts(facts: ServerFacts) -> list[str]:
    """Return the hosts with a line that are neither retired nor archives."""
    closed = {record.host for record in facts.records if record.is_closed}
    return [host for host in dict.fromkeys(line.host for line in facts.lines) if host not in closed]


def shrunk(rows: tuple[Backup, ...]) -> str:
    """Return in words how much less the newest finished backup has than an earlier one, or ""."""
    done = [row.files for row in rows if row.kind in {"full", "incr"}]
    most = max(done[:-1], default=0)
    return f"{done[-1]} of {most}" if most >= _MANY and done[-1] * _SHARE < most else ""


def _runs_long(rows: tuple[Backup, ...], now: datetime) -> bool:
    return any(row.kind == "active" and now - row.started > _LONG for row in rows)


def _known(facts: ServerFacts, host: str) -> tuple[Backup, ...] | None:
    try:
        return backups.backups(facts.config.backuppc.data_dir, host)
    except HostsFileError:
        return None
