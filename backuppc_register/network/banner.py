"""What a TCP service says first, and the page that a web server shows to somebody who is not logged in."""

import http.client
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

_LONGEST = 1 << 16  # bytes


@dataclass(frozen=True)
class Page:
    """A web server's answer: its HTTP status and the beginning of the page."""

    status: int
    text: str


def greeting(address: str, port: int, within: float) -> str:
    """Return what *address* says by itself when somebody connects to *port*; raises OSError."""
    with socket.create_connection((address, port), timeout=within) as channel:
        return channel.recv(255).decode("ascii", "replace").strip()


def page(url: str, within: float) -> Page:
    """Return what *url*, http or https, shows without a login; redirections are not followed.

    The certificate is not checked: nothing is told to the server, and what it shows is only looked at.

    Raises OSError.
    """
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        channel: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.netloc, timeout=within, context=context
        )
    else:
        channel = http.client.HTTPConnection(parts.netloc, timeout=within)
    try:
        channel.request("GET", parts.path + (f"?{parts.query}" if parts.query else "") or "/")
        answer = channel.getresponse()
        return Page(answer.status, answer.read(_LONGEST).decode("utf-8", "replace"))
    except http.client.HTTPException as error:
        raise OSError(f"no web server: {error!r}") from error
    finally:
        channel.close()
