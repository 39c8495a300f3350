"""Say which hosts have paused backups: in `show`, `list` and when the next backup is due."""

from collections.abc import Sequence
from datetime import UTC, datetime

from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View, moment
from backuppc_register.backuppc.daemon.pauses import Pauses
from backuppc_register.backuppc.daemon.status import Daemon

_TIMEOUTS = 5.0, 10.0  # seconds for BackupPC's daemon: for one host, for several


def ask(context: Context, views: Sequence[View]) -> Pauses:
    """Ask BackupPC for the pauses of the hosts that have a line and are not retired."""
    hosts = [view.host for view in views if view.lines and not view.retired]
    places = context.config.backuppc
    return Daemon(places.socket, places.install_dir).pauses(hosts, _TIMEOUTS[len(hosts) > 1])


def end(view: View, pauses: Pauses) -> datetime | None:
    """Return when the pause of a host ends, None if there is none or none is known."""
    return pauses.end(view.host, datetime.now(UTC))


def note(view: View, pauses: Pauses) -> str:
    """Return the pause of a host in words, "" without one."""
    until = end(view, pauses)
    return f"paused until {moment(until)}" if until else ""


def doubt(view: View, pauses: Pauses) -> str:
    """Return why it is not known whether a host is paused, "" if that is known, or does not matter."""
    return pauses.doubt(view.host) if view.lines and not view.retired else ""


def as_json(view: View, pauses: Pauses) -> dict[str, str | None]:
    """Return *paused* for JSON: the end of the pause, "" without one, null if that is not known."""
    until = end(view, pauses)
    return {"paused": until.isoformat() if until else None if doubt(view, pauses) else ""}
