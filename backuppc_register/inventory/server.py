"""What the rules answer a request with: the settings, those whom they ask, and for how long they may."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from backuppc_register.config import Config
from backuppc_register.person import Person
from backuppc_register.protocol.request import Address
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.system.deadline import Deadline

FOR_BACKUPPC = 2.0
"""Seconds at the least for telling BackupPC."""

_LOCK_PATIENCE = 10.0  # seconds, design section 4
_FOR_THE_LOCK_AND_AFTER = 12.5  # seconds kept back from the questions to the DNS and the directory


class Resolver(Protocol):
    """The DNS."""

    def name_of(self, peer: Address, timeout: float) -> str:
        """Return the peer's confirmed full name; raises InvalidDnsName or DnsUnavailable."""


class Directory(Protocol):
    """The people."""

    def find(self, logon: str, timeout: float) -> Person:
        """Return the person of *logon*; raises BadUser or DirectoryUnavailable."""


class Daemon(Protocol):
    """The running BackupPC."""

    def announce(self, host: str, within: float) -> str:
        """Make it know *host*; return "" or why it does not."""


@dataclass(frozen=True)
class Site:
    """Everything a request works with; *account* is the one we work as.

    *resolver* and *directory* make theirs when first asked: their libraries are slow to import.
    """

    config: Config
    account: str
    resolver: Callable[[], Resolver]
    directory: Callable[[], Directory]
    daemon: Daemon
    folders: HostFolders


def for_questions(deadline: Deadline) -> float:
    """Return the seconds that questions to others may take."""
    return max(0.0, deadline.remaining() - _FOR_THE_LOCK_AND_AFTER)


def patience(deadline: Deadline) -> float:
    """Return the seconds that BackupPC's lock may be waited for."""
    return min(_LOCK_PATIENCE, max(0.0, deadline.remaining() - FOR_BACKUPPC))
