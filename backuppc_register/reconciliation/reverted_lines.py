"""Restore hosts lines that contradict an administrator's command, as after an old editor page.

Such a page of BackupPC's web editor was loaded before a transfer and is saved after it. Then the line names
the former owner, who could read the new owner's backups. The file does not show if a change was intended. So
after a command gave a host away, the owner by that command stays the owner until the next command.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from backuppc_register.backuppc.hosts import HostsFile, edit
from backuppc_register.inventory import hosts_snapshot
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.reconciliation.changed_lines import shown
from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.state.former_owners import Owners
from backuppc_register.state.snapshot_file import SeenHost


@dataclass(frozen=True)
class RevertedLine:
    """A host with a line *now* that is not its *owner*'s, or lets a former owner read the host.

    *before*: the host in the snapshot, if any. *former*: the line names a former owner. *problem*: why the
    owner's line cannot be restored, "" if it can.
    """

    now: SeenHost
    before: SeenHost | None
    owner: str
    former: bool
    problem: str = ""

    @property
    def host(self) -> str:
        """Return the name of the host."""
        return self.now.host

    def item(self, problem: str = "") -> Item:
        """Return the item of the report; *problem*: why the hosts file could not be written."""
        old_page = "it names a former owner, as after an old page of the web editor"
        before = shown(self.before) if self.before else "?"
        cause = old_page if self.former else "a manual edit"
        what = f"the line was changed ({cause}): {before} became {shown(self.now)}"
        readers = ", ".join(user for user in _names(self.now) if not same_logon(user, self.owner))
        if why := problem or self.problem:
            advice = f"{readers} can read the host. Change the user of its line to {self.owner} at once."
            return Item(
                Word.GIVEN_BACK, f"{what}. It could not be restored: {why}", advice, self.host, self.now.users
            )
        what += f". It is restored: the owner is {self.owner} until a command changes that"
        what += f". Until now {readers} could read the host" if readers else ""
        return Item(Word.TAKEN_BACK, what, self._advice(), self.host, self.owner)

    def _advice(self) -> str:
        reload = ["Reload that page before you save it again."] if self.former else []
        user = self.now.lines[0].user
        other = user and not same_logon(user, self.owner)
        meant = [f"To change the owner: backuppc-register-admin transfer {self.host} {user}"] if other else []
        return " ".join(reload + meant)


def find(
    known: Mapping[str, SeenHost], seen: Mapping[str, SeenHost], owners: Mapping[str, Owners]
) -> Iterator[RevertedLine]:
    """Yield the hosts with a line that contradicts a command; *known* is the snapshot."""
    for host, now in seen.items():
        one, before = owners.get(host, Owners(host)), known.get(host)
        owner = one.owner or (before.lines[0].user if before else "")
        former = _regains(one, before, now)
        changed = one.owner and not all(same_logon(line.user, owner) for line in now.lines)
        if owner and (former or changed):
            yield RevertedLine(now, before, owner, former)


def restore(reverted: Iterable[RevertedLine], file: HostsFile) -> tuple[HostsFile, tuple[RevertedLine, ...]]:
    """Return *file* with the owners' lines, and the hosts, each with a problem if there was one."""
    done = []
    for line in reverted:
        try:
            file = _restored(line, file)
            done.append(line)
        except HostsFileError as error:
            done.append(replace(line, problem=str(error.detail)))
    return file, tuple(done)


def _restored(line: RevertedLine, file: HostsFile) -> HostsFile:
    before = line.before
    if before and len(before.lines) == 1 and same_logon(before.lines[0].user, line.owner):
        (written,) = hosts_snapshot.written(before)
        return edit.with_replaced(file, written)
    return edit.with_owner(file, line.host, line.owner)


def _regains(owners: Owners, before: SeenHost | None, now: SeenHost) -> bool:
    """Tell whether the host has a former owner as its user, or as a reader, who had not been that before."""
    users = [line.user for line in before.lines] if before else []
    every = _names(before) if before else []
    new_users = [line.user for line in now.lines if not _is_among(line.user, users)]
    new_readers = [user for user in _names(now) if not _is_among(user, every)]
    return any(owners.is_former(user) for user in new_users + new_readers)


def _names(host: SeenHost) -> list[str]:
    names = (user for line in host.lines for user in (line.user, *line.more_users) if user)
    return [*dict.fromkeys(names)]


def _is_among(user: str, others: Iterable[str]) -> bool:
    return any(same_logon(user, one) for one in others)
