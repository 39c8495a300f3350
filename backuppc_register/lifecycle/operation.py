"""What an administrator's work on a registered host begins with: the host as it stands, under the lock."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from backuppc_register.backuppc import backups, data_folder, host_config, hosts
from backuppc_register.backuppc.data_folder import Extent
from backuppc_register.backuppc.hosts import HostsFile, Line
from backuppc_register.backuppc.lock import locked
from backuppc_register.config import BackupPC, Config
from backuppc_register.inventory import hosts_snapshot, missing_backups
from backuppc_register.inventory.effective_owner import effective_owner
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import NotAllowed, NotRegistered, RegisterError
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record
from backuppc_register.state.snapshot_file import HostsSnapshot, SeenHost
from backuppc_register.system.uptime import Uptime

_HOST = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_LOCK_PATIENCE = 10.0  # seconds, design section 4
_BY_HAND = Record("", full_name="", person="", entry="", os="", address="", registered="", config="")


class Refused(NotAllowed):
    """What an administrator asks for cannot be done with this host. Takes reason=."""

    text = "{reason}"
    advice = ""

    def __str__(self) -> str:
        """Return it with what can be done: who reads it is an administrator."""
        return ". ".join(filter(None, (super().__str__(), self.advice)))


class Kept(Protocol):
    """A host that no job touches."""

    def tell(self, *, known: tuple[str, ...] = (), gone: tuple[str, ...] = ()) -> str:
        """Have the hosts file read again; return "", or what BackupPC does not see as it is."""


class Jobs(Protocol):
    """The running BackupPC's jobs."""

    def kept_away(self, host: str) -> AbstractContextManager[Kept]:
        """Keep every job off *host* as long as this lasts; raises Busy."""

    def stop(self, host: str, administrator: str) -> str:
        """Stop what runs on *host*; return what BackupPC says, "" where it is not running; raises Busy."""


@dataclass(frozen=True)
class Operation:
    """Everything that this work needs.

    *account* is the one we work as, *administrator* who asks; *now* has a time zone. *dry_run*: only say what
    would be done. *confirmed*: the steps that the administrator has said yes to, None where nobody was asked.
    *uptime*: by which to wait as well, None where that cannot be told.
    """

    config: Config
    account: str
    administrator: str
    folders: HostFolders
    jobs: Jobs
    now: datetime
    dry_run: bool = False
    confirmed: tuple[str, ...] | None = None
    uptime: Uptime | None = None

    @property
    def ledger(self) -> HostsSnapshot:
        """Return the hosts lines as last seen, by which lost ones are put back."""
        return HostsSnapshot(self.config.state.directory)

    @property
    def former(self) -> FormerOwners:
        """Return from whom hosts were taken, who are not to get them back by an old page."""
        return FormerOwners(self.config.state.directory)

    @property
    def moment(self) -> str:
        """Return *now* as records have it."""
        return self.now.isoformat(timespec="seconds")


@dataclass(frozen=True)
class Subject:
    """A host as it stands.

    *line*: None where it has none. *owner*: whose the host is, by the line, or, where that went back to
    somebody from whom the host was taken, whose it was before. *record*: None where its line was made by
    hand. *data*: whether BackupPC has anything of it, *extent* how much of that by BackupPC's own list.
    """

    host: str
    hosts: HostsFile
    line: Line | None
    owner: str
    record: Record | None
    config: bytes | None
    data: bool
    extent: Extent


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
    if not name.isascii() or not _HOST.fullmatch(name.lower()):
        raise NotRegistered(host=name, advice="")
    return name.lower()


@contextmanager
def examined(host: str, operation: Operation) -> Iterator[Subject]:
    """Hold BackupPC's lock and give what there is of *host*, which must have a line or a record of ours.

    Raises NotRegistered; Refused where the host has several lines, or settings that BackupPC reads instead of
    its .pl.
    """
    places = operation.config.backuppc
    operation.folders.ready()
    with locked(places.config_dir, _LOCK_PATIENCE):
        read = hosts.read(places.hosts)
        lines, record = read.lines_for(host), operation.folders.record(host)
        if not lines and record is None:
            raise NotRegistered(host=host, advice="")
        if len(lines) > 1:
            raise Refused(reason=f"{host} has {len(lines)} lines in {places.hosts}: leave one of them")
        _refuse_other_config(host, places)
        yield Subject(
            host=host,
            hosts=read,
            line=lines[0] if lines else None,
            owner=_owner(host, lines[0].user if lines else "", operation),
            record=record,
            config=host_config.read(places.config_dir, host),
            data=backups.has_backups(places.data_dir, host),
            extent=data_folder.extent(places.data_dir, host),
        )


