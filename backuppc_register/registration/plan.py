"""Plan what a registration writes, before the first byte is written."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from backuppc_register.backuppc import host_config, hosts, retired_config
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import host_status, policy
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.ownership import (
    Applicant,
    Claim,
    as_known,
    judge,
    refuse_other_owner,
)
from backuppc_register.inventory.server import Server
from backuppc_register.person import Person
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.registration import last_owner, spelling, stopped_host
from backuppc_register.state.records import Record


@dataclass(frozen=True)
class Plan:
    """What a registration writes.

    *folder*: our folder of the host is made or completed, with the *record*. *set_aside*: the folder that we
    made for an earlier person is kept aside first, and so is our .pl for that person, *earlier_config*.
    *config*: the new .pl, None if none is written. *line*: a hosts line is added. *stopped*: an administrator
    has stopped the backups, and they stay stopped. *respelled*: the hosts file with the directory's spelling
    of the owner, None if it has that already.
    """

    record: Record
    set_aside: bool = False
    earlier_config: Path | None = None
    folder: bool = False
    config: bytes | None = None
    line: bool = False
    respelled: HostsFile | None = None
    stopped: bool = False
    advice: str = ""

    @property
    def status(self) -> str:
        """Return the ``status`` of the reply."""
        if self.stopped:
            return "retired"
        changes = self.set_aside or self.folder or self.config is not None or self.line
        return "new" if changes or self.respelled else "unchanged"


def plan_for(applicant: Applicant, status: HostStatus) -> Plan:
    """Judge the applicant's claim, and plan what the registration of the host still needs.

    Raises the errors of the error table, so that nothing is refused after the first byte is written.
    """
    applicant = as_known(applicant, status)
    plan, uid = _plan(applicant, status), applicant.person.uid
    return replace(plan, respelled=spelling.respelled(status, uid), advice=_with_dhcp(plan.advice, status))


def _plan(applicant: Applicant, status: HostStatus) -> Plan:
    claim = judge(applicant, status)
    line = not status.lines
    if claim is Claim.FREE:
        from backuppc_register.inventory import missing_backups  # not needed for a known host

        missing_backups.refuse_newcomer(status)
    if line or claim is Claim.TAKEN_OVER:
        refuse_other_owner(applicant, status)
    if line:
        last_owner.refuse(applicant, status)
    record = _respelled(stopped_host.record_of(status), applicant.person)
    stopped = stopped_host.is_stopped(applicant, claim, record)
    if line and not stopped:
        refuse_one_too_many(applicant, status)
    if line:
        hosts.refuse_append(status.server.backuppc.hosts, status.hosts, applicant.host, applicant.person.uid)
    if record is not None and stopped:
        return replace(_plan_stopped(applicant, claim, record, status), line=line)
    if claim is Claim.KNOWN and record is not None:
        return replace(_plan_known(applicant, record, status), line=line)
    open_config = status.config not in (None, retired_config.text(applicant.host))
    if claim is Claim.TAKEN_OVER and record is not None and record.config and open_config:
        # We wrote the .pl for the earlier person. The new record keeps its digest.
        ours = replace(_record(applicant, record.config), os=record.os)
        return replace(_plan_known(applicant, ours, status), set_aside=True, folder=True)
    return replace(_plan_new(applicant, claim, status), line=line)


def _respelled(record: Record | None, person: Person) -> Record | None:
    """Return *record* with the logon of *person* as the directory spells it, if it is one of that person."""
    return replace(record, person=person.uid) if record and person.has(record.person) else record


def _with_dhcp(advice: str, status: HostStatus) -> str:
    """Return *advice*, and that BackupPC does not look for the machine if that is so."""
    by_netbios = any(line.by_netbios for line in status.lines)
    never = f"BackupPC begins no backup of {status.host}, because {hosts.SAYS_DHCP}: ask the help desk."
    return " ".join(filter(None, (advice, never if by_netbios else "")))


def refuse_one_too_many(applicant: Applicant, status: HostStatus) -> None:
    """Refuse the host if the applicant has as many others as the site allows; raises NotAllowed."""
    retired, limits = partial(host_status.is_retired, server=status.server), status.server.config.limits
    policy.refuse_one_too_many(applicant.person, applicant.host, status.hosts, limits, retired)


def _plan_stopped(applicant: Applicant, claim: Claim, record: Record, status: HostStatus) -> Plan:
    """Plan a host that stays retired: only our folder is completed, or made for the person of its line.

    It gets a fresh key, which only root can install: the earlier one is there since before the retirement.
    A .pl that a resume would not find is kept in the folder, as if it had been there at the retirement.
    """
    from backuppc_register.lifecycle import resume  # not needed for other hosts

    advice, known, kept = stopped_host.advice(record), claim is Claim.KNOWN, resume.config_after(status)
    config = None
    if (not record.by_hand and not known) or (kept is None and (record.config or not known)):
        config = _render(applicant, applicant.os, status.server)
    digest = "" if config is None else host_config.digest(config)
    if not known:
        stopped = stopped_host.stopped_as_before(_record(applicant, digest), record)
        aside = not record.by_hand
        return Plan(stopped, set_aside=aside, folder=True, config=config, stopped=True, advice=advice)
    new = replace(record, config=record.config if config is None else digest, fresh=True)
    due = new != record or _is_folder_due(record, status)
    return Plan(new, folder=due, config=config, stopped=True, advice=advice)


def _plan_new(applicant: Applicant, claim: Claim, status: HostStatus) -> Plan:
    """Plan a host without a record, or with the record of an earlier person."""
    free, earlier = claim is Claim.FREE, status.record
    replaces = free and earlier is not None and bool(earlier.config) and status.config is not None
    # The .pl of a retired host would disable the backups of the new machine.
    replaces |= status.config == retired_config.text(applicant.host)
    # Any other config stays. A host that is backed up today keeps its settings until `verify` proves ours.
    wanted = replaces or (not status.reserved and (free or not status.backups))
    content = _render(applicant, applicant.os, status.server) if wanted else None
    path = host_config.path(status.server.backuppc.config_dir, applicant.host)
    record = _record(applicant, host_config.digest(content) if content is not None else "")
    return Plan(
        record=replace(record, provisional=free and content is not None),
        set_aside=status.folder,
        earlier_config=path if replaces else None,
        folder=True,
        config=content,
    )


def _plan_known(applicant: Applicant, record: Record, status: HostStatus) -> Plan:
    """Plan a host that has this person's record: complete what is missing, follow another OS word."""
    unchanged = Plan(record, folder=_is_folder_due(record, status))
    if record.config and _is_config_due(record, status, applicant):
        content = _render(applicant, applicant.os, status.server)
        renewed = replace(record, os=applicant.os, config=host_config.digest(content))
        return replace(unchanged, record=renewed, folder=True, config=content)
    if record.os == applicant.os:
        return unchanged
    return replace(unchanged, advice=_why_kept(record, status))


