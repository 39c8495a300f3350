"""What there is of a host on disk, in BackupPC's files and in ours."""

from backuppc_register.backuppc import backups, host_config, hosts
from backuppc_register.inventory.ownership import Standing
from backuppc_register.inventory.server import Site


def standing_of(host: str, site: Site) -> Standing:
    """Return what there is of *host*; the caller holds BackupPC's lock. Raises what the error table has."""
    places = site.config.backuppc
    return Standing(
        hosts=hosts.read(places.hosts),
        record=site.folders.record(host),
        folder=site.folders.exists(host),
        config=host_config.read(places.config_dir, host),
        reserved=host_config.exists(places, host),
        backups=backups.has_backups(places.data_dir, host),
        overridden=host_config.overrides(places, host),
    )
