"""Limit the requests at one time, of one address, and of one machine with a name in the DNS."""

import fcntl
import hashlib
import ipaddress
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backuppc_register import config
from backuppc_register.protocol.errors import HostsFileError, Refusal, TooManyRequests, TryAgain
from backuppc_register.protocol.request import Address
from backuppc_register.system.deadline import Deadline

_WINDOW = 60  # seconds
_TIMEOUT = 2.0  # seconds for the counts' lock, which is held for a millisecond
_PAUSE = 0.005  # seconds between two tries
_MORE = 30  # requests a minute of a machine over its budget, of which only a success is answered
_SHARE = 4  # this part of all places is for the addresses that have used up their budget
_MOST_ROWS = 4096
_MOST_BYTES = _MOST_ROWS * 80
_SUBNET = 64  # bits of an IPv6 address; what is below a machine chooses (RFC 4291, section 2.5.4; RFC 8981)

Rows = dict[tuple[str, int], int]
"""How many requests an address, subnet, machine or person made in a second since the epoch, oldest first."""


class Admission:
    """A request in work, and the budget that it draws from: its address's, or that of a machine with a name.

    *over*: the budget is used up, so a refusal is answered with TooManyRequests.
    """

    def __init__(self, limits: "Limits", address: str, *, over: bool) -> None:
        self._limits = limits
        self.of = address
        self.is_named = False
        self.over = over

    def named(self, name: str, logon: str) -> None:
        """Count the request for the machine *name*, no longer for its address, and for *logon* there.

        Raises TooManyRequests; HostsFileError if the counts cannot be written.
        """
        self.of, self.is_named = name, True
        self.over = self._limits.count_named(name, logon.lower())


class Limits:
    """The counts of all requests, in *folder*, which is created when first used.

    A place for a request in work is a lock on a file; the kernel releases it however the process ends. The
    counts are not precious: they are never synced, and an unreadable file is begun anew.
    """

    def __init__(self, folder: Path, settings: config.Limits) -> None:
        self._folder = folder
        self._settings = settings

    @contextmanager
    def admitted(self, peer: Address) -> Iterator[None]:
        """Count a request for the address of *peer*, and keep a place for it until it ends.

        A refused request does not count: a request that comes too early does not delay the next one, and a
        flood writes nothing.

        Raises TooManyRequests; HostsFileError if the counts cannot be written.
        """
        with _faults():
            place = self._place()
        try:
            with _faults():
                self._count(_counted(peer))
            yield
        finally:
            _leave(place)

    @contextmanager
    def asking(self, peer: Address) -> Iterator[Admission]:
        """Keep a place for a request of *peer* while the peer's name and more is asked for.

        The request counts for the address, unless `named` is called meanwhile. A used-up budget of the
        address leaves fewer places, because a machine there may have a name. A request over its budget is
        answered only if it succeeds.

        Raises TooManyRequests; HostsFileError if the counts cannot be read or written.
        """
        address = _counted(peer)
        with _faults():
            over = self._is_over(address)
            place = self._place(over=over)
        request = Admission(self, address, over=over)
        try:
            yield request
        except TooManyRequests:
            raise
        except Refusal as error:
            if request.over:
                raise self._instead_of(error, request.of) from error
            raise
        finally:
            _leave(place)
            if not request.is_named:
                # What was done is done: the answer stays, also if it cannot be counted.
                with suppress(TooManyRequests, HostsFileError), _faults():
                    self._count(address)

    def count_named(self, name: str, logon: str) -> bool:
        """Count a request for the machine *name* and for *logon*; tell whether it is over the budget.

        Raises TooManyRequests; HostsFileError.
        """
        most = self._settings.per_address
        if not most:
            return False
        machine, person = _key(name), _key(f"{name} {logon}")
        with _faults(), self._counts() as counts:
            before = counts.of(machine)
            if before >= most + _MORE:
                raise _too_many(most + _MORE, name)
            if counts.of(person) >= most:
                raise _too_many(most, f"{name} {logon}")
            counts.add(machine)
            counts.add(person)
        return before >= most

    def _place(self, *, over: bool = False) -> int | None:
        """Return the descriptor that holds a place, None if there is no limit."""
        most = self._settings.at_once
        if not most:
            return None
        if over:
            most = max(most // _SHARE, 1)
        first = os.getpid()  # processes begin at different places
        for n in range(first, first + most):
            descriptor = self._open(f"place-{n % most}")
            if _locked(descriptor):
                return descriptor
            os.close(descriptor)
        whose = " of addresses over per_address" if over else ""
        raise TooManyRequests(detail=f"[limits] at_once: {most} requests{whose} are in work")

    def _is_over(self, address: str) -> bool:
        most = self._settings.per_address
        if not most:
            return False
        with self._counts() as counts:
            return counts.of(address) >= most

    def _count(self, address: str) -> None:
        most = self._settings.per_address
        if not most:
            return
        with self._counts() as counts:
            if counts.of(address) >= most:
                raise _too_many(most, address)
            counts.add(address)

    def _instead_of(self, error: Refusal, who: str) -> TooManyRequests:
        detail = f"[limits] per_address: {self._settings.per_address} in a minute from {who}; else {error}"
        instead = TooManyRequests(detail=detail)
        instead.add_values(**error.values)
        return instead

    @contextmanager
    def _counts(self) -> Iterator["_Counts"]:
        """Read the counts under their lock, and write them if they have changed and no error was raised."""
        with os.fdopen(self._open("requests"), "r+b") as file:
            _wait_for(file.fileno())
            now = int(time.time())  # after the lock is taken: others count meanwhile
            counts = _Counts(_rows(file.read(_MOST_BYTES + 1), now), now)
            yield counts
            if counts.changed:
                file.seek(0)
                file.truncate()
                file.write(_text(counts.rows))

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self._folder / name, flags, 0o640)
        except FileNotFoundError:
            self._folder.mkdir(0o750, exist_ok=True)
            return os.open(self._folder / name, flags, 0o640)


