"""Find hosts that lost all their lines, and restore these lines unless an administrator deleted the host."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from backuppc_register.backuppc.hosts import HostsFile, edit
from backuppc_register.inventory import hosts_snapshot, missing_backups
from backuppc_register.inventory.missing_backups import Found
from backuppc_register.lifecycle.operation import host_named
from backuppc_register.protocol.errors import HostsFileError, NotRegistered
from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.state.snapshot_file import SeenHost

_SHOWN = 3  # hosts named where there may be hundreds
_MANY = 10  # lines lost at once: more than an administrator deletes manually between two runs


@dataclass(frozen=True)
class Loss:
    """The hosts that lost all their lines.

    *lost*: their lines are restored. *deleted*: their backups are gone as well. *doubt*: why missing backups
    do not count as deleted, "" if they do.
    """

    lost: tuple[SeenHost, ...]
    deleted: tuple[SeenHost, ...]
    doubt: str


@dataclass(frozen=True)
class Restoration:
    """The *lost* hosts, and which of them cannot be *written*; *problem*: why none of them can."""

    lost: tuple[SeenHost, ...] = ()
    unwritable: tuple[SeenHost, ...] = ()
    problem: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the hosts that have their lines again."""
        return () if self.problem else tuple(one.host for one in self.lost if one not in self.unwritable)

    def items(self, problem: str = "") -> Iterator[Item]:
        """Yield the items of the report; *problem*: why the hosts file could not be written."""
        if self.lost and (why := problem or self.problem):
            what = f"{len(self.lost)} lost lines could not be restored: {why}"
            advice = (
                "Correct that before BackupPC's next nightly run, which deletes data of hosts without a line."
            )
            yield Item(Word.NOT_RESTORED, what, advice)
            return
        for host in self.lost:
            yield _unwritable(host) if host in self.unwritable else _restored(host)


def find(known: Mapping[str, SeenHost], seen: Mapping[str, SeenHost], found: Mapping[str, Found]) -> Loss:
    """Return the hosts of the snapshot (*known*) without a line now; *seen* still have one.

    *found*: what one look has shown of each host's data.
    """
    gone = [
        hosts_snapshot.with_data(replace(host, taken_from=""), host, found[name])
        for name, host in known.items()
        if name not in seen
    ]
    had_data = [found[host.host] for host in known.values() if host.data]
    doubt = _doubt([*known.values()], found)
    # Of data that cannot be seen nothing is known, least of all that other data was deleted.
    sure = not doubt and (not had_data or any(one.certain for one in had_data))
    deleted = tuple(host for host in gone if sure and missing_backups.is_missing(host, found[host.host]))
    return Loss(tuple(host for host in gone if host not in deleted), deleted, doubt)


def _doubt(known: Sequence[SeenHost], found: Mapping[str, Found]) -> str:
    """Return why missing backups may be on a disk that is not mounted, or "" if they were deleted."""
    had_data = [host.host for host in known if host.data]
    if elsewhere := [host for host in had_data if found[host].elsewhere]:
        shown = ", ".join(elsewhere[:_SHOWN]) + (" and others" if len(elsewhere) > _SHOWN else "")
        return f"what is mounted now is not the disk that had the backups of {shown}"
    if had_data and not any(found[host].exists for host in had_data):
        return "no host has its backups any more"
    return ""


def alarms(loss: Loss, current: HostsFile) -> Iterator[Item]:
    """Report a loss of many hosts at once."""
    lost = len(loss.lost) + len(loss.deleted)
    if lost > _MANY or (lost and not current.lines):
        yield Item(
            Word.MASS_LOSS,
            f"{lost} hosts lost their lines at once; the hosts file had {len(current.lines)} left",
            "Find out who or what rewrote the hosts file: BackupPC's LOG has the web editor's deletions.",
        )
    if loss.doubt:
        yield Item(
            Word.DATA_MISSING,
            f"{loss.doubt}, so no host counts as deleted on purpose",
            "Is the disk of [backuppc] data_dir mounted? If the data was deleted or moved on purpose: "
            "backuppc-register-admin reconcile --forget HOST, for each host",
        )


def restore(lost: tuple[SeenHost, ...], file: HostsFile) -> tuple[HostsFile, Restoration]:
    """Return *file* with the lines of the *lost* hosts, and what can be restored."""
    lines = [line for host in lost for line in hosts_snapshot.written(host)]
    try:
        file, added = edit.with_lines(file, lines)
    except HostsFileError as error:
        return file, Restoration(lost, problem=str(error.detail))
    unwritable = tuple(host for host in lost if not set(added).issuperset(hosts_snapshot.written(host)))
    return file, Restoration(lost, unwritable)


def _restored(host: SeenHost) -> Item:
    what = f"the line was gone and is restored, as last seen at {host.seen}: {_shown(host)}"
    advice = f"If it should stay out: backuppc-register-admin {_way_out(host.host)}"
    return Item(Word.RESTORED, what, advice, host.host, host.users)


def _unwritable(host: SeenHost) -> Item:
    what = f"the line cannot be written so that it means the same: {_shown(host)}"
    return Item(Word.NOT_RESTORED, what, "Add it manually.", host.host, host.users)


def _way_out(host: str) -> str:
    """Return the command that ends the host; one with a blank in its name can only be forgotten."""
    try:
        return f"purge {host_named(host)}"
    except NotRegistered:
        return f"reconcile --forget {shlex.quote(host)}"


def _shown(host: SeenHost) -> str:
    return " and ".join(line.raw.decode("utf-8", "surrogateescape").replace("\t", " ") for line in host.lines)
