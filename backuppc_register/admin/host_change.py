"""What the verbs share that change a host's registration: what they work with, and how they tell it."""

import argparse
import dataclasses
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from backuppc_register.admin.context import Context
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.backuppc.data_folder import Swept
from backuppc_register.lifecycle import purge
from backuppc_register.lifecycle.operation import Done, Operation
from backuppc_register.protocol.errors import Busy, Refusal, RegisterError
from backuppc_register.system import uptime

_MOST_DAYS = 3650


def work(context: Context, *, dry_run: bool) -> Operation:
    """Return what the rules work with, now."""
    return Operation(
        server=context.server,
        administrator=context.administrator,
        jobs=Jobs(context.config.backuppc.socket),
        now=datetime.now(UTC),
        dry_run=dry_run,
        uptime=uptime.read(),
    )


def days(text: str) -> int:
    """Read a number of days; raises argparse's error."""
    if not text.isascii() or not text.isdigit() or int(text) > _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0 to {_MOST_DAYS}")
    return int(text)


def planned(operation: Operation) -> Operation:
    """Return the same work as a mere plan."""
    return dataclasses.replace(operation, dry_run=True)


def confirmed(operation: Operation, plan: Done) -> Operation:
    """Return the same work, of which the administrator has seen the *plan* and said yes."""
    return dataclasses.replace(operation, confirmed=plan.steps)


def add_host(parser: argparse.ArgumentParser) -> None:
    """Add ``HOST``: options.host."""
    parser.add_argument("host", metavar="HOST", help="its name in BackupPC")


def sweep(context: Context, operation: Operation) -> bool:
    """Free the disk of what was purged, and say what could not be deleted; tell whether that was nothing.

    Whatever goes wrong here, what was done before stays done.
    """
    try:
        swept = purge.sweep(operation)
    except RegisterError as error:
        swept = Swept(0, (str(error),))
    if swept.deleted:
        context.say(f"{swept.deleted} deleted; BackupPC frees the pool at its next nightly runs")
    for problem in swept.problems:
        context.say(f"note: {problem}")
    return not swept.problems


def do(context: Context, verb: str, host: str, work: Callable[[], Done], *, dry_run: bool = False) -> Done:
    """Do *work* on *host*, leave its line in the log, then say what was done; of a dry run only say it.

    The line comes first, because who watches may be gone by then. Work that a fault or Ctrl-C ends leaves one
    as well: some of it may be done. A terminal that goes away ends nothing.
    """
    if dry_run:
        done = work()
    else:
        with _without_a_terminal():
            done = _logged(context, verb, host, work)
    tell(context, done, dry_run=dry_run)
    return done


def tell(context: Context, done: Done, *, dry_run: bool) -> None:
    """Say what was done, or would be."""
    for step in done.steps:
        context.say(f"would: {step}" if dry_run else step)
    if done.note:
        context.say(f"note: {done.note}")


def _logged(context: Context, verb: str, host: str, work: Callable[[], Done]) -> Done:
    try:
        done = work()
    except (Refusal, Busy):  # nothing was done
        raise
    except BaseException as error:
        code = error.code if isinstance(error, RegisterError) else "interrupted"
        context.log(f"{verb} was not finished", host=host, detail=str(error), code=code)
        raise
    if done.steps:
        detail = "; ".join((*done.steps, *filter(None, [done.note])))
        context.log(verb, host=done.host, person=done.person, detail=detail)
    return done


@contextmanager
def _without_a_terminal() -> Iterator[None]:
    """Go on when the terminal goes away, as a session does that breaks off."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
