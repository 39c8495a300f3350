"""One DNS question to one nameserver, as bytes there and back: over UDP and, where that cuts short, TCP."""

import socket

from backuppc_register.system.deadline import Deadline

_SENDS = 3  # a lost datagram costs a third of the time, not all of it
_CUT_SHORT = 0x02  # TC, in the third byte of the header (RFC 1035, section 4.1.1)
_LONGEST_DATAGRAM = 65535  # without EDNS 512 would do, but not every server knows (RFC 1035, section 4.2.1)

SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def ask(server: str, port: int, question: bytes, patience: float) -> bytes:
    """Return the answer of *server*, a literal address, to *question* within *patience* seconds.

    The answer carries the question's number and is unchecked beyond that.

    Raises OSError, of which TimeoutError is one.
    """
    deadline = Deadline(patience)
    # A literal address is looked up nowhere, and its %zone becomes a scope.
    found = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    family, _, _, _, address = found[0]
    answer = _by_datagram(family, address, question, deadline)
    if answer[2] & _CUT_SHORT:
        answer = _by_stream(family, address, question, deadline)
    return answer


def _by_datagram(
    family: socket.AddressFamily, address: SocketAddress, question: bytes, deadline: Deadline
) -> bytes:
    every = deadline.remaining() / _SENDS
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        # Connected: the kernel drops what comes from elsewhere, and a closed port is told at once.
        channel.connect(address)
        while deadline.remaining():
            channel.send(question)
            if answer := _answer_among_datagrams(channel, question, min(every, deadline.remaining())):
                return answer
    raise TimeoutError


def _answer_among_datagrams(channel: socket.socket, question: bytes, patience: float) -> bytes:
    """Return the answer with the question's number, b"" after *patience* seconds; others are forgeries."""
    deadline = Deadline(patience)
    while left := deadline.remaining():
        channel.settimeout(left)
        try:
            answer = channel.recv(_LONGEST_DATAGRAM)
        except TimeoutError:
            break
        if len(answer) > 2 and answer[:2] == question[:2]:
            return answer
    return b""


def _by_stream(
    family: socket.AddressFamily, address: SocketAddress, question: bytes, deadline: Deadline
) -> bytes:
    with socket.socket(family, socket.SOCK_STREAM) as channel:
        _wait_at_most(channel, deadline)
        channel.connect(address)
        _wait_at_most(channel, deadline)
        channel.sendall(len(question).to_bytes(2) + question)
        answer = _read(channel, int.from_bytes(_read(channel, 2, deadline)), deadline)
    if answer[:2] != question[:2]:
        raise ConnectionError("answered another question")
    return answer


def _read(channel: socket.socket, size: int, deadline: Deadline) -> bytes:
    received = bytearray()
    while len(received) < size:
        _wait_at_most(channel, deadline)
        piece = channel.recv(size - len(received))
        if not piece:
            raise ConnectionError("hung up in the middle of its answer")
        received += piece
    return bytes(received)


def _wait_at_most(channel: socket.socket, deadline: Deadline) -> None:
    left = deadline.remaining()
    if not left:
        raise TimeoutError
    channel.settimeout(left)
