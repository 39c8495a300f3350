"""What an administrator's work on a registered host begins with: the host as it stands, under the lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from backuppc_register import names
from backuppc_register.backuppc import data_folder, host_config, hosts
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.backuppc.hosts import Line
from backuppc_register.inventory import host_status, hosts_snapshot, missing_backups
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.server import Server
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import NotAllowed, NotRegistered, RegisterError
from backuppc_register.state.snapshot_file import SeenHost
from backuppc_register.system.uptime import Uptime


class Refused(NotAllowed):
    """What an administrator asks for cannot be done with this host. Takes reason=."""

    text = "{reason}"
    advice = ""

    def __str__(self) -> str:
        """Return it with what can be done: who reads it is an administrator."""
        return ". ".join(filter(None, (super().__str__(), self.advice)))


@dataclass(frozen=True)
class Operation:
    """A change of a registered host.

    *administrator* asks for it; *now* has a time zone. *dry_run*: only say what would be done. *confirmed*:
    the steps that the administrator has confirmed, None if the administrator was not asked. *uptime*: by
    which to wait as well, None if the system does not tell it.
    """

    server: Server
    jobs: Jobs
    administrator: str
    now: datetime
    dry_run: bool = False
    confirmed: tuple[str, ...] | None = None
    uptime: Uptime | None = None

    @property
    def moment(self) -> str:
        """Return *now* as records have it."""
        return self.now.isoformat(timespec="seconds")


@dataclass(frozen=True)
class Done:
    """What was done, or would be: *steps* in words, nothing where all was so before.

    *person* is whose the host is then. *note*: what the administrator should look at.
    """

    host: str
    person: str
    steps: tuple[str, ...]
    note: str = ""


def host_named(name: str) -> str:
    """Return the host that an administrator means, as BackupPC keys it; raises NotRegistered."""
    if not name.isascii() or not names.is_host(name.lower()):
        raise NotRegistered(host=name, advice="")
    return name.lower()


@contextmanager
def examined(host: str, operation: Operation) -> Iterator[HostStatus]:
    """Hold BackupPC's lock and give the status of *host*, which must have a line or a record of ours.

    Raises NotRegistered; Refused if the host has several lines, or settings that BackupPC reads instead of
    its .pl.
    """
    server = operation.server
    server.folders.ready()
    with server.locked():
        status = host_status.read(host, server)
        if not status.lines and status.record is None:
            raise NotRegistered(host=host, advice="")
        if len(status.lines) > 1:
            many = f"{host} has {len(status.lines)} lines in {server.backuppc.hosts}"
            raise Refused(reason=f"{many}: leave one of them")
        if status.overriding:
            raise Refused(
                reason=f"BackupPC reads {status.overriding} instead of {host}.pl: move it away first"
            )
        yield status


def refuse_missing_data(status: HostStatus) -> None:
    """Raise Refused if backups of the host are missing: they may come back with their disk."""
    config = status.server.config
    if reason := missing_backups.why_missing(status.last_seen, config):
        raise Refused(reason=reason, advice=missing_backups.advice(status.host, config))


def lined(status: HostStatus) -> Line:
    """Return the line of a host that has one; raises Refused."""
    if status.line is None:
        raise Refused(reason=f"{status.host} has lost its hosts line: backuppc-register-admin reconcile")
    return status.line


def in_place(status: HostStatus) -> None:
    """Raise Refused if the data folder of the host is a link: only the link would be moved."""
    data_dir = status.server.backuppc.data_dir
    if leads := data_folder.elsewhere(data_dir, status.host):
        where = f"{data_dir}/pc/{status.host}"
        raise Refused(reason=f"{where} is a link to {leads}: put the folder itself there first")


def refuse_linked_config(status: HostStatus) -> None:
    """Raise Refused if the .pl is a link: other hosts may use the same file."""
    if host_config.path(status.server.backuppc.config_dir, status.host).is_symlink():
        raise Refused(reason=f"{status.host}.pl is a link: put the file itself there first")


def refuse_unconfirmed(steps: tuple[str, ...], operation: Operation) -> None:
    """Raise Refused where what is to be done is not what the administrator has said yes to."""
    if operation.confirmed is not None and operation.confirmed != steps:
        reason = "it has changed while you were asked, and nothing was done: look at it again"
        raise Refused(reason=reason)


def readers(status: HostStatus) -> tuple[str, ...]:
    """Return the owner, and everybody but the administrators who can read the host."""
    line = status.line
    every = (status.owner, line.user, *line.more_users) if line else (status.owner,)
    return tuple(user for user in every if not same_logon(user, status.server.account))


def no_longer_readers(status: HostStatus) -> tuple[str, ...]:
    """Say, as a step, who loses access as moreUsers: the new owner chooses anew."""
    more = ", ".join(status.line.more_users) if status.line else ""
    return (f"{more} could read {status.host} too, and cannot any more",) if more else ()


def give_line(status: HostStatus, person: str, operation: Operation, *, data: bool) -> None:
    """Make *person* the only owner in the line, so that no old editor page reverts it; under the lock.

    *data*: whether the host has any then. Raises HostsFileError, StateError.
    """
    host, path, server = status.host, status.server.backuppc.hosts, status.server
    server.former_owners.take(host, readers(status), person=person)
    server.snapshot.forget(host)
    hosts.give(path, hosts.read(path), host, person)
    server.former_owners.decided(host)
    note_line(host, operation, data=data)


def stop_jobs(host: str, operation: Operation) -> str:
    """Stop the jobs of *host*, which has been closed to new jobs; return the result in words."""
    if operation.dry_run:
        return ""
    try:
        return operation.jobs.stop(host, operation.administrator)
    except RegisterError as error:
        return f"a job that runs now was not stopped: {error}"


def note_line(host: str, operation: Operation, *, data: bool) -> None:
    """Remember the line that *host* has now; under the lock. Raises HostsFileError, StateError."""
    server = operation.server
    written = [one for one in hosts.read(server.backuppc.hosts).written() if one.line.host == host]
    server.snapshot.note(SeenHost(host, tuple(map(hosts_snapshot.noted, written)), data, operation.moment))
