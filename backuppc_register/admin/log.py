"""The verb `log`: show the requests of the last days."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from backuppc_register.admin import log_arrival, log_sources
from backuppc_register.admin.context import Start, printable, settle
from backuppc_register.admin.host_overview import moment
from backuppc_register.admin.list_hosts import days
from backuppc_register.admin.log_rows import Logged, parse_row
from backuppc_register.admin.log_sources import Source
from backuppc_register.admin.options import JSON, option, switch
from backuppc_register.admin.table import Columns
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.person import same_logon
from backuppc_register.protocol import request
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.syslog_line import Entry
from backuppc_register.system.account import WrongAccount

SUMMARY = "show the requests of the last days"
EXAMPLE = "backuppc-register-admin log dormeur --days 30 --refusals"

_WORD = "only requests with this host, logon, address or request number"
_FILE = "read this file, plain or compressed; may be repeated"
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

_SAME = timedelta(seconds=2)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Show the requests, oldest first; return 1 if there are none.

    The logs are opened by the account that started us, because BackupPC's account may not read them. They
    are parsed as BackupPC's account, unless a broken configuration does not name it: the log is needed then.
    """
    now = datetime.now().astimezone()
    since = now - timedelta(days=options.days)
    sources = _sources(start, options.file, since)
    _become_backuppc(start, quiet=options.json)
    logged = (one for one in merged(sources, now, since) if concerns(one, options.word))
    found = [one for one in logged if options.all or options.word == one.entry.request or not _is_test(one)]
    found.sort(key=lambda one: (bool(options.refusals and not one.entry.code), one.when))
    if options.json:
        start.json([_json(one) for one in found])
    elif found:
        start.table(_COLUMNS, map(_cells, found))
    _explain(start, sources, options, since, found=bool(found))
    return 0 if found else 1


def _explain(
    start: Start, sources: list[Source], options: argparse.Namespace, since: datetime, *, found: bool
) -> None:
    """Say why there is nothing; beside a result only, on standard error, what could not be read."""
    unread = [one for one in sources if one.unread]
    if found or options.json:
        for one in unread:
            print(printable(f"note: not all was read: {one}"), file=sys.stderr)
        return
    what = f"No request{f' with {options.word}' if options.word else ''}"
    if unread:
        start.say(f"{what} found in the last {options.days:g} days, but not everything could be read:")
    else:
        start.say(f"{what} in the last {options.days:g} days. Looked at:")
    for one in sources:
        start.say(f"  {one}")
    if unread and os.getuid() != 0:
        start.say("Only root can read all of it: try sudo")
    elif not any(one.newest and one.newest >= since for one in sources):
        start.say("Does syslog write our lines there? See backuppc-register-admin diagnose --only syslog")


def merged(sources: Iterable[Source], now: datetime, since: datetime) -> Iterator[Logged]:
    """Yield the lines of all *sources* from *since* on; what an earlier source has is not repeated.

    A file and the journal have the same line with times that differ by a moment.
    """
    seen: dict[Entry, list[datetime]] = {}
    for source in sources:
        own: list[Logged] = []
        for one in filter(None, (parse_row(row, now) for row in source.rows())):
            source.newest = max(source.newest or one.when, one.when)
            if one.when >= since and not any(
                abs(one.when - when) <= _SAME for when in seen.get(one.entry, ())
            ):
                own.append(one)
        for one in own:
            seen.setdefault(one.entry, []).append(one.when)
        yield from own


def _sources(start: Start, names: list[str] | None, since: datetime) -> list[Source]:
    try:
        return log_sources.named(names) if names else log_sources.usual(since)
    except Refused:
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
