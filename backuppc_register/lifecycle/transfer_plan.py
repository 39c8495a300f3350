"""What a transfer will do, decided and told before the first byte is written."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, count

from backuppc_register.backuppc import host_config, hosts, retired_config
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import revoke_access
from backuppc_register.lifecycle.operation import (
    Operation,
    Refused,
    in_place,
    lined,
    no_longer_readers,
    refuse_linked_config,
    refuse_missing_data,
)
from backuppc_register.names import is_archive_of
from backuppc_register.person import Person, different_entry, same_logon
from backuppc_register.state.records import Record

_TRIES = 100


@dataclass(frozen=True)
class Plan:
    """What a transfer will do.

    *owner*: whose the archived backups will be, *entry* the mark of whom they are of, "" where that is not
    known. *archive*: their name, "" where there are no backups; *unknown*: why they are nobody's.
    *purge*: from when these may be deleted, "" for never. *record*: the host's new one, *config* its new .pl.
    *again*: nothing changes but whose it is, which only administrators could read.
    """

    owner: str
    archive: str
    purge: str
    record: Record
    config: bytes
    entry: str = ""
    unknown: str = ""
    again: bool = False

    def steps(self, status: HostStatus) -> tuple[str, ...]:
        """Say it in words."""
        host, record, losing = status.host, self.record, no_longer_readers(status)
        if self.again:
            what = "" if record.archive_of else ", with its backups, key and settings"
            return (f"{host} is {record.person}'s again{what}", *losing)
        steps = []
        if self.archive:
            steps.append(f"{status.extent} of {host} are {self.owner}'s as {self.archive} from now on")
        if self.archive and self.unknown:
            steps.append(f"only administrators read {self.archive}: {self.unknown}")
        if self.purge and not self.archive:
            steps.append(f"{host} has no backups, so there is nothing to purge")
        if self.archive and self.purge:
            steps.append(f"the data of {self.archive} may be deleted from {self.purge}")
        if record.by_hand:
            steps.append(f"the settings of {host} are set aside, and it is not backed up for now")
        else:
            steps.append(f"{host} gets new settings and a new key; the earlier ones are set aside")
        steps.append(f"{host} is {record.person}'s, who registers it anew from the machine")
        return (*steps, *losing)


def plan_for(status: HostStatus, person: Person, operation: Operation, purge_in: int | None) -> Plan:
    """Decide how the host becomes *person*'s; write nothing.

    *purge_in*: its backups may be deleted in so many days; None: they stay.

    Raises Refused; HostsFileError where the hosts file would not take the lines; Misconfigured.
    """
    host, line, record = status.host, lined(status), status.recorded
    in_place(status)
    refuse_linked_config(status)
    if record.archive_of:
        revoke_access.refuse_stranger(status, record, person, operation.server.account)
        back = revoke_access.of_another(record, person.uid)
        hosts.refuse_give(operation.server.backuppc.hosts, status.hosts, host, person.uid)
        return Plan(person.uid, "", "", back, b"", again=True)
    refuse_missing_data(status)
    theirs = same_logon(status.owner, person.uid) and same_logon(record.person, person.uid)
    if theirs and not different_entry(record.entry, person.entry_id):
        if line.user == status.owner:
            raise Refused(reason=f"{host} is {person.uid}'s already")
        hosts.refuse_give(operation.server.backuppc.hosts, status.hosts, host, person.uid)
        return Plan(person.uid, "", "", record, b"", again=True)
    config = _config(record, operation)
    owner, unknown = _earlier_owner(status, record, person, operation)
    archive = _archive(status, owner, operation) if status.backups else ""
    _refuse_unwritable(archive, owner, person, status, operation)
    in_days = (operation.now + timedelta(days=purge_in or 0)).isoformat(timespec="seconds")
    return Plan(
        owner=owner,
        archive=archive,
        purge=in_days if purge_in is not None else record.purge,
        record=replace(
            record,
            person=person.uid,
            entry=person.entry_id,
            registered="" if record.by_hand else operation.moment,
            config="" if record.by_hand else host_config.digest(config),
            verified="",
            retired=operation.moment if record.by_hand else "",
            purge="",
            purge_of=None,
            purge_wait=None,
        ),
        config=config,
        entry=record.entry if owner in (record.person, operation.server.account) else "",
        unknown=unknown,
    )


def _config(record: Record, operation: Operation) -> bytes:
    """Return the new .pl: of a host that no machine has registered one that is closed until one does.

    Whether the way that somebody made by hand leads to the new person's machine, and with which key, is not
    known; what BackupPC does for all hosts is not known either.
    """
    host = record.host
    if record.by_hand:
        return retired_config.text(host)
    return operation.server.render_config(host, record.full_name, record.os)


def _refuse_unwritable(
    archive: str, owner: str, person: Person, status: HostStatus, operation: Operation
) -> None:
    """Raise HostsFileError where the hosts file would not take a line, before anything is written."""
    path = operation.server.backuppc.hosts
    hosts.refuse_give(path, status.hosts, status.host, person.uid)
    if archive and not status.hosts.lines_for(archive):
        hosts.refuse_append(path, status.hosts, archive, owner)


def _earlier_owner(
    status: HostStatus, record: Record, person: Person, operation: Operation
) -> tuple[str, str]:
    """Return who keeps the backups, and why it is only BackupPC's own account, an administrator's, if it is.

    BackupPC compares logons as text: under a uid that was given out again, the second person would read the
    first one's files. Where a hand has put another's name into the line of *person*'s machine, some backups
    may be of the one and some of the other.
    """
    if same_logon(record.person, person.uid):
        if different_entry(record.entry, person.entry_id):
            return operation.server.account, f"they are of another {record.person}"
        return operation.server.account, f"they may be {record.person}'s or {status.owner or 'nobody'}'s"
    earlier = (user for user in (status.owner, record.person) if user and not same_logon(user, person.uid))
    return next(earlier, operation.server.account), ""


def _archive(status: HostStatus, owner: str, operation: Operation) -> str:
    """Return the name for the backups: one that an earlier run had begun with, or else a new one."""
    known = [name for name in operation.server.folders.names() if is_archive_of(status.host, name)]
    names = chain(known, _names(status, operation))
    return next(name for name in names if _is_begun(name, status, owner, operation))


def _names(status: HostStatus, operation: Operation) -> Iterator[str]:
    dated = f"{status.host}_{operation.now:%Y%m%d}"
    yield dated
    for n in count(2):
        if n > _TRIES:
            raise Refused(reason=f"there are {_TRIES} archives of {status.host} of this day")
        yield f"{dated}-{n}"


def _is_begun(name: str, status: HostStatus, owner: str, operation: Operation) -> bool:
    """Tell whether nothing stands under *name*, or no more than what a killed run of ours has left."""
    places, lines = operation.server.backuppc, status.hosts.lines_for(name)
    config, theirs = host_config.read(places.config_dir, name), operation.server.folders.record(name)
    return (
        not (places.data_dir / "pc" / name).exists()
        and config in (None, retired_config.text(name))
        and (theirs is None or theirs.archive_of == status.host)
        and all(line.user == owner for line in lines)
    )
