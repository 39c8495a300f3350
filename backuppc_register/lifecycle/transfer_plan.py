"""Plan a transfer: who owns what afterwards, decided before the first byte is written."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, count

from backuppc_register import names
from backuppc_register.backuppc import host_config, hosts, retired_config
from backuppc_register.backuppc.data_folder import Extent
from backuppc_register.inventory import policy
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import guards, owner_change
from backuppc_register.lifecycle.operation import Operation, Plan, Refused
from backuppc_register.lifecycle.purge_request import cancelled, with_owner
from backuppc_register.person import Person, different_entry, same_entry, same_logon
from backuppc_register.state.records import Record

_TRIES = 100


@dataclass(frozen=True)
class _TransferTo(Plan):
    """What both kinds of plan have: the new owner *to*, *purge_in* as asked for, and who loses access."""

    to: Person
    purge_in: int | None
    lost: tuple[str, ...]


@dataclass(frozen=True)
class ReturnPlan(_TransferTo):
    """The plan to give a host, or an *archive* that only administrators read, back with its backups."""

    archive: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words."""
        whole = "" if self.archive else ", with its backups, key and settings"
        return (f"{self.host} is {self.person}'s again{whole}", *self.lost)


@dataclass(frozen=True)
class TransferPlan(_TransferTo):
    """The plan to give a host to another person.

    *record* and *config*: its new record and .pl. *archived*: the record of its backups of the size *extent*
    under their archived name, None if there are none; *unclear*: between whom their owner is unclear. *due*:
    from when the archive may be deleted (ISO 8601), "" for never.
    """

    record: Record
    config: bytes
    archived: Record | None
    extent: Extent
    unclear: tuple[str, ...]
    due: str

    @property
    def archive(self) -> str:
        """Return the archived name, "" if there are no backups."""
        return self.archived.host if self.archived else ""

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the plan in words."""
        host, steps = self.host, [*self._archive_steps()]
        if self.record.by_hand:
            steps.append(f"the settings of {host} are set aside, and it is not backed up for now")
        else:
            steps.append(f"{host} gets new settings and a new key; the earlier ones are set aside")
        steps.append(f"{host} is {self.person}'s, who registers it anew from the machine")
        return (*steps, *self.lost)

    def _archive_steps(self) -> Iterator[str]:
        if self.archived:
            owner, archive = self.archived.person, self.archived.host
            yield f"{self.extent} of {self.host} are {owner}'s as {archive} from now on"
            if self.unclear:
                either = "'s or ".join(self.unclear)
                unclear = f"they may be {either}'s" if self.unclear[1:] else f"they are of another {either}"
                yield f"only administrators read {archive}: {unclear}"
            if self.due:
                yield f"the data of {archive} may be deleted from {self.due}"
        elif self.due:
            yield f"{self.host} has no backups, so there is nothing to purge"


def plan_transfer(
    status: HostStatus, person: Person, operation: Operation, purge_in: int | None
) -> ReturnPlan | TransferPlan:
    """Plan to make *person* the owner of the host; write nothing.

    *purge_in*: its backups may be deleted in so many days; None: they stay.

    Raises Refused; HostsFileError if the hosts file would not take the lines; Misconfigured.
    """
    line, archive = guards.the_line(status), bool(status.recorded.archive_of)
    guards.refuse_linked_data(status)
    guards.refuse_linked_config(status)
    if archive:
        _refuse_stranger(status, person)
    else:
        guards.refuse_missing_data(status)
        if not _is_owner(status, person):
            return _plan_new_owner(status, person, operation, purge_in)
        if {line.user, status.owner, status.recorded.person} == {person.uid}:
            raise Refused(reason=f"{status.host} is {person.uid}'s already")
    hosts.refuse_give(status.server.backuppc.hosts, status.hosts, status.host, person.uid)
    return ReturnPlan(status.host, person.uid, person, purge_in, owner_change.lost_access(status), archive)


def _refuse_stranger(status: HostStatus, person: Person) -> None:
    """Raise Refused if archived backups must not become *person*'s.

    Only administrators can give back what they restricted: to the owner, or to the directory entry that
    registered the machine, never to another entry with its logon.
    """
    host, owner, account, entry = status.host, status.owner, status.server.account, status.recorded.entry
    if not same_logon(guards.the_line(status).user, account):
        raise Refused(reason=f"{host} are archived backups: they stay with {owner}, or go to {account}")
    waits = same_logon(owner, person.uid) and not different_entry(entry, person.entry_id)
    if not waits and not same_entry(entry, person.entry_id):
        raise Refused(reason=f"{host} are archived backups that are not known to be {person.uid}'s")


def _is_owner(status: HostStatus, person: Person) -> bool:
    """Tell whether *person* owns the host by any logon of the entry, also by one that it has lost."""
    record = status.recorded
    if different_entry(record.entry, person.entry_id):
        return False
    known = person.has(record.person) or _is_renamed(status, person)
    return known and (person.has(status.owner) or same_logon(status.owner, record.person))


def _is_renamed(status: HostStatus, person: Person) -> bool:
    """Tell whether the record is of *person*'s entry under an earlier logon, and the host not restricted."""
    record, account = status.recorded, status.server.account
    if record.by_hand:  # its person is the line's, and its entry may be that of an interrupted transfer
        return False
    return same_entry(record.entry, person.entry_id) and not policy.is_own_account(record.person, account)


