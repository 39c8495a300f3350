"""The verb `purge`: a host's data is deleted, after its name is typed again and some days have passed."""

import argparse

from backuppc_register.admin import host_change, options
from backuppc_register.admin.context import Context
from backuppc_register.lifecycle import purge
from backuppc_register.lifecycle.operation import Operation, host_named
from backuppc_register.protocol.errors import NotRegistered, RegisterError

SUMMARY = "delete the data of a host when some days have passed, unless its owner registers again"
EXAMPLE = """backuppc-register-admin purge dormeur --days 30
  backuppc-register-admin purge --due          (from cron, once a day)"""

_WAIT = f"how many days to wait (default: {purge.DAYS}, or what was asked before)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("host", metavar="HOST", nargs="?", help="its name in BackupPC")
    what.add_argument("--due", action="store_true", help="delete what was asked for and waited for")
    parser.add_argument("--days", metavar="DAYS", type=host_change.days, help=_WAIT)
    options.add_yes(parser)
    options.add_dry_run(parser)
    parser.set_defaults(wrong=parser.error)


def run(context: Context, options: argparse.Namespace) -> int:
    """Ask for a purge, or carry out those whose time has come."""
    work = host_change.work(context, dry_run=options.dry_run)
    if options.due:
        if options.days is not None or options.yes is not None:
            options.wrong("--due deletes what was asked for before: --days and --yes go with a HOST")
        return _carry_out(context, work)
    host = host_named(options.host)
    planned = purge.ask(host, options.days, host_change.planned(work))
    host_change.tell(context, planned, dry_run=True)
    if options.dry_run:
        return 0
    if not context.confirmed(host, options.yes):
        context.say("That is not its name: nothing was changed.")
        return 1
    confirmed = host_change.confirmed(work, planned)
    host_change.do(context, "purge", host, lambda: purge.ask(host, options.days, confirmed))
    _say_what_cancels(context, host)
    host_change.sweep(context, work)
    return 0


def _say_what_cancels(context: Context, host: str) -> None:
    record = context.folders.record(host)
    if record and record.purge:
        owner = "" if record.archive_of else ", and so does its owner's registering it again"
        context.say(f"`backuppc-register-admin resume {host}` cancels it{owner}.")


def _carry_out(context: Context, work: Operation) -> int:
    """Delete what is due; what cannot be deleted today stays due."""
    done = [_is_carried_out(host, context, work) for host in purge.due(work)]
    unknown = purge.unknown(work)
    for host, why in unknown:
        context.say(f"whether {host} is to be purged cannot be told: {why}")
    return 0 if host_change.sweep(context, work) and all(done) and not unknown else 1


def _is_carried_out(host: str, context: Context, work: Operation) -> bool:
    try:
        host_change.do(
            context, "purge --due", host, lambda: purge.carry_out(host, work), dry_run=work.dry_run
        )
    except NotRegistered:
        return True  # another run has done it meanwhile
    except RegisterError as error:
        context.say(f"{host} is not purged: {error}")
        return False
    return True
