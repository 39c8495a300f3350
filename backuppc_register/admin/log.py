"""The verb `log`: show the requests of the last days."""

import argparse
import gzip
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any

from backuppc_register.admin import log_arrival
from backuppc_register.admin.context import Start, settle
from backuppc_register.admin.host_overview import moment
from backuppc_register.admin.list_hosts import days
from backuppc_register.admin.log_rows import Logged, parse_row
from backuppc_register.admin.options import JSON, option, switch
from backuppc_register.admin.table import Columns
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.person import same_logon
from backuppc_register.protocol import request
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import processes
from backuppc_register.system.account import WrongAccount

SUMMARY = "show the requests of the last days"
EXAMPLE = "backuppc-register-admin log dormeur --days 30 --refusals"

_WORD = "only requests with this host, logon, address or request number"
_FILE = "read this file, plain or .gz; may be repeated"
OPTIONS = (
    option("word", nargs="?", metavar="HOST|LOGON|ADDRESS|REQUEST", help=_WORD),
    option("--days", metavar="N", type=days, default=7.0, help="how far back (default: 7)"),
    switch("--all", "also show the test lines of diagnose"),
    switch("--refusals", "show what failed first"),
    option("--file", metavar="FILE", action="append", help=_FILE),
    JSON,
)

_COLUMNS = Columns(
    ("TIME", "REQUEST", "HOST", "USER", "OS", "FROM", "ANSWER", "DETAIL"),
    leave=("OS", "DETAIL", "REQUEST", "FROM", "TIME", "USER", "ANSWER"),
    cut={"USER": 8, "ANSWER": 20, "DETAIL": 20},
)

Source = IO[bytes] | gzip.GzipFile
"""An open log."""

LOGS = Path("/var/log"), "backuppc-register.log*"

_JOURNAL = ["-t", "backuppc-register", "-o", "short-iso", "--no-pager", "-q"]
_PATH = processes.PATH


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Show the requests, oldest first; return 1 if there are none.

    The logs are opened by the account that started us, because BackupPC's account may not read them. They
    are parsed as BackupPC's account, unless a broken configuration does not name it: the log is needed then.
    """
    now = datetime.now().astimezone()
    since = now - timedelta(days=options.days)
    sources = _sources(start, options.file, since)
    _become_backuppc(start, quiet=options.json)
    parsed = (parse_row(row, now) for row in rows(sources))
    logged = (one for one in parsed if one and one.when >= since and concerns(one, options.word))
    found = [one for one in logged if options.all or options.word == one.entry.request or not _is_test(one)]
    found.sort(key=lambda one: (bool(options.refusals and not one.entry.code), one.when))
    if options.json:
        start.json([_json(one) for one in found])
    elif found:
        start.table(_COLUMNS, map(_cells, found))
    else:
        start.say(f"No request in the last {options.days:g} days.")
    return 0 if found else 1


def _sources(start: Start, names: list[str] | None, since: datetime) -> list[Source]:
    try:
        return opened(names, since)
    except (Misconfigured, Refused):
        if os.geteuid() != 0:
            settle(start)  # for an account that is neither root nor BackupPC's, this error matters more
        raise


def _become_backuppc(start: Start, *, quiet: bool) -> None:
    try:
        settle(start)
    except WrongAccount:
        raise
    except Misconfigured as error:
        if not quiet:
            start.say(f"(The configuration is broken: {error.detail})")


def opened(names: list[str] | None, since: datetime) -> list[Source]:
    """Open the files *names*, or syslog's files that are not older than *since*, or the journal.

    Raises Refused if a file is closed to us, another OSError if it cannot be opened.
    """
    folder, pattern = LOGS
    paths = [Path(name) for name in names] if names else sorted(folder.glob(pattern))
    if not paths:
        return [_journal(since)]
    try:
        return [_open(path) for path in paths if names or path.stat().st_mtime >= since.timestamp()]
    except PermissionError as error:
        raise Refused(reason=f"{error}; only root can read the log: try sudo") from error


def rows(sources: Iterable[Source]) -> Iterator[str]:
    """Yield the rows of all *sources*; a compressed file that was cut short ends where it was cut."""
    for source in sources:
        with source, suppress(EOFError, zlib.error, gzip.BadGzipFile):
            for raw in source:
                yield raw.decode("utf-8", "replace").rstrip("\n")


def _open(path: Path) -> Source:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _journal(since: datetime) -> IO[bytes]:
    tool = shutil.which("journalctl", path=_PATH)
    if tool is None:
        raise Misconfigured(detail=f"there is neither {Path(*LOGS)} nor journalctl")
    command = [tool, *_JOURNAL, "--since", since.strftime("%Y-%m-%d %H:%M:%S")]
    return processes.stream(command, path=_PATH)


def concerns(one: Logged, word: str | None) -> bool:
    """Tell whether a line is about *word*: a host, a logon, an address or a request number."""
    entry = one.entry
    if word is None or word == entry.request:
        return True
    if same_logon(word, entry.host) or same_logon(word, entry.user):
        return True
    peer = request.connection(entry.connection)
    with suppress(ValueError):
        return peer is not None and peer.peer == ip_address(word)
    return False


def _is_test(one: Logged) -> bool:
    """Tell whether it is a test line of `diagnose`, which a timer may send often."""
    entry = one.entry
    return entry.detail == request.OWN_TEST or (not entry.connection and entry.outcome == log_arrival.OUTCOME)


def _json(one: Logged) -> dict[str, Any]:
    fields = asdict(one.entry)
    del fields["level"]  # a log does not have it
    return {"time": one.when.isoformat(), **fields}


def _cells(one: Logged) -> tuple[str, ...]:
    entry = one.entry
    answer = f"{entry.outcome}, {entry.status}" if entry.status else entry.outcome
    parts = (entry.request, entry.host, entry.user, entry.os, entry.connection.partition(" ")[0], answer)
    return (moment(one.when), *(part or "-" for part in parts), entry.detail)
