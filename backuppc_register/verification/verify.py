"""Verify a registered host: connect back as BackupPC will, pin its ssh host key, queue its first backup."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from backuppc_register.backuppc import host_config
from backuppc_register.host_key import HostKey
from backuppc_register.inventory import host_status
from backuppc_register.inventory.ownership import Applicant, Claim, judge
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services
from backuppc_register.network import ssh
from backuppc_register.protocol.errors import HostKeyChanged, NotRegistered, TooManyRequests
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Address, Request
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.registration.applicant import identified
from backuppc_register.state.key_pairs import PRIVATE
from backuppc_register.state.records import Record
from backuppc_register.state.ssh_files import CLIENT_ACCOUNT
from backuppc_register.system.deadline import Deadline
from backuppc_register.verification import accept_key, begin_backup, first_backup, probe, way_back
from backuppc_register.verification.way_back import WayBack


def serve(request: Request, peer: Address, server: Server, services: Services) -> Success:
    """Answer a request to verify: connect back as BackupPC will, and pin the ssh host key if that works.

    BackupPC's lock is never held while a machine is waited for. Raises the errors of the error table.
    """
    with identified(request, peer, server, services) as applicant:
        verification = _Verification(applicant, server, services)
        with verification.locked():
            _, new_config = verification.registered()
        with verification.alone():
            proof = verification.prove(new_config)
        with verification.locked():
            verification.pin_and_record(proof, new_config)
        queued, note = first_backup.queue(applicant.host, applicant.person.uid, server, services)
        return Success(
            host=applicant.host,
            person=applicant.person.name,
            status="verified",
            backup=queued,
            shares=tuple(transfer.path for transfer in proof.way.transfers),
            user=applicant.person.uid,
            advice=probe.advice(proof.report, proof.way.transfers),
            note="; ".join(filter(None, (str(proof), note, applicant.person.note))),
        )


@dataclass(frozen=True)
class _Proof:
    """What connecting back has shown: the machine's ssh host key, its report, the way that BackupPC goes."""

    key: HostKey
    report: probe.Report
    way: WayBack

    def __str__(self) -> str:
        commands = self.way.settings.commands
        untried = f", not tried: {', '.join(commands)}" if commands else ""
        wall = self.report.wall or "unknown"
        return f"{self.key.fingerprint}, rsync {self.report.rsync}, wall {wall}{untried}"


@dataclass(frozen=True)
class _Verification:
    """The steps of one verification."""

    applicant: Applicant
    server: Server
    services: Services

    @property
    def host(self) -> str:
        return self.applicant.host

    def locked(self) -> AbstractContextManager[None]:
        """Hold BackupPC's lock."""
        return self.server.locked(self.services.for_the_lock())

    def registered(self) -> tuple[Record, bytes | None]:
        """Return the host's record, and its .pl if that is still to be written; under the lock.

        A host that was backed up before it registered keeps its own settings until ours are proved.

        Raises what a registration would, and NotRegistered if the registration is missing or unfinished.
        """
        host, status = self.host, host_status.read(self.host, self.server)
        claim, lines, record = judge(self.applicant, status), status.lines, status.record
        if not lines or claim is not Claim.KNOWN or record is None:
            raise NotRegistered(host=host, detail="no record of this person" if lines else "no hosts line")
        if record.retired:
            advice = "Run the setup again: whoever registers a machine again wants its backups to go on."
            raise not_reachable(Cause.DISABLED, host, detail=f"retired {record.retired}", advice=advice)
        if not self.server.folders.is_whole(host):
            raise NotRegistered(host=host, detail="its registration was not finished")
        if any(line.dhcp not in ("", "0") for line in lines):
            raise not_reachable(Cause.ELSEWHERE, host, what="the hosts file says dhcp")
        if status.reserved:
            return record, None
        return record, self.server.render_config(host, record.full_name, record.os)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one verification of the host at a time connect; raises TooManyRequests for a second one."""
        try:
            descriptor = os.open(self.server.folders.path(self.host), os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise NotRegistered(host=self.host, detail=str(error)) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TooManyRequests(detail=f"{self.host} is being verified already") from error
            yield
        finally:
            os.close(descriptor)

    def prove(self, new_config: bytes | None) -> _Proof:
        """Reach the machine, recognise it, log in, probe it, and begin a backup of each folder."""
        own_keys = self.services.own_keys()
        host, folders, time = self.host, self.server.folders, Deadline(self.services.for_questions())
        way = way_back.find(host, self.server, new_config, time)
        preferred = [key.type for key in folders.known_keys(host)]
        with ssh.connect(way.place, time.remaining(), preferred) as machine:
            self._recognise(machine.host_key, own_keys)
            machine.log_in(CLIENT_ACCOUNT, folders.path(host) / PRIVATE)
            report = probe.judge(host, machine.run(probe.COMMAND), way.transfers)
        begin_backup.begin_each(host, machine.host_key, way, time)
        return _Proof(machine.host_key, report, way)

    def pin_and_record(self, proof: _Proof, new_config: bytes | None) -> None:
        """Write what was proved: the ssh host key, the time in the record, a missing .pl; under the lock."""
        record, config = self.registered()
        accept_key.refuse_changed(self.host, proof.key, self.server.folders)
        if config != new_config:
            raise NotRegistered(host=self.host, detail="its settings came or went during the verification")
        self.server.folders.pin(self.host, proof.key)
        digest = record.config if config is None else host_config.digest(config)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        verified = replace(record, verified=now, config=digest, rsync=proof.report.rsync)
        self.server.folders.complete(verified)
        if config is not None:
            host_config.write(self.server.backuppc.config_dir, self.host, config)

    def _recognise(self, key: HostKey, own_keys: tuple[HostKey, ...]) -> None:
        """Refuse a machine with another ssh host key than the known one, and one that is not the asking one.

        *own_keys*: the ssh host keys that the machine reports, if any. Raises HostKeyChanged, NotReachable.
        """
        is_asking = not own_keys or key in own_keys
        try:
            accept_key.refuse_changed(self.host, key, self.server.folders)
        except HostKeyChanged:
            # No administrator should accept a key that the machine itself does not report.
            if is_asking:
                with self.locked():
                    self.registered()
                    self.server.folders.offer(self.host, key)
            raise
        if not is_asking:
            reported = ", ".join(own.fingerprint for own in own_keys if own.type)
            others = reported or "none that is readable"
            detail = f"it answers with {key.fingerprint}, and the machine that asks has {others}"
            raise not_reachable(Cause.HOST_KEY, self.host, detail=detail)
