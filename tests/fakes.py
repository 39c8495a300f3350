"""Stand-ins for what a server asks: the DNS, the directory, BackupPC and its jobs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from backuppc_register.person import Person
from backuppc_register.protocol.errors import BadUser, Busy
from backuppc_register.protocol.request import Address


class Dns:
    """A DNS that gives every peer the same *name*, and names these *addresses*."""

    def __init__(self, name: str, addresses: dict[str, tuple[str, ...]] | None = None) -> None:
        self.name = name
        self.addresses = addresses or {}

    def addresses_of(self, name: str, timeout: float) -> tuple[str, ...]:
        return self.addresses.get(name, ())

    def name_of(self, peer: Address, timeout: float) -> str:
        return self.name


class People:
    """A directory with these *people*; it notes who was asked for."""

    def __init__(self, *people: Person) -> None:
        self.people = people
        self.asked: list[str] = []

    def find(self, logon: str, timeout: float) -> Person:
        self.asked.append(logon)
        for person in self.people:
            if person.uid == logon.lower():
                return person
        raise BadUser(logon=logon)


class BackupPC:
    """A BackupPC that knows every host at once; it notes what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.queued: list[tuple[str, str]] = []
        self.problem = ""

    def begin_full(self, host: str, user: str, within: float) -> str:
        self.queued.append((host, user))
        return self.problem

    def announce(self, host: str, within: float) -> str:
        self.told.append(host)
        return ""

    def reread(self, hosts: Sequence[str], within: float) -> str:
        self.told.append([*hosts])
        return ""


@dataclass
class LockedJobs:
    """The job lock of a host; it notes which hosts BackupPC was told to know and to forget."""

    told: list[tuple[Sequence[str], Sequence[str]]] = field(default_factory=list)

    def tell(self, *, known: Sequence[str] = (), gone: Sequence[str] = ()) -> str:
        self.told.append((known, gone))
        return ""


@dataclass
class Jobs:
    """BackupPC's jobs: *busy* with the host or not; it notes who stopped which."""

    busy: bool = False
    stopped: list[tuple[str, str]] = field(default_factory=list)
    kept: LockedJobs = field(default_factory=LockedJobs)

    @contextmanager
    def kept_away(self, host: str) -> Iterator[LockedJobs]:
        if self.busy:
            raise Busy(host=host)
        yield self.kept

    def stop(self, host: str, administrator: str) -> str:
        self.stopped.append((host, administrator))
        return "no backup was pending or running"
