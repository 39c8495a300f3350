"""Refuse to change a host if that could change other hosts, or lose data."""

from backuppc_register.backuppc import data_folder, host_config
from backuppc_register.backuppc.hosts import Line
from backuppc_register.inventory import missing_backups
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.protocol.errors import HostsFileError


def the_line(status: HostStatus) -> Line:
    """Return the line of a host that has one; raises Refused."""
    if status.line is None:
        raise Refused(reason=f"{status.host} has lost its hosts line: backuppc-register-admin reconcile")
    return status.line


def refuse_missing_data(status: HostStatus) -> None:
    """Raise Refused if backups of the host are missing: they may come back with their disk.

    Raises HostsFileError if that cannot be told.
    """
    if status.doubt:
        raise HostsFileError(detail=status.doubt)
    config = status.server.config
    if reason := missing_backups.why_missing(status.last_seen, config):
        raise Refused(reason=reason, advice=missing_backups.advice(status.host, config))


def refuse_linked_data(status: HostStatus) -> None:
    """Raise Refused if the data folder of the host is a link: only the link would be moved."""
    data_dir = status.server.backuppc.data_dir
    if target := data_folder.elsewhere(data_dir, status.host):
        link = f"{data_dir}/pc/{status.host} is a link to {target}"
        raise Refused(reason=f"{link}: put the folder itself there first")


def refuse_linked_config(status: HostStatus) -> None:
    """Raise Refused if the .pl is a link: other hosts may use the same file."""
    if host_config.path(status.server.backuppc.config_dir, status.host).is_symlink():
        raise Refused(reason=f"{status.host}.pl is a link: put the file itself there first")
