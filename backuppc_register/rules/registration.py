"""A machine asks to be registered: the checks in their order, then what is written, in its order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from backuppc_register.backuppc import backups, closed_config, host_config, hosts
from backuppc_register.backuppc.lock import locked
from backuppc_register.config import Config
from backuppc_register.deadline import Deadline
from backuppc_register.errors import CouldNotRegister, Misconfigured, NoConfigFile, RegisterError
from backuppc_register.person import Person, same_logon
from backuppc_register.reply import Success
from backuppc_register.request import Address, Request
from backuppc_register.rules import missing_data, naming, policy, reconciliation, retirement
from backuppc_register.rules.claim import Applicant, Claim, Standing, judge
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.known_hosts import SSH_CONFIG
from backuppc_register.state.ledger import Ledger
from backuppc_register.state.records import Record

_LOCK_PATIENCE = 10.0  # seconds, design section 4
_FOR_THE_LOCK_AND_AFTER = 12.5  # seconds kept back from the questions to the DNS and the directory
_FOR_BACKUPPC = 2.0  # seconds at the least for telling BackupPC


class Resolver(Protocol):
    """The DNS."""

    def name_of(self, peer: Address, within: float) -> str:
        """Return the peer's confirmed full name; raises InvalidDnsName or DnsUnavailable."""


class Directory(Protocol):
    """The people."""

    def find(self, logon: str, within: float) -> Person:
        """Return the person of *logon*; raises BadUser or DirectoryUnavailable."""


class Daemon(Protocol):
    """The running BackupPC."""

    def announce(self, host: str, within: float) -> str:
        """Make it know *host*; return "" or why it does not."""


@dataclass(frozen=True)
class Site:
    """Everything a registration works with; *account* is the one we work as.

    *resolver* and *directory* make theirs when first asked: their libraries are slow to import.
    """

    config: Config
    account: str
    resolver: Callable[[], Resolver]
    directory: Callable[[], Directory]
    daemon: Daemon
    folders: HostFolders


@dataclass(frozen=True)
class Plan:
    """What a registration will write, decided before the first byte.

    *set_aside*: what we made for an earlier person goes first, with *their_config*, the .pl of ours.
    *config*: the new .pl, None where none is to be written. *line*: the hosts file gets a line.
    *resumed*: the host was retired, and comes back first.
    """

    record: Record
    set_aside: bool = False
    their_config: Path | None = None
    folder: bool = False
    config: bytes | None = None
    line: bool = False
    resumed: bool = False
    advice: str = ""

    @property
    def status(self) -> str:
        """The reply's ``status``: ``unchanged`` where nothing at all is to be written."""
        if self.resumed:
            return "resumed"
        changes = self.set_aside or self.folder or self.config is not None or self.line
        return "new" if changes else "unchanged"


def serve(request: Request, peer: Address, site: Site, deadline: Deadline) -> Success:
    """Answer a request to register, or to check whether registering would do.

    Raises what the error table has; nothing was written then that the next run would not finish or leave.
    """
    with identified(request, peer, site, deadline) as applicant:
        answer = _check if request.verb == "check" else _register
        return answer(applicant, site, deadline)


@contextmanager
def identified(request: Request, peer: Address, site: Site, deadline: Deadline) -> Iterator[Applicant]:
    """Find out who asks; what goes wrong in the ``with`` statement learns which host it was about.

    Raises what the error table has.
    """
    full_name = site.resolver().name_of(peer, for_questions(deadline))
    host = naming.host_of(full_name, site.config.dns)
    try:
        person = _person(request.logon, site, deadline)
        yield Applicant(host, full_name, person, request.logon, request.os, str(peer))
    except RegisterError as error:
        error.learn(host=host)
        raise


def _person(logon: str, site: Site, deadline: Deadline) -> Person:
    policy.refuse_own_account(logon, site.account)
    person = site.directory().find(logon, for_questions(deadline))
    policy.refuse_own_account(person.uid, site.account)
    return person


def _check(applicant: Applicant, site: Site, deadline: Deadline) -> Success:
    with locked(site.config.backuppc.config_dir, patience(deadline)):
        plan = _plan(applicant, standing_of(applicant.host, site), site)
    return Success(
        host=applicant.host,
        person=applicant.person.name,
        status=plan.status,
        advice=plan.advice,
        user=applicant.person.uid,
        note="a check: nothing was changed",
    )


