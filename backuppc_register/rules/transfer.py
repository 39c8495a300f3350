"""A laptop changes hands: the new person gets the host, and never what was backed up before."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, count

from backuppc_register.backuppc import closed_config, host_config, host_data, hosts
from backuppc_register.errors import BadUser, NoConfigFile
from backuppc_register.person import Person, another_entry, possible_logon, same_logon
from backuppc_register.rules import policy
from backuppc_register.rules.custody import (
    Custody,
    Done,
    Refused,
    Subject,
    examined,
    in_place,
    lined,
    note_line,
    recorded,
    refuse_linked_config,
    refuse_missing_data,
    refuse_unconfirmed,
    users,
)
from backuppc_register.rules.purge import asked, of_another_owner
from backuppc_register.rules.site import Directory
from backuppc_register.state import key_pairs, known_hosts, retirement
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

_WITHIN = 30.0  # seconds for the directory
_TRIES = 100


@dataclass(frozen=True)
class Plan:
    """What a transfer will do.

    *owner*: whose the archived backups will be. *archive*: their name, "" where there are no backups.
    *purge*: from when these may be deleted, "" for never. *record*: the host's new one, *config* its new .pl.
    *again*: nothing but its line changes, which `reconcile` had closed.
    """

    owner: str
    archive: str
    purge: str
    record: Record
    config: bytes
    again: bool = False

    def steps(self, subject: Subject) -> tuple[str, ...]:
        """Say it in words."""
        host, record = subject.host, self.record
        if self.again:
            return (f"{host} is {record.person}'s again, with its backups, key and settings",)
        steps = []
        if self.archive:
            steps.append(f"{subject.extent} of {host} are {self.owner}'s as {self.archive} from now on")
        if self.archive and self.purge:
            steps.append(f"the data of {self.archive} may be deleted from {self.purge}")
        if record.by_hand:
            steps.append(f"the settings of {host} are set aside, and it is not backed up for now")
        else:
            steps.append(f"{host} gets new settings and a new key; the earlier ones are set aside")
        steps.append(f"{host} is {record.person}'s, who registers it anew from the machine")
        return tuple(steps)


def person_of(logon: str, directory: Directory, account: str) -> Person:
    """Return the person of *logon*, checked as at a registration.

    Raises BadUser, DirectoryUnavailable.
    """
    if not possible_logon(logon):
        raise BadUser(logon=logon, detail="not a possible logon")
    policy.refuse_own_account(logon, account)
    person = directory.find(logon, _WITHIN)
    policy.refuse_own_account(person.uid, account)
    return person


def transfer(host: str, person: Person, custody: Custody, *, purge_in: int | None = None) -> Done:
    """Give *host* to *person*; its backups stay with who has them now, under an archived name.

    *purge_in*: they may be deleted in so many days; None: they stay.

    Killed anywhere, nobody reads what was not theirs, and the same transfer again finishes the work: until
    the last step, the hosts line, the host is its earlier owner's.

    Raises what `examined` does; Refused; Busy, and faults.
    """
    with custody.jobs.kept_away(host) as kept:
        with examined(host, custody) as subject:
            plan = _plan(subject, person, custody, purge_in)
            refuse_unconfirmed(plan.steps(subject), custody)
            if not custody.dry_run:
                _carry_out(plan, subject, custody)
        known = tuple(filter(None, (host, plan.archive)))
        note = "" if custody.dry_run else kept.tell(known=known)
    return Done(host, person.uid, plan.steps(subject), note)


def _plan(subject: Subject, person: Person, custody: Custody, purge_in: int | None) -> Plan:
    host, line, record = subject.host, lined(subject), recorded(subject)
    in_place(subject, custody)
    refuse_linked_config(subject, custody)
    if record.archive_of:
        raise Refused(reason=f"{host} are archived backups: they stay with {subject.owner}")
    theirs = same_logon(subject.owner, person.uid) and same_logon(record.person, person.uid)
    if theirs and not another_entry(record.entry, person.entry):
        if line.user == subject.owner:
            raise Refused(reason=f"{host} is {person.uid}'s already")
        hosts.refuse_give(custody.config.backuppc.hosts, subject.hosts, host, person.uid)
        return Plan(person.uid, "", "", record, b"", again=True)
    refuse_missing_data(subject, custody)
    config = _config(record, custody)
    owner = _earlier_owner(subject, record, person, custody)
    archive = _archive(subject, owner, custody) if subject.data else ""
    _refuse_unwritable(archive, owner, person, subject, custody)
    in_days = (custody.now + timedelta(days=purge_in or 0)).isoformat(timespec="seconds")
    return Plan(
        owner=owner,
        archive=archive,
        purge=in_days if purge_in is not None else record.purge,
        record=replace(
            record,
            person=person.uid,
            entry=person.entry,
            registered="" if record.by_hand else custody.moment,
            config="" if record.by_hand else host_config.digest(config),
            verified="",
            retired=custody.moment if record.by_hand else "",
            purge="",
            purge_of="",
        ),
        config=config,
    )


def _config(record: Record, custody: Custody) -> bytes:
    """Return the new .pl: of a host that no machine has registered one that is closed until one does.

    Whether the way that somebody made by hand leads to the new person's machine, and with which key, is not
    known; what BackupPC does for all hosts is not known either.
    """
    host = record.host
    if record.by_hand:
        return closed_config.text(host)
    values = host_config.Values(host, record.full_name, custody.folders.path(host) / known_hosts.SSH_CONFIG)
    return host_config.render(record.os, values, custody.config.backuppc.templates)


def _refuse_unwritable(archive: str, owner: str, person: Person, subject: Subject, custody: Custody) -> None:
    """Raise CouldNotRegister where the hosts file would not take a line, before anything is written."""
    path = custody.config.backuppc.hosts
    hosts.refuse_give(path, subject.hosts, subject.host, person.uid)
    if archive and not subject.hosts.lines_for(archive):
        hosts.refuse_append(path, subject.hosts, archive, owner)


def _earlier_owner(subject: Subject, record: Record, person: Person, custody: Custody) -> str:
    """Return who keeps the backups: who has the host, else BackupPC's own account, an administrator's.

    BackupPC compares logons as text: under a uid that was given out again, the second person would read the
    first one's files.
    """
    earlier = (user for user in (subject.owner, record.person) if user and not same_logon(user, person.uid))
    return next(earlier, custody.account)


def _archive(subject: Subject, owner: str, custody: Custody) -> str:
    """Return the name for the backups: one that an earlier run had begun with, or else a new one."""
    dated = re.compile(rf"{re.escape(subject.host)}_[0-9]{{8}}(-[0-9]+)?")
    known = [name for name in custody.folders.names() if dated.fullmatch(name)]
    names = chain(known, _names(subject, custody))
    return next(name for name in names if _is_begun(name, subject, owner, custody))


def _names(subject: Subject, custody: Custody) -> Iterator[str]:
    dated = f"{subject.host}_{custody.now:%Y%m%d}"
    yield dated
    for n in count(2):
        if n > _TRIES:
            raise Refused(reason=f"there are {_TRIES} archives of {subject.host} of this day")
        yield f"{dated}-{n}"


def _is_begun(name: str, subject: Subject, owner: str, custody: Custody) -> bool:
    """Tell whether nothing stands under *name*, or no more than what a killed run of ours has left."""
    places, lines = custody.config.backuppc, subject.hosts.lines_for(name)
    config, theirs = host_config.read(places.config_dir, name), custody.folders.record(name)
    return (
        not (places.data_dir / "pc" / name).exists()
        and config in (None, closed_config.text(name))
        and (theirs is None or theirs.archive_of == subject.host)
        and all(line.user == owner for line in lines)
    )


def _carry_out(plan: Plan, subject: Subject, custody: Custody) -> None:
    """Do it, each step complete on disk before the next; the hosts line is the commit.

    The archive has its record, config and line before it has data, so that no nightly run finds the data
    without a line; while the data moves, a nightly run that goes through the hosts by name (as BackupPC's do)
    counts it at least once. The archived name sorts behind the host's own.
    """
    host, places, folders = subject.host, custody.config.backuppc, custody.folders
    if plan.again:
        _give(plan, subject, custody, data=subject.data)
        return
    if plan.archive:
        _make_archive(plan, subject, custody)
        custody.ledger.note_no_data(host)
        host_data.archive(places.data_dir, host, plan.archive)
    elif host_data.exists(places.data_dir, host):
        host_data.doom(places.data_dir, host, custody.now)  # the log of what never became a backup
    _rotate(plan, subject, custody)
    if not plan.record.by_hand and folders.public_key(host) is None:
        raise NoConfigFile(detail=f"{host} has no key pair after all")
    _give(plan, subject, custody, data=False)
    if plan.archive:
        _ask_purge(plan, subject, folders)


def _ask_purge(plan: Plan, subject: Subject, folders: HostFolders) -> None:
    """Let the archive be purged where that is asked for: the last step, without which it is not.

    Until then the host may be its earlier owner's still, and be backed up.
    """
    archive = folders.record(plan.archive)
    if archive and archive.purge != plan.purge:
        folders.put_record(asked(archive, plan.purge, plan.owner, subject.extent))


def _give(plan: Plan, subject: Subject, custody: Custody, *, data: bool) -> None:
    host, path, person = subject.host, custody.config.backuppc.hosts, plan.record.person
    current = hosts.read(path)
    custody.former.take(host, users(subject, custody), person=person)
    custody.ledger.forget(host)
    hosts.give(path, current, host, person)
    custody.former.decided(host)
    note_line(host, custody, data=data)


def _make_archive(plan: Plan, subject: Subject, custody: Custody) -> None:
    archive, places = plan.archive, custody.config.backuppc
    closed = closed_config.text(archive)
    record = replace(
        recorded(subject),
        host=archive,
        person=plan.owner,
        config=host_config.digest(closed),
        retired=recorded(subject).retired or custody.moment,
        archive_of=subject.host,
        purge_of=of_another_owner(recorded(subject).purge_of, plan.owner),
    )
    custody.folders.put_record(record)
    closed_config.put(places.config_dir, archive, closed)
    if not subject.hosts.lines_for(archive):
        hosts.append(places.hosts, subject.hosts, archive, plan.owner)
    note_line(archive, custody, data=True)


def _rotate(plan: Plan, subject: Subject, custody: Custody) -> None:
    """Put the earlier owner's key and .pl aside, and make new ones with the new person's record."""
    host, places, folders = subject.host, custody.config.backuppc, custody.folders
    earlier = (key_pairs.PRIVATE, key_pairs.PUBLIC, retirement.KEY, retirement.CONFIG, retirement.EDITED)
    config = host_config.path(places.config_dir, host) if subject.config is not None else None
    folders.set_parts_aside(host, earlier, config, custody.now)
    if plan.record.by_hand:
        folders.put_record(plan.record)
    else:
        folders.complete(plan.record)
    host_config.write(places.config_dir, host, plan.config)