class _Counts:
    """The counts of the last minute, while their lock is held."""

    def __init__(self, rows: Rows, now: int) -> None:
        self.rows, self.changed, self._now = rows, False, now

    def of(self, key: str) -> int:
        return sum(count for (known, _), count in self.rows.items() if known == key)

    def add(self, key: str) -> None:
        self.rows[key, self._now] = self.rows.get((key, self._now), 0) + 1
        self.changed = True


def _too_many(most: int, who: str) -> TooManyRequests:
    return TooManyRequests(detail=f"[limits] per_address: {most} in a minute from {who}")


def _counted(peer: Address) -> str:
    """Return the address or, for IPv6, the subnet that the requests of *peer* are counted for.

    The owner of a machine can use all 2^64 addresses of its subnet.
    """
    if isinstance(peer, ipaddress.IPv4Address):
        return str(peer)
    if peer.ipv4_mapped:
        return str(peer.ipv4_mapped)
    # Without the zone of a link-local address: all interfaces count together.
    return str(ipaddress.IPv6Network((int(peer), _SUBNET), strict=False))


def _key(text: str) -> str:
    """Return a key that is as short as an address, and is none."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _rows(content: bytes, now: int) -> Rows:
    """Return the counts of the last minute, none if *content* cannot be understood.

    A count dated after *now* is from before the clock was set back, and is dropped.
    """
    if len(content) > _MOST_BYTES:
        return {}
    rows: Rows = {}
    try:
        for line in content.decode("ascii").split("\n")[:-1]:
            address, second, count = line.split(" ")
            if now - _WINDOW < int(second) <= now:
                rows[address, int(second)] = int(count)
    except ValueError:
        return {}
    return rows


def _text(rows: Rows) -> bytes:
    """Return the new content of the file, without the oldest rows if there are too many.

    So a flood from many addresses gets more requests than allowed, but locks no one out; the places still
    limit the work.
    """
    kept = list(rows.items())[-_MOST_ROWS:]
    return "".join(f"{address} {second} {count}\n" for (address, second), count in kept).encode("ascii")


def _wait_for(descriptor: int) -> None:
    deadline = Deadline(_TIMEOUT)
    while not _locked(descriptor):
        if not deadline.remaining():
            raise TryAgain(detail=f"the counts of [limits] are locked for {_TIMEOUT} seconds")
        time.sleep(_PAUSE)


def _leave(place: int | None) -> None:
    """Give up the *place*, which is free also if close(2) fails."""
    if place is not None:
        with suppress(OSError):
            os.close(place)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostsFileError(detail=str(error)) from error
