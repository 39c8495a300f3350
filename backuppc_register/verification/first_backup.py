"""Queue the first full backup of a host that was just verified."""

from backuppc_register.backuppc import backups
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services


def queue(host: str, owner: str, server: Server, services: Services) -> tuple[str, str]:
    """Ask the running BackupPC for a full backup of *host* for *owner*, unless it has one already.

    Return the reply's ``backup``, "queued" or "", and a note for the log.
    """
    if backups.has_full(server.backuppc.data_dir, host):
        return "", ""
    problem = services.daemon.begin_full(host, owner, services.for_backuppc())
    return ("", problem) if problem else ("queued", "its first backup is queued")
