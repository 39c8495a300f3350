"""Syslog: the one line that each request leaves, written and read back."""

import os
import re
import socket
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from backuppc_register.config import FACILITIES, Syslog
from backuppc_register.protocol.reply import escape_field, escape_text

_LEVELS = {"err": 3, "warning": 4, "notice": 5, "info": 6}  # RFC 5424, table 2
_PATIENCE = 1.0  # seconds for a syslogd whose queue is full
_LONGEST = 4096  # bytes of a line whose fields are of the usual length; rsyslog cuts at 8 KiB by default
_LONGEST_FIELD = 1024
_LEAST_DETAIL = 256
_GAP = "..."

_FIELDS = ("request", "code", "host", "user", "os", "status", "register_key")
_ADDRESS = r"[0-9A-Za-z.:]+(?:%[!-<>-\[\]-~]+)?"  # as request.connection lets them in
_LINE = re.compile(
    rf"(?:({_ADDRESS} [0-9]{{1,5}} {_ADDRESS} [0-9]{{1,5}}) )?([ -<>-~]*?)"
    + "".join(rf" {name}=([!-<>-~]*)" for name in _FIELDS)
    + r" ms=([0-9]{1,9}) detail=([ -<>-~]*)",
    re.ASCII,
)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})", re.ASCII)
# What syslogd puts before a line: RFC 3164's time, or one of ISO 8601 (rsyslog, journalctl -o short-iso).
_ROW = re.compile(
    r"(?:([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8})|([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]{4,6})))"
    r" \S+ backuppc-register(?:\[[0-9]+\])?: (.*)",
    re.ASCII,
)


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


@dataclass(frozen=True)
class Logged:
    """A line as it stands in a log: *when*, with a time zone, and what it says."""

    when: datetime
    entry: Entry


def line(entry: Entry) -> str:
    """Return the text of *entry*: connection, outcome, every field in its order, and the detail last.

    ``detail=`` goes to the end of the line, blanks and all; no ``=`` can stand in it. What is too long loses
    its middle, the field itself never.
    """
    parts = [entry.connection, entry.outcome] if entry.connection else [entry.outcome]
    values = (_shortened(escape_field(getattr(entry, name)), _LONGEST_FIELD) or "-" for name in _FIELDS)
    parts += [f"{name}={value}" for name, value in zip(_FIELDS, values, strict=True)]
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


def parse(text: str) -> Entry | None:
    """Read a line back, None where it is none of ours.

    The level is not in it. The outcome stays as it stands there; ``-`` is an empty field.
    """
    match = _LINE.fullmatch(text)
    if not match:
        return None
    connection, outcome, *values, ms, detail = match.groups()
    fields = {name: _unescaped(value) for name, value in zip(_FIELDS, values, strict=True)}
    return Entry(connection or "", outcome, "", **fields, ms=int(ms), detail=_unescaped(detail))


def parse_row(row: str, now: datetime) -> Logged | None:
    """Read a row of a syslog file back, or one of ``journalctl -o short-iso``; None where it is none of ours.

    A time without a year is the last such time that is not after *now*; without a zone it is the system's.
    """
    match = _ROW.fullmatch(row)
    entry = parse(match[3]) if match else None
    if match is None or entry is None:
        return None
    try:
        when = _without_year(match[1], now) if match[1] else datetime.fromisoformat(match[2]).astimezone()
    except ValueError:
        return None
    return Logged(when, entry)


def _without_year(stamp: str, now: datetime) -> datetime:
    latest = now + timedelta(days=1)  # a clock that was put back
    years = (now.year + 1, *range(now.year, now.year - 9, -1))
    for year in years:
        try:
            when = datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S").astimezone()
        except ValueError:  # the 29th of February
            continue
        if when <= latest:
            return when
    raise ValueError(f"no time: {stamp}")


def _unescaped(text: str) -> str:
    if text == "-":
        return ""
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")
    return raw.decode("utf-8", "surrogateescape")


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