def _plan_new_owner(
    status: HostStatus, person: Person, operation: Operation, purge_in: int | None
) -> TransferPlan:
    record, config = status.recorded, _config(status)
    archived, unclear = None, _unclear(status, person)
    if status.backups:
        archived = _archived(status, _earlier_owner(status, person, unclear), operation)
    _refuse_unwritable(status, person, archived)
    in_days = (operation.now + timedelta(days=purge_in or 0)).isoformat(timespec="seconds")
    return TransferPlan(
        host=status.host,
        person=person.uid,
        to=person,
        purge_in=purge_in,
        lost=owner_change.lost_access(status),
        record=_new_record(record, config, person, operation.moment),
        config=config,
        archived=archived,
        extent=status.extent,
        unclear=unclear if archived else (),
        due=record.purge if purge_in is None else in_days,
    )


def _new_record(record: Record, config: bytes, person: Person, moment: str) -> Record:
    """Return the host's record for *person*; a manually added host stays disabled."""
    return replace(
        cancelled(record),
        person=person.uid,
        entry=person.entry_id,
        registered="" if record.by_hand else moment,
        config="" if record.by_hand else host_config.digest(config),
        verified="",
        retired=moment if record.by_hand else "",
        final="",
        provisional=False,
        fresh=False,
    )


def _config(status: HostStatus) -> bytes:
    """Return the new .pl.

    For a manually added host it disables the backups until a machine registers: the present one may not lead
    to the new owner's machine.
    """
    host, record, server = status.host, status.recorded, status.server
    if record.by_hand:
        return retired_config.text(host)
    return server.render_config(host, record.full_name, record.os)


def _refuse_unwritable(status: HostStatus, person: Person, archived: Record | None) -> None:
    """Raise HostsFileError if the hosts file would not take a line, before anything is written."""
    path = status.server.backuppc.hosts
    hosts.refuse_give(path, status.hosts, status.host, person.uid)
    if archived and not status.hosts.lines_for(archived.host):
        hosts.refuse_append(path, status.hosts, archived.host, archived.person)


def _unclear(status: HostStatus, person: Person) -> tuple[str, ...]:
    """Return between whom the owner of the earlier backups is unclear; nothing if it is clear.

    BackupPC compares logons as text: the second person of a reused logon would read the first one's files.
    If another user was put into the line of *person*'s machine, the backups may be of both.
    """
    record = status.recorded
    if not same_logon(record.person, person.uid):
        return ()
    if different_entry(record.entry, person.entry_id):
        return (record.person,)
    return record.person, status.owner or "nobody"


def _earlier_owner(status: HostStatus, person: Person, unclear: tuple[str, ...]) -> str:
    """Return who keeps the backups: if that is unclear, BackupPC's account."""
    users = () if unclear else (status.owner, status.recorded.person)
    earlier = (user for user in users if user and not same_logon(user, person.uid))
    return next(earlier, status.server.account)


def _archived(status: HostStatus, owner: str, operation: Operation) -> Record:
    record, archive = status.recorded, _archive_name(status, owner, operation)
    return replace(
        with_owner(record, owner),
        host=archive,
        entry=record.entry if owner in (record.person, status.server.account) else "",
        config=host_config.digest(retired_config.text(archive)),
        retired=record.retired or operation.moment,
        archive_of=status.host,
        final="",
        provisional=False,
        fresh=False,
    )


def _archive_name(status: HostStatus, owner: str, operation: Operation) -> str:
    """Return the name that an interrupted run began with, or else a new one."""
    host, known = status.host, status.server.folders.names()
    begun = (name for name in known if names.is_archive_of(host, name))
    every = chain(begun, _new_names(host, operation))
    return next(name for name in every if _is_unused(name, status, owner))


def _new_names(host: str, operation: Operation) -> Iterator[str]:
    dated = f"{host}_{operation.now:%Y%m%d}"
    yield dated
    for n in count(2):
        if n > _TRIES:
            raise Refused(reason=f"there are {_TRIES} archives of {host} of this day")
        yield f"{dated}-{n}"


def _is_unused(name: str, status: HostStatus, owner: str) -> bool:
    """Tell whether nothing has *name*, except what an interrupted run of ours left."""
    places, lines = status.server.backuppc, status.hosts.lines_for(name)
    config, record = host_config.read(places.config_dir, name), status.server.folders.record(name)
    return (
        not (places.data_dir / "pc" / name).exists()
        and config in (None, retired_config.text(name))
        and (record is None or record.archive_of == status.host)
        and all(line.user == owner for line in lines)
    )
