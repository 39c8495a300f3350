"""Verify a registered host: connect back as BackupPC will, pin its ssh host key, queue its first backup."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from backuppc_register.backuppc import host_config, hosts
from backuppc_register.host_key import HostKey
from backuppc_register.inventory import host_status
from backuppc_register.inventory.ownership import Applicant, Claim, judge
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services
from backuppc_register.network import ssh
from backuppc_register.protocol.errors import (
    HostKeyChanged,
    Misconfigured,
    NotReachable,
    NotRegistered,
    StateError,
    TooManyRequests,
)
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Address, Request
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.registration.applicant import identified
from backuppc_register.state import retired_files
from backuppc_register.state.key_pairs import PRIVATE
from backuppc_register.state.records import Record
from backuppc_register.state.ssh_files import SSH_CONFIG
from backuppc_register.system.deadline import Deadline
from backuppc_register.verification import (
    accept_key,
    begin_backup,
    first_backup,
    probe,
    retired_host,
    way_back,
)
from backuppc_register.verification.retired_host import Retirement
from backuppc_register.verification.way_back import WayBack


def serve(request: Request, peer: Address, server: Server, services: Services) -> Success:
    """Answer a request to verify: connect back as BackupPC will, and pin the ssh host key if that works.

    BackupPC's lock is never held while a machine is waited for. Raises the errors of the error table.
    """
    with identified(request, peer, server, services) as applicant:
        verification = _Verification(applicant, server, services)
        with verification.locked():
            host = verification.registered()
            if host.retirement:  # so that ssh can only use the fresh key
                retired_files.put_key_away(server.folders.path(applicant.host))
        with verification.alone():
            proof = verification.prove(host)
        with verification.locked():
            verification.pin_and_record(proof, host)
        queued, note = first_backup.queue(applicant.host, applicant.person.uid, server, services)
        return Success(
            host=applicant.host,
            person=applicant.person.name,
            status="resumed" if host.retirement else "verified",
            backup=queued,
            port=proof.way.place.port,
            shares=tuple(transfer.path for transfer in proof.way.transfers),
            lacking=probe.lacking(proof.report, proof.way.transfers),
            user=applicant.person.uid,
            advice=probe.advice(proof.report, proof.way.transfers),
            note="; ".join(filter(None, (str(proof), host.note, note, applicant.person.note))),
        )


@dataclass(frozen=True)
class _Proof:
    """What connecting back has shown: the machine's ssh host key, its report, the way that BackupPC goes.

    *private*: the path of the private key that let the server in, "" if that is not known.
    """

    key: HostKey
    report: probe.Report
    way: WayBack
    private: str

    def __str__(self) -> str:
        commands = self.way.settings.commands
        untried = f", not tried: {', '.join(commands)}" if commands else ""
        wall = self.report.wall or "unknown"
        return f"{self.key.fingerprint}, rsync {self.report.rsync}, wall {wall}{untried}"


@dataclass(frozen=True)
class _Registered:
    """A registered host with its *record*.

    *config*: the .pl to try, None for the one on disk. *new*: the .pl that is written if it works, None if
    none is. *retirement*: None if the host is not retired.
    """

    record: Record
    config: bytes | None
    new: bytes | None
    retirement: Retirement | None

    @property
    def note(self) -> str:
        """Return the note for the log."""
        return self.retirement.note if self.retirement else ""


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

    def registered(self) -> _Registered:
        """Return the host as it is registered; under the lock.

        A host that was backed up before it registered keeps its own settings until ours are proved.

        Raises what a registration would, NotRegistered if the registration is missing or unfinished, and
        NotAllowed if only an administrator can resume the host.
        """
        host, status = self.host, host_status.read(self.host, self.server)
        claim, lines, record = judge(self.applicant, status), status.lines, status.record
        if lines and not status.folder:
            self._refuse_lost_folder(status.config or b"")
        if not lines or claim is not Claim.KNOWN or record is None:
            raise NotRegistered(host=host, detail="no record of this person" if lines else "no hosts line")
        retirement = retired_host.of(status, record, self.applicant)
        # An interrupted verification with a fresh key may have left half a pair, which this one completes.
        if self.server.folders.fresh_key(host) is None and not self.server.folders.is_whole(host):
            raise NotRegistered(host=host, detail="its registration was not finished")
        if any(line.by_netbios for line in lines):
            raise not_reachable(Cause.ELSEWHERE, host, what=hosts.SAYS_DHCP)
        kept = retirement.config if retirement else None
        if kept is not None or (status.reserved and not retirement):
            return _Registered(record, kept, None, retirement)
        ours = self.server.render_config(host, record.full_name, record.os)
        return _Registered(record, ours, ours, retirement)

    def _refuse_lost_folder(self, config: bytes) -> None:
        """Blame this server if the host's .pl names files of ours that are gone; raises Misconfigured."""
        path = self.server.folders.path(self.host)
        if bytes(path / SSH_CONFIG) in config:
            detail = f"{self.host}.pl names {path}, which is gone: is the disk of that folder mounted?"
            raise Misconfigured(detail=detail)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one verification of the host at a time connect; raises TooManyRequests for a second one.

        Raises StateError in doubt, too.
        """
        try:
            descriptor = os.open(self.server.folders.path(self.host), os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise NotRegistered(host=self.host, detail=str(error)) from error
        except OSError as error:
            raise StateError(detail=str(error)) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TooManyRequests(detail=f"{self.host} is being verified already") from error
            yield
        finally:
            os.close(descriptor)

    def prove(self, registered: _Registered) -> _Proof:
        """Reach the machine, recognise it, log in, probe it, and begin a backup of each folder."""
        own_keys = self.services.own_keys()
        host, folders, time = self.host, self.server.folders, Deadline(self.services.for_questions())
        way = way_back.find(self.applicant, self.server, registered.config, time)
        fresh = folders.fresh_key(host)
        if fresh:
            way = retired_host.with_key(way, fresh)

        def met(way: WayBack) -> _Proof:
            preferred = [known.type for known in folders.known_keys(host)]
            host_key = ssh.offered_key(way, time.remaining(), preferred)
            self._recognise(host_key, own_keys, registered.retirement)
            private = fresh or folders.path(host) / PRIVATE
            answer = ssh.run(way, host_key, private, probe.COMMAND, time.remaining())
            # ssh has no other key of a retired host.
            used = answer.key if not registered.retirement else str(fresh)
            return _Proof(host_key, probe.judge(host, answer, way.transfers), way, used)

        try:
            proof = met(way)
        except NotReachable as failure:
            if not way.plain:
                raise
            met(way.without_options())  # raises what is wrong with the machine, if anything is
            what = ssh.NOT_WITH_THESE_OPTIONS
            raise not_reachable(Cause.ELSEWHERE, host, what=what, detail=failure.detail) from failure
        begin_backup.begin_each(host, proof.key, way, time)
        return proof

    def pin_and_record(self, proof: _Proof, proved: _Registered) -> None:
        """Write what was proved: keys, the time in the record, a missing .pl; under the lock.

        A retired host is resumed. Of two keys that the machine may have had, the other one is kept aside.
        """
        now, host, folders = self.registered(), self.host, self.server.folders
        self._refuse_unknown(proof.key, now.retirement)
        if (now.config, now.new, now.retirement) != (proved.config, proved.new, proved.retirement):
            raise NotRegistered(host=host, detail="an administrator changed it during the verification")
        moment, fresh = datetime.now(UTC), folders.fresh_key(host)
        if fresh and proof.private == str(fresh):
            folders.promote_fresh_key(now.record, moment)
        folders.pin(host, proof.key)
        if now.retirement:
            retired_host.resume(host, now.new, self.server)
        record = folders.record(host) or now.record
        digest = record.config if now.new is None else host_config.digest(now.new)
        record = replace(
            record,
            verified=moment.isoformat(timespec="seconds"),
            rsync=proof.report.rsync,
            wall=proof.report.wall,
        )
        folders.complete(replace(record, config=digest, provisional=False))
        if now.new is not None:
            host_config.write(self.server.backuppc.config_dir, host, now.new)
        if fresh and proof.private:
            folders.forget_fresh_key(host, moment)

    def _refuse_unknown(self, key: HostKey, retirement: Retirement | None) -> None:
        accept_key.refuse_changed(self.host, key, self.server.folders)
        if retirement:
            known = self.server.folders.known_keys(self.host)
            retired_host.refuse_unproved(self.host, key, known, retirement)

    def _recognise(self, key: HostKey, own_keys: tuple[HostKey, ...], retirement: Retirement | None) -> None:
        """Refuse a machine with another ssh host key than the known one, and one that is not the asking one.

        *own_keys*: the ssh host keys that the machine reports, if any. Raises HostKeyChanged, NotReachable.
        """
        is_asking = not own_keys or key in own_keys
        try:
            self._refuse_unknown(key, retirement)
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
