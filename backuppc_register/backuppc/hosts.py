r"""BackupPC's hosts file, read and changed by BackupPC's own rules.

The rules are HostInfoRead's of Storage/Text.pm, whose Perl works on bytes: \w and \s are ASCII there, lc too.
"""

import errno
import io
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, repeat
from pathlib import Path

from backuppc_register import files
from backuppc_register.errors import CouldNotRegister

_HEADER = b"host\tdhcp\tuser\tmoreUsers\n"
_MODE = 0o640  # as BackupPC's own writer makes it
_BLANKS = b" \t\n\r\f\v"
_LINE_END = re.compile(rb"[\n\r]+")
_TAKEN = re.compile(rb"[A-Za-z0-9_.\\-]+[ \t\n\r\f\v]")
_GAP = re.compile(rb"(?<!\\)[ \t\n\r\f\v]+")
_ESCAPED_BLANK = re.compile(rb"\\([ \t\n\r\f\v])")


@dataclass(frozen=True)
class Line:
    """One host's line: *host* lower-case as BackupPC keys it, the rest as written, empty where absent."""

    host: str
    dhcp: str
    user: str
    more_users: tuple[str, ...]


@dataclass(frozen=True)
class HostsFile:
    """The lines that BackupPC takes, in the file's order: where a host has several, all of them.

    *content*: the bytes that they were read from.
    """

    lines: tuple[Line, ...]
    content: bytes = field(default=b"", repr=False)

    def lines_for(self, host: str) -> tuple[Line, ...]:
        """Return the lines of *host*, compared as BackupPC does: lower-cased, whole.

        A host's line that BackupPC takes for the header counts: it was somebody's before the header got lost.
        """
        wanted = _text(_bytes(host).lower())
        headed = _headed(self.content) if self.content else self.content
        meant = self.lines if headed == self.content else parse(headed).lines
        return tuple(line for line in meant if line.host == wanted)

    def written(self) -> tuple["Written", ...]:
        """Return the lines, each with the bytes that it stands in."""
        taken = (raw for raw in io.BytesIO(self.content) if _fields(raw))
        next(taken, b"")
        return tuple(Written(*both) for both in zip(self.lines, map(_unended, taken), strict=True))


@dataclass(frozen=True)
class Written:
    """A line and the bytes that it stands in, without the newline."""

    line: Line
    raw: bytes


def read(path: Path) -> HostsFile:
    """Return the hosts file at *path*; the caller holds BackupPC's lock.

    Raises CouldNotRegister where it is missing, unreadable or not a regular file.
    """
    content, _ = _load(path)
    return parse(content)


def parse(content: bytes) -> HostsFile:
    """Return what BackupPC sees in *content*: its first line that is one names the columns."""
    taken = _taken(content)
    _, columns = next(taken, (0, []))
    return HostsFile(tuple(_line(columns, fields) for _, fields in taken), content)


def skipped(content: bytes) -> tuple[str, ...]:
    """Return the lines that BackupPC passes over although they say something."""
    said = (line for line in io.BytesIO(content) if line.partition(b"#")[0].strip())
    return tuple(_text(_unended(line)) for line in said if not _fields(line))


def has_header(content: bytes) -> bool:
    """Tell whether the first line that BackupPC takes names the columns, and is not a host's."""
    return bool(content) and _headed(content) == content


def meant(current: HostsFile) -> HostsFile:
    """Return *current* with a header before its first line, where that is a host's that BackupPC ignores."""
    headed = _headed(current.content)
    return parse(headed) if headed != current.content and any(_taken(current.content)) else current


def restore_header(path: Path, current: HostsFile) -> None:
    """Put `meant` of *current* into *path*, under the caller's lock; every other byte stays.

    Raises CouldNotRegister as `append`; *path* is then what it was.
    """
    _, status = _unchanged(path, current)
    _replace(path, meant(current).content, status)


