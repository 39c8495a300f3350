"""The verb `log`: the requests of the last days, out of syslog's files or the journal."""

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

from backuppc_register.admin import options, root_facts
from backuppc_register.admin.context import Start, settle
from backuppc_register.admin.host_overview import moment
from backuppc_register.admin.list_hosts import days
from backuppc_register.admin.table import Columns
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.person import same_logon
from backuppc_register.protocol import request
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.syslog_line import Logged, parse_row
from backuppc_register.system import processes
from backuppc_register.system.account import WrongAccount

SUMMARY = "show the requests of the last days"
EXAMPLE = "backuppc-register-admin log dormeur --days 30 --refusals"

LOGS = Path("/var/log"), "backuppc-register.log*"
_JOURNAL = ["-t", "backuppc-register", "-o", "short-iso", "--no-pager", "-q"]
_PATH = processes.PATH
_COLUMNS = Columns(
    ("TIME", "REQUEST", "HOST", "USER", "OS", "FROM", "ANSWER", "DETAIL"),
    leave=("OS", "DETAIL", "REQUEST", "FROM", "TIME", "USER", "ANSWER"),
    cut={"USER": 8, "ANSWER": 20, "DETAIL": 20},
)
_GZIP = b"\x1f\x8b"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "word", nargs="?", metavar="HOST|LOGON|ADDRESS|REQUEST", help="only what concerns this one"
    )
    parser.add_argument("--days", metavar="N", type=days, default=7.0, help="how far back (default: 7)")
    parser.add_argument("--all", action="store_true", help="the lines that diagnose sends as well")
    parser.add_argument("--refusals", action="store_true", help="show first what was not a success")
    parser.add_argument(
        "--file", metavar="FILE", action="append", help="read this one, plain or .gz; may be repeated"
    )
    options.add_json(parser)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Show the requests, oldest first; 1 where there are none.

    The logs are opened as who started us, because they are closed to BackupPC's account; they are read as
    that account, unless it cannot be told from a configuration that is broken: then all the more one wants
    to see the log.
    """
    now = datetime.now().astimezone()
    since = now - timedelta(days=options.days)
    try:
        sources = _opened(options.file, since)
    except (Misconfigured, Refused):
        if os.geteuid() != 0:
            settle(start)  # a third account is told so, rather than what it could not open
        raise
    try:
        settle(start)
    except WrongAccount:
        raise
    except Misconfigured as error:
        if not options.json:
            start.say(f"(The configuration is broken: {error.detail})")
    logged = (one for one in _logged(sources, now) if one.when >= since and concerns(one, options.word))
    found = [one for one in logged if options.all or options.word == one.entry.request or not _is_test(one)]
    found.sort(key=lambda one: (bool(options.refusals and not one.entry.code), one.when))
    if options.json:
        start.json([_json(one) for one in found])
    elif found:
        start.table(_COLUMNS, map(_cells, found))
    else:
        start.say(f"No request in the last {options.days:g} days.")
    return 0 if found else 1


def concerns(one: Logged, word: str | None) -> bool:
    """Tell whether a line is about *word*: a host, a logon, an address or a request's number."""
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
    """Tell whether `diagnose` sent it to see it arrive: from a timer, those would be the most."""
    return not one.entry.connection and one.entry.outcome == root_facts.TEST


def _opened(names: list[str] | None, since: datetime) -> list[IO[bytes]]:
    """Open the logs that are not older than *since*, or ask the journal where there is none.

    Raises Refused for one that is closed to us, OSError for one that cannot be opened otherwise.
    """
    folder, pattern = LOGS
    paths = [Path(name) for name in names] if names else sorted(folder.glob(pattern))
    try:
        recent = [path for path in paths if names or path.stat().st_mtime >= since.timestamp()]
        if paths:
            return [path.open("rb") for path in recent]
    except PermissionError as error:
        raise Refused(reason=f"{error}; the log is root's to read: try sudo") from error
    return _journal(since)


def _journal(since: datetime) -> list[IO[bytes]]:
    tool = shutil.which("journalctl", path=_PATH)
    if tool is None:
        raise Misconfigured(detail="there is neither " + "/".join(map(str, LOGS)) + " nor journalctl")
    command = [tool, *_JOURNAL, "--since", since.strftime("%Y-%m-%d %H:%M:%S")]
    return [processes.stream(command, path=_PATH)]


def _logged(sources: Iterable[IO[bytes]], now: datetime) -> Iterator[Logged]:
    for source in sources:
        for row in _rows(source):
            if (logged := parse_row(row, now)) is not None:
                yield logged


def _rows(source: IO[bytes]) -> Iterator[str]:
    """Yield the rows of a log; one that is cut short in the middle of its compression ends there."""
    peek = getattr(source, "peek", None)
    packed = peek is not None and peek(2)[:2] == _GZIP
    with suppress(EOFError, zlib.error, gzip.BadGzipFile), source:
        stream: Any = gzip.GzipFile(fileobj=source) if packed else source
        for raw in stream:
            yield raw.decode("utf-8", "replace").rstrip("\n")


def _json(one: Logged) -> dict[str, Any]:
    fields = asdict(one.entry)
    del fields["level"]  # a log does not say it
    return {"time": one.when.isoformat(), **fields}


def _cells(one: Logged) -> tuple[str, ...]:
    entry = one.entry
    answer = f"{entry.outcome}, {entry.status}" if entry.status else entry.outcome
    parts = (entry.request, entry.host, entry.user, entry.os, entry.connection.partition(" ")[0], answer)
    return (moment(one.when), *(part or "-" for part in parts), entry.detail)
