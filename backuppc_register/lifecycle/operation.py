"""Begin a change of a registered host: read its status under the lock, plan, and compare plans."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from backuppc_register import names
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.inventory import host_status
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import NotAllowed, NotRegistered, RegisterError
from backuppc_register.system.uptime import Uptime


class Refused(NotAllowed):
    """Report that a command of an administrator cannot be carried out. Takes reason=."""

    text = "{reason}"
    advice = ""

    def __str__(self) -> str:
        """Return the reason with its advice, for an administrator."""
        return ". ".join(filter(None, (super().__str__(), self.advice)))


@dataclass(frozen=True)
class Operation:
    """A change that *administrator* makes on *server* at *now*, which has a time zone.

    *uptime*: to measure a waiting period by as well, None if the system does not report it.
    """

    server: Server
    jobs: Jobs
    administrator: str
    now: datetime
    uptime: Uptime | None = None

    @property
    def moment(self) -> str:
        """Return *now* as records have it."""
        return self.now.isoformat(timespec="seconds")

    def stop_jobs(self, host: str) -> str:
        """Stop the jobs of *host*, which is disabled by now; return BackupPC's answer."""
        try:
            return self.jobs.stop(host, self.administrator)
        except RegisterError as error:
            return f"a job that runs now was not stopped: {error}"


@dataclass(frozen=True)
class Plan(ABC):
    """What a verb will do with *host*, which *person* owns then."""

    host: str
    person: str

    @property
    @abstractmethod
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words; nothing if there is nothing to do."""


def refuse_changed(plan: Plan, new: Plan) -> None:
    """Raise Refused if the *new* plan, made under the lock, differs from the confirmed one."""
    if new != plan:
        raise Refused(
            reason=f"{plan.host} has changed while you were asked, and nothing was done: look at it again"
        )


def host_named(name: str) -> str:
    """Return the host *name* as BackupPC keys it; raises NotRegistered."""
    if not name.isascii() or not names.is_host(name.lower()):
        raise NotRegistered(host=name, advice="")
    return name.lower()


@contextmanager
def examined(host: str, server: Server) -> Iterator[HostStatus]:
    """Hold BackupPC's lock and give the status of *host*, which must have a line or a record of ours.

    Raises NotRegistered; Refused if the host has several lines, or settings that BackupPC reads instead of
    its .pl.
    """
    server.folders.ready()
    with server.locked():
        status = host_status.read(host, server)
        if not status.lines and status.record is None:
            raise NotRegistered(host=host, advice="")
        if len(status.lines) > 1:
            lines = f"{host} has {len(status.lines)} lines in {server.backuppc.hosts}"
            raise Refused(reason=f"{lines}: leave one of them")
        if other := status.overriding:
            raise Refused(reason=f"BackupPC reads {other} instead of {host}.pl: move it away first")
        yield status
