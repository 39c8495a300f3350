"""Find backups and per-host configs of hosts that have neither a line nor a record."""

from collections.abc import Iterator
from pathlib import Path

from backuppc_register.backuppc import backups, host_config
from backuppc_register.config import Config
from backuppc_register.inventory import missing_backups
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation.inconsistency import Inconsistency


def in_data(known: set[str], config: Config) -> Iterator[Inconsistency]:
    """Yield the backups of hosts that are not *known*, and backups that cannot be read."""
    try:
        names = backups.hosts_with_folder(config.backuppc.data_dir)
    except HostsFileError as error:
        yield Inconsistency(
            "", "", str(error.detail), "Is the disk mounted, and may BackupPC's account read it?"
        )
        return
    for host in names:
        found = missing_backups.look(host, None, config)
        if found.doubt:
            yield Inconsistency(
                host, "", found.doubt, "Check the owner and mode of that folder, and its disk."
            )
        elif found.exists and host not in known:
            what = "there are backups of it, but no line and no record"
            advice = f"Add its line to the hosts file, or delete {config.backuppc.data_dir}/pc/{host}."
            yield Inconsistency(host, "", what, advice)


def in_configs(known: set[str], config: Config) -> Iterator[Inconsistency]:
    """Yield the .pl files of hosts that are not *known*, and that name a key of ours."""
    ours = str(config.state.directory / "hosts").encode()
    for path in _configs(config.backuppc.config_dir):
        try:
            content = host_config.read(config.backuppc.config_dir, path.stem)
        except StateError:
            continue
        if path.stem not in known and ours in (content or b""):
            what = f"{path} belongs to a host without line and record; no one can register that name"
            yield Inconsistency(path.stem, "", what, "Move it away.")


def _configs(config_dir: Path) -> list[Path]:
    try:
        return sorted(path for path in host_config.folder(config_dir).iterdir() if path.suffix == ".pl")
    except OSError:
        return []
