"""Syslog: the one line that each request leaves."""

import os
import socket
import time
from dataclasses import dataclass

from backuppc_register.config import FACILITIES, Syslog
from backuppc_register.reply import escape_field, escape_words

_LEVELS = {"err": 3, "warning": 4, "notice": 5, "info": 6}  # RFC 5424, table 2
_PATIENCE = 1.0  # seconds for a syslogd whose queue is full
_LONGEST = 4096  # bytes; rsyslog cuts at 8 KiB by default


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

    ``detail=`` goes to the end of the line, blanks and all; no ``=`` can stand in it.
    """
    names = ("request", "code", "host", "user", "os", "status", "register_key")
    parts = [entry.connection, entry.outcome] if entry.connection else [entry.outcome]
    parts += [f"{name}={escape_field(getattr(entry, name)) or '-'}" for name in names]
    parts += [f"ms={entry.ms}", f"detail={escape_words(entry.detail) or '-'}"]
    return " ".join(parts)[:_LONGEST]


def write(entry: Entry, where: Syslog) -> None:
    """Send *entry* to syslog; never a reason to fail, and never a long wait."""
    priority = FACILITIES[where.facility] * 8 + _LEVELS[entry.level]
    # The time in the C locale's words, as syslog(3) writes it on every system.
    stamp = time.strftime("%b %e %H:%M:%S")
    text = f"<{priority}>{stamp} backuppc-register[{os.getpid()}]: {line(entry)}"
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        try:
            with socket.socket(socket.AF_UNIX, kind) as channel:
                channel.settimeout(_PATIENCE)
                channel.connect(where.socket)
                channel.sendall(text.encode("ascii") + (b"\0" if kind is socket.SOCK_STREAM else b""))
                return
        except OSError:
            continue