def _is_folder_due(record: Record, status: HostStatus) -> bool:
    """Tell whether our folder must be completed, or get *record* with the logon in another spelling."""
    other = status.record is not None and status.record.person != record.person
    return other or not status.server.folders.is_whole(status.host)


def _is_config_due(record: Record, status: HostStatus, applicant: Applicant) -> bool:
    """Tell whether the .pl, which we wrote once, must be written again.

    That is so if it is missing, or if it is byte for byte ours and for another OS. A run that was interrupted
    between record and config leaves the .pl of the earlier OS, which does not match the record's digest.

    If backups work with it, it stays: another OS word is only a word that was typed, and a .pl for another OS
    would end the backups.
    """
    if status.config is None:
        return True
    if status.backups or record.verified:
        return False
    if host_config.digest(status.config) == record.config:
        return record.os != applicant.os
    others = (word for word in status.server.config.server.os if word != applicant.os)
    return any(status.config == _rendered(applicant, word, status.server) for word in others)


def _why_kept(record: Record, status: HostStatus) -> str:
    """Return the advice why another OS word changes nothing."""
    settings = f"The backup settings of {record.host}"
    if not record.config:
        return f"{settings} were not made by this program and stay as they are."
    if status.config is not None and host_config.digest(status.config) != record.config:
        return f"{settings} were changed manually and are still those for {record.os}."
    return f"{settings} are still those for {record.os}, because backups work with them: ask the help desk."


def _record(applicant: Applicant, config: str) -> Record:
    return Record(
        host=applicant.host,
        full_name=applicant.full_name,
        person=applicant.person.uid,
        entry=applicant.person.entry_id,
        os=applicant.os,
        address=applicant.address,
        registered=datetime.now(UTC).isoformat(timespec="seconds"),
        config=config,
    )


def _rendered(applicant: Applicant, os: str, server: Server) -> bytes | None:
    """Return the .pl that we write for the word *os*, None if its template is not usable."""
    try:
        return _render(applicant, os, server)
    except Misconfigured:
        return None


def _render(applicant: Applicant, os: str, server: Server) -> bytes:
    return server.render_config(applicant.host, applicant.full_name, os)
