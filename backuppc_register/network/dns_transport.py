"""Send one DNS question to one nameserver and return its answer: over UDP, or TCP if that is cut short.

dns.query does this too, but it reads the answer before anything can look at its size: strangers own reverse
zones, and 64 KiB of long names keep dnspython 2.3 and 2.9 busy for seconds. It also measures time by the
wall clock, and 2.3 gives up at the first forged datagram.
"""

import socket
from contextlib import suppress
from functools import partial

from backuppc_register.network.timeout import with_timeout
from backuppc_register.system.deadline import Deadline

_SENDS = 3  # a lost datagram costs a third of the time, not all of it
_CUT_SHORT = 0x02  # TC, in the third byte of the header (RFC 1035, section 4.1.1)
_LONGEST_DATAGRAM = 65535  # without EDNS 512 would do, but not every server knows (RFC 1035, section 4.2.1)


def ask(server: str, port: int, question: bytes, timeout: float) -> bytes:
    """Return the answer of *server*, a literal address, to *question* within *timeout* seconds.

    The answer carries the number of the question; nothing else of it is checked.

    Raises OSError, of which TimeoutError is one.
    """
    deadline = Deadline(timeout)
    answer = _over_udp(server, port, question, timeout)
    if answer[2] & _CUT_SHORT:
        # A socket's timeout is for each read: a server could send a byte at a time.
        answer = with_timeout(deadline.remaining(), partial(_over_tcp, server, port, question, timeout))
    return answer


def _over_udp(server: str, port: int, question: bytes, timeout: float) -> bytes:
    deadline = Deadline(timeout)
    # AI_NUMERICHOST: no lookup; the %zone of an address becomes its scope.
    found = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        # On a connected socket the kernel drops datagrams from elsewhere, and reports a closed port at once.
        channel.connect(address)
        while deadline.remaining():
            channel.send(question)
            if answer := _receive(channel, question[:2], min(timeout / _SENDS, deadline.remaining())):
                return answer
    raise TimeoutError


def _receive(channel: socket.socket, number: bytes, timeout: float) -> bytes:
    """Return the answer to question *number*, or b"" after *timeout* seconds; ignore others as forged."""
    deadline = Deadline(timeout)
    while left := deadline.remaining():
        channel.settimeout(left)
        with suppress(TimeoutError):
            answer = channel.recv(_LONGEST_DATAGRAM)
            if len(answer) > 2 and answer[:2] == number:
                return answer
    return b""


def _over_tcp(server: str, port: int, question: bytes, timeout: float) -> bytes:
    with socket.create_connection((server, port), timeout) as channel, channel.makefile("rb") as stream:
        channel.sendall(len(question).to_bytes(2) + question)
        size = stream.read(2)
        answer = stream.read(int.from_bytes(size))
    if len(size) < 2 or len(answer) < int.from_bytes(size):
        raise ConnectionError("hung up in the middle of its answer")
    if answer[:2] != question[:2]:
        raise ConnectionError("answered another question")
    return answer
