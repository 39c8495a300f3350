"""Write the one line that each request leaves in syslog."""

import os
import socket
import time
from dataclasses import dataclass

from backuppc_register.config import FACILITIES, Syslog
from backuppc_register.protocol.reply import escape_field, escape_text

_LEVELS = {"err": 3, "warning": 4, "notice": 5, "info": 6}  # RFC 5424, table 2
_PATIENCE = 1.0  # seconds for a syslogd whose queue is full
_LONGEST = 4096  # bytes of a line whose fields are of the usual length; rsyslog cuts at 8 KiB by default
_LONGEST_FIELD = 1024
_LEAST_DETAIL = 256
_GAP = "..."

FIELDS = ("request", "code", "host", "user", "os", "status", "register_key")
"""The fields of a line in their order, before ``ms=`` and ``detail=``."""


@dataclass(frozen=True)
class Entry:
    """What a line says; *connection* and *outcome* as the client got them, the rest not yet escaped."""

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


def line(entry: Entry) -> str:
    """Return the text of *entry*: connection, outcome, every field in its order, and the detail last.

    ``detail=`` goes to the end of the line, blanks and all; no ``=`` can stand in it. What is too long loses
    its middle, the field itself never.
    """
    parts = [entry.connection, entry.outcome] if entry.connection else [entry.outcome]
    values = (_shortened(escape_field(getattr(entry, name)), _LONGEST_FIELD) or "-" for name in FIELDS)
    parts += [f"{name}={value}" for name, value in zip(FIELDS, values, strict=True)]
    start = " ".join([*parts, f"ms={entry.ms}", "detail="])
    room = max(_LONGEST - len(start), _LEAST_DETAIL)
    return start + (_shortened(escape_text(entry.detail), room) or "-")


def _shortened(escaped: str, longest: int) -> str:
    """Take the middle out of a text that is too long: the first and last lines of a traceback say most."""
    if len(escaped) <= longest:
        return escaped
    half = (longest - len(_GAP) - len(r"\xH")) // 2
    end, start = (_before_escape(escaped, cut) for cut in (half, len(escaped) - half))
    return escaped[:end] + _GAP + escaped[start:]


def _before_escape(escaped: str, position: int) -> int:
    r"""Return *position*, or where the ``\xHH`` starts that lies across it."""
    start = escaped.rfind("\\", max(position - 3, 0), position)
    return position if start < 0 else start


def write(entry: Entry, where: Syslog) -> bool:
    """Send *entry* to syslog; never a reason to fail, and never a long wait. Tell whether it was taken."""
    priority = FACILITIES[where.facility] * 8 + _LEVELS[entry.level]
    # The time in the C locale's words, as syslog(3) writes it on every system.
    stamp = time.strftime("%b %e %H:%M:%S")
    text = f"<{priority}>{stamp} backuppc-register[{os.getpid()}]: {line(entry)}"
    datagram = text.encode("ascii", "backslashreplace")
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        try:
            with socket.socket(socket.AF_UNIX, kind) as channel:
                channel.settimeout(_PATIENCE)
                channel.connect(where.socket)
                channel.sendall(datagram + b"\0" * (kind is socket.SOCK_STREAM))
                return True
        except OSError:
            continue
    return False
