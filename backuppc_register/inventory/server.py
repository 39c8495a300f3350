"""The backup server: its configuration, BackupPC's account, and our files on disk."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backuppc_register.backuppc import host_config, lock
from backuppc_register.config import BackupPC, Config
from backuppc_register.state import ssh_files
from backuppc_register.state.host_folder import HostFolders

if TYPE_CHECKING:
    from backuppc_register.state.former_owners import FormerOwners
    from backuppc_register.state.snapshot_file import HostsSnapshot


@dataclass(frozen=True)
class Server:
    """A backup server: configuration, BackupPC's account, and our folders of the hosts."""

    config: Config
    account: str
    folders: HostFolders

    @property
    def backuppc(self) -> BackupPC:
        """Return where BackupPC has what."""
        return self.config.backuppc

    # A request of a known host reads neither of these two files, and does not import them.

    @property
    def snapshot(self) -> "HostsSnapshot":
        """Return the hosts lines as last seen, from which lost lines are restored."""
        from backuppc_register.state.snapshot_file import HostsSnapshot

        return HostsSnapshot(self.config.state.directory)

    @property
    def former_owners(self) -> "FormerOwners":
        """Return the former owners of hosts, who do not get a host back by an old editor page."""
        from backuppc_register.state.former_owners import FormerOwners

        return FormerOwners(self.config.state.directory)

    def locked(self, timeout: float = lock.TIMEOUT) -> AbstractContextManager[None]:
        """Hold BackupPC's lock, waited for at most *timeout* seconds; entering raises HostsFileError."""
        return lock.locked(self.backuppc.config_dir, timeout)

    def render_config(self, host: str, full_name: str, os: str) -> bytes:
        """Return what we write as the .pl of *host* for the OS word *os*; raises Misconfigured."""
        values = host_config.Values(host, full_name, self.folders.path(host) / ssh_files.SSH_CONFIG)
        return host_config.render(os, values, self.backuppc.templates)
