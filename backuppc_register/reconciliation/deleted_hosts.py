"""Set aside our files of hosts that were deleted on purpose: their lines and backups are gone."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backuppc_register.backuppc import host_config
from backuppc_register.inventory.server import Server
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import StateError
from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.state.snapshot_file import SeenHost


@dataclass(frozen=True)
class DeletedHost:
    """A deleted host as last *seen*.

    *recorded*: our record is its last owner's, and goes aside with *config*, its .pl if that is ours.
    *problem*: why our record cannot be read, "" if it can.
    """

    seen: SeenHost
    recorded: bool = False
    config: Path | None = None
    problem: str = ""

    def item(self, problem: str = "") -> Item:
        """Return the item of the report; *problem*: why our files could not be set aside."""
        aside = ", and our record is set aside" if self.recorded else ""
        if why := problem or self.problem:
            aside = f", but our record could not be set aside ({why})"
        what = (
            f"line and backups are gone, so the host was deleted on purpose{aside}; the line is not restored"
        )
        return Item(Word.CLEANED, what, host=self.seen.host, person=self.seen.users)


def plan(host: SeenHost, server: Server) -> DeletedHost:
    """Return what is to be set aside of a deleted *host*: nothing of an owner who registered later."""
    try:
        record = server.folders.record(host.host)
    except StateError as error:
        return DeletedHost(host, problem=str(error.detail))
    except ValueError:  # a name that no machine can have: nothing of ours has it
        return DeletedHost(host)
    if record is None or not any(same_logon(line.user, record.person) for line in host.lines):
        return DeletedHost(host)
    # Without line, data and record, a .pl would keep the name from everyone; a retired host's is ours.
    ours = record.config or record.retired
    config = host_config.path(server.backuppc.config_dir, host.host) if ours else None
    return DeletedHost(host, recorded=True, config=config)


def set_aside(deleted: DeletedHost, server: Server, now: datetime) -> str:
    """Set aside our files, and note the former owners; return why that failed, or ""."""
    host = deleted.seen
    try:
        users = (user for line in host.lines for user in (line.user, *line.more_users))
        server.former_owners.take(host.host, users)
        if deleted.recorded:
            server.folders.set_aside(host.host, deleted.config, now)
    except StateError as error:
        return str(error.detail)
    return ""
