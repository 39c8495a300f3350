"""The verb `show`: show everything about one host."""

import argparse
from collections.abc import Iterator

from backuppc_register.admin import host_overview, never_verified, next_backup, paused
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View, moment
from backuppc_register.admin.list_hosts import note
from backuppc_register.admin.never_verified import Waiting
from backuppc_register.admin.options import HOST, JSON
from backuppc_register.admin.table import Columns
from backuppc_register.backuppc.backups import Backup
from backuppc_register.backuppc.daemon.pauses import Pauses
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.state.records import Record

SUMMARY = "show everything about one host"
EXAMPLE = "backuppc-register-admin show dormeur"
OPTIONS = (HOST, JSON)

_TIMEOUT = 5.0  # seconds for BackupPC's daemon
_BACKUPS = 10  # rows of the table
_COLUMNS = Columns(
    ("BACKUP", "KIND", "STARTED", "MINUTES", "FILES", "MB", "ERRORS"),
    leave=("MINUTES", "MB", "FILES", "KIND", "ERRORS", "STARTED"),
    cut={},
)


def run(context: Context, options: argparse.Namespace) -> int:
    """Show a host; return 1 if it is not known."""
    host = options.host.lower()
    known = host_overview.names(context)
    if host not in known:
        unknown = f"{host} has neither a hosts line nor a folder in our state."
        context.json({"host": host, "error": unknown}) if options.json else context.say(unknown)
        return 1
    view = host_overview.view(context, host, known[host])
    places = context.config.backuppc
    status = Daemon(places.socket, places.install_dir).status(host, _TIMEOUT)
    pauses, waiting = paused.ask(context, [view]), never_verified.of(context, view)
    due = next_backup.of(context, [view], pauses)[host]
    if options.json:
        more = {"note": note(view), "backuppc": status, "next": due} | paused.as_json(view, pauses)
        context.json(view.json() | more | never_verified.as_json(waiting))
        return 0
    facts = [*_registration(view), *_waiting(waiting), *_identity(view)]
    facts += _backuppc(view, status, due, pauses)
    _print(context, view, facts)
    return 0


def _print(context: Context, view: View, facts: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        context.say(f"{name + ':':{width + 1}} {value}")
    if view.backups:
        context.say()
        rows = ([str(cell) for cell in _cells(one)] for one in view.backups[-_BACKUPS:])
        context.table(_COLUMNS, rows)


def _registration(view: View) -> Iterator[tuple[str, str]]:
    yield "host", view.host
    yield "person", view.person or "-"
    for line in view.lines:
        more = f", and {', '.join(line.more_users)}" if line.more_users else ""
        yield "hosts line", f"{line.host} {line.dhcp} {line.user}{more}"
    if not view.lines:
        yield "hosts line", "none"
    record = view.record
    if record is None:
        yield "record", f"none: {view.kind}" if view.kind else "none"
        return
    entry = f", entry {record.entry}" if record.entry else ""
    yield "record", f"of {record.person or 'no person'}{entry}" + (f": {view.kind}" if view.kind else "")
    if not record.by_hand:
        yield from _machine(record)
    if record.retired:
        yield "retired", moment(record.retired) + (", for good" if record.final else "")
    if record.purge:
        yield "purge", f"data will be deleted after {moment(record.purge)}"


def _waiting(waiting: Waiting | None) -> Iterator[tuple[str, str]]:
    if waiting:
        yield "unverified", waiting.note


def _machine(record: Record) -> Iterator[tuple[str, str]]:
    yield "name", record.full_name
    yield "address", f"{record.address}, when it registered"
    yield "OS", record.os
    yield "registered", moment(record.registered)
    yield "verified", moment(record.verified) if record.verified else "never"


def _identity(view: View) -> Iterator[tuple[str, str]]:
    yield "key", view.key or "none"
    yield "ssh host key", " ".join(view.host_keys) or "not known yet"
    if view.offered:
        yield "offered", f"{view.offered}: see accept-key"
    for problem in view.problems:
        yield "problem", problem


def _backuppc(view: View, status: dict[str, str], due: str, pauses: Pauses) -> Iterator[tuple[str, str]]:
    last = view.last
    if last:
        what = f"number {last.number}, {last.kind}, {moment(last.started)}"
        yield "last backup", f"{what}, {last.files} files, {last.errors} errors"
    else:
        yield "last backup", "none"
    yield "next", due
    if note_of_pause := paused.note(view, pauses):
        yield "paused", f"{note_of_pause.removeprefix('paused ')}, by Stop/Dequeue Backup on BackupPC's page"
    elif doubt := paused.doubt(view, pauses):
        yield "paused", f"not known: {doubt}"
    if status:
        words = (status.get(name, "") for name in ("state", "reason", "error"))
        yield "BackupPC", " ".join(word for word in words if word)
    else:
        yield "BackupPC", "does not know this host, or does not run"


def _cells(one: Backup) -> tuple[object, ...]:
    minutes = f"{(one.ended - one.started).total_seconds() / 60:.1f}" if one.ended else "-"
    return one.number, one.kind, moment(one.started), minutes, one.files, f"{one.size / 1e6:.1f}", one.errors
