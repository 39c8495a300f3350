"""Predict when BackupPC makes the next backup of a host."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from backuppc_register.admin import paused
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View, moment
from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.backups import Backup
from backuppc_register.backuppc.daemon.pauses import Pauses
from backuppc_register.backuppc.settings import Settings, SettingsReader
from backuppc_register.protocol.errors import RegisterError

_TIMEOUTS = 5.0, 60.0  # seconds for BackupPC's Perl: for one host, for several


def of(context: Context, views: Sequence[View], pauses: Pauses) -> dict[str, str]:
    """Return for each host in words when its next backup is due, by BackupPC_dump's rule."""
    registered = [view.host for view in views if view.lines]
    settings: dict[str, Settings | str] = {}
    if registered:
        try:
            timeout = _TIMEOUTS[len(registered) > 1]
            settings = SettingsReader(context.config.backuppc).each(registered, timeout)
        except RegisterError as error:
            settings = dict.fromkeys(registered, error.detail or error.message())
    late = "it took too long"
    return {view.host: _words(view, settings.get(view.host, late), pauses) for view in views}


def _words(view: View, settings: Settings | str, pauses: Pauses) -> str:
    if not view.lines:
        return "never: no hosts line"
    if any(line.by_netbios for line in view.lines):
        return f"never: {hosts.SAYS_DHCP}"
    if isinstance(settings, str):
        return f"BackupPC cannot read its settings: {settings}"
    if settings.disabled:
        return "never: its backups are disabled"
    due, end = due_at(view.backups, settings), paused.end(view, pauses)
    if end and (due is None or due < end):
        return f"{moment(end)}, when its pause ends, or BackupPC's first wakeup after that"
    if due is None or due <= datetime.now(due.tzinfo):
        return "due: when BackupPC wakes up and the host answers"
    return f"{moment(due)}, or BackupPC's first wakeup after that"


def due_at(known: tuple[Backup, ...], settings: Settings) -> datetime | None:
    """Return when the next backup is due, or None for at once."""
    full = [one.started for one in known if one.kind == "full"]
    any_kind = [one.started for one in known if one.kind in {"full", "incr"}]
    if not full:
        return None
    due = max(full) + timedelta(days=settings.full_period)
    return min(due, max(any_kind) + timedelta(days=settings.incr_period))
