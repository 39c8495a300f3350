"""The server as checks see it, half of which may be broken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile, Line
from backuppc_register.backuppc.settings import SettingsReader
from backuppc_register.config import Config
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import HostsFileError, Misconfigured
from backuppc_register.state.host_folder import HostFolders

_FOR_PERL = 20.0  # seconds
_LOCK_PATIENCE = 3.0  # seconds; BackupPC stands still while somebody has it


def _unseen() -> bool | None:
    return None


@dataclass(frozen=True)
class Situation:
    """A server.

    Its configuration is ours as far as it can be read, *problem* why no further. *uid* is of its account,
    *home* the home folder. *sshd*: what sshd says of its settings for that account, lower-case words and
    values, None where only root may ask. *logon*: the person to look for in the directory, "" for one of the
    hosts file. *arrived* tells whether a line of ours comes to the log's file, None where that is not seen.
    """

    server: Server
    config_path: Path
    problem: str
    uid: int
    home: Path
    sshd: dict[str, str] | None = None
    logon: str = ""
    arrived: Callable[[], bool | None] = field(default=_unseen, repr=False)

    @property
    def config(self) -> Config:
        """Return our configuration."""
        return self.server.config

    @property
    def account(self) -> str:
        """Return the account that we work as."""
        return self.server.account

    @property
    def folders(self) -> HostFolders:
        """Return our folders of the hosts."""
        return self.server.folders

    @cached_property
    def hosts(self) -> HostsFile:
        """Return the hosts file; raises HostsFileError."""
        places = self.config.backuppc
        # LOCK is not to be made by a look: without it there is nobody to wait for.
        if not (places.config_dir / "LOCK").exists():
            return hosts.read(places.hosts)
        with self.server.locked(_LOCK_PATIENCE):
            return hosts.read(places.hosts)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return BackupPC's own settings for all hosts; raises Misconfigured."""
        return SettingsReader(self.config.backuppc).main(_FOR_PERL)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return the hosts lines; none where they cannot be read, which a check of its own tells."""
        try:
            return self.hosts.lines
        except HostsFileError:
            return ()

    @property
    def known_settings(self) -> dict[str, Any]:
        """Return BackupPC's own settings; none where they cannot be read, which a check of its own tells."""
        try:
            return self.settings
        except Misconfigured:
            return {}

    @property
    def persons(self) -> list[str]:
        """Return who has hosts, sorted, BackupPC's own account left out."""
        return sorted({line.user for line in self.lines} - {"", "backuppc", self.account})
