"""What does not fit together about a host, and what it is looked at with."""

from dataclasses import dataclass
from datetime import datetime

from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.config import Config
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.host_folder import HostFolders

ADMIN = "backuppc-register-admin"


@dataclass(frozen=True)
class Contradiction:
    """What does not fit together about a host, and what can be done."""

    host: str
    person: str
    what: str
    advice: str


@dataclass(frozen=True)
class Sight:
    """What is looked at, by BackupPC's *account*: *hosts* as the file was then; *now* has a time zone."""

    config: Config
    folders: HostFolders
    hosts: HostsFile
    now: datetime
    account: str

    @property
    def former(self) -> FormerOwners:
        """Return from whom hosts were taken."""
        return FormerOwners(self.config.state.directory)
