"""Read what a service shows to everyone: its greeting over TCP, or a web page without a login."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_NO_HEADERS: Mapping[str, str] = {}

_LONGEST = 1 << 16  # bytes


@dataclass(frozen=True)
class Page:
    """The HTTP status of an answer, and the beginning of the page."""

    status: int
    text: str


def greeting(address: str, port: int, timeout: float) -> str:
    """Connect to *port* of *address* and return the first thing that it sends; raises OSError."""
    with socket.create_connection((address, port), timeout=timeout) as channel:
        return channel.recv(255).decode("ascii", "replace").strip()


def page(url: str, timeout: float, headers: Mapping[str, str] = _NO_HEADERS) -> Page:
    """Fetch *url* (http or https) with *headers* and without a login; do not follow redirections.

    The certificate is not checked: the server learns no secret, and the page is only inspected.

    Raises OSError.
    """
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        channel: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.netloc, timeout=timeout, context=context
        )
    else:
        channel = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        channel.request(
            "GET", parts.path + (f"?{parts.query}" if parts.query else "") or "/", headers=headers
        )
        answer = channel.getresponse()
        return Page(answer.status, answer.read(_LONGEST).decode("utf-8", "replace"))
    except http.client.HTTPException as error:
        raise OSError(f"no web server: {error!r}") from error
    finally:
        channel.close()
