"""Lift the pauses of backups that owners made longer than the site allows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.backuppc.daemon.pauses import Pauses
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import Busy, StateError
from backuppc_register.reconciliation.report import Item, Word


@dataclass(frozen=True)
class LongPause:
    """A pause of *host*, which *person* owns, that ends at *end*, more than *longest* days from now."""

    host: str
    person: str
    end: datetime
    longest: int

    def item(self, problem: str = "") -> Item:
        """Return the pause in words; *problem*: why it was not lifted."""
        what = f"its backups were paused until {self.end:%Y-%m-%d} on BackupPC's page"
        if problem:
            advice = "The next reconcile tries again."
            return Item(
                Word.PAUSE_NOT_LIFTED, f"{what}, and still are: {problem}", advice, self.host, self.person
            )
        what = f"{what}, longer than {self.longest} days; they go on"
        return Item(Word.PAUSE_LIFTED, what, host=self.host, person=self.person)


def paused_hosts(file: HostsFile, server: Server) -> Sequence[str]:
    """Return the hosts of which a pause counts: with a line, and neither retired nor an archive."""
    names = dict.fromkeys(line.host for line in file.lines)
    return [host for host in names if not _is_closed(host, server)]


def find(file: HostsFile, pauses: Pauses, longest: int, now: datetime) -> Iterator[LongPause]:
    """Yield the pauses that are longer than *longest* days; if that is 0, none is too long."""
    owners = {line.host: line.user for line in reversed(file.lines)}
    for host, person in sorted(owners.items()):
        end = pauses.end(host, now)
        if longest and end and end - now > timedelta(days=longest):
            yield LongPause(host, person, end, longest)


def lift(pause: LongPause, jobs: Jobs) -> Item:
    """Lift *pause*, and return what became of it; a backup that is running is not disturbed."""
    try:
        with jobs.kept_away(pause.host) as kept:
            kept.lift_pause(pause.host)
    except Busy as error:
        return pause.item(str(error.detail))
    return pause.item()


def _is_closed(host: str, server: Server) -> bool:
    try:
        record = server.folders.record(host)
    except (StateError, ValueError):  # `inconsistencies` reports the first; the second: a name of others
        return False
    return record is not None and record.is_closed
