"""Learn which hosts BackupPC does not back up by itself for now: its page's Stop/Dequeue Backup, a pause.

BackupPC calls the end of a pause backoffTime. The owner of a host can set it as far away as they like.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from backuppc_register.backuppc.daemon.connection import Ask, BadReply, is_askable
from backuppc_register.backuppc.daemon.dumper import Hash, hashes

_AT_ONCE = 50  # hosts in a message: BackupPC waits until a reply is read that the kernel does not buffer
_BETWEEN = (
    "queueLen"  # a short answer that parts the hosts: BackupPC answers nothing for one it does not know
)
_FAILED = "Reason_backup_failed"
_FAR = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pauses:
    """The pauses of hosts: *ends* has each host that BackupPC answered for, None without a pause.

    *failures*: why the last backup of a host failed. *problem*: why nothing is known of the other hosts.
    """

    ends: Mapping[str, datetime | None] = field(default_factory=dict)
    problem: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)

    def end(self, host: str, now: datetime) -> datetime | None:
        """Return when the pause of *host* ends, None if there is none, or none is known."""
        end = self.ends.get(host)
        return end if end and end > now else None

    def doubt(self, host: str) -> str:
        """Return why it is not known whether *host* is paused, or ""."""
        return "" if host in self.ends else self.problem or "BackupPC does not know this host"


def read(hosts: Sequence[str], found: dict[str, Hash], ask: Ask) -> str:
    """Put BackupPC's statuses of *hosts* into *found*, as far as it knows the hosts; return "".

    Raises OSError, such as BadReply.
    """
    asked = [host for host in hosts if is_askable(host)]
    for first in range(0, len(asked), _AT_ONCE):
        part = asked[first : first + _AT_ONCE]
        reply = ask("status " + " ".join(f"host({host}) {_BETWEEN}" for host in part))
        found.update(_statuses(part, reply))
    return ""


def known(found: Mapping[str, Hash], problem: str = "") -> Pauses:
    """Return what the statuses in *found* say; raises BadReply."""
    ends = {host: _end(status.get("backoffTime", "")) for host, status in found.items()}
    failed = {host: status for host, status in found.items() if status.get("reason") == _FAILED}
    return Pauses(ends, problem, {host: status.get("error", "") for host, status in failed.items()})


def _statuses(hosts: Sequence[str], reply: str) -> dict[str, Hash]:
    found: dict[str, Hash] = {}
    left = list(hosts)
    for name, values in hashes(reply):
        if name == "%StatusHost" and left and left[0] not in found:
            _end(values.get("backoffTime", ""))
            found[left[0]] = values
        elif name == "%QueueLen" and left:
            del left[0]
        else:
            raise BadReply(f"it answers {reply[:80]!r}")
    if left:
        raise BadReply(f"it answers {reply[:80]!r}")
    return found


def _end(seconds: str) -> datetime | None:
    """Return the moment of BackupPC's *seconds* since the epoch, which may be Inf; raises BadReply."""
    if not seconds:
        return None
    try:
        number = float(seconds)
    except ValueError as error:
        raise BadReply(f"it answers backoffTime {seconds[:80]!r}") from error
    if math.isnan(number):
        raise BadReply("it answers backoffTime nan")
    return datetime.fromtimestamp(min(max(number, 0), _FAR.timestamp()), UTC)