def _register(applicant: Applicant, site: Site, deadline: Deadline) -> Success:
    with locked(site.config.backuppc.config_dir, patience(deadline)):
        standing, notes = standing_of(applicant.host, site), []
        plan = _plan(applicant, standing, site)
        if plan.resumed:
            notes += [f"the purge planned for {plan.record.purge} is cancelled"] if plan.record.purge else []
            retirement.reopen(plan.record, standing.config, site.config.backuppc, site.folders)
            standing = standing_of(applicant.host, site)
            plan = replace(_plan(applicant, standing, site), resumed=True)
        notes += _carry_out(plan, standing, site)
        notes += _noted(plan, standing, site)
        key = site.folders.public_key(applicant.host)
    if key is None:
        raise NoConfigFile(detail=f"{applicant.host} has no key pair after all")
    notes.append(site.daemon.announce(applicant.host, max(deadline.remaining(), _FOR_BACKUPPC)))
    return Success(
        host=applicant.host,
        person=applicant.person.name,
        status=plan.status,
        key=key,
        url=site.config.server.url.replace("{host}", applicant.host),
        sources=site.config.server.sources,
        advice=plan.advice,
        user=applicant.person.uid,
        note="; ".join(filter(None, notes)),
    )


def for_questions(deadline: Deadline) -> float:
    """Return the seconds that questions to others may take."""
    return max(0.0, deadline.remaining() - _FOR_THE_LOCK_AND_AFTER)


def patience(deadline: Deadline) -> float:
    """Return the seconds that BackupPC's lock may be waited for."""
    return min(_LOCK_PATIENCE, max(0.0, deadline.remaining() - _FOR_BACKUPPC))


def standing_of(host: str, site: Site) -> Standing:
    """Return what there is of *host*; the caller holds BackupPC's lock. Raises what the error table has."""
    places = site.config.backuppc
    return Standing(
        hosts=hosts.read(places.hosts),
        record=site.folders.record(host),
        folder=site.folders.exists(host),
        config=host_config.read(places.config_dir, host),
        reserved=host_config.exists(places, host),
        backups=backups.has_backups(places.data_dir, host),
        overridden=host_config.overrides(places, host),
    )


def _plan(applicant: Applicant, standing: Standing, site: Site) -> Plan:
    claim = judge(applicant, standing)
    line = not standing.lines(applicant.host)
    if claim is Claim.FREE:
        _refuse_missing_data(applicant.host, site)
    if line:
        policy.refuse_one_too_many(applicant.person.uid, standing.hosts, site.config.limits)
        hosts.refuse_append(site.config.backuppc.hosts, standing.hosts, applicant.host, applicant.person.uid)
    record = standing.record
    if record is not None and _is_resumed(applicant, claim, record):
        return Plan(record, line=line, resumed=True)
    if claim is Claim.KNOWN and record is not None:
        return replace(_plan_known(applicant, record, standing, site), line=line)
    open_config = standing.config not in (None, closed_config.text(applicant.host))
    if claim is Claim.TAKEN_OVER and record is not None and record.config and open_config:
        # The .pl is ours, from the earlier person's registration: it stays ours under the new record.
        ours = replace(_record(applicant, record.config), os=record.os)
        return replace(_plan_known(applicant, ours, standing, site), set_aside=True, folder=True)
    return replace(_plan_new(applicant, claim, standing, site), line=line)


def _is_resumed(applicant: Applicant, claim: Claim, record: Record) -> bool:
    by_hand = record.by_hand and same_logon(record.person, applicant.person.uid)
    theirs = claim is Claim.KNOWN or (claim is Claim.TAKEN_OVER and by_hand)
    return theirs and bool(record.retired or record.purge)


def _refuse_missing_data(host: str, site: Site) -> None:
    """Raise CouldNotRegister where somebody's data of *host* may come back, for the newcomer to read."""
    known = Ledger(site.config.state.directory).read().get(host)
    if reason := missing_data.why_missing(known, site.config):
        raise CouldNotRegister(detail=f"{reason}. {missing_data.advice(host, site.config)}")


