"""The verb `reconcile`: restore lost and reverted hosts lines, and report what does not fit together."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from backuppc_register.admin.context import Context
from backuppc_register.admin.options import DRY_RUN, JSON, YES, option, switch
from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.protocol.errors import StateError
from backuppc_register.protocol.escaping import escape_text
from backuppc_register.reconciliation import forget, inconsistencies, long_pauses, reconcile, unverified
from backuppc_register.reconciliation.inconsistency import Inconsistency
from backuppc_register.reconciliation.long_pauses import LongPause
from backuppc_register.reconciliation.reconcile import Outcome
from backuppc_register.reconciliation.report import Item
from backuppc_register.state import reconcile_stamp
from backuppc_register.syslog_line import Entry

SUMMARY = "restore lost hosts lines before BackupPC deletes their backups, and report what does not fit"
EXAMPLE = """backuppc-register-admin reconcile --quiet    (from a timer, at least once an hour)
  backuppc-register-admin reconcile --dry-run"""

_FOR_PAUSES = 10.0  # seconds for BackupPC's answers about all hosts
_FORGET = "forget HOST: do not restore its removed line, or stop expecting its missing backups"
_MANY = "release unverified registrations also if they are more than 10, or if the last run was long ago"
OPTIONS = (
    option("--forget", metavar="HOST", help=_FORGET),
    switch("--release-many", _MANY),
    switch("--quiet", "report only what is new, for a timer; diagnose has what is undecided"),
    YES,
    DRY_RUN,
    JSON,
)


def run(context: Context, options: argparse.Namespace) -> int:
    """Compare and correct; return 1 if there is anything to report."""
    context.folders.ready()
    if options.forget is not None:
        return _forget(context, _as_keyed(options.forget), options)
    now = datetime.now(UTC)
    outcome = _outcome(context, options, now)
    wrong = [] if options.quiet else [*inconsistencies.find(outcome.hosts, context.server, now)]
    if options.json:
        context.json(_as_json(outcome, wrong, dry_run=options.dry_run))
    elif outcome.report or not options.quiet:
        _print(context, outcome, wrong, dry_run=options.dry_run)
    return 1 if outcome.report or wrong else 0


def _outcome(context: Context, options: argparse.Namespace, now: datetime) -> Outcome:
    """Plan the run, or make it and leave its syslog lines."""
    last_run = _last_run(context)
    if options.dry_run:
        plan = reconcile.plan(context.server, now)
        pauses = (pause.item() for pause in _long_pauses(context, plan.after, now))
        released = _released(context, plan.after, options, last_run, now)
        return Outcome((*plan.report, *pauses, *released), plan.after)
    places = context.config.backuppc
    jobs = Jobs(places.socket, places.install_dir)
    outcome = reconcile.reconcile(context.server, Daemon(places.socket, places.install_dir), now)
    lifted = [long_pauses.lift(one, jobs) for one in _long_pauses(context, outcome.hosts, now)]
    changed = [*_released(context, outcome.hosts, options, last_run, now)]
    file = hosts.read(context.config.backuppc.hosts) if changed else outcome.hosts
    outcome = Outcome((*outcome.report, *lifted, *changed), file)
    _log(context, outcome)
    return outcome


def _last_run(context: Context) -> datetime | None:
    """Return when `reconcile` last completed; what cannot be read was long ago."""
    try:
        return reconcile_stamp.read(context.config.state.directory)
    except StateError:
        return datetime.fromtimestamp(0, UTC)


def _released(
    context: Context,
    file: HostsFile,
    options: argparse.Namespace,
    last_run: datetime | None,
    now: datetime,
) -> Iterator[Item]:
    """Release the unverified registrations that are due; yield the items of the report."""
    due = unverified.find(file, context.server, now)
    places = context.config.backuppc
    if not options.release_many:
        due, held = unverified.held_back(due, context.server, last_run, now)
        yield from held
    for one in due:
        if options.dry_run:
            yield one.item()
        else:
            yield from unverified.release(one, context.server, Jobs(places.socket, places.install_dir), now)


def _long_pauses(context: Context, file: HostsFile, now: datetime) -> list[LongPause]:
    """Return the pauses that are too long; none if BackupPC does not answer, which `diagnose` reports."""
    longest = context.config.limits.longest_pause_days
    if not longest:
        return []
    asked = long_pauses.paused_hosts(file, context.server)
    places = context.config.backuppc
    pauses = Daemon(places.socket, places.install_dir).pauses(asked, _FOR_PAUSES)
    return [*long_pauses.find(file, pauses, longest, now)]


def _as_keyed(name: str) -> str:
    """Return *name* as BackupPC keys it, also if it is spelled as in the hosts file."""
    return hosts.keyed(name.replace("\\ ", " "))


def _forget(context: Context, host: str, options: argparse.Namespace) -> int:
    plan = forget.plan(host, context.server)
    if plan is None:
        context.say(f"{host} is not known, or forgotten already.")
        return 1
    if plan.data:
        context.say(f"The missing backups of {host} will not be expected any more.")
    else:
        context.say(f"The lost line of {host} will not be restored.")
        context.say("BackupPC deletes the backups of hosts without a line.")
    context.say("If backups are missing, mount their disk first: the next owner of the host could read them.")
    if options.dry_run:
        return 0
    if not context.confirmed(host, None if options.yes is None else _as_keyed(options.yes)):
        context.say("That is not its name: nothing was changed.")
        return 1
    forget.apply(plan, context.server)
    context.log("reconcile --forget", host=host)
    context.say(f"{host} is forgotten.")
    return 0


def _log(context: Context, outcome: Outcome) -> None:
    """Write a syslog line for each item of the report."""
    for item in outcome.report:
        what = escape_text(f"reconcile: {item.word.value}")
        entry = Entry("", what, "warning", host=item.host, user=item.person, detail=item.what)
        context.write_log(entry, context.config.syslog)


def _print(context: Context, outcome: Outcome, wrong: list[Inconsistency], *, dry_run: bool) -> None:
    for item in outcome.report:
        _say(context, "!!" if item.urgent else "->", item.word.value, item)
    for inconsistency in wrong:
        _say(context, "??", "undecided", inconsistency)
    context.say(f"{_count(outcome)} hosts have a line; {len(outcome.report)} news, {len(wrong)} undecided.")
    if dry_run:
        context.say("Nothing was changed.")


def _say(context: Context, mark: str, word: str, found: Item | Inconsistency) -> None:
    who = f" {found.host}" + (f" ({found.person})" if found.person else "") if found.host else ""
    context.say(f"{mark} {word}{who}: {found.what}")
    if found.advice:
        context.say(f"   {found.advice}")


def _as_json(outcome: Outcome, wrong: list[Inconsistency], *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "hosts": _count(outcome),
        "news": [
            {
                "kind": item.word.value,
                "what": item.what,
                "advice": item.advice,
                "host": item.host,
                "person": item.person,
                "loud": item.urgent,
            }
            for item in outcome.report
        ],
        "undecided": [asdict(inconsistency) for inconsistency in wrong],
    }


def _count(outcome: Outcome) -> int:
    return len({line.host for line in outcome.hosts.lines})
