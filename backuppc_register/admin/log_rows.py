"""Read the lines of requests back from the rows of a log."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backuppc_register.syslog_line import FIELDS, Entry

_ADDRESS = r"[0-9A-Za-z.:]+(?:%[!-<>-\[\]-~]+)?"  # as request.connection accepts them
_LINE = re.compile(
    rf"(?:({_ADDRESS} [0-9]{{1,5}} {_ADDRESS} [0-9]{{1,5}}) )?([ -<>-~]*?)"
    + "".join(rf" {name}=([!-<>-~]*)" for name in FIELDS)
    + r" ms=([0-9]{1,9}) detail=([ -<>-~]*)",
    re.ASCII,
)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})", re.ASCII)
# The time before a line: RFC 3164's, one of ISO 8601 (rsyslog, syslog-ng, journalctl -o short-iso), or
# seconds (journalctl -o short-unix). No other program's name may stand before ours.
_ROW = re.compile(
    r"(?:<[0-9]{1,3}>1? ?)?(?:[A-Z][a-z]{2} (?=[0-9]{4}-))?"
    r"(?:([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8})(?:\.[0-9]+)?"
    r"|([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]+(?:Z| UTC|[+-][0-9:]{4,6})?)"
    r"|([0-9]{9,11})\.[0-9]+)"
    r"(?: [^\s\[\]:]+)?(?: [a-z0-9]+\.[a-z]+)?"  # the host; busybox's facility and level
    r" backuppc-register(?:\[[0-9]+\]:| [0-9]+ - -|:) (.*)",
    re.ASCII,
)


@dataclass(frozen=True)
class Logged:
    """A line of a log: *when*, with a time zone, and the *entry*."""

    when: datetime
    entry: Entry


def parse_row(row: str, now: datetime) -> Logged | None:
    """Read a row of a syslog file of any usual form, or one of journalctl's; None if it is not ours.

    A time without a year is the last such time before *now*; without a zone, it is in the system's zone.
    """
    match = _ROW.fullmatch(row)
    entry = parse(match[4]) if match else None
    if match is None or entry is None:
        return None
    try:
        when = _time(match, now)
    except ValueError:
        return None
    return Logged(when, entry)


def _time(match: re.Match[str], now: datetime) -> datetime:
    if match[1]:
        return _without_year(match[1], now)
    if match[3]:
        return datetime.fromtimestamp(int(match[3])).astimezone()
    return datetime.fromisoformat(match[2].replace(" UTC", "Z").replace(",", ".")).astimezone()


def parse(text: str) -> Entry | None:
    """Read the text of a line; None if it is not ours.

    The level is not in the text. The outcome stays escaped; ``-`` is an empty field.
    """
    match = _LINE.fullmatch(text)
    if not match:
        return None
    connection, outcome, *values, ms, detail = match.groups()
    fields: dict[str, Any] = {name: _unescaped(value) for name, value in zip(FIELDS, values, strict=True)}
    return Entry(connection or "", outcome, "", **fields, ms=int(ms), detail=_unescaped(detail))


def _without_year(stamp: str, now: datetime) -> datetime:
    latest = now + timedelta(days=1)  # the clock may have been set back
    for year in range(now.year + 1, now.year - 9, -1):
        try:
            when = datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S").astimezone()
        except ValueError:  # the 29th of February
            continue
        if when <= latest:
            return when
    raise ValueError(f"not a time: {stamp}")


def _unescaped(text: str) -> str:
    if text == "-":
        return ""
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")
    return raw.decode("utf-8", "surrogateescape")