def _plan_new(applicant: Applicant, claim: Claim, standing: Standing, site: Site) -> Plan:
    """Plan a host that we have no record of, or an earlier person's."""
    free, record = claim is Claim.FREE, standing.record
    theirs = free and record is not None and bool(record.config) and standing.config is not None
    # A retired host's closed .pl would keep the newcomer's machine from being backed up.
    theirs |= standing.config == closed_config.text(applicant.host)
    # What has a config already keeps it; a host that is backed up today keeps its way.
    wanted = theirs or (not standing.reserved and (free or not standing.backups))
    content = _render(applicant, applicant.os, site) if wanted else None
    return Plan(
        record=_record(applicant, host_config.digest(content) if content is not None else ""),
        set_aside=standing.folder,
        their_config=host_config.path(site.config.backuppc.config_dir, applicant.host) if theirs else None,
        folder=True,
        config=content,
    )


def _plan_known(applicant: Applicant, record: Record, standing: Standing, site: Site) -> Plan:
    """Plan a host that is this person's by our record: finish what is missing, follow another OS word."""
    unchanged = Plan(record, folder=not site.folders.is_whole(applicant.host))
    if record.config and _is_refreshed(record, standing, applicant, site):
        content = _render(applicant, applicant.os, site)
        renewed = replace(record, os=applicant.os, config=host_config.digest(content))
        return replace(unchanged, record=renewed, folder=True, config=content)
    if record.os == applicant.os:
        return unchanged
    return replace(unchanged, advice=_why_kept(record, standing))


def _is_refreshed(record: Record, standing: Standing, applicant: Applicant, site: Site) -> bool:
    """Tell whether the .pl, which we wrote once, is to be written again.

    It is when it is missing, or when it is ours to the byte and for another OS. A run that was killed between
    record and config leaves the earlier OS's, which no digest tells any more.

    Where backups work with it, it stays: the OS word is nothing but a word of whoever uses the machine, and
    another one would end its backups.
    """
    if standing.config is None:
        return True
    if standing.backups or record.verified:
        return False
    if host_config.digest(standing.config) == record.config:
        return record.os != applicant.os
    others = (word for word in site.config.server.os if word != applicant.os)
    return any(standing.config == _rendered(applicant, word, site) for word in others)


def _why_kept(record: Record, standing: Standing) -> str:
    """Say why another OS word changes nothing."""
    settings = f"The backup settings of {record.host}"
    if not record.config:
        return f"{settings} were not made by this program and stay as they are."
    if standing.config is not None and host_config.digest(standing.config) != record.config:
        return f"{settings} were changed by hand and still are those for {record.os}."
    return f"{settings} still are those for {record.os}, with which it is backed up: ask the help desk."


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
    if plan.line:
        hosts.append(places.hosts, standing.hosts, host, plan.record.person)
    return [f"the earlier key and record are in {aside}"] if aside else []


def _noted(plan: Plan, standing: Standing, site: Site) -> list[str]:
    """Note the new line, should somebody lose it; return what the log is to say where that failed."""
    if not plan.line:
        return []
    host, ledger = plan.record.host, Ledger(site.config.state.directory)
    try:
        before = ledger.read().get(host)
        data = standing.backups or (before is not None and before.data)
        known = reconciliation.noted(host, plan.record.person, data=data, now=datetime.now(UTC))
        ledger.note(replace(known, place=before.place if before else ""))
    except NoConfigFile as error:  # the registration stands; `reconcile` notes the line at its next run
        return [f"the line was not noted: {error.detail}"]
    return []


def _record(applicant: Applicant, config: str) -> Record:
    return Record(
        host=applicant.host,
        full_name=applicant.full_name,
        person=applicant.person.uid,
        entry=applicant.person.entry,
        os=applicant.os,
        address=applicant.address,
        registered=datetime.now(UTC).isoformat(timespec="seconds"),
        config=config,
    )


def _rendered(applicant: Applicant, os: str, site: Site) -> bytes | None:
    """Return what we write for the word *os*, None where we cannot have: its template is no good."""
    try:
        return _render(applicant, os, site)
    except Misconfigured:
        return None


def _render(applicant: Applicant, os: str, site: Site) -> bytes:
    values = host_config.Values(
        host=applicant.host,
        full_name=applicant.full_name,
        ssh_config=site.folders.path(applicant.host) / SSH_CONFIG,
    )
    return host_config.render(os, values, site.config.backuppc.templates)
