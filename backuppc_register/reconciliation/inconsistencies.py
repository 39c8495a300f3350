"""Where hosts file, records, per-host configs, keys and data contradict each other; nothing is decided."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from backuppc_register.backuppc import host_config
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import missing_backups
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import StateError
from backuppc_register.reconciliation import orphans
from backuppc_register.reconciliation.inconsistency import ADMIN, Contradiction
from backuppc_register.reconciliation.owner_mismatch import of_owner
from backuppc_register.reconciliation.retired_hosts import of_closed_hosts
from backuppc_register.state.records import Record

_UNFINISHED = timedelta(hours=1)  # a registration may be at work meanwhile


def contradictions(hosts: HostsFile, server: Server, now: datetime) -> Iterator[Contradiction]:
    """Yield what does not fit together; *now* has a time zone.

    Needs no lock: what is being registered meanwhile is left out. Raises StateError where our state cannot
    be listed.
    """
    users: dict[str, list[str]] = {}
    for line in hosts.lines:
        users.setdefault(line.host, []).append(line.user)
    recorded = server.folders.names()
    for host in recorded:
        yield from _of_host(host, users.get(host, []), server, now)
    yield from of_closed_hosts(recorded, hosts, server)
    known = users.keys() | set(recorded)
    yield from orphans.of_data(known, server.config)
    yield from orphans.of_configs(known, server.config)


def _of_host(host: str, users: list[str], server: Server, now: datetime) -> Iterator[Contradiction]:
    owner = ", ".join(users)
    try:
        record = server.folders.record(host)
    except StateError as error:
        advice = "Look at it, and set it right or move its folder away; the owner then registers again."
        yield Contradiction(host, owner, f"our record cannot be read: {error.detail}", advice)
        return
    if record is None:
        yield Contradiction(host, owner, "our folder of it has no record", "Its owner registers again.")
        return
    if not users:
        yield from _without_line(record, server, now)
        return
    yield from of_owner(record, users, server)
    if not record.is_closed:
        yield from _of_parts(record, server)


def _of_parts(record: Record, server: Server) -> Iterator[Contradiction]:
    host, person = record.host, record.person
    if not record.by_hand:
        again = f"{person} registers again and installs the key that is told then."
        try:
            if server.folders.public_key(host) is None:
                yield Contradiction(host, person, "there is no key pair of it", again)
        except StateError as error:
            yield Contradiction(host, person, f"its key pair is of no use: {error.detail}", again)
    try:
        if record.config and not host_config.exists(server.backuppc, host):
            what = f"{host}.pl is gone: BackupPC uses its global settings"
            yield Contradiction(host, person, what, f"{person} registers again.")
    except StateError as error:
        yield Contradiction(host, person, f"{host}.pl: {error.detail}", "See who may read it.")


def _without_line(record: Record, server: Server, now: datetime) -> Iterator[Contradiction]:
    host, person = record.host, record.person
    if missing_backups.has_data(host, server.config):
        what = "it has backups and a record, but no line; BackupPC deletes such backups at its nightly runs"
        again = "" if record.archive_of else f"{person} registers again, or "
        advice = again + f"add the line by hand: {host} 0 {person}"
        yield Contradiction(host, person, what, advice)
    elif record.by_hand:
        what = "what was kept of it when it was retired is left, but no line and no backups"
        yield Contradiction(host, person, what, f"Look at our folder of it, and move that away: {host}.")
    elif record.archive_of:
        what = "a transfer that was never finished: its archive has a record, but no line and no backups"
        yield Contradiction(
            host, person, what, f"{ADMIN} purge {host}, or transfer {record.archive_of} again."
        )
    elif _is_old(record, now):
        what = "a registration that was never finished: it has a record, but no line and no backups"
        yield Contradiction(host, person, what, f"{person} registers again; or else it does no harm.")


def _is_old(record: Record, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(record.registered) > _UNFINISHED
    except (ValueError, TypeError):  # no time, or one without a zone
        return True
