"""Compare hosts file, records, per-host configs, keys and data with each other, and decide nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from backuppc_register.backuppc import host_config
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import host_status, missing_backups
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation import orphans, owner_mismatch, retired_hosts
from backuppc_register.reconciliation.inconsistency import ADMIN, Inconsistency
from backuppc_register.state.records import Record

_UNFINISHED = timedelta(hours=1)  # a registration may be at work meanwhile
_LOCK_TIMEOUT = 2.0  # seconds for a registration that is at work


def find(hosts: HostsFile, server: Server, now: datetime) -> Iterator[Inconsistency]:
    """Yield what does not fit together; *now* has a time zone.

    Needs no lock: a registration at work is left out. Raises StateError if our state cannot be listed, or if
    the owners by administrators' commands cannot be read.
    """
    users: dict[str, list[str]] = {}
    for line in hosts.lines:
        users.setdefault(line.host, []).append(line.user)
    recorded, owners = server.folders.names(), server.former_owners.read()
    for host in recorded:
        given_to = owners[host].owner if host in owners else ""
        yield from _of_host(host, users.get(host, []), given_to, server, now)
    yield from retired_hosts.find(recorded, hosts, server)
    known = users.keys() | set(recorded)
    yield from orphans.in_data(known, server.config)
    yield from orphans.in_configs(known, server.config)


def _of_host(
    host: str, users: list[str], given_to: str, server: Server, now: datetime
) -> Iterator[Inconsistency]:
    owner = ", ".join(users)
    try:
        record = server.folders.record(host)
    except StateError as error:
        advice = "Correct it, or move its folder away; the owner then registers again."
        yield Inconsistency(host, owner, f"our record cannot be read: {error.detail}", advice)
        return
    if record is None:
        yield Inconsistency(host, owner, "our folder of it has no record", "Its owner registers again.")
        return
    if not users:
        yield from _without_line(record, server, now)
        return
    yield from owner_mismatch.find(record, users, given_to, server.account)
    if not record.is_closed:
        yield from _of_parts(record, server)


def _of_parts(record: Record, server: Server) -> Iterator[Inconsistency]:
    host, person = record.host, record.person
    if not record.by_hand:
        again = f"{person} registers again and installs the key that the server sends."
        try:
            if server.folders.public_key(host) is None:
                yield Inconsistency(host, person, "it has no key pair", again)
        except StateError as error:
            yield Inconsistency(host, person, f"its key pair is unusable: {error.detail}", again)
    try:
        if record.config and not host_config.exists(server.backuppc, host):
            what = f"{host}.pl is gone: BackupPC uses its global settings"
            yield Inconsistency(host, person, what, f"{person} registers again.")
    except StateError as error:
        yield Inconsistency(host, person, f"{host}.pl: {error.detail}", "Check its owner and mode.")


def _without_line(record: Record, server: Server, now: datetime) -> Iterator[Inconsistency]:
    host, person = record.host, record.person
    found = missing_backups.look(host, None, server.config)
    if found.doubt:
        what = f"it has a record, but no line, and {found.doubt}"
        yield Inconsistency(host, person, what, "Check the owner and mode of that folder, and its disk.")
    elif found.exists:
        what = "it has backups and a record, but no line; BackupPC deletes such backups at its nightly runs"
        again = "" if record.archive_of else f"{person} registers again, or "
        advice = again + f"add the line manually: {host} 0 {person}"
        yield Inconsistency(host, person, what, advice)
    elif record.by_hand:
        what = "files kept since it was retired are left, but no line and no backups"
        yield Inconsistency(host, person, what, f"Look at our folder hosts/{host}, and move it away.")
    elif record.archive_of:
        what = "a transfer that was never finished: the archive has a record, but no line and no backups"
        yield Inconsistency(
            host, person, what, f"{ADMIN} purge {host}, or transfer {record.archive_of} again."
        )
    elif _is_whole(record, server):
        what = "a whole registration without a line: record, key and settings are there, but no backups"
        again = f"{person} registers again, or add the line manually: {host} 0 {person}"
        yield Inconsistency(host, person, what, again)
    elif _is_old(record, now):
        what = "a registration that was never finished: it has a record, but no line and no backups"
        yield Inconsistency(host, person, what, f"{person} registers again; otherwise it does no harm.")


def _is_whole(record: Record, server: Server) -> bool:
    """Tell whether record, key and .pl are there and still no line, while no registration is at work."""
    try:
        with server.locked(_LOCK_TIMEOUT):
            status = host_status.read(record.host, server)
            whole = server.folders.is_whole(record.host)
    except (HostsFileError, StateError):
        return False
    return not status.lines and whole and (status.config is not None or not record.config)


def _is_old(record: Record, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(record.registered) > _UNFINISHED
    except (ValueError, TypeError):  # no time, or one without a zone
        return True
