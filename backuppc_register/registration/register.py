"""A machine asks to be registered: the checks in their order, then what is written, in its order."""

from dataclasses import replace
from datetime import UTC, datetime

from backuppc_register.backuppc import host_config, hosts
from backuppc_register.backuppc.lock import locked
from backuppc_register.inventory.host_status import standing_of
from backuppc_register.inventory.ownership import Applicant, Standing
from backuppc_register.inventory.server import FOR_BACKUPPC, Site, patience
from backuppc_register.protocol.errors import StateError
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Address, Request
from backuppc_register.registration.applicant import identified
from backuppc_register.registration.plan import Plan, plan_for
from backuppc_register.state.records import Record
from backuppc_register.system.deadline import Deadline


def serve(request: Request, peer: Address, site: Site, deadline: Deadline) -> Success:
    """Answer a request to register, or to check whether registering would do.

    Raises what the error table has; nothing was written then that the next run would not finish or leave.
    """
    with identified(request, peer, site, deadline) as applicant:
        answer = _check if request.verb == "check" else _register
        return answer(applicant, site, deadline)


def _check(applicant: Applicant, site: Site, deadline: Deadline) -> Success:
    with locked(site.config.backuppc.config_dir, patience(deadline)):
        plan = plan_for(applicant, standing_of(applicant.host, site), site)
    return Success(
        host=applicant.host,
        person=applicant.person.name,
        status=plan.status,
        advice=plan.advice,
        user=applicant.person.uid,
        note="; ".join(filter(None, ("a check: nothing was changed", applicant.person.note))),
    )


def _register(applicant: Applicant, site: Site, deadline: Deadline) -> Success:
    with locked(site.config.backuppc.config_dir, patience(deadline)):
        plan, notes = _settle(applicant, site)
        key = site.folders.public_key(applicant.host)
    if key is None:
        raise StateError(detail=f"{applicant.host} has no key pair after all")
    notes.append(site.daemon.announce(applicant.host, max(deadline.remaining(), FOR_BACKUPPC)))
    return Success(
        host=applicant.host,
        person=applicant.person.name,
        status=plan.status,
        key=key,
        url=site.config.server.url.replace("{host}", applicant.host),
        sources=site.config.server.sources,
        advice=plan.advice,
        user=applicant.person.uid,
        note="; ".join(filter(None, (*notes, applicant.person.note))),
    )


def _settle(applicant: Applicant, site: Site) -> tuple[Plan, list[str]]:
    """Plan and write, under the lock; return what was planned and what the log is to say."""
    standing, notes = standing_of(applicant.host, site), []
    plan = plan_for(applicant, standing, site)
    if plan.resumed:
        notes = _reopen(plan, standing, site)
        standing = standing_of(applicant.host, site)
        plan = replace(plan_for(applicant, standing, site), resumed=True)
    return plan, notes + _carry_out(plan, standing, site)


def _reopen(plan: Plan, standing: Standing, site: Site) -> list[str]:
    from backuppc_register.lifecycle import resume  # brings the administrators' verbs along

    resume.reopen(plan.record, standing.config, site.config.backuppc, site.folders)
    return [f"the purge planned for {plan.record.purge} is cancelled"] if plan.record.purge else []


def _carry_out(plan: Plan, standing: Standing, site: Site) -> list[str]:
    """Write what *plan* says, each part complete on disk before the next; the hosts line is the commit.

    Return what the log is to say of it.
    """
    host, places = plan.record.host, site.config.backuppc
    aside = site.folders.set_aside(host, plan.their_config, datetime.now(UTC)) if plan.set_aside else None
    if plan.folder:
        if site.folders.exists(host):
            site.folders.complete(plan.record)
        else:
            site.folders.create(plan.record)
    if plan.config is not None:
        host_config.write(places.config_dir, host, plan.config)
    notes = [f"the earlier key and record are in {aside}"] if aside else []
    return [*notes, _add_line(plan.record, standing, site)] if plan.line else notes


def _add_line(record: Record, standing: Standing, site: Site) -> str:
    """Add the hosts line, and note it should somebody lose it; return what the log is to say of that."""
    from backuppc_register.inventory import hosts_snapshot  # most who register have their line already

    added = hosts.append(site.config.backuppc.hosts, standing.hosts, record.host, record.person)
    return hosts_snapshot.note_added(added, site.config, data=standing.backups)
