"""A machine asks whether the way back to it works: the same checks, the way itself, then what is pinned."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from backuppc_register.backuppc import backups, host_config
from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.backuppc.settings import Plan, Route, Settings
from backuppc_register.host_key import HostKey
from backuppc_register.inventory import host_status
from backuppc_register.inventory.ownership import Applicant, Claim, judge
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services
from backuppc_register.network.ssh import Answer, Place
from backuppc_register.protocol.errors import HostKeyChanged, NotRegistered, TooManyRequests
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Address, Request
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.registration.applicant import identified
from backuppc_register.state.key_pairs import PRIVATE
from backuppc_register.state.records import Record
from backuppc_register.state.ssh_files import CLIENT_ACCOUNT
from backuppc_register.system.deadline import Deadline
from backuppc_register.system.processes import ProgramResult
from backuppc_register.verification import config_drift, probe

_AT_ONCE = 4  # connections; sshd begins to drop new ones at ten (MaxStartups)


class BackupPC(Protocol):
    """BackupPC's own settings, and its own ping; *proposed* is a host's config that is not written yet."""

    def read(self, host: str, within: float, proposed: bytes | None = None) -> Settings:
        """Return the settings of *host*; raises NotReachable."""

    def alive(self, host: str, within: float, proposed: bytes | None = None) -> str:
        """Return the name or address that BackupPC would go to; raises NotReachable."""

    def plan(self, host: str, client: str, within: float, proposed: bytes | None = None) -> Plan:
        """Return how a first full backup of *host* at *client* would begin; raises NotReachable."""


class Machine(Protocol):
    """An ssh server that has proven which host key it has."""

    host_key: HostKey

    def log_in(self, account: str, key: Path) -> None:
        """Log in; raises NotReachable."""

    def run(self, command: str) -> Answer:
        """Run a command there; raises NotReachable."""


@dataclass(frozen=True)
class Means:
    """What a verification works with, beside a Server.

    *route* asks ssh where it would go, *reached* connects, *first_word* begins a transfer by ssh (host, its
    key, the program and its options, transfer, seconds), *files* lists what it would save up to a first file,
    *begin_full* asks the running BackupPC for a full backup of a host for its owner and returns "" or why
    there will be none.
    """

    backuppc: BackupPC
    route: Callable[[str, tuple[str, ...], str, float], Route]
    reached: Callable[[Place, float, Sequence[str]], AbstractContextManager[Machine]]
    first_word: Callable[[str, HostKey, Sequence[str], Transfer, float], ProgramResult]
    files: Callable[[str, HostKey, Sequence[str], Transfer, float], ProgramResult]
    begin_full: Callable[[str, str, float], str]


@dataclass(frozen=True)
class _Asking:
    """One request on its way: who asks, and which ssh host keys the machine says to be its *own*."""

    applicant: Applicant
    own: tuple[HostKey, ...]
    server: Server
    services: Services
    means: Means


@dataclass(frozen=True)
class _Registration:
    """A registered host's record, and the config that it is still to get, None where it has one.

    A host that was backed up before it registered has none of ours: it keeps its way until ours is proved.
    """

    record: Record
    config: bytes | None


@dataclass(frozen=True)
class _Way:
    """Where BackupPC would go, by which *ssh* (the program and its options), and with what it would begin."""

    settings: Settings
    ssh: tuple[str, ...]
    route: Route
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True)
class _Proof:
    """What the way back has shown: the ssh host key, what the machine told, and the *way* that was gone."""

    key: HostKey
    told: probe.Told
    way: _Way

    @property
    def advice(self) -> str:
        """What the owner of the machine should know."""
        return probe.advice(self.told, self.way.transfers)

    def __str__(self) -> str:
        commands = self.way.settings.commands
        untried = f", not tried: {', '.join(commands)}" if commands else ""
        return f"{self.key.fingerprint}, rsync {self.told.rsync}{untried}"


def serve(request: Request, peer: Address, server: Server, services: Services, means: Means) -> Success:
    """Answer a request to verify: connect back as BackupPC will, and pin the ssh host key where that works.

    Raises what the error table has. BackupPC's lock is never held while a machine is waited for.
    """
    with identified(request, peer, server, services) as applicant:
        host, asking = applicant.host, _Asking(applicant, request.host_keys, server, services, means)
        with server.locked(services.for_the_lock()):
            proposed = _registered(applicant, server).config
        with _alone(host, server.folders.path(host)):
            proof = _prove(asking, proposed)
        with server.locked(services.for_the_lock()):
            registration = _registered(applicant, server)
            _refuse_changed(host, proof.key, server)
            if registration.config != proposed:
                raise NotRegistered(host=host, detail="its config came or went while we looked at it")
            _settle(registration, proof, server)
        backup, note = _first_backup(asking)
        return Success(
            host=host,
            person=applicant.person.name,
            status="verified",
            backup=backup,
            shares=tuple(transfer.path for transfer in proof.way.transfers),
            user=applicant.person.uid,
            advice=proof.advice,
            note="; ".join(filter(None, (str(proof), note, applicant.person.note))),
        )


def _registered(applicant: Applicant, server: Server) -> _Registration:
    """Return the registration of the applicant's host, judged as when it was made; under BackupPC's lock.

    Raises what a registration would, and NotRegistered where one is still to be made or finished.
    """
    host, status = applicant.host, host_status.read(applicant.host, server)
    claim, lines, record = judge(applicant, status), status.lines, status.record
    if not lines or claim is not Claim.KNOWN or record is None:
        raise NotRegistered(host=host, detail="no hosts line" if not lines else "no record of this person")
    if record.retired:
        advice = "Run the setup again: whoever registers a machine again wants its backups to go on."
        raise not_reachable(Cause.DISABLED, host, detail=f"retired {record.retired}", advice=advice)
    if not server.folders.is_whole(host):
        raise NotRegistered(host=host, detail="its registration was not finished")
    if any(line.dhcp not in ("", "0") for line in lines):
        raise not_reachable(Cause.ELSEWHERE, host, what="the hosts file says dhcp")
    return _Registration(record, None if status.reserved else _render(record, server))


def _render(record: Record, server: Server) -> bytes:
    return server.render_config(record.host, record.full_name, record.os)


def _settle(registration: _Registration, proof: _Proof, server: Server) -> None:
    """Write what was proved: the ssh host key, the record that says when, a config that was missing."""
    record, config = registration.record, registration.config
    server.folders.pin(record.host, proof.key)
    digest = record.config if config is None else host_config.digest(config)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    server.folders.complete(replace(record, verified=now, config=digest, rsync=proof.told.rsync))
    if config is not None:
        host_config.write(server.backuppc.config_dir, record.host, config)


def _prove(asking: _Asking, proposed: bytes | None) -> _Proof:
    """Go the way that a backup goes, up to its first bytes, for each folder that it saves."""
    host, server, means = asking.applicant.host, asking.server, asking.means
    time = Deadline(asking.services.for_questions())
    way = _way(asking, proposed, time)
    preferred = [key.type for key in server.folders.known_keys(host)]
    with means.reached(Place(host, way.route.host, way.route.port), time.remaining(), preferred) as machine:
        _recognise(asking, machine.host_key)
        machine.log_in(CLIENT_ACCOUNT, server.folders.path(host) / PRIVATE)
        told = probe.judge(host, machine.run(probe.COMMAND), way.transfers)
    _begin(asking, way, machine.host_key, time)
    return _Proof(machine.host_key, told, way)


def _begin(asking: _Asking, way: _Way, key: HostKey, time: Deadline) -> None:
    """Begin the backup of each folder, some at a time, and look at what each would save."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and no other verb needs it

    host, means = asking.applicant.host, asking.means

    def begun(transfer: Transfer) -> ProgramResult:
        word = means.first_word(host, key, way.ssh, transfer, time.remaining())
        probe.refuse_unbegun(host, transfer.path, word)
        return means.files(host, key, way.ssh, transfer, time.remaining() / 2)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            paths = [transfer.path for transfer in way.transfers]
            listed = dict(zip(paths, pool.map(begun, way.transfers), strict=True))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    probe.refuse_nothing(host, listed, each=way.settings.zero_files_fatal)


