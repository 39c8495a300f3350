"""Tell whether the backups of a host are still in their place, or missing."""

import shlex

from backuppc_register.backuppc import backups
from backuppc_register.config import Config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.state.snapshot_file import SeenHost


def has_data(host: str, config: Config) -> bool:
    """Tell whether BackupPC has data of *host*; data that cannot be read counts."""
    try:
        return backups.has_backups(config.backuppc.data_dir, host)
    except HostsFileError:
        return True


def is_elsewhere(known: SeenHost, config: Config) -> bool:
    """Tell whether another disk is mounted now in the place of the data of *known*."""
    try:
        now = backups.place(config.backuppc.data_dir, known.host)
    except HostsFileError:
        return False
    return known.data and backups.is_other_place(known.place, now)


def why_missing(known: SeenHost | None, config: Config) -> str:
    """Return why the data that *known* had is missing; "" if there is data, or never was any.

    It may come back with its disk, and belongs to the host's owner then.
    """
    if known is None or not known.data:
        return ""
    if is_elsewhere(known, config):
        return f"{known.host} had backups on another disk than the one that is mounted now"
    return "" if has_data(known.host, config) else f"{known.host} had backups, and they are missing"


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