def append(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Add the line ``HOST 0 USER`` to *path*, under the caller's lock; every other byte stays.

    A final newline and a header line are added where they are missing. The modification time's second is a
    later one, which is all that a running BackupPC compares.

    Raises CouldNotRegister where *path* is not what *current* was read from, where BackupPC would not take
    the line so, where any other host would change, or where owner, group and mode cannot be kept; *path* is
    then what it was.
    """
    longer, status = _appended(path, current, host, user)
    _replace(path, longer, status)


def refuse_append(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Raise what `append` would, as far as that can be told before anything is written."""
    _, status = _appended(path, current, host, user)
    _refuse_not_kept(path, status)


def refuse_give(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Raise what `give` would, as far as that can be told before anything is written."""
    _, status = _given(path, current, host, user)
    _refuse_not_kept(path, status)


def _refuse_not_kept(path: Path, status: os.stat_result) -> None:
    folder = path.parent.stat()
    # A new file has the group of who makes it, or of a folder with the set-group-ID bit (inode(7)).
    inherited = bool(folder.st_mode & stat.S_ISGID) and folder.st_gid == status.st_gid
    ours = status.st_uid == os.geteuid() and (inherited or status.st_gid in (os.getegid(), *os.getgroups()))
    if os.geteuid() != 0 and not ours:
        raise _not_kept(path, status, "its owner and group could not be kept")


def _appended(path: Path, current: HostsFile, host: str, user: str) -> tuple[bytes, os.stat_result]:
    content, status = _unchanged(path, current)
    headed = _headed(content)
    longer = _ended(headed) + _bytes(f"{host}\t0\t{user}\n")
    _refuse_surprises(parse(headed), parse(longer), Line(host, "0", user, ()))
    return longer, status


def give(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Make *user* the only one whose the line of *host* is, under the caller's lock; every other byte stays.

    Nobody is in its moreUsers any more. Host as it is spelled, dhcp and a comment stay.

    Raises CouldNotRegister as `append`, and where *host* has not exactly one line.
    """
    changed, status = _given(path, current, host, user)
    _replace(path, changed, status)


def _given(path: Path, current: HostsFile, host: str, user: str) -> tuple[bytes, os.stat_result]:
    content, status = _unchanged(path, current)
    old, start, end, name = _only(content, current, host)
    mine = replace(old, dhcp=old.dhcp or "0", user=user, more_users=())
    line = content[start:end]
    rest = line[len(line.partition(b"#")[0].rstrip(_BLANKS)) :]
    changed = content[:start] + b"\t".join([name, _bytes(mine.dhcp), _bytes(user)]) + rest + content[end:]
    if not user:
        raise CouldNotRegister(detail=f"{host} cannot be given to nobody")
    _refuse_other(parse(changed), [mine if line == old else line for line in current.lines])
    return changed, status


def remove(path: Path, current: HostsFile, host: str) -> None:
    """Take the line of *host* out of *path*, under the caller's lock; every other byte stays.

    BackupPC deletes at its next two nightly runs what backups there still are of a host without a line.

    Raises CouldNotRegister as `append`, and where *host* has not exactly one line.
    """
    content, status = _unchanged(path, current)
    old, start, end, _ = _only(content, current, host)
    shorter = content[:start] + content[end:]
    _refuse_other(parse(shorter), [line for line in current.lines if line != old])
    _replace(path, shorter, status)


def restore_lines(path: Path, current: HostsFile, lost: Sequence[Written]) -> tuple[Written, ...]:
    """Put *lost* lines, of hosts that have none now, back at the end of *path*, under the caller's lock.

    Each gets exactly its old bytes, or, where the header now has other columns, bytes that mean the same. One
    that cannot be written so is left out; those that are written are returned.

    Raises CouldNotRegister as `append`; *path* is then what it was.
    """
    content, status = _unchanged(path, current)
    headed = _headed(content)
    longer, put = _with_lines(headed, lost)
    if put:
        _refuse_doubles(parse(headed), parse(longer), put)
        _replace(path, longer, status)
    return put


def make_anew(path: Path, lost: Sequence[Written]) -> tuple[Written, ...]:
    """Make a hosts file that is not there at all, of a header and *lost* lines, as `restore_lines` does.

    Raises CouldNotRegister, also where there is anything at *path*.
    """
    if os.path.lexists(path):
        raise CouldNotRegister(detail=f"{path} is there already")
    content, put = _with_lines(_HEADER, lost)
    _refuse_doubles(HostsFile(()), parse(content), put)
    try:
        files.write(path, content, _MODE)
    except OSError as error:
        raise CouldNotRegister(detail=f"{path} cannot be made: {error}") from error
    return put


def _unchanged(path: Path, current: HostsFile) -> tuple[bytes, os.stat_result]:
    content, status = _load(path)
    if content != current.content:
        raise CouldNotRegister(detail=f"{path} was changed by somebody who does not hold BackupPC's lock")
    return content, status


def _replace(path: Path, content: bytes, status: os.stat_result) -> None:
    try:
        files.write(path, content, files.ownership(status), later_than=files.second(status))
    except PermissionError as error:
        raise _not_kept(path, status, str(error)) from error
    except OSError as error:
        raise CouldNotRegister(detail=f"{path} cannot be replaced: {error}") from error


def _not_kept(path: Path, status: os.stat_result, reason: str) -> CouldNotRegister:
    hint = f"if group {status.st_gid} is not ours: chmod g+s {path.parent}"
    return CouldNotRegister(detail=f"{path} cannot be replaced: {reason}; {hint}")


def _only(content: bytes, current: HostsFile, host: str) -> tuple[Line, int, int, bytes]:
    """Return the one line of *host*, where it begins and ends in *content*, and the host as spelled there."""
    lines = current.lines_for(host)
    if len(lines) != 1:
        raise CouldNotRegister(detail=f"{host} has {len(lines)} lines in the hosts file")
    rows = islice(_taken(content), 1, None)  # the first one names the columns
    found = ((at, fields[0]) for at, fields in rows if _text(fields[0].lower()) == lines[0].host)
    start, name = next(found, (-1, b""))
    if not name:
        raise CouldNotRegister(detail=f"BackupPC takes the line of {host} for the header: add one before it")
    end = content.find(b"\n", start) + 1 or len(content)
    return lines[0], start, end, name


def _refuse_other(after: HostsFile, wanted: list[Line]) -> None:
    if after.lines != tuple(wanted):
        raise CouldNotRegister(detail="BackupPC would not read the changed hosts file as we mean it")


def _with_lines(headed: bytes, lost: Sequence[Written]) -> tuple[bytes, tuple[Written, ...]]:
    _, columns = next(_taken(headed), (0, []))
    content, put = [_ended(headed)], []
    for written in lost:
        again = (raw for raw in (written.raw, _spelled(written.line)) if _reads(columns, raw) == written.line)
        if raw := next(again, b""):
            content.append(raw + b"\n")
            put.append(written)
    return b"".join(content), tuple(put)


def _reads(columns: Sequence[bytes], raw: bytes) -> Line | None:
    fields = _fields(raw + b"\n")
    return _line(columns, fields) if fields and b"\n" not in raw else None


def _spelled(line: Line) -> bytes:
    """Return *line* as BackupPC's own writer spells it (Storage/Text.pm, HostInfoWrite)."""
    host = line.host.replace(" ", "\\ ")
    return _bytes("\t".join((host, line.dhcp, line.user, ",".join(line.more_users))))


def _refuse_doubles(before: HostsFile, after: HostsFile, put: Sequence[Written]) -> None:
    _refuse_other(after, [*before.lines, *(written.line for written in put)])
    known = {line.host for line in before.lines}
    if doubled := [written.line.host for written in put if written.line.host in known]:
        raise CouldNotRegister(detail=f"{doubled[0]} has a line already")


def _refuse_surprises(before: HostsFile, after: HostsFile, added: Line) -> None:
    if not added.user or after.lines != (*before.lines, added):
        raise CouldNotRegister(detail=f"BackupPC would not read the hosts file with {added} as we mean it")
    if len(after.lines_for(added.host)) > 1:
        raise CouldNotRegister(detail=f"{added.host} has a line already that BackupPC takes for the header")


def _load(path: Path) -> tuple[bytes, os.stat_result]:
    # Without O_NONBLOCK a named pipe would make us wait for a writer.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise CouldNotRegister(detail=f"{path} is not a regular file")
            return file.read(), status
    except OSError as error:
        # ELOOP is what O_NOFOLLOW makes of a link (open(2)), and its words say something else.
        reason = f"{path} is a symbolic link" if error.errno == errno.ELOOP else str(error)
        raise CouldNotRegister(detail=f"the hosts file cannot be read: {reason}") from error


def _taken(content: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield offset and fields of each line that BackupPC does not skip."""
    offset = 0
    for line in io.BytesIO(content):
        if fields := _fields(line):
            yield offset, fields
        offset += len(line)


def _fields(line: bytes) -> list[bytes]:
    # Perl's s/[\n\r]+// takes the first such run only, be it inside the line.
    text = _LINE_END.sub(b"", line, count=1).partition(b"#")[0].rstrip(_BLANKS)
    if not _TAKEN.match(text):
        return []
    return [_ESCAPED_BLANK.sub(rb"\1", part) for part in _GAP.split(text)]


def _line(columns: Iterable[bytes], fields: Sequence[bytes]) -> Line:
    # What exceeds the columns is dropped; of two columns of one name the last one counts, if empty too.
    values = dict(zip(columns, chain(fields, repeat(b"")), strict=False))
    more = _text(values.get(b"moreUsers", b"")).split(",")
    return Line(
        host=_text(fields[0].lower()),
        dhcp=_text(values.get(b"dhcp", b"")),
        user=_text(values.get(b"user", b"")),
        more_users=tuple(user for user in more if user),
    )


def _headed(content: bytes) -> bytes:
    """Return *content* with a header line, put before the first line that BackupPC takes.

    Without one, BackupPC takes the first host's line for it and that host for none of its own.
    """
    at, fields = next(_taken(content), (len(content), []))
    if fields and fields[1:2] not in ([b"0"], [b"1"]):
        return content
    return _ended(content[:at]) + _HEADER + content[at:]


def _ended(content: bytes) -> bytes:
    return content if content.endswith(b"\n") or not content else content + b"\n"


def _unended(raw: bytes) -> bytes:
    return raw.removesuffix(b"\n")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
