"""A server that fails as no real one does when asked: it speaks just enough LDAP to do so."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

BIND, SEARCH, STARTTLS = 0x61, 0x65, 0x78
"""Tags of the responses (RFC 4511): bind, the end of a search, an extended operation."""

Behaviour = Callable[["Client"], None]


class Client:
    """Who asks: requests come in one by one, any bytes go out."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def request(self) -> tuple[int, bytes]:
        """Wait for the next request; give its message's number and all of its bytes. Raises EOFError."""
        head = self._exactly(2)
        if head[1] > 127:
            head += self._exactly(head[1] - 128)
        length = int.from_bytes(head[2:]) if len(head) > 2 else head[1]
        body = self._exactly(length)
        return int.from_bytes(body[2 : 2 + body[1]]), head + body

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, tag: int, code: int = 0, text: str = "") -> bytes:
        """Answer the next request with a result; give the request."""
        number, request = self.request()
        self.send(message(number, result(tag, code, text)))
        return request

    def accept_bind(self) -> None:
        """Let the next request, a bind, pass."""
        self.answer(BIND)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.connection.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data


class FailingLdap:
    """A server on a free port of the loopback that treats each connection by *behaviour*."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = int(self._listener.getsockname()[1])
        self.url = f"ldap://127.0.0.1:{self.port}"
        self.connections = 0

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A close alone would leave accept and recv waiting.
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._begin(self._treat, connection)

    def _treat(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._behaviour(Client(connection))
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def ber(tag: int, *parts: bytes) -> bytes:
    """Give *parts* as the content of *tag*, in BER with definite length (X.690)."""
    content = b"".join(parts)
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 128 + len(size)]) + size + content


def message(number: int, operation: bytes) -> bytes:
    """Give an LDAPMessage."""
    return ber(0x30, ber(2, number.to_bytes(4)), operation)


def result(tag: int, code: int = 0, text: str = "", *more: bytes) -> bytes:
    """Give an LDAPResult of the kind *tag*."""
    return ber(tag, ber(10, bytes([code])), ber(4), ber(4, text.encode()), *more)


def found(dn: str, attributes: dict[str, list[bytes]]) -> bytes:
    """Give a SearchResultEntry."""
    listed = (
        ber(0x30, ber(4, name.encode()), ber(0x31, *(ber(4, value) for value in values)))
        for name, values in attributes.items()
    )
    return ber(0x64, ber(4, dn.encode()), ber(0x30, *listed))
