"""What nobody but the administrators is to read any more: a host, or archived backups."""

from dataclasses import replace

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import Line
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.lifecycle import retire
from backuppc_register.lifecycle.operation import (
    Done,
    Operation,
    Refused,
    examined,
    give_line,
    lined,
    no_longer_readers,
    refuse_linked_config,
    refuse_missing_data,
    refuse_unconfirmed,
    stop_jobs,
)
from backuppc_register.lifecycle.purge import of_another_owner
from backuppc_register.person import Person, different_entry, same_entry, same_logon
from backuppc_register.state.records import Record


def withdraw(host: str, operation: Operation) -> Done:
    """Make *host* BackupPC's own account's, whose pages only administrators read; it is not backed up then.

    For what somebody could read whose logon was another's before. Whatever killed it, the same again
    finishes it.

    Raises what `examined` does; Refused; HostsFileError, also where the hosts file would not take the line.
    """
    with examined(host, operation) as status:
        line, record = lined(status), status.recorded
        refuse_linked_config(status)
        refuse_missing_data(status)
        if _is_withdrawn(line, record, operation.server.account):
            raise Refused(reason=f"{host} is {operation.server.account}'s already")
        hosts.refuse_give(operation.server.backuppc.hosts, status.hosts, host, operation.server.account)
        closing = retire.missing_steps(status)
        steps = (*_steps(status, record, closing, operation), *no_longer_readers(status))
        refuse_unconfirmed(steps, operation)
        if not operation.dry_run:
            closed = retire.close(status, record, operation) if closing else record
            # The line first: who registers in between finds one that is not theirs.
            give_line(status, operation.server.account, operation, data=status.backups)
            operation.server.folders.put_record(of_another(closed, operation.server.account))
    return Done(
        host, operation.server.account, steps, "" if record.archive_of else stop_jobs(host, operation)
    )


def refuse_stranger(status: HostStatus, record: Record, person: Person, account: str) -> None:
    """Raise Refused where the archived backups are not to become *person*'s.

    They stay with whose they are. Those that only administrators read go back to whom reconcile has closed
    them for, or to the entry of the directory that had registered the machine, never to another of its logon.
    """
    host, owner = status.host, status.owner
    if not same_logon(lined(status).user, account):
        raise Refused(reason=f"{host} are archived backups: they stay with {owner}, or go to {account}")
    waits = same_logon(owner, person.uid) and not different_entry(record.entry, person.entry_id)
    if not waits and not same_entry(record.entry, person.entry_id):
        raise Refused(reason=f"{host} are archived backups that are not known to be {person.uid}'s")


def of_another(record: Record, person: str) -> Record:
    """Return *record* as *person*'s; its mark stays that of whoever had registered the machine."""
    return replace(record, person=person, purge_of=of_another_owner(record.purge_of, person))


def _is_withdrawn(line: Line, record: Record, account: str) -> bool:
    theirs = record.person and not same_logon(record.person, account)
    return same_logon(line.user, account) and not line.more_users and not theirs


def _steps(status: HostStatus, record: Record, closing: tuple[str, ...], operation: Operation) -> list[str]:
    steps = [*closing]
    if closing and record.purge:
        steps.append(f"the purge planned for {record.purge} is cancelled: ask for it again")
    return [*steps, f"{status.host} is {operation.server.account}'s: only administrators read its backups"]
