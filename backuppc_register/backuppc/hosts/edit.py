"""The bytes of a changed hosts file, where BackupPC reads in them what is meant and nothing else; pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from backuppc_register.backuppc.hosts.syntax import (
    BLANKS,
    HostsFile,
    Line,
    Written,
    ended,
    headed,
    parse,
    raw,
    read_as,
    taken,
    text,
)
from backuppc_register.protocol.errors import HostsFileError


def with_line(current: HostsFile, host: str, user: str) -> tuple[bytes, Written]:
    """Return *current* with the line ``HOST 0 USER`` at its end, and a header; every other byte stays.

    The line is returned as well.

    Raises HostsFileError.
    """
    with_header = headed(current.content)
    added, row = Line(host, "0", user, ()), raw(f"{host}\t0\t{user}")
    longer = ended(with_header) + row + b"\n"
    before, after = parse(with_header), parse(longer)
    if not user or after.lines != (*before.lines, added):
        raise HostsFileError(detail=f"BackupPC would not read the hosts file with {added} as we mean it")
    if len(after.lines_for(host)) > 1:
        raise HostsFileError(detail=f"{host} has a line already that BackupPC takes for the header")
    return longer, Written(added, row)


def given(current: HostsFile, host: str, user: str) -> bytes:
    """Return *current* with *user* as the only one whose *host* is; every other byte stays.

    Raises HostsFileError, also where *host* has not exactly one line.
    """
    content = current.content
    old, start, end, name = _only(current, host)
    if not user:
        raise HostsFileError(detail=f"{host} cannot be given to nobody")
    mine = replace(old, dhcp=old.dhcp or "0", user=user, more_users=())
    row = content[start:end]
    rest = row[len(row.partition(b"#")[0].rstrip(BLANKS)) :]
    changed = content[:start] + b"\t".join([name, raw(mine.dhcp), raw(user)]) + rest + content[end:]
    _refuse_other(parse(changed), [mine if line == old else line for line in current.lines])
    return changed


def with_other(current: HostsFile, wanted: Written) -> bytes:
    """Return *current* with *wanted* in the place of the only line of its host; every other byte stays.

    It gets its own bytes, or, where they would mean something else, bytes that mean the same.

    Raises HostsFileError, also where there are none.
    """
    old, start, end, _ = _only(current, wanted.line.host)
    before, after = current.content[:start], current.content[end:]
    rows = (wanted.raw, _spelled(wanted.line))
    row = next((row for row in rows if read_as(current.content, row) == wanted.line), b"")
    changed = before + row + b"\n" + after
    _refuse_other(parse(changed), [wanted.line if line == old else line for line in current.lines])
    return changed


def without(current: HostsFile, host: str) -> bytes:
    """Return *current* without the line of *host*; every other byte stays.

    Raises HostsFileError, also where *host* has not exactly one line.
    """
    old, start, end, _ = _only(current, host)
    shorter = current.content[:start] + current.content[end:]
    _refuse_other(parse(shorter), [line for line in current.lines if line != old])
    return shorter


def with_lines(content: bytes, lost: Sequence[Written]) -> tuple[bytes, tuple[Written, ...]]:
    """Return *content*, which has a header, with *lost* lines at its end, and those that could be put there.

    Each gets its own bytes, or, where they would mean something else, bytes that mean the same.

    Raises HostsFileError, also where a host has a line already.
    """
    rows, put = [ended(content)], []
    for written in lost:
        for row in (written.raw, _spelled(written.line)):
            if read_as(content, row) == written.line:
                rows.append(row + b"\n")
                put.append(written)
                break
    longer, before = b"".join(rows), parse(content)
    _refuse_other(parse(longer), [*before.lines, *(written.line for written in put)])
    known = {line.host for line in before.lines}
    if doubled := [written.line.host for written in put if written.line.host in known]:
        raise HostsFileError(detail=f"{doubled[0]} has a line already")
    return longer, tuple(put)


def _only(current: HostsFile, host: str) -> tuple[Line, int, int, bytes]:
    """Return the one line of *host*, where it begins and ends, and the host as it is spelled there."""
    lines = current.lines_for(host)
    if len(lines) != 1:
        raise HostsFileError(detail=f"{host} has {len(lines)} lines in the hosts file")
    rows = islice(taken(current.content), 1, None)  # the first one names the columns
    found = ((at, fields[0]) for at, fields in rows if text(fields[0].lower()) == lines[0].host)
    start, name = next(found, (-1, b""))
    if not name:
        raise HostsFileError(detail=f"BackupPC takes the line of {host} for the header: add one before it")
    end = current.content.find(b"\n", start) + 1 or len(current.content)
    return lines[0], start, end, name


def _spelled(line: Line) -> bytes:
    """Return *line* as BackupPC's own writer spells it (Storage/Text.pm, HostInfoWrite)."""
    host = line.host.replace(" ", "\\ ")
    return raw("\t".join((host, line.dhcp, line.user, ",".join(line.more_users))))


def _refuse_other(after: HostsFile, wanted: list[Line]) -> None:
    if after.lines != tuple(wanted):
        raise HostsFileError(detail="BackupPC would not read the changed hosts file as we mean it")
