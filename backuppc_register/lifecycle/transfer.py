"""A laptop changes hands: the new person gets the host, and never what was backed up before."""

from dataclasses import replace

from backuppc_register.backuppc import data_folder, host_config, hosts, retired_config
from backuppc_register.inventory import policy
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.services import Directory
from backuppc_register.lifecycle.operation import (
    Done,
    Operation,
    examined,
    give_line,
    note_line,
    refuse_unconfirmed,
)
from backuppc_register.lifecycle.purge import asked, of_another_owner
from backuppc_register.lifecycle.transfer_plan import Plan, plan_for
from backuppc_register.person import Person, possible_logon
from backuppc_register.protocol.errors import BadUser, StateError
from backuppc_register.state import key_pairs, retired_files

_WITHIN = 30.0  # seconds for the directory


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


def transfer(host: str, person: Person, operation: Operation, *, purge_in: int | None = None) -> Done:
    """Give *host* to *person*; its backups stay with who has them now, under an archived name.

    *purge_in*: they may be deleted in so many days; None: they stay.

    Killed anywhere, nobody reads what was not theirs, and the same transfer again finishes the work: until
    the last step, the hosts line, the host is its earlier owner's.

    Raises what `examined` does; Refused; Busy, and faults.
    """
    with operation.jobs.kept_away(host) as kept:
        with examined(host, operation) as status:
            plan = plan_for(status, person, operation, purge_in)
            refuse_unconfirmed(plan.steps(status), operation)
            if not operation.dry_run:
                _carry_out(plan, status, operation)
        known = tuple(filter(None, (host, plan.archive)))
        note = "" if operation.dry_run else kept.tell(known=known)
    return Done(host, person.uid, plan.steps(status), note)


def _carry_out(plan: Plan, status: HostStatus, operation: Operation) -> None:
    """Do it, each step complete on disk before the next; the hosts line is the commit.

    The archive has its record, config and line before it has data, so that no nightly run finds the data
    without a line; while the data moves, a nightly run that goes through the hosts by name (as BackupPC's do)
    counts it at least once. The archived name sorts behind the host's own.
    """
    host, places, folders = status.host, operation.server.backuppc, operation.server.folders
    if plan.again:
        if plan.record.archive_of:
            folders.put_record(plan.record)
        give_line(status, plan.record.person, operation, data=status.backups)
        return
    if plan.archive:
        _make_archive(plan, status, operation)
        operation.server.snapshot.note_no_data(host)
        data_folder.archive(places.data_dir, host, plan.archive)
        note_line(plan.archive, operation, data=True)
    elif data_folder.exists(places.data_dir, host):
        data_folder.doom(places.data_dir, host, operation.now)  # the log of what never became a backup
    _rotate(plan, status, operation)
    if not plan.record.by_hand and folders.public_key(host) is None:
        raise StateError(detail=f"{host} has no key pair after all")
    give_line(status, plan.record.person, operation, data=False)
    if plan.archive:
        _ask_purge(plan, status, operation)


def _ask_purge(plan: Plan, status: HostStatus, operation: Operation) -> None:
    """Let the archive be purged where that is asked for: the last step, without which it is not.

    Until then the host may be its earlier owner's still, and be backed up.
    """
    archive = operation.server.folders.record(plan.archive)
    if archive and archive.purge != plan.purge:
        operation.server.folders.put_record(asked(archive, plan.purge, plan.owner, status, operation))


def _make_archive(plan: Plan, status: HostStatus, operation: Operation) -> None:
    archive, places = plan.archive, operation.server.backuppc
    closed = retired_config.text(archive)
    record = replace(
        status.recorded,
        host=archive,
        person=plan.owner,
        entry=plan.entry,
        config=host_config.digest(closed),
        retired=status.recorded.retired or operation.moment,
        archive_of=status.host,
        purge_of=of_another_owner(status.recorded.purge_of, plan.owner),
    )
    operation.server.folders.put_record(record)
    retired_config.put(places.config_dir, archive, closed)
    if not status.hosts.lines_for(archive):
        hosts.append(places.hosts, status.hosts, archive, plan.owner)
    note_line(archive, operation, data=False)  # as long as the data may refuse to move


def _rotate(plan: Plan, status: HostStatus, operation: Operation) -> None:
    """Put the earlier owner's key and .pl aside, and make new ones with the new person's record."""
    host, places, folders = status.host, operation.server.backuppc, operation.server.folders
    earlier = (
        key_pairs.PRIVATE,
        key_pairs.PUBLIC,
        retired_files.KEY,
        retired_files.CONFIG,
        retired_files.EDITED,
    )
    config = host_config.path(places.config_dir, host) if status.config is not None else None
    folders.set_parts_aside(host, earlier, config, operation.now)
    if plan.record.by_hand:
        folders.put_record(plan.record)
    else:
        folders.complete(plan.record)
    host_config.write(places.config_dir, host, plan.config)
