"""The check of `reconcile`: it ran, something starts it again, and no hosts line is lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backuppc_register.diagnosis import schedule
from backuppc_register.diagnosis.finding import Answer, green, listed, red, yellow
from backuppc_register.diagnosis.schedule import Schedule
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.state import reconcile_stamp

_ADMIN = "backuppc-register-admin"
_LATE = timedelta(hours=2)  # since the last run; the timer starts it every 15 minutes
_TOO_LATE = timedelta(days=1)  # BackupPC's second nightly run deletes the backups of a lost line
_AHEAD = timedelta(minutes=5)

ADVICE = (
    f"Restore that file from a copy. Or move it away: {_ADMIN} reconcile then starts with the hosts lines of"
    " today, and cannot restore the lines that are lost by now."
)
_TIMER = f"Enable {schedule.TIMER}, or packaging/backuppc-register.cron."


def reconcile(facts: ServerFacts) -> Iterator[Answer]:
    """Check that `reconcile` itself ran, that something starts it, and that no hosts line is lost."""
    snapshot, state = facts.server.snapshot, facts.config.state.directory
    found = schedule.find()
    last = reconcile_stamp.read(state)
    if last is None or not snapshot.path.exists():
        yield _never(last, facts, found)
    else:
        yield _ran(last, found)
    if found.starts is False:
        yield found.alarm()
    lost = sorted(snapshot.read().keys() - {line.host for line in facts.lines})
    advice = f"{_ADMIN} reconcile, before BackupPC's next nightly run deletes their backups."
    yield from listed(red, "hosts without their hosts line:", lost, advice)


def _never(last: datetime | None, facts: ServerFacts, found: Schedule) -> Answer:
    if last is not None:
        what = f"{_ADMIN} reconcile never ran since its snapshot {facts.server.snapshot.path} is gone"
        return yellow(f"{what}: lines that were lost before stay lost", _TIMER)
    what = f"{_ADMIN} reconcile never ran: nothing would notice a lost hosts line"
    if _old(facts.config.state.directory) and not found.starts:
        return red(what, _TIMER)
    return yellow(what, _TIMER)


def _old(state: Path) -> bool:
    """Tell whether the state folder was begun so long ago that `reconcile` should have run."""
    begun = state / "FORMAT"
    if not begun.exists():
        return False  # the check `state` reports it
    return datetime.now(UTC) - datetime.fromtimestamp(begun.stat().st_mtime, UTC) > _TOO_LATE


def _ran(last: datetime, found: Schedule) -> Answer:
    age = datetime.now(UTC) - last
    what = f"{_ADMIN} reconcile last ran at {last.isoformat(timespec='seconds')}"
    if age < -_AHEAD:
        advice = f"See date and timedatectl: is the clock right? {_ADMIN} reconcile writes the time anew."
        return yellow(f"{what}, which is in the future", advice)
    if age > _TOO_LATE:
        return red(f"{what}: BackupPC's second nightly run deletes the backups of a lost line", _TIMER)
    if age > _LATE:
        return yellow(what, _TIMER)
    return green(f"{what}; {found.what}")
