"""The verb `purge`: a host's data is deleted, after its name is typed again and some days have passed."""

import argparse

from backuppc_register.admin import custody, options
from backuppc_register.admin.context import Context
from backuppc_register.errors import RegisterError
from backuppc_register.rules import purge
from backuppc_register.rules.custody import Custody, host_named

SUMMARY = "delete the data of a host when some days have passed, unless its owner registers again"
EXAMPLE = """backuppc-register-admin purge dormeur --days 30
  backuppc-register-admin purge --due          (from cron, once a day)"""

_DAYS = 14
_WAIT = f"how many days to wait (default: {_DAYS})"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("host", metavar="HOST", nargs="?", help="its name in BackupPC")
    what.add_argument("--due", action="store_true", help="delete what was asked for and waited for")
    parser.add_argument("--days", metavar="DAYS", type=custody.days, default=_DAYS, help=_WAIT)
    options.add_yes(parser)
    options.add_dry_run(parser)


def run(context: Context, options: argparse.Namespace) -> int:
    """Ask for a purge, or carry out those whose time has come."""
    work = custody.work(context, dry_run=options.dry_run)
    if options.due:
        return _carry_out(context, work)
    host = host_named(options.host)
    planned = purge.ask(host, options.days, custody.planned(work))
    custody.tell(context, "purge", planned, dry_run=True)
    if options.dry_run:
        return 0
    if not context.confirmed(host, options.yes):
        context.say("That is not its name: nothing was changed.")
        return 1
    done = purge.ask(host, options.days, custody.confirmed(work, planned))
    custody.tell(context, "purge", done, dry_run=False)
    context.say(f"`backuppc-register-admin resume {host}` or its owner's registration cancels a purge.")
    custody.sweep(context, work)
    return 0


def _carry_out(context: Context, work: Custody) -> int:
    """Delete what is due; what cannot be deleted today stays due."""
    status = 0
    for host in purge.due(work):
        try:
            custody.tell(context, "purge --due", purge.carry_out(host, work), dry_run=work.dry_run)
        except RegisterError as error:
            context.say(f"{host} is not purged: {error}")
            status = 1
    return status if custody.sweep(context, work) else 1
