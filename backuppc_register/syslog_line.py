"""Write the one line that each request leaves in syslog."""

import os
import socket
import time
from dataclasses import dataclass

from backuppc_register.config import FACILITIES, Syslog
from backuppc_register.protocol.escaping import escape_field, escape_text

_LEVELS = {"err": 3, "warning": 4, "notice": 5, "info": 6}  # RFC 5424, table 2
_TIMEOUT = 1.0  # seconds, if the queue of syslogd is full
_LONGEST = 4096  # bytes of a line with fields of usual length; rsyslog cuts at 8 KiB by default
_LONGEST_FIELD = 1024
_BRIEF_FIELD = 64  # the longest logon that a directory can have
_BRIEF_DETAIL = 160
_LEAST_DETAIL = 256
_GAP = "..."
_BRIEF_GAP = "\\..."  # no escape begins like this, so no client can write it

FIELDS = ("request", "code", "host", "user", "os", "status", "register_key")
"""The fields of a line in their order, before ``ms=`` and ``detail=``."""


@dataclass(frozen=True)
class Entry:
    """The content of a line; *connection* and *outcome* as in the reply, the rest not escaped yet.

    *brief*: cut the values of a malformed request.
    """

    connection: str
    outcome: str
    level: str
    request: str = ""
    code: str = ""
    host: str = ""
    user: str = ""
    os: str = ""
    status: str = ""
    register_key: str = ""
    ms: int = 0
    detail: str = ""
    brief: bool = False


def line(entry: Entry) -> str:
    """Return *entry* as text: connection, outcome, all fields in their order, the detail last.

    The detail may contain blanks, but no ``=``. A value that is too long loses its middle.
    """
    parts = [entry.connection, entry.outcome] if entry.connection else [entry.outcome]
    escaped = escape_briefly if entry.brief else _escape_field
    values = (escaped(getattr(entry, name)) or "-" for name in FIELDS)
    parts += [f"{name}={value}" for name, value in zip(FIELDS, values, strict=True)]
    start = " ".join([*parts, f"ms={entry.ms}", "detail="])
    detail = escape_text(entry.detail)
    if entry.brief:
        return start + (_shortened(detail, _BRIEF_DETAIL, _BRIEF_GAP) or "-")
    return start + (_shortened(detail, max(_LONGEST - len(start), _LEAST_DETAIL)) or "-")


def escape_briefly(text: str) -> str:
    """Escape for a field of the log; a value of a malformed request loses its middle if it is long."""
    return _shortened(escape_field(text), _BRIEF_FIELD, _BRIEF_GAP)


def _escape_field(text: str) -> str:
    return _shortened(escape_field(text), _LONGEST_FIELD)


def _shortened(escaped: str, longest: int, gap: str = _GAP) -> str:
    """Cut the middle of a text that is too long: the first and last lines of a traceback say most."""
    if len(escaped) <= longest:
        return escaped
    half = (longest - len(gap) - len(r"\xH")) // 2
    end, start = (_before_escape(escaped, cut) for cut in (half, len(escaped) - half))
    return escaped[:end] + gap + escaped[start:]


def _before_escape(escaped: str, position: int) -> int:
    r"""Return *position*, or the start of the ``\xHH`` around it."""
    start = escaped.rfind("\\", max(position - 3, 0), position)
    return position if start < 0 else start


def write(entry: Entry, where: Syslog) -> bool:
    """Send *entry* to syslog and tell whether it was accepted; never raise, never wait long."""
    priority = FACILITIES[where.facility] * 8 + _LEVELS[entry.level]
    # The C locale's month, as syslog(3) writes it.
    stamp = time.strftime("%b %e %H:%M:%S")
    text = f"<{priority}>{stamp} backuppc-register[{os.getpid()}]: {line(entry)}"
    datagram = text.encode("ascii", "backslashreplace")
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        try:
            with socket.socket(socket.AF_UNIX, kind) as channel:
                channel.settimeout(_TIMEOUT)
                channel.connect(where.socket)
                channel.sendall(datagram + b"\0" * (kind is socket.SOCK_STREAM))
                return True
        except OSError:
            continue
    return False