def refuse_missing_data(subject: Subject, operation: Operation) -> None:
    """Raise Refused where BackupPC had data of the host that cannot be seen now: it may come back."""
    known = operation.ledger.read().get(subject.host)
    if reason := missing_backups.why_missing(known, operation.config):
        raise Refused(reason=reason, advice=missing_backups.advice(subject.host, operation.config))


def _owner(host: str, user: str, operation: Operation) -> str:
    known = operation.ledger.read().get(host)
    return effective_owner(user, operation.former.of(host), known, operation.account)


def _refuse_other_config(host: str, places: BackupPC) -> None:
    if where := host_config.overriding(places, host):
        raise Refused(reason=f"BackupPC reads {where} instead of {host}.pl: move it away first")


def recorded(subject: Subject) -> Record:
    """Return the record of the host; where its line was made by hand, one that tells no more than it."""
    record = subject.record or _BY_HAND
    if not record.by_hand:
        return record
    return replace(record, host=subject.host, person=subject.owner if subject.line else record.person)


def lined(subject: Subject) -> Line:
    """Return the line of a host that has one; raises Refused."""
    if subject.line is None:
        raise Refused(reason=f"{subject.host} has lost its hosts line: backuppc-register-admin reconcile")
    return subject.line


def in_place(subject: Subject, operation: Operation) -> None:
    """Refuse to move the data of a host that is somewhere else: what moves would be the link to it."""
    data_dir = operation.config.backuppc.data_dir
    if leads := data_folder.elsewhere(data_dir, subject.host):
        where = f"{data_dir}/pc/{subject.host}"
        raise Refused(reason=f"{where} is a link to {leads}: put the folder itself there first")


def refuse_linked_config(subject: Subject, operation: Operation) -> None:
    """Raise Refused where the .pl is a link: what it leads to may be other hosts' as well."""
    if host_config.path(operation.config.backuppc.config_dir, subject.host).is_symlink():
        raise Refused(reason=f"{subject.host}.pl is a link: put the file itself there first")


def refuse_unconfirmed(steps: tuple[str, ...], operation: Operation) -> None:
    """Raise Refused where what is to be done is not what the administrator has said yes to."""
    if operation.confirmed is not None and operation.confirmed != steps:
        reason = "it has changed while you were asked, and nothing was done: look at it again"
        raise Refused(reason=reason)


def users(subject: Subject, operation: Operation) -> tuple[str, ...]:
    """Return everybody but the administrators who can read the host, and whose it is."""
    line = subject.line
    every = (subject.owner, line.user, *line.more_users) if line else (subject.owner,)
    return tuple(user for user in every if not same_logon(user, operation.account))


def no_longer_readers(subject: Subject) -> tuple[str, ...]:
    """Say, as a step, who is in the line besides and will not be: who owns it then, chooses anew."""
    more = ", ".join(subject.line.more_users) if subject.line else ""
    return (f"{more} could read {subject.host} too, and cannot any more",) if more else ()


def give_line(subject: Subject, person: str, operation: Operation, *, data: bool) -> None:
    """Make the line *person*'s alone, and note that no old page is to give it back; under the lock.

    *data*: whether the host has any then. Raises HostsFileError, StateError.
    """
    host, path = subject.host, operation.config.backuppc.hosts
    operation.former.take(host, users(subject, operation), person=person)
    operation.ledger.forget(host)
    hosts.give(path, hosts.read(path), host, person)
    operation.former.decided(host)
    note_line(host, operation, data=data)


def stop_jobs(host: str, operation: Operation) -> str:
    """Stop what runs on *host*, which has been closed to new jobs; return what became of it."""
    if operation.dry_run:
        return ""
    try:
        return operation.jobs.stop(host, operation.administrator)
    except RegisterError as error:
        return f"a job that runs now was not stopped: {error}"


def note_line(host: str, operation: Operation, *, data: bool) -> None:
    """Remember the line that *host* has now; under the lock. Raises HostsFileError, StateError."""
    written = [one for one in hosts.read(operation.config.backuppc.hosts).written() if one.line.host == host]
    operation.ledger.note(SeenHost(host, tuple(map(hosts_snapshot.noted, written)), data, operation.moment))
