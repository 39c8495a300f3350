"""Compute the changed hosts file, and check that BackupPC reads it as intended; pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from backuppc_register.backuppc.hosts.syntax import (
    BLANKS,
    GAP,
    HostsFile,
    Line,
    Written,
    ended,
    headed,
    keyed,
    parse,
    raw,
    read_as,
    taken,
    text,
    with_header,
)
from backuppc_register.protocol.errors import HostsFileError


def with_line(current: HostsFile, host: str, user: str) -> HostsFile:
    """Return *current* with the line ``HOST 0 USER`` at its end, and a header; every other byte stays.

    Raises HostsFileError.
    """
    with_header = headed(current.content)
    added = Line(host, "0", user, ())
    before, after = parse(with_header), parse(ended(with_header) + raw(f"{host}\t0\t{user}\n"))
    if not user or after.lines != (*before.lines, added):
        raise HostsFileError(detail=f"BackupPC would not read the hosts file with {added} as intended")
    if len(after.lines_for(host)) > 1:
        raise HostsFileError(detail=f"{host} already has a line, which BackupPC takes for the header")
    return after


def with_owner(current: HostsFile, host: str, user: str) -> HostsFile:
    """Return *current* with *user* as sole owner of *host*; every other byte stays.

    A missing header is added. Raises HostsFileError, also if *host* has not exactly one line.
    """
    current = with_header(current)
    content = current.content
    old, start, end, name = _only(current, host)
    if not user:
        raise HostsFileError(detail=f"{host} cannot be left without an owner")
    new = replace(old, dhcp=old.dhcp or "0", user=user, more_users=())
    row = content[start:end]
    rest = row[len(row.partition(b"#")[0].rstrip(BLANKS)) :]
    changed = content[:start] + b"\t".join([name, raw(new.dhcp), raw(user)]) + rest + content[end:]
    return _checked(changed, [new if line == old else line for line in current.lines])


def with_user(current: HostsFile, host: str, user: str) -> HostsFile:
    """Return *current* with *user* in each line of *host*; every other byte stays, moreUsers too.

    A missing header is added. Raises HostsFileError if BackupPC would not read the result as intended.
    """
    current = with_header(current)
    content, wanted = current.content, keyed(host)
    rows = list(taken(content))
    _, columns = rows[0] if rows else (0, [])
    for start, fields in reversed(rows[1:]):
        if text(fields[0].lower()) == wanted:
            end = content.find(b"\n", start) + 1 or len(content)
            row = _with_field(content[start:end], columns, b"user", raw(user))
            content = content[:start] + row + content[end:]
    lines = [replace(line, user=user) if line.host == wanted else line for line in current.lines]
    return _checked(content, lines)


def with_replaced(current: HostsFile, wanted: Written) -> HostsFile:
    """Return *current* with *wanted* in place of the only line of its host; every other byte stays.

    The line gets its own bytes. If they would mean something else now, it gets bytes that mean the same.

    Raises HostsFileError, also if there are none.
    """
    current = with_header(current)
    old, start, end, _ = _only(current, wanted.line.host)
    row = _row_for(wanted, current.content) or b""
    changed = current.content[:start] + row + b"\n" + current.content[end:]
    return _checked(changed, [wanted.line if line == old else line for line in current.lines])


def without(current: HostsFile, host: str) -> HostsFile:
    """Return *current* without the line of *host*; every other byte stays.

    A missing header is added. Raises HostsFileError, also if *host* has not exactly one line.
    """
    current = with_header(current)
    old, start, end, _ = _only(current, host)
    shorter = current.content[:start] + current.content[end:]
    return _checked(shorter, [line for line in current.lines if line != old])


def with_lines(current: HostsFile, lost: Sequence[Written]) -> tuple[HostsFile, tuple[Written, ...]]:
    """Return *current* with *lost* lines at its end, and a header; also return the lines added.

    Each line gets its own bytes. If they would mean something else now, it gets bytes that mean the same. If
    there are none, the line is left out.

    Raises HostsFileError, also if a host has a line already.
    """
    content = headed(current.content)
    rows = [(written, row) for written in lost if (row := _row_for(written, content)) is not None]
    before, added = parse(content).lines, tuple(written for written, _ in rows)
    known = {line.host for line in before}
    if doubled := [written.line.host for written in added if written.line.host in known]:
        raise HostsFileError(detail=f"{doubled[0]} has a line already")
    if not rows:
        return current, ()
    longer = ended(content) + b"".join(row + b"\n" for _, row in rows)
    return _checked(longer, [*before, *(written.line for written in added)]), added


def _only(current: HostsFile, host: str) -> tuple[Line, int, int, bytes]:
    """Return the one line of *host*, where it begins and ends, and the host as it is spelled there."""
    lines = current.lines_for(host)
    if len(lines) != 1:
        raise HostsFileError(detail=f"{host} has {len(lines)} lines in the hosts file")
    rows = islice(taken(current.content), 1, None)  # the first one names the columns
    found = ((at, fields[0]) for at, fields in rows if text(fields[0].lower()) == lines[0].host)
    start, name = next(found)
    end = current.content.find(b"\n", start) + 1 or len(current.content)
    return lines[0], start, end, name


def _with_field(row: bytes, columns: Sequence[bytes], name: bytes, value: bytes) -> bytes:
    """Return *row* with *value* in the column *name*; unchanged if it has none."""
    body = row.partition(b"#")[0].rstrip(BLANKS)
    gaps = list(GAP.finditer(body))
    starts, ends = [0, *(gap.end() for gap in gaps)], [*(gap.start() for gap in gaps), len(body)]
    places = [place for place, column in enumerate(columns) if column == name]
    if not places or places[-1] >= len(starts):
        return row
    return row[: starts[places[-1]]] + value + row[ends[places[-1]] :]


def _row_for(written: Written, content: bytes) -> bytes | None:
    """Return bytes that mean the line *written* at the end of *content*, None if there are none."""
    rows = (written.raw, _spelled(written.line))
    return next((row for row in rows if read_as(content, row) == written.line), None)


def _spelled(line: Line) -> bytes:
    """Return *line* as BackupPC's own writer spells it (Storage/Text.pm, HostInfoWrite)."""
    host = line.host.replace(" ", "\\ ")
    return raw("\t".join((host, line.dhcp, line.user, ",".join(line.more_users))))


def _checked(content: bytes, wanted: list[Line]) -> HostsFile:
    """Parse *content*; raises HostsFileError unless it means the lines *wanted*."""
    after = parse(content)
    if after.lines != tuple(wanted):
        raise HostsFileError(detail="BackupPC would not read the changed hosts file as intended")
    return after
