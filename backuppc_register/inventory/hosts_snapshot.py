"""Build snapshot entries from the current hosts file and the existing backups."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from backuppc_register.backuppc import backups
from backuppc_register.backuppc.hosts import HostsFile, Line, Written
from backuppc_register.config import Config
from backuppc_register.inventory import missing_backups
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.state.snapshot_file import HostsSnapshot, SeenHost, SeenLine


def seen(
    current: HostsFile, known: dict[str, SeenHost], config: Config, now: datetime
) -> dict[str, SeenHost]:
    """Return the new snapshot of the hosts that have a line; *known* is the last one."""
    by_host: dict[str, list[SeenLine]] = {}
    for written in current.written():
        by_host.setdefault(written.line.host, []).append(noted(written))
    moment = now.astimezone(UTC).isoformat(timespec="seconds")
    return {
        host: with_data(SeenHost(host, tuple(lines), data=False, seen=moment), known.get(host), config)
        for host, lines in by_host.items()
    }


def with_data(host: SeenHost, before: SeenHost | None, config: Config) -> SeenHost:
    """Return *host* with whether it has data, and where; missing data stays as it was *before*."""
    if before is not None and missing_backups.why_missing(before, config):
        return replace(host, data=before.data, place=before.place)
    if not missing_backups.has_data(host.host, config):
        return replace(host, data=False, place="")
    try:
        place = backups.place(config.backuppc.data_dir, host.host)
    except HostsFileError:
        place = before.place if before else ""
    return replace(host, data=True, place=place)


def noted(written: Written) -> SeenLine:
    """Return a line as the snapshot has it."""
    return SeenLine(written.raw, written.line.dhcp, written.line.user, written.line.more_users)


def written(known: SeenHost) -> Iterable[Written]:
    """Return the lines of a host in the snapshot, as the hosts file had them."""
    return (
        Written(Line(known.host, line.dhcp, line.user, line.more_users), line.raw) for line in known.lines
    )


def note_added(added: Written, config: Config, *, data: bool) -> str:
    """Add a new hosts line to the snapshot so that `reconcile` can restore it; under BackupPC's lock.

    *data*: whether the host has data; data that the snapshot knows of stays known. Return "", or a note for
    the log if that failed: the registration is complete, and the next `reconcile` adds the line.
    """
    line, snapshot = added.line, HostsSnapshot(config.state.directory)
    try:
        known = snapshot.read()
        before = known.get(line.host)
        now = SeenHost(
            host=line.host,
            lines=(noted(added),),
            data=data or (before is not None and before.data),
            seen=datetime.now(UTC).isoformat(timespec="seconds"),
            place=before.place if before else "",
        )
        snapshot.write((known | {line.host: now}).values())
    except StateError as error:
        return f"the line was not noted: {error.detail}"
    return ""
