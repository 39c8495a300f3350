"""Lines that somebody has changed since they were last seen."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from backuppc_register.reconciliation.report import Kind, News
from backuppc_register.state.former_owners import Former
from backuppc_register.state.snapshot_file import SeenHost, SeenLine


@dataclass(frozen=True)
class Change:
    """A host as it was last seen, and as it is *now*."""

    before: SeenHost
    now: SeenHost

    def __str__(self) -> str:
        return f"{_told(self.before)} became {_told(self.now)}"


def between(known: dict[str, SeenHost], seen: dict[str, SeenHost]) -> tuple[Change, ...]:
    """Return the changes of those of the *known* hosts that still have a line; not how a line is spelled."""
    both = ((known[host], now) for host, now in seen.items() if host in known)
    return tuple(Change(before, now) for before, now in both if _meaning(before) != _meaning(now))


def told(changes: Iterable[Change]) -> Iterable[News]:
    """Tell of changes that stay: the hosts file always beats what we know."""
    for change in changes:
        what = f"the line was changed by hand: {change}"
        yield News(Kind.CHANGED, what, host=change.now.host, person=change.now.users)


def again(
    known: dict[str, SeenHost], seen: dict[str, SeenHost], former: dict[str, Former], ours: Container[str]
) -> Iterable[News]:
    """Tell of hosts that were purged or cleaned up, with nothing of them *ours*, that have a line again."""
    for host, now in seen.items():
        gone = host in former and host not in known and host not in ours
        if gone and any(former[host].had(line.user) for line in now.lines):
            what = "it was purged or cleaned up, and its line is there again, as in an old page of the editor"
            advice = f"If nobody put it there on purpose: backuppc-register-admin purge {host}"
            yield News(Kind.CHANGED, what, advice, host, now.users)


def _meaning(known: SeenHost) -> list[SeenLine]:
    return [replace(line, raw=b"") for line in known.lines]


def _told(known: SeenHost) -> str:
    lines = (
        f"{line.dhcp or '-'} {line.user or '-'} {','.join(line.more_users)}".strip() for line in known.lines
    )
    return " and ".join(lines)
