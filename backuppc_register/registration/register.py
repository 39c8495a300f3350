"""Register a host: identify the applicant, plan under the lock, write in a safe order, tell BackupPC."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime

from backuppc_register.backuppc import host_config, hosts
from backuppc_register.inventory import host_status
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Address, Request
from backuppc_register.registration import last_owner, spelling
from backuppc_register.registration.applicant import identified
from backuppc_register.registration.plan import Plan, plan_for
from backuppc_register.state import key_pairs, leftovers, retired_files
from backuppc_register.state.drafts import Draft
from backuppc_register.state.records import Record

CHECKED = "a check: nothing was changed"
"""The first note of every check."""


def serve(request: Request, peer: Address, server: Server, services: Services) -> Success:
    """Answer a request to register, or to check whether a registration would succeed.

    Raises the errors of the error table. The next run finishes what was already written then.
    """
    with identified(request, peer, server, services) as applicant:
        answer = _check if request.verb == "check" else _register
        return answer(applicant, server, services)


def _check(applicant: Applicant, server: Server, services: Services) -> Success:
    with server.locked(services.for_the_lock()):
        status = services.trace("status", lambda: host_status.read(applicant.host, server))
        plan = plan_for(applicant, status)
        last = last_owner.note(plan.record.person, status) if plan.line else ""
    return Success(
        host=applicant.host,
        person=applicant.person.name,
        status=plan.status,
        advice=plan.advice,
        user=applicant.person.uid,
        note="; ".join(
            filter(
                None,
                (
                    CHECKED,
                    last,
                    spelling.note(plan.respelled, status, plan.record.person),
                    applicant.person.note,
                ),
            )
        ),
    )


def _register(applicant: Applicant, server: Server, services: Services) -> Success:
    with _draft(applicant, server) as draft, server.locked(services.for_the_lock()):
        plan, notes = _plan_and_write(applicant, server, draft)
        key = server.folders.public_key(applicant.host, plan.record)
    if key is None:
        raise StateError(detail=f"the key pair of {applicant.host} is missing after the registration")
    notes.append(services.daemon.announce(applicant.host, services.for_backuppc()))
    return Success(
        host=applicant.host,
        person=applicant.person.name,
        status=plan.status,
        key=key,
        url=server.config.server.url.replace("{host}", applicant.host),
        sources=server.config.server.sources,
        advice=plan.advice,
        user=applicant.person.uid,
        note="; ".join(filter(None, (*notes, applicant.person.note))),
    )


@contextmanager
def _draft(applicant: Applicant, server: Server) -> Iterator[Draft | None]:
    """Make the key pair of a host that seems to be new before the lock is taken; give None for a known host.

    What is seen without the lock is a guess. Without a draft the pair is made under the lock.
    """
    host, person = applicant.host, applicant.person
    with ExitStack() as stack:
        draft = None
        with suppress(HostsFileError, StateError):
            record = server.folders.record(host)
            known = record is not None and person.has(record.person)
            if not known and all(person.has(line.user) for line in _seen_lines(host, server)):
                # What else a new host needs is imported before the lock is taken, too.
                from backuppc_register.inventory import hosts_snapshot, missing_backups  # noqa: F401

                draft = stack.enter_context(server.folders.draft(host))
        yield draft


def _seen_lines(host: str, server: Server) -> tuple[hosts.Line, ...]:
    return hosts.read(server.backuppc.hosts).lines_for(host)


def _plan_and_write(applicant: Applicant, server: Server, draft: Draft | None) -> tuple[Plan, list[str]]:
    """Plan and write, under the lock; return the plan, and notes for the log."""
    leftovers.remove(server.config.state.directory, server.backuppc, applicant.host)
    status = host_status.read(applicant.host, server)
    plan = plan_for(applicant, status)
    return plan, _write(plan, status, draft)


def _write(plan: Plan, status: HostStatus, draft: Draft | None) -> list[str]:
    """Write the *plan*, each part complete on disk before the next; the hosts line is the commit.

    *draft*: a new host's key pair, if one was made. Return notes for the log.
    """
    host, folders, person = plan.record.host, status.server.folders, plan.record.person
    notes = []
    if plan.line and (last := last_owner.note(person, status)):
        notes.append(last)
        last_owner.take(person, status)
    aside = _set_aside(plan, status) if plan.set_aside else ""
    if plan.stopped and not (status.record and status.record.has_fresh_key):
        # It may have been given away before the last decision about the host.
        folders.set_parts_aside(host, key_pairs.FRESH_PAIR, None, datetime.now(UTC))
    if plan.folder:
        if folders.exists(host):
            folders.complete(plan.record)
        else:
            folders.create(plan.record, draft)
    if plan.config is not None and plan.stopped:
        retired_files.keep_config(folders.path(host), plan.config)
    elif plan.config is not None:
        host_config.write(status.server.backuppc.config_dir, host, plan.config)
    if aside:
        notes.append(f"the earlier key and record are in {aside}")
    if plan.respelled:
        return [*notes, spelling.write(plan.respelled, status, person)]
    return [*notes, _add_line(plan.record, status) if plan.line else _note_line(status)]


def _set_aside(plan: Plan, status: HostStatus) -> str:
    """Keep the files of an earlier person aside; return where.

    The record of a stopped host stays until the new one replaces it: an interrupted run does not start its
    backups.
    """
    host, folders, now = plan.record.host, status.server.folders, datetime.now(UTC)
    if plan.stopped:
        folders.set_parts_aside(host, retired_files.OF_AN_OWNER, None, now)
        return "aside"
    return str(folders.set_aside(host, plan.earlier_config, now))


def _add_line(record: Record, status: HostStatus) -> str:
    """Add the hosts line, also to the snapshot that restores lost lines; return a note for the log."""
    from backuppc_register.inventory import hosts_snapshot  # not needed for a host with a line

    config, taken_from = status.server.config, ", ".join(last_owner.others(record.person, status))
    current = hosts.append(config.backuppc.hosts, status.hosts, record.host, record.person)
    return hosts_snapshot.note_added(record.host, current, config, taken_from=taken_from)


def _note_line(status: HostStatus) -> str:
    """Add the hosts line to the snapshot if an earlier run could not; return a note for the log."""
    try:
        if status.server.snapshot.has(status.host):
            return ""
    except StateError as error:
        return f"the line was not noted: {error.detail}"
    from backuppc_register.inventory import hosts_snapshot

    return hosts_snapshot.note_added(status.host, status.hosts, status.server.config)
