"""What the verbs share that change a registered host: ask, apply, log, and report."""

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from backuppc_register.admin.context import Context
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.backuppc.data_folder import Swept
from backuppc_register.lifecycle import purge
from backuppc_register.lifecycle.operation import Operation, Plan
from backuppc_register.protocol.errors import Busy, Refusal, RegisterError
from backuppc_register.system import uptime

_MOST_DAYS = 3650


def operation(context: Context) -> Operation:
    """Return the operation of this administrator on this server, now."""
    places = context.config.backuppc
    return Operation(
        server=context.server,
        jobs=Jobs(places.socket, places.install_dir),
        administrator=context.administrator,
        now=datetime.now(UTC),
        uptime=uptime.read(),
    )


def days(text: str) -> int:
    """Parse a number of days; raises argparse's error."""
    if not text.isascii() or not text.isdigit() or int(text) > _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {_MOST_DAYS}")
    return int(text)


@dataclass(frozen=True)
class Change:
    """A change of a host: the *verb*, its *plan*, and the *work* that applies the plan and returns a note."""

    verb: str
    plan: Plan
    work: Callable[[], str]


def carry_out(change: Change, context: Context, options: argparse.Namespace) -> bool | None:
    """Apply *change* as *options* say; tell whether it was applied, or None for a dry run.

    If the verb has ``--yes HOST``, print the plan first, and ask for the name of the host unless it is given.
    """
    asks = "yes" in options
    if options.dry_run or asks:
        show(context, change.plan)
    if options.dry_run:
        return None
    if asks and not context.confirmed(change.plan.host, options.yes):
        context.say("This is not the name of the host: nothing was changed.")
        return False
    apply(change, context)
    return True


def show(context: Context, plan: Plan) -> None:
    """Print *plan*, which is not applied yet."""
    for step in plan.steps:
        context.say(f"would: {step}")


def apply(change: Change, context: Context) -> None:
    """Apply *change*; leave a line in the log, then print what was done.

    The log comes first, because the terminal may be gone by then. Work that a fault or Ctrl-C ends is logged
    as well: it may be done in part. Work goes on if the terminal goes away.
    """
    with _without_a_terminal():
        note = _logged(change, context)
    for step in change.plan.steps:
        context.say(step)
    if note:
        context.say(f"note: {note}")


def sweep(context: Context) -> bool:
    """Free the disk of deleted data, and print what could not be deleted; tell whether that is nothing.

    An error here undoes nothing of what was done before.
    """
    try:
        swept = purge.sweep(context.server)
    except RegisterError as error:
        swept = Swept(0, (str(error),))
    if swept.deleted:
        context.say(f"{swept.deleted} deleted; BackupPC frees the pool at its next nightly runs")
    for problem in swept.problems:
        context.say(f"note: {problem}")
    return not swept.problems


def _logged(change: Change, context: Context) -> str:
    plan = change.plan
    try:
        note = change.work()
    except (Refusal, Busy):  # nothing was done
        raise
    except BaseException as error:
        code = error.code if isinstance(error, RegisterError) else "interrupted"
        context.log(f"{change.verb} was not finished", host=plan.host, detail=str(error), code=code)
        raise
    detail = "; ".join((*plan.steps, *filter(None, [note])))
    context.log(change.verb, host=plan.host, person=plan.person, detail=detail)
    return note


@contextmanager
def _without_a_terminal() -> Iterator[None]:
    """Ignore the hang-up that a broken session sends."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
