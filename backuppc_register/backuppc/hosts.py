r"""BackupPC's hosts file, read and added to by BackupPC's own rules.

The rules are HostInfoRead's of Storage/Text.pm, whose Perl works on bytes: \w and \s are ASCII there, lc too.
"""

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path

from backuppc_register import files
from backuppc_register.errors import CouldNotRegister

_HEADER = b"host\tdhcp\tuser\tmoreUsers\n"
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
        """Return the lines of *host*, compared as BackupPC does: lower-cased, whole."""
        wanted = _text(_bytes(host).lower())
        return tuple(line for line in self.lines if line.host == wanted)


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


def append(path: Path, current: HostsFile, host: str, user: str) -> None:
    """Add the line ``HOST 0 USER`` to *path*, under the caller's lock; every other byte stays.

    A final newline and a header line are added where they are missing. The modification time's second is a
    later one, which is all that a running BackupPC compares.

    Raises CouldNotRegister where *path* is not what *current* was read from, where BackupPC would not take
    the line so, where any other host would change, or where owner, group and mode cannot be kept; *path* is
    then what it was.
    """
    content, status = _load(path)
    if content != current.content:
        raise CouldNotRegister(detail=f"{path} was changed by somebody who does not hold BackupPC's lock")
    headed = _headed(content)
    longer = _ended(headed) + _bytes(f"{host}\t0\t{user}\n")
    _refuse_surprises(parse(headed), parse(longer), Line(host, "0", user, ()))
    try:
        files.write(path, longer, files.ownership(status), later_than=int(status.st_mtime))
    except PermissionError as error:
        hint = f"if group {status.st_gid} is not ours: chmod g+s {path.parent}"
        raise CouldNotRegister(detail=f"{path} cannot be replaced: {error}; {hint}") from error
    except OSError as error:
        raise CouldNotRegister(detail=f"{path} cannot be replaced: {error}") from error


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
        raise CouldNotRegister(detail=f"the hosts file cannot be read: {error}") from error


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


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
