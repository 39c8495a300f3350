"""Forget a host on an administrator's command: its lost line, or its missing backups."""

from dataclasses import dataclass

from backuppc_register.backuppc import hosts
from backuppc_register.inventory import hosts_snapshot, missing_backups
from backuppc_register.inventory.server import Server
from backuppc_register.lifecycle.operation import Refused


@dataclass(frozen=True)
class ForgetPlan:
    """The lost line of *host* will not be restored; with *data*, its missing backups will not be expected."""

    host: str
    data: bool


def plan(host: str, server: Server) -> ForgetPlan | None:
    """Plan to forget *host*; return None if it is not known.

    Raises Refused if the host has a line and no backups are missing; HostsFileError and StateError as
    `reconcile`.
    """
    with server.locked():
        return _plan(host, server)


def apply(confirmed: ForgetPlan, server: Server) -> None:
    """Carry out the *confirmed* plan; raises Refused if the host has changed, else what `plan` does."""
    host = confirmed.host
    with server.locked():
        if _plan(host, server) != confirmed:
            raise Refused(reason=f"{host} has changed while you were asked, and nothing was done")
        if confirmed.data:
            found = missing_backups.look(host, None, server.config)
            server.snapshot.note(hosts_snapshot.with_data(server.snapshot.read()[host], None, found))
            return
        if owner := server.former_owners.of(host).owner:  # else the next registration would be undone
            server.former_owners.take(host, [owner])
        server.snapshot.forget(host)


def _plan(host: str, server: Server) -> ForgetPlan | None:
    path, last = server.backuppc.hosts, server.snapshot.read().get(host)
    if not hosts.read(path).lines_for(host):
        return ForgetPlan(host, data=False) if last else None
    if not missing_backups.why_missing(last, server.config):
        raise Refused(reason=f"{host} has a line; take it out of {path} first")
    return ForgetPlan(host, data=True)
