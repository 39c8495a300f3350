"""Limit the requests at one time and from one address; refuse more before any work is done."""

import fcntl
import ipaddress
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backuppc_register import config
from backuppc_register.protocol.errors import HostsFileError, TooManyRequests
from backuppc_register.protocol.request import Address
from backuppc_register.system.deadline import Deadline

_WINDOW = 60  # seconds
_TIMEOUT = 2.0  # seconds for the counts' lock, which is held for a millisecond
_PAUSE = 0.005  # seconds between two tries
_MOST_ROWS = 4096
_MOST_BYTES = _MOST_ROWS * 80
_SUBNET = 64  # bits of an IPv6 address; what is below a machine chooses (RFC 4291, section 2.5.4; RFC 8981)

Rows = dict[tuple[str, int], int]
"""How many requests came from an address or subnet in a second since the epoch, oldest first."""


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
        """Count a request of *peer* and keep a place for it until it ends.

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
            if place is not None:
                os.close(place)

    def _place(self) -> int | None:
        """Return the descriptor that holds a place, None if there is no limit."""
        most = self._settings.at_once
        if not most:
            return None
        first = os.getpid()  # processes begin at different places
        for n in range(first, first + most):
            descriptor = self._open(f"place-{n % most}")
            if _locked(descriptor):
                return descriptor
            os.close(descriptor)
        raise TooManyRequests(detail=f"[limits] at_once: {most} requests are in work")

    def _count(self, address: str) -> None:
        most = self._settings.per_address
        if not most:
            return
        with os.fdopen(self._open("requests"), "r+b") as file:
            _wait_for(file.fileno())
            now = int(time.time())  # after the lock is taken: others count meanwhile
            rows = _rows(file.read(_MOST_BYTES + 1), now)
            if sum(count for (known, _), count in rows.items() if known == address) >= most:
                raise TooManyRequests(detail=f"[limits] per_address: {most} in a minute from {address}")
            rows[address, now] = rows.get((address, now), 0) + 1
            file.seek(0)
            file.truncate()
            file.write(_text(rows))

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self._folder / name, flags, 0o640)
        except FileNotFoundError:
            self._folder.mkdir(0o750, exist_ok=True)
            return os.open(self._folder / name, flags, 0o640)


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
            raise HostsFileError(detail=f"the counts of [limits] are locked for {_TIMEOUT} seconds")
        time.sleep(_PAUSE)


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