def _way(asking: _Asking, proposed: bytes | None, time: Deadline) -> _Way:
    """Return the way that BackupPC's settings lead, where that is the one that we have made."""
    host, means = asking.applicant.host, asking.means
    settings = means.backuppc.read(host, time.remaining(), proposed)
    if settings.disabled:
        raise not_reachable(Cause.DISABLED, host, detail="BackupsDisable or FullPeriod")
    config_drift.ssh_command(host, settings)
    # Half of the time: a ping that nobody answers takes 10 seconds.
    client = means.backuppc.alive(host, time.remaining() / 2, proposed)
    plan = means.backuppc.plan(host, client, time.remaining() / 2, proposed)
    config_drift.refuse_idle(host, client, plan.transfers)
    ssh = config_drift.ssh_command(host, replace(settings, ssh_args=plan.ssh_args))
    try:
        route = means.route(ssh[0], ssh[1:], client, time.remaining())
    except ValueError as error:
        what = "ssh does not take RsyncSshArgs"
        raise not_reachable(Cause.ELSEWHERE, host, what=what, detail=str(error)) from error
    config_drift.refuse(host, route, asking.server.folders.path(host))
    return _Way(settings, ssh, route, plan.transfers)


@contextmanager
def _alone(host: str, folder: Path) -> Iterator[None]:
    """Let one verification of *host* at a time connect to it; raises TooManyRequests for a second one."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise NotRegistered(host=host, detail=str(error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TooManyRequests(detail=f"{host} is being verified already") from error
        yield
    finally:
        os.close(descriptor)


def _recognise(asking: _Asking, key: HostKey) -> None:
    """Refuse any machine but the one that we know, and any but the one that asks."""
    host, server, own = asking.applicant.host, asking.server, asking.own
    asks = not own or key in own
    try:
        _refuse_changed(host, key, server)
    except HostKeyChanged:
        # What the machine itself does not call its own is nothing that anybody should accept.
        if asks:
            with server.locked(asking.services.for_the_lock()):
                _registered(asking.applicant, server)
                server.folders.offer(host, key)
        raise
    if not asks:
        theirs = ", ".join(one.fingerprint for one in own if one.type) or "none that can be read"
        detail = f"it answers with {key.fingerprint}, and the machine that asks has {theirs}"
        raise not_reachable(Cause.HOST_KEY, host, detail=detail)


def _refuse_changed(host: str, key: HostKey, server: Server) -> None:
    known = server.folders.known_keys(host)
    if known and key not in known:
        ours = ", ".join(one.fingerprint for one in known)
        raise HostKeyChanged(
            host=host,
            fingerprint=key.fingerprint,
            detail=f"it answers with {key.fingerprint}, and we know {ours}",
            advice="If this machine was installed anew, ask the help desk to accept its new ssh host key "
            f"{key.fingerprint}",
        )


def _first_backup(asking: _Asking) -> tuple[str, str]:
    """Ask for a full backup where there is none; return what to tell of it, and what to log."""
    host = asking.applicant.host
    if backups.has_full(asking.server.backuppc.data_dir, host):
        return "", ""
    within = asking.services.for_backuppc()
    problem = asking.means.begin_full(host, asking.applicant.person.uid, within)
    return ("", problem) if problem else ("queued", "its first backup is queued")
