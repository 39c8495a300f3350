"""Hosts lines that changed since the last snapshot and stay as they are."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.state.former_owners import Owners
from backuppc_register.state.snapshot_file import SeenHost, SeenLine


@dataclass(frozen=True)
class ChangedLine:
    """A host as it was in the snapshot, and as it is *now*."""

    before: SeenHost
    now: SeenHost

    @property
    def item(self) -> Item:
        """Return the item of the report."""
        what = f"the line was changed manually: {shown(self.before)} became {shown(self.now)}"
        return Item(Word.CHANGED, what, host=self.now.host, person=self.now.users)


def find(known: Mapping[str, SeenHost], seen: Mapping[str, SeenHost]) -> Iterator[ChangedLine]:
    """Yield the hosts of the snapshot (*known*) that have another line now; its spelling does not matter."""
    both = ((known[host], now) for host, now in seen.items() if host in known)
    return (ChangedLine(before, now) for before, now in both if _meaning(before) != _meaning(now))


def taken(known: Mapping[str, SeenHost]) -> Iterator[Item]:
    """Report hosts of the snapshot (*known*) that another person registered when their line was gone."""
    for host in known.values():
        if host.taken_from:
            what = (
                f"its line was {host.taken_from}'s when it was last seen, and was gone; there were no backups"
            )
            what += f". At {host.seen} {host.users} registered the host"
            advice = f"If it is still {host.taken_from}'s: backuppc-register-admin transfer {host.host} LOGON"
            yield Item(Word.NEW_OWNER, what, advice, host.host, host.users)


def returned(
    known: Mapping[str, SeenHost],
    seen: Mapping[str, SeenHost],
    owners: Mapping[str, Owners],
    recorded: Container[str],
) -> Iterator[Item]:
    """Report hosts that were purged or deleted, and have a line of a former owner again.

    *recorded*: the hosts with a record of ours, which were registered again.
    """
    for host, now in seen.items():
        gone = host in owners and host not in known and host not in recorded
        if gone and any(owners[host].is_former(line.user) for line in now.lines):
            what = "it was purged or cleaned up, and its line is there again, as in an old page of the editor"
            advice = f"If this was not intended: backuppc-register-admin purge {host}"
            yield Item(Word.CHANGED, what, advice, host, now.users)


def shown(known: SeenHost) -> str:
    """Return the lines of a host for a report: dhcp, user and moreUsers."""
    lines = (
        f"{line.dhcp or '-'} {line.user or '-'} {','.join(line.more_users)}".strip() for line in known.lines
    )
    return " and ".join(lines)


def _meaning(known: SeenHost) -> Iterable[SeenLine]:
    # A registration corrects the letter case of the user: that is the same person, in no other one's favour.
    return [replace(line, raw=b"", user=line.user.lower()) for line in known.lines]
