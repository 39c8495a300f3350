"""Hosts whose lines went back to somebody from whom they were taken on purpose, who could read others' files.

An old page of BackupPC's web editor does that: it was loaded before a transfer, and saves the hosts file as
it was then. Whoever is in the line again can read what was backed up since, which is somebody else's.

- Where the earlier backups have lost their line in the same moment, the file is older than the transfer: that
  page is the only thing that does both, and the line is put back as it was.
- A host that was taken from everybody is put back as well: nobody can have made backups meanwhile.
- Else an administrator may have meant it. But nobody becomes a host's owner again by that, with what was
  backed up meanwhile: the line is closed, which keeps data, key and settings, and `transfer` decides.
"""

import re
from collections.abc import Sequence

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory import hosts_snapshot
from backuppc_register.inventory.server import Server
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import HostsFileError, StateError
from backuppc_register.reconciliation.changed_lines import Change
from backuppc_register.reconciliation.report import Kind, News
from backuppc_register.state.former_owners import Former
from backuppc_register.state.snapshot_file import SeenHost

_TRANSFER = "backuppc-register-admin transfer"
_WENT_BACK = "the line went back to whom the host was taken from"


def among(changes: Sequence[Change], former: dict[str, Former], account: str) -> list[Change]:
    """Return the changes that give a host back, or that a killed run has begun to undo."""
    return [change for change in changes if _is_back(change, former.get(change.now.host), account)]


def _is_back(change: Change, former: Former | None, account: str) -> bool:
    if former is None:
        return False
    gained = {line.user for line in change.now.lines} - {line.user for line in change.before.lines}
    return any(former.had(user) or (former.closed and same_logon(user, account)) for user in gained)


def undo(
    back: Sequence[Change], lost: Sequence[SeenHost], current: HostsFile, server: Server, *, change: bool
) -> tuple[HostsFile, list[News]]:
    """Take the hosts *back* again; return the hosts file as it is then, and what is to be told.

    *lost*: the hosts that have lost their lines in the same run.
    """
    news = []
    for one in back:
        old_page = _is_of_an_old_page(one, lost, server) or _was_nobodys(one, server)
        try:
            if change:
                current = _put_back(one, current, server) if old_page else _close(one, current, server)
            news.append(_taken_back(one, server) if old_page else _closed(one, _owner_before(one, server)))
        except (HostsFileError, StateError) as error:
            news.append(_given_back(one, str(error.detail)))
    return current, news


def _is_of_an_old_page(change: Change, lost: Sequence[SeenHost], server: Server) -> bool:
    host = change.now.host
    archive = re.compile(rf"{re.escape(host)}_[0-9]{{8}}(-[0-9]+)?", re.ASCII)
    archives = [one for one in lost if archive.fullmatch(one.host)]
    theirs = [line.user for one in archives for line in one.lines]
    lines = len(change.now.lines) == len(change.before.lines) == 1
    return (
        lines
        and any(same_logon(change.now.lines[0].user, user) for user in theirs)
        and _is_recorded(change, server)
    )


def _was_nobodys(change: Change, server: Server) -> bool:
    """Tell whether only administrators could read the host, because it was taken from everybody."""
    before = [same_logon(line.user, server.account) for line in change.before.lines]
    return (
        before == [True]
        and len(change.now.lines) == 1
        and not server.former_owners.of(change.now.host).closed
    )


def _is_recorded(change: Change, server: Server) -> bool:
    """Tell whether our record is of whom the host was before."""
    try:
        record = server.folders.record(change.now.host)
    except (StateError, ValueError):
        return False
    return record is not None and any(same_logon(line.user, record.person) for line in change.before.lines)


def _put_back(change: Change, current: HostsFile, server: Server) -> HostsFile:
    path = server.backuppc.hosts
    (line,) = hosts_snapshot.written(change.before)
    return hosts.replace_line(path, current, line)


def _close(change: Change, current: HostsFile, server: Server) -> HostsFile:
    path, host = server.backuppc.hosts, change.now.host
    server.former_owners.close(host, _owner_before(change, server))
    return hosts.give(path, current, host, server.account)


def _owner_before(change: Change, server: Server) -> str:
    """Return whose the host was, also where the line was closed already and somebody gives it back again."""
    before = change.before.lines[0].user
    closed = server.former_owners.of(change.now.host).closed if same_logon(before, server.account) else ""
    return closed or before


def _taken_back(change: Change, server: Server) -> News:
    host, now = change.now.host, change.now.users
    since = "" if same_logon(change.before.users, server.account) else " since the transfer"
    what = (
        f"{_WENT_BACK}, as in an old page of the web editor: {change}. It is put back as it was;"
        f" until now {now} could read what was backed up{since}"
    )
    return News(Kind.TAKEN_BACK, what, "Load that page again before you save it.", host, change.before.users)


def _closed(change: Change, person: str) -> News:
    host = change.now.host
    what = f"{_WENT_BACK}: {change}. It is closed: until you decide, only administrators can read the host"
    advice = f"{_TRANSFER} {host} {person}, or to whose it is now: each keeps what was backed up as theirs."
    return News(Kind.CLOSED, what, advice, host, person)


def _given_back(change: Change, why: str) -> News:
    what = f"{_WENT_BACK}: {change}. That could not be undone: {why}"
    advice = f"{change.now.users} can read it. Make the line {change.before.users}'s again at once."
    return News(Kind.GIVEN_BACK, what, advice, change.now.host, change.now.users)
