"""Verify a retired host with its fresh key and the settings that are kept aside; resume it if that works."""

from dataclasses import dataclass, replace
from pathlib import Path

from backuppc_register.host_key import HostKey
from backuppc_register.inventory import host_status, missing_backups
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.inventory.server import Server
from backuppc_register.lifecycle import resume as resuming
from backuppc_register.protocol.errors import HostKeyChanged, NotAllowed, NotRegistered
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.registration.plan import refuse_one_too_many
from backuppc_register.state import retired_files
from backuppc_register.state.records import Record
from backuppc_register.verification.way_back import WayBack

_AGAIN = (
    "The backups of this machine are stopped. To start them, run its setup again: sudo sh setup.sh --force."
)


@dataclass(frozen=True)
class Retirement:
    """What an administrator has decided about a host, and what a resume would restore.

    *data*: BackupPC has data of the host, or had some. *config*: the .pl after a resume, None for none.
    *key*: the line of the fresh key, which proves root on the machine.
    """

    retired: str
    purge: str
    data: bool
    config: bytes | None
    key: str

    @property
    def note(self) -> str:
        """Return the note for the log."""
        return f"resumed; the purge planned for {self.purge} is cancelled" if self.purge else "resumed"


def of(status: HostStatus, record: Record, applicant: Applicant) -> Retirement | None:
    """Return the retirement of a host that a verification may end, None if the host is not retired.

    Raises NotAllowed if only an administrator may end it, or if the owner has too many hosts; NotRegistered
    if the machine was given no fresh key since: a key that was there before does not prove root now.
    """
    if not record.is_stopped:
        return None
    if record.final:
        advice = "An administrator has stopped the backups of this machine for good: ask the help desk."
        detail = f"retired for good since {record.final}: backuppc-register-admin resume {status.host}"
        reason = f"the backups of {status.host} were stopped for good"
        raise NotAllowed(reason=reason, host=status.host, detail=detail, advice=advice)
    if status.overriding:
        what = f"BackupPC reads {status.overriding}"
        raise not_reachable(Cause.ELSEWHERE, status.host, what="another file is read", detail=what)
    refuse_one_too_many(applicant, status)
    key = status.server.folders.public_key(status.host, record) if record.has_fresh_key else None
    if key is None:
        detail = "its backups are stopped, and it was not registered since: only a key from then on counts"
        raise NotRegistered(host=status.host, detail=detail, advice=_AGAIN)
    data = status.backups or bool(missing_backups.why_missing(status.last_seen, status.server.config))
    return Retirement(record.retired, record.purge, data, resuming.config_after(status), key)


def refuse_unproved(host: str, key: HostKey, known: tuple[HostKey, ...], retirement: Retirement) -> None:
    """Refuse a machine with the ssh host key *key* if it is not *known* that this is the host's machine.

    Without a pinned key any machine at the host's address would do, and the backups are another one's.

    Raises HostKeyChanged.
    """
    if retirement.data and not known:
        raise HostKeyChanged(
            host=host,
            fingerprint=key.fingerprint,
            detail=f"retired, with backups, and no ssh host key is known; it answers with {key.fingerprint}",
            advice="The backups of this machine are stopped, and the server does not know its ssh host key: "
            f"ask the help desk to accept {key.fingerprint}",
        )


def resume(host: str, new: bytes | None, server: Server) -> None:
    """Resume the retired *host*, with *new* as its .pl if that is not None; under the lock.

    Raises HostsFileError, StateError.
    """
    if new is not None:  # so that the host is never without a .pl
        retired_files.keep_config(server.folders.path(host), new)
    resuming.enable(host_status.read(host, server))


def with_key(way: WayBack, key: Path) -> WayBack:
    """Return *way* with the private key in the file *key*, which the host's ssh_config may not name."""
    word = ("-o", f"IdentityFile={key}")
    return replace(way, ssh=(*way.ssh, *word), plain=(*way.plain, *word) if way.plain else ())
