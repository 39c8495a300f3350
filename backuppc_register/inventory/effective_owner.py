"""Decide who owns a host if its hosts line was reverted to a former owner."""

from backuppc_register.config import Config
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import OtherOwner
from backuppc_register.state.former_owners import Former, FormerOwners
from backuppc_register.state.snapshot_file import HostsSnapshot, SeenHost

_WENT_BACK = "the line went back to whom the host was taken from"


def effective_owner(user: str, former: Former, known: SeenHost | None, account: str) -> str:
    """Return whose a host is that has a line of *user*: not whose it is only since it went back there.

    *known* is what the ledger has of it.
    """
    before = [line.user for line in known.lines] if known else [user]
    # A run that was killed may have left word of a line that somebody has decided about since.
    if same_logon(user, account) and any(same_logon(one, account) or one == former.closed for one in before):
        return former.closed or user
    unseen = former.had(user) and not any(same_logon(user, one) for one in before)
    return before[0] if unseen else user


def refuse_former_owner(applicant: Applicant, config: Config, account: str) -> None:
    """Refuse a person from whom the host was taken, whose line it is only since it went back; under the lock.

    Raises OtherOwner; StateError in doubt.
    """
    host, user = applicant.host, applicant.person.uid
    known = HostsSnapshot(config.state.directory).read().get(host)
    whose = effective_owner(user, FormerOwners(config.state.directory).of(host), known, account)
    if whose != user:
        detail = f"{_WENT_BACK}; it is {whose}'s: backuppc-register-admin reconcile"
        raise OtherOwner(host=host, logon=applicant.logon, detail=detail)
