"""Tell for how long a registration was not verified, and from when it is released."""

from dataclasses import dataclass
from datetime import UTC, datetime

from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View
from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.inventory import missing_backups, provisional
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.reconciliation import unverified

_TIMEOUT = 5.0  # seconds for BackupPC's daemon


@dataclass(frozen=True)
class Waiting:
    """A registration that was never verified and has no backups.

    *since*: the time of the registration, *days* ago. *release*: from when `reconcile` releases it, "" for
    never. *obstacle*: why that would be refused now.
    """

    since: str
    days: int | None
    release: str
    obstacle: str = ""

    @property
    def note(self) -> str:
        """Return it in words."""
        age = "" if self.days is None else f" for {self.days} day{'' if self.days == 1 else 's'}"
        then = f"released from {self.release[:10]}" if self.release else "not released by itself"
        unless = f", but not as it is now: {self.obstacle}" if self.obstacle else ""
        return f"never verified{age}, {then}{unless}"


def of(context: Context, view: View, now: datetime | None = None) -> Waiting | None:
    """Return how long the host waits for its first verification, None if it does not, or has backups."""
    record = view.record
    if record is None or not provisional.is_waiting(record):
        return None
    found, now = missing_backups.look(view.host, None, context.config), now or datetime.now(UTC)
    if view.backups or (found.exists and not found.doubt):
        return None
    due = provisional.released_from(record, context.config.limits.unverified_days)
    if due is None:
        return Waiting(record.registered, _age(record.registered, now), "")
    obstacle = _obstacle(context, view.host, running=due <= now)
    release = due.isoformat(timespec="seconds")
    return Waiting(record.registered, _age(record.registered, now), release, obstacle)


def _obstacle(context: Context, host: str, *, running: bool) -> str:
    """Return why the host would not be released now, or ""; *running*: a job that runs counts, too."""
    try:
        file = hosts.read(context.config.backuppc.hosts)
    except HostsFileError as error:
        return error.detail
    if why := unverified.obstacle(host, file, context.server):
        return why
    if not running:
        return ""
    places = context.config.backuppc
    state = Daemon(places.socket, places.install_dir).status(host, _TIMEOUT).get("state", "")
    return "a job of BackupPC works on it" if state.endswith("_in_progress") else ""


def as_json(waiting: Waiting | None) -> dict[str, object]:
    """Return what JSON has of it."""
    if waiting is None:
        return {"unverified": None}
    return {
        "unverified": {
            "since": waiting.since,
            "days": waiting.days,
            "released_from": waiting.release or None,
            "obstacle": waiting.obstacle or None,
        }
    }


def _age(since: str, now: datetime) -> int | None:
    try:
        return (now - datetime.fromisoformat(since)).days
    except (ValueError, TypeError):  # no time, or one without a zone
        return None
