"""Tell for how long a registration was not verified, and from when it is released."""

from dataclasses import dataclass
from datetime import UTC, datetime

from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View
from backuppc_register.inventory import missing_backups, provisional


@dataclass(frozen=True)
class Waiting:
    """A registration that was never verified and has no backups.

    *since*: the time of the registration, *days* ago. *release*: from when `reconcile` releases it, "" for
    never.
    """

    since: str
    days: int | None
    release: str

    @property
    def note(self) -> str:
        """Return it in words."""
        age = "" if self.days is None else f" for {self.days} day{'' if self.days == 1 else 's'}"
        then = f"released from {self.release[:10]}" if self.release else "not released by itself"
        return f"never verified{age}, {then}"


def of(context: Context, view: View, now: datetime | None = None) -> Waiting | None:
    """Return how long the host waits for its first verification, None if it does not, or has backups."""
    record = view.record
    if record is None or not provisional.is_waiting(record):
        return None
    if view.backups or missing_backups.look(view.host, None, context.config).exists:
        return None
    due = provisional.released_from(record, context.config.limits.unverified_days)
    release = due.isoformat(timespec="seconds") if due else ""
    return Waiting(record.registered, _age(record.registered, now or datetime.now(UTC)), release)


def as_json(waiting: Waiting | None) -> dict[str, object]:
    """Return what JSON has of it."""
    if waiting is None:
        return {"unverified": None}
    return {
        "unverified": {"since": waiting.since, "days": waiting.days, "released_from": waiting.release or None}
    }


def _age(since: str, now: datetime) -> int | None:
    try:
        return (now - datetime.fromisoformat(since)).days
    except (ValueError, TypeError):  # no time, or one without a zone
        return None
