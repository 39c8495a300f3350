"""The verb `reconcile`: lost hosts lines come back, and what does not fit together is told."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from backuppc_register import syslog_line
from backuppc_register.admin import options as shared
from backuppc_register.admin.context import Context, write_log
from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.protocol.reply import escape_text
from backuppc_register.reconciliation import inconsistencies, reconcile
from backuppc_register.reconciliation.inconsistency import Contradiction
from backuppc_register.reconciliation.reconcile import Outcome
from backuppc_register.reconciliation.report import News

SUMMARY = "put lost hosts lines back, before BackupPC deletes their backups, and tell what does not fit"
EXAMPLE = """backuppc-register-admin reconcile --quiet    (from a timer, at least once an hour)
  backuppc-register-admin reconcile --dry-run"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--forget",
        metavar="HOST",
        help="let the line of HOST go, which was taken out: it does not come back; or its backups"
        " that were deleted or moved on purpose",
    )
    only_news = "tell news alone, for a timer: what stays undecided is in diagnose"
    parser.add_argument("--quiet", action="store_true", help=only_news)
    shared.add_yes(parser)
    shared.add_dry_run(parser)
    shared.add_json(parser)


def run(context: Context, options: argparse.Namespace) -> int:
    """Do it; 1 where there is anything to report."""
    context.folders.ready()
    if options.forget is not None:
        return _forget(context, _as_keyed(options.forget), options)
    now, daemon = datetime.now(UTC), Daemon(context.config.backuppc.socket)
    outcome = reconcile.reconcile(context.server, daemon, now, change=not options.dry_run)
    if not options.dry_run:
        _log(context, outcome)
    wrong = [] if options.quiet else _undecided(context, outcome, now)
    if options.json:
        context.json(_as_json(outcome, wrong, dry_run=options.dry_run))
    elif outcome.news or not options.quiet:
        _print(context, outcome, wrong, dry_run=options.dry_run)
    return 1 if outcome.news or wrong else 0


def _undecided(context: Context, outcome: Outcome, now: datetime) -> list[Contradiction]:
    return [*inconsistencies.contradictions(outcome.hosts, context.server, now)]


def _as_keyed(name: str) -> str:
    """Return a name as BackupPC keys it, not only one that a machine may have; as the file spells it too."""
    return hosts.keyed(name.replace("\\ ", " "))


def _forget(context: Context, host: str, options: argparse.Namespace) -> int:
    if not reconcile.forget(host, context.server, change=False):
        context.say(f"{host} is not known, or forgotten already.")
        return 1
    context.say(f"Without a line BackupPC deletes what backups there are of {host}.")
    context.say("Where backups are missing, mount their disk first: they would be the next person's to read.")
    if options.dry_run:
        return 0
    if not context.confirmed(host, None if options.yes is None else _as_keyed(options.yes)):
        context.say("That is not its name: nothing was changed.")
        return 1
    reconcile.forget(host, context.server, change=True)
    context.log("reconcile --forget", host=host)
    context.say(f"{host} is forgotten: a lost line does not come back, and missing backups do not count.")
    return 0


def _log(context: Context, outcome: Outcome) -> None:
    """Leave a line for each piece of news; what somebody has to look at is a warning."""
    for news in outcome.news:
        entry = syslog_line.Entry(
            connection="",
            outcome=escape_text(f"reconcile: {news.kind.value}"),
            level="warning",
            host=news.host,
            user=news.person,
            detail=f"by {context.administrator} {news.what}",
        )
        write_log(entry, context.config.syslog)


def _print(context: Context, outcome: Outcome, wrong: Sequence[Contradiction], *, dry_run: bool) -> None:
    for news in outcome.news:
        mark = "!!" if news.loud else "->"
        _tell(context, mark, news.kind.value, news)
    for contradiction in wrong:
        _tell(context, "??", "undecided", contradiction)
    hosts = len({line.host for line in outcome.hosts.lines})
    context.say(f"{hosts} hosts have a line; {len(outcome.news)} news, {len(wrong)} undecided.")
    if dry_run:
        context.say("Nothing was changed.")


def _tell(context: Context, mark: str, kind: str, told: News | Contradiction) -> None:
    who = f" {told.host}" + (f" ({told.person})" if told.person else "") if told.host else ""
    context.say(f"{mark} {kind}{who}: {told.what}")
    if told.advice:
        context.say(f"   {told.advice}")


def _as_json(outcome: Outcome, wrong: Sequence[Contradiction], *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "hosts": len({line.host for line in outcome.hosts.lines}),
        "news": [asdict(news) | {"kind": news.kind.value, "loud": news.loud} for news in outcome.news],
        "undecided": [asdict(contradiction) for contradiction in wrong],
    }
