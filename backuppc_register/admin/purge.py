"""The verb `purge`: delete the data of a host, after a confirmation and a waiting period."""

import argparse

from backuppc_register.admin import host_change
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_change import Change, carry_out
from backuppc_register.admin.options import DRY_RUN, YES, one_of, option, switch
from backuppc_register.lifecycle import purge
from backuppc_register.lifecycle.operation import Operation, host_named
from backuppc_register.protocol.errors import NotRegistered, RegisterError

SUMMARY = "delete the data of a host when some days have passed, unless its owner registers again"
EXAMPLE = """backuppc-register-admin purge dormeur --days 30
  backuppc-register-admin purge --due          (from cron, once a day)"""

_DAYS = f"days to wait (default: {purge.DAYS}, or as planned before)"
OPTIONS = (
    one_of(
        option("host", metavar="HOST", nargs="?", help="its name in BackupPC"),
        switch("--due", "run all purges after their waiting period"),
    ),
    option("--days", metavar="DAYS", type=host_change.days, help=_DAYS),
    YES,
    DRY_RUN,
)


def run(context: Context, options: argparse.Namespace) -> int:
    """Plan a purge, or run those that are due."""
    operation = host_change.operation(context)
    if options.due:
        if options.days is not None or options.yes is not None:
            options.wrong("--due runs purges that were planned before: --days and --yes go with a HOST")
        return _run_due(context, operation, dry_run=options.dry_run)
    plan = purge.plan(host_named(options.host), options.days, operation)
    done = carry_out(Change("purge", plan, lambda: purge.apply(plan, operation)), context, options)
    if done:
        _say_what_cancels(context, plan.host)
        host_change.sweep(context)
    return 1 if done is False else 0


def _say_what_cancels(context: Context, host: str) -> None:
    record = context.folders.record(host)
    if record and record.purge:
        owner = "" if record.archive_of else "; so does a registration of the host by its owner"
        context.say(f"`backuppc-register-admin resume {host}` cancels the purge{owner}.")


def _run_due(context: Context, operation: Operation, *, dry_run: bool) -> int:
    """Delete the hosts that are due; what cannot be deleted today stays due."""
    due, unreadable = purge.due(operation)
    done = [_is_purged(host, context, operation, dry_run=dry_run) for host in due]
    for host, why in unreadable.items():
        context.say(f"whether the purge of {host} is due cannot be read: {why}")
    swept = dry_run or host_change.sweep(context)
    return 0 if swept and all(done) and not unreadable else 1


def _is_purged(host: str, context: Context, operation: Operation, *, dry_run: bool) -> bool:
    try:
        plan = purge.plan_due(host, operation)
        if dry_run:
            host_change.show(context, plan)
        else:
            host_change.apply(Change("purge --due", plan, lambda: purge.apply(plan, operation)), context)
    except NotRegistered:
        return True  # another run has done it meanwhile
    except RegisterError as error:
        context.say(f"{host} is not purged: {error}")
        return False
    return True
