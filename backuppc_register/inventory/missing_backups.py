"""Tell whether the backups of a host are still in their place, or missing, or cannot be seen now."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from backuppc_register.backuppc import backups
from backuppc_register.config import Config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.state.snapshot_file import SeenHost


@dataclass(frozen=True)
class Found:
    """What one look has shown of a host's data.

    It *exists* in *place*, or would be there. *elsewhere*: another disk is mounted now in the place of known
    data. *doubt*: why nothing can be told, "" if it can; unseen data counts as existing.
    """

    exists: bool
    place: str = ""
    elsewhere: bool = False
    doubt: str = ""

    @property
    def certain(self) -> bool:
        """Tell whether there certainly is data, on the disk that is known."""
        return self.exists and not self.elsewhere and not self.doubt


def look(host: str, known: SeenHost | None, config: Config) -> Found:
    """Look once for the data of *host*, of which the snapshot has *known*; never raise."""
    data_dir = config.backuppc.data_dir
    try:
        data = backups.data(data_dir, host)
        place = "" if data.doubt else backups.place(data_dir, host)
    except HostsFileError as error:
        return Found(exists=True, doubt=error.detail)
    if data.doubt:
        return Found(exists=True, doubt=data.doubt)
    known_place = known.place if known and known.data else ""
    return Found(data.exists, place, elsewhere=backups.is_other_place(known_place, place))


def look_at_all(
    hosts: Iterable[str], known: Mapping[str, SeenHost], config: Config
) -> tuple[dict[str, Found], dict[str, SeenHost]]:
    """Look once for the data of *hosts* and of those in the snapshot (*known*); correct the snapshot by it.

    Releases before 0.3.0 noted data of hosts that had none, if data could not be read for a moment. Such a
    note has no place. It is dropped, unless a disk is missing or something cannot be read.
    """
    found = {host: look(host, known.get(host), config) for host in dict.fromkeys([*hosts, *known])}
    placed = [found[host] for host, seen in known.items() if seen.data and seen.place]
    sound = all(one.certain for one in placed) and not any(one.doubt for one in found.values())
    corrected = {
        host: replace(seen, data=False) if sound and not seen.place and not found[host].exists else seen
        for host, seen in known.items()
    }
    return found, corrected


def is_missing(known: SeenHost | None, found: Found) -> bool:
    """Tell whether the data that *known* had is certainly not there."""
    return known is not None and known.data and (found.elsewhere or not found.exists)


def why_missing(known: SeenHost | None, config: Config) -> str:
    """Return why the data that *known* had is missing; "" if there is data, or never was any.

    It may come back with its disk, and belongs to the host's owner then. Raises HostsFileError in doubt.
    """
    if known is None or not known.data:
        return ""
    found = look(known.host, known, config)
    if found.doubt:
        raise HostsFileError(detail=found.doubt)
    if found.elsewhere:
        return f"{known.host} had backups on another disk than the one that is mounted now"
    return "" if found.exists else f"{known.host} had backups, and they are missing"


def advice(host: str, config: Config) -> str:
    """Return what an administrator can do about missing data of *host*."""
    return (
        f"Is the disk of {config.backuppc.data_dir}/pc mounted? If the data was deleted or moved on purpose: "
        f"backuppc-register-admin reconcile --forget {shlex.quote(host)}"
    )


def refuse_newcomer(status: HostStatus) -> None:
    """Refuse a host that seems to be free if backups of it are missing: its new owner could read them later.

    The caller holds BackupPC's lock. Raises HostsFileError; StateError if the snapshot cannot be read.
    """
    config = status.server.config
    if reason := why_missing(status.last_seen, config):
        raise HostsFileError(detail=f"{reason}. {advice(status.host, config)}")
