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
from backuppc_register.state import request_counts
from backuppc_register.state.request_counts import Counts
from backuppc_register.system.deadline import Deadline

_TIMEOUT = 2.0  # seconds for the counts' lock, which is held for a millisecond
_PAUSE = 0.005  # seconds between two tries
_MORE = 30  # requests a minute of a machine over its budget, of which only a success is answered
_OPEN = 2  # this part of all places is open also to the addresses that have used up their budget
_SUBNET = 64  # bits of an IPv6 address; what is below a machine chooses (RFC 4291, section 2.5.4; RFC 8981)


class Admission:
    """A request in work, and the budget that it draws from: its address's, or that of a machine with a name.

    *over*: the budget is used up, so a refusal is answered with TooManyRequests.
    """

    def __init__(self, limits: "Limits", address: str) -> None:
        self._limits = limits
        self._is_counted = False
        self.of = address
        self.over = False

    def named(self, name: str, logon: str) -> None:
        """Count the request for the machine *name*, not for its address, and for *logon* there.

        Raises TooManyRequests; HostsFileError if the counts cannot be written.
        """
        self.of, self._is_counted = name, True
        self.over = self._limits.count_named(name, logon.lower())

    def end(self) -> None:
        """Count the request for its address, unless it is counted already.

        What was done is done: the answer stays, also if it cannot be counted.
        """
        if not self._is_counted:
            self._is_counted = True
            with suppress(HostsFileError):
                self.over = self._limits.count_address(self.of)


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
            place = self._place_of(address)
        request = Admission(self, address)
        try:
            yield request
        except TooManyRequests:
            raise
        except Refusal as error:
            request.end()
            if request.over:
                raise self._instead_of(error, request.of) from error
            raise
        finally:
            _leave(place)
            request.end()

    def count_address(self, address: str) -> bool:
        """Count a request for *address*; tell whether it is over the budget, and not counted.

        Raises HostsFileError.
        """
        try:
            with _faults():
                self._count(address)
        except TooManyRequests:
            return True
        return False

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

    def _place(self) -> int | None:
        """Return the descriptor that holds a place, None if there is no limit."""
        most = self._settings.at_once
        if not most:
            return None
        place = self._free(most)
        if place is None:
            raise TooManyRequests(detail=f"[limits] at_once: {most} requests are in work")
        return place

    def _place_of(self, address: str) -> int | None:
        """Return a place that is open to all, else another one, for an *address* within its budget.

        So the counts are read here only while many requests are in work.
        """
        most = self._settings.at_once
        shared = max(most // _OPEN, 1)
        if not most or (place := self._free(shared)) is None:
            if most and self._is_over(address):
                detail = f"[limits] at_once: {shared} requests are in work, and {address} is over per_address"
                raise TooManyRequests(detail=detail)
            return self._place()
        return place

    def _free(self, most: int) -> int | None:
        """Return the descriptor of a free one of the first *most* places, None if there is none."""
        first = os.getpid()  # processes begin at different places
        for n in range(first, first + most):
            descriptor = self._open(f"place-{n % most}")
            if _locked(descriptor):
                return descriptor
            os.close(descriptor)
        return None

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
    def _counts(self) -> Iterator[Counts]:
        """Read the counts under their lock, and write them if they have changed and no error was raised."""
        with os.fdopen(self._open("requests"), "r+b") as file:
            _wait_for(file.fileno())
            now = int(time.time())  # after the lock is taken: others count meanwhile
            counts = request_counts.read(file.read(request_counts.MOST_BYTES + 1), now)
            yield counts
            if counts.changed:
                file.seek(0)
                file.truncate()
                file.write(request_counts.to_bytes(counts.rows))

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self._folder / name, flags, 0o640)
        except FileNotFoundError:
            self._folder.mkdir(0o750, exist_ok=True)
            return os.open(self._folder / name, flags, 0o640)


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
