"""What the verbs share that change a registered host: ask, apply, log, and report."""

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    return Operation(
        server=context.server,
        jobs=Jobs(context.config.backuppc.socket),
        administrator=context.administrator,
        now=datetime.now(UTC),
        uptime=uptime.read(),
    )


def days(text: str) -> int:
    """Parse a number of days; raises argparse's error."""
    if not text.isascii() or not text.isdigit() or int(text) > _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {_MOST_DAYS}")
    return int(text)


def add_host(parser: argparse.ArgumentParser) -> None:
    """Add ``HOST``: options.host."""
    parser.add_argument("host", metavar="HOST", help="its name in BackupPC")


def show(context: Context, plan: Plan) -> None:
    """Print *plan*, which is not applied yet."""
    for step in plan.steps:
        context.say(f"would: {step}")


def is_confirmed(context: Context, plan: Plan, options: argparse.Namespace) -> bool:
    """Print *plan*; tell whether the host's name is typed again: by ``--yes HOST``, or else asked for."""
    show(context, plan)
    if context.confirmed(plan.host, options.yes):
        return True
    context.say("This is not the name of the host: nothing was changed.")
    return False


def apply(context: Context, verb: str, plan: Plan, work: Callable[[], str]) -> None:
    """Apply *plan* by *work*, which returns a note; leave a line in the log, then print what was done.

    The log comes first, because the terminal may be gone by then. Work that a fault or Ctrl-C ends is logged
    as well: it may be done in part. Work goes on if the terminal goes away.
    """
    with _without_a_terminal():
        note = _logged(context, verb, plan, work)
    for step in plan.steps:
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


def _logged(context: Context, verb: str, plan: Plan, work: Callable[[], str]) -> str:
    try:
        note = work()
    except (Refusal, Busy):  # nothing was done
        raise
    except BaseException as error:
        code = error.code if isinstance(error, RegisterError) else "interrupted"
        context.log(f"{verb} was not finished", host=plan.host, detail=str(error), code=code)
        raise
    detail = "; ".join((*plan.steps, *filter(None, [note])))
    context.log(verb, host=plan.host, person=plan.person, detail=detail)
    return note


@contextmanager
def _without_a_terminal() -> Iterator[None]:
    """Ignore the hang-up that a broken session sends."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
