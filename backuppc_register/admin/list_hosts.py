"""The verb `list`: list the hosts that match all filters."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from backuppc_register.admin import host_overview, never_verified, next_backup, paused, people
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View, moment
from backuppc_register.admin.never_verified import Waiting
from backuppc_register.admin.options import JSON, option, switch
from backuppc_register.admin.table import Columns
from backuppc_register.backuppc import hosts
from backuppc_register.person import same_logon

SUMMARY = "list the hosts"
EXAMPLE = "backuppc-register-admin list --not-backed-up 14"

_NAMES = ("HOST", "PERSON", "OS", "REGISTERED", "VERIFIED", "LAST BACKUP", "FILES", "ERRORS", "NOTE")
_MORE = ("NEXT", "NAME", "ADDRESS", "KEY", "HOST KEY")
_LEAVE = ("REGISTERED", "VERIFIED", "OS", "FILES", "ERRORS", "LAST BACKUP", "PERSON", "NOTE")
_CUT = {"PERSON": 8, "NOTE": 12}
_COLUMNS = Columns(_NAMES, leave=_LEAVE, cut=_CUT)
_WIDE = Columns(
    (*_NAMES, *_MORE),
    leave=(*_LEAVE[:5], "HOST KEY", "KEY", "ADDRESS", *_LEAVE[5:7], "NEXT", "NAME", "NOTE"),
    cut={**_CUT, "NEXT": 16},
)


def days(text: str) -> float:
    """Read a number of days; raises ValueError."""
    number = float(text)
    if not 0 <= number < 1e6:
        raise ValueError
    return number


_OLD = "only hosts without a backup for so many days"
OPTIONS = (
    option("--person", metavar="LOGON", help="only hosts of this person"),
    option("--os", help="only hosts that registered with this OS word"),
    option("--not-backed-up", metavar="DAYS", type=days, help=_OLD),
    switch("--never-verified", "only hosts that were never verified"),
    switch("--unverified", "only hosts without backups that were never verified, and when they are released"),
    switch("--person-gone", "only hosts with an owner who is not in the directory any more"),
    switch("--key-without-host", "only folders of our state without a hosts line"),
    switch("--host-without-key", "only hosts lines without a key pair of ours"),
    switch("--wide", "more columns, as many as fit: next backup, names, addresses, fingerprints"),
    JSON,
)


@dataclass(frozen=True)
class _Row:
    """A host; *gone* says what happened to its owner, *due* when its next backup is, "" if not asked for.

    *paused*: until when its backups are paused, in words. *waiting*: how long it was not verified, if that is
    asked for.
    """

    view: View
    gone: str = ""
    due: str = ""
    paused: str = ""
    waiting: Waiting | None = None


def run(context: Context, options: argparse.Namespace) -> int:
    """List the hosts that match all filters."""
    doubts = []
    if options.person is not None:
        options.person, doubt = people.named(options.person, context)
        doubts.append(doubt)
    wanted = list(_filters(options))
    fitting = (view for view in host_overview.views(context) if all(fits(view) for fits in wanted))
    rows = list(_gone(context, fitting) if options.person_gone else map(_Row, fitting))
    if options.unverified or options.json:
        rows = [replace(row, waiting=never_verified.of(context, row.view)) for row in rows]
    if options.unverified:
        rows = [row for row in rows if row.waiting]
    shown = [row.view for row in rows]
    pauses = paused.ask(context, shown)
    rows = [replace(row, paused=paused.note(row.view, pauses)) for row in rows]
    if options.json or options.wide:
        due = next_backup.of(context, shown, pauses)
        rows = [replace(row, due=due[row.view.host]) for row in rows]
    if options.json:
        ends = [paused.as_json(view, pauses) for view in shown]
        context.json(
            [row.view.json() | _extra(row, options) | end for row, end in zip(rows, ends, strict=True)]
        )
        return 0
    columns = _WIDE if options.wide else _COLUMNS
    context.table(columns, (_cells(row)[: len(columns.names)] for row in rows))
    doubts += [
        f"It is not known whether backups are paused: {doubt}"
        for doubt in dict.fromkeys(paused.doubt(view, pauses) for view in shown)
        if doubt
    ]
    for sentence in filter(None, doubts):
        context.say(sentence)
    return 0


def note(view: View) -> str:
    """Return in a few words what is unusual about a host, or ""."""
    notes = ["no hosts line"] if not view.lines else []
    notes += ["several hosts lines"] if len(view.lines) > 1 else []
    notes += [hosts.SAYS_DHCP] if any(line.by_netbios for line in view.lines) else []
    retired = view.record is not None and bool(view.record.retired)
    missing = view.kind or ("" if retired else "no key pair")
    notes += [missing] if missing and not view.key else []
    notes += (
        ["stopped, but not recorded as retired"] if view.stopped and view.lines and not view.retired else []
    )
    if view.record:
        notes += ["retired for good" if view.record.final else "retired"] if view.record.retired else []
        notes += ["to be purged"] if view.record.purge else []
        registered = view.lines and not view.record.by_hand
        others = registered and not same_logon(view.person, view.record.person)
        notes += [f"registered by {view.record.person}"] if others else []
    notes += ["another host key was offered"] if view.offered else []
    return ", ".join([*notes, *view.problems])


def _filters(options: argparse.Namespace) -> Iterator[Callable[[View], bool]]:
    if options.person is not None:
        yield lambda view: any(options.person.has(user) for user in view.persons)
    if options.os is not None:
        yield lambda view: view.record is not None and view.record.os == options.os
    if options.never_verified:
        yield lambda view: not view.retired and (view.record is None or not view.record.verified)
    if options.not_backed_up is not None:
        oldest = time.time() - 86400 * options.not_backed_up
        yield lambda view: not view.retired and (not view.last or view.last.started.timestamp() < oldest)
    if options.key_without_host:
        yield lambda view: view.folder and not view.lines
    if options.host_without_key:
        yield lambda view: bool(view.lines) and not view.key


def _gone(context: Context, views: Iterable[View]) -> Iterator[_Row]:
    """Yield the hosts with an owner who is gone; the directory is asked once for each person."""
    directory = people.People(context)
    for view in views:
        if said := directory.gone(view):
            yield _Row(view, said)


def _extra(row: _Row, options: argparse.Namespace) -> dict[str, object]:
    gone = {"person_gone": row.gone} if options.person_gone else {}
    return {"next": row.due} | gone | never_verified.as_json(row.waiting)


def _cells(row: _Row) -> tuple[str, ...]:
    view, record, last = row.view, row.view.record, row.view.last
    waiting = row.waiting.note if row.waiting else ""
    notes = ", ".join(part for part in (row.gone, waiting, note(view), row.paused) if part)
    return (
        view.host,
        view.person or "-",
        (record.os if record else "") or "-",
        moment(record.registered if record else None),
        moment(record.verified if record else None),
        moment(last.started if last else None),
        str(last.files) if last else "-",
        str(last.errors) if last else "-",
        notes,
        row.due or "-",
        (record.full_name if record else "") or "-",
        (record.address if record else "") or "-",
        view.key or "-",
        " ".join(view.host_keys) or "-",
    )
