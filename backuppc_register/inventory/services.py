"""The services that a request asks: the DNS, the directory and the running BackupPC."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from backuppc_register.backuppc import lock
from backuppc_register.host_key import HostKey
from backuppc_register.person import Person
from backuppc_register.protocol.request import Address
from backuppc_register.system.deadline import Deadline

_FOR_BACKUPPC = 2.0  # seconds at least for telling BackupPC
_FOR_THE_LOCK_AND_AFTER = 12.5  # seconds kept back from the questions to the DNS and the directory

T = TypeVar("T")


class Trace(Protocol):
    """An observer of a request's steps, which takes each of them."""

    def __call__(self, step: str, take: Callable[[], T], /) -> T:
        """Return the result of *take*; raises its errors."""


def unlimited(_name: str, _logon: str) -> None:
    """Let a machine of this name ask for this logon, as an administrator's program may."""


def untraced(_: str, take: Callable[[], T]) -> T:
    """Take a step that is not observed."""
    return take()


class Resolver(Protocol):
    """The DNS."""

    def name_of(self, peer: Address, timeout: float) -> str:
        """Return the peer's confirmed full name; raises InvalidDnsName or DnsUnavailable."""

    def addresses_of(self, name: str, timeout: float) -> tuple[str, ...]:
        """Return the addresses of a name; raises InvalidDnsName or DnsUnavailable."""


class Directory(Protocol):
    """The people."""

    def find(self, logon: str, timeout: float) -> Person:
        """Return the person of *logon*; raises BadUser or DirectoryUnavailable."""


class Daemon(Protocol):
    """The running BackupPC."""

    def announce(self, host: str, within: float) -> str:
        """Make it know *host*; return "" or why it does not."""

    def begin_full(self, host: str, user: str, within: float) -> str:
        """Queue a full backup of *host* for *user*; return "" or why there will be none."""

    def reread(self, hosts: Sequence[str], within: float) -> str:
        """Make it read the hosts file; return "" if it knows all of *hosts*, else a sentence."""


@dataclass(frozen=True)
class Services:
    """The services that a request asks, and the *deadline* of its answer.

    *resolver* and *directory* make theirs when first asked: their libraries are slow to import. *own_keys*
    reads the ssh host keys that the machine of a ``verify`` says it has; that can take seconds. *admit*
    counts a request for the machine's full name and the logon; it raises TooManyRequests.
    """

    resolver: Callable[[], Resolver]
    directory: Callable[[], Directory]
    daemon: Daemon
    deadline: Deadline
    trace: Trace = untraced
    own_keys: Callable[[], tuple[HostKey, ...]] = tuple
    admit: Callable[[str, str], None] = unlimited

    def for_questions(self) -> float:
        """Return the seconds that questions to others may take."""
        return max(0.0, self.deadline.remaining() - _FOR_THE_LOCK_AND_AFTER)

    def for_the_lock(self) -> float:
        """Return the seconds that BackupPC's lock may be waited for."""
        return min(lock.TIMEOUT, max(0.0, self.deadline.remaining() - _FOR_BACKUPPC))

    def for_backuppc(self) -> float:
        """Return the seconds that telling BackupPC may take."""
        return max(self.deadline.remaining(), _FOR_BACKUPPC)
