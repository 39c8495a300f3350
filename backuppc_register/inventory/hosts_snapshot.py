"""Build snapshot entries from the current hosts file and the existing backups."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from backuppc_register.backuppc.hosts import HostsFile, Line, Written
from backuppc_register.config import Config
from backuppc_register.inventory import missing_backups
from backuppc_register.inventory.missing_backups import Found
from backuppc_register.protocol.errors import StateError
from backuppc_register.state.snapshot_file import HostsSnapshot, SeenHost, SeenLine


def seen(
    current: HostsFile, known: Mapping[str, SeenHost], found: Mapping[str, Found], now: datetime
) -> dict[str, SeenHost]:
    """Return the new snapshot of the hosts that have a line.

    *known* is the last one; *found*: what one look has shown of each host's data.
    """
    by_host: dict[str, list[SeenLine]] = {}
    for written in current.written():
        by_host.setdefault(written.line.host, []).append(noted(written))
    moment = now.astimezone(UTC).isoformat(timespec="seconds")
    return {
        host: with_data(SeenHost(host, tuple(lines), data=False, seen=moment), known.get(host), found[host])
        for host, lines in by_host.items()
    }


def with_data(host: SeenHost, before: SeenHost | None, found: Found) -> SeenHost:
    """Return *host* with whether it has data, and where.

    What cannot be told stays as it was *before*, and so does missing data: a doubt is never noted.
    """
    if found.doubt or missing_backups.is_missing(before, found):
        return replace(
            host, data=before is not None and before.data, place=before.place if before is not None else ""
        )
    return replace(host, data=found.exists, place=found.place if found.exists else "")


def noted(written: Written) -> SeenLine:
    """Return a line as the snapshot has it."""
    return SeenLine(written.raw, written.line.dhcp, written.line.user, written.line.more_users)


def written(known: SeenHost) -> Iterable[Written]:
    """Return the lines of a host in the snapshot, as the hosts file had them."""
    return (
        Written(Line(known.host, line.dhcp, line.user, line.more_users), line.raw) for line in known.lines
    )


def note_added(host: str, file: HostsFile, config: Config, *, taken_from: str = "") -> str:
    """Add the lines that *host* has in *file* to the snapshot, so that `reconcile` can restore them.

    *taken_from*: the last known owner, "" for the same one. The caller holds BackupPC's lock.
    Return "", or a note for the log if that failed: the registration is complete, and the next one of the
    same person, or the next `reconcile`, adds the lines.
    """
    try:
        snapshot = HostsSnapshot(config.state.directory)
        known = snapshot.read()
        before = known.get(host)
        lines = tuple(noted(written) for written in file.written_for(host))
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        now = SeenHost(host, lines, data=False, seen=moment, taken_from=taken_from)
        new = with_data(now, before, missing_backups.look(host, before, config))
        snapshot.write((known | {host: new}).values())
    except StateError as error:
        return f"the line was not noted: {error.detail}"
    return ""
