r"""Parse BackupPC's hosts file by BackupPC's own rules; pure.

The rules are those of HostInfoRead in Storage/Text.pm. Its Perl works on bytes, with \w, \s and lc in ASCII.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

HEADER = b"host\tdhcp\tuser\tmoreUsers\n"
"""The line that names the columns, as BackupPC's own writer makes it."""

BLANKS = b" \t\n\r\f\v"
"""What Perl's ``\\s`` is."""

SAYS_DHCP = "the hosts file says dhcp"
"""Why BackupPC never begins a backup of a host itself, see `Line.by_netbios`."""

_LINE_END = re.compile(rb"[\n\r]+")
_TAKEN = re.compile(rb"[A-Za-z0-9_.\\-]+[ \t\n\r\f\v]")
GAP = re.compile(rb"(?<!\\)[ \t\n\r\f\v]+")
"""What separates the fields of a line."""

_ESCAPED_BLANK = re.compile(rb"\\([ \t\n\r\f\v])")


@dataclass(frozen=True)
class Line:
    """One host's line: *host* in lower case as in BackupPC, the rest as written, empty if absent."""

    host: str
    dhcp: str
    user: str
    more_users: tuple[str, ...]

    @property
    def by_netbios(self) -> bool:
        """Tell whether BackupPC waits to find the machine by NetBIOS, and never begins a backup itself."""
        return self.dhcp not in ("", "0")


@dataclass(frozen=True)
class HostsFile:
    """The lines that BackupPC reads, in the file's order; a host can have several.

    *content*: the bytes of the whole file.
    """

    lines: tuple[Line, ...]
    content: bytes = field(default=b"", repr=False)

    def lines_for(self, host: str) -> tuple[Line, ...]:
        """Return the lines of *host*, compared as BackupPC does: lower-cased, whole.

        A host's line that BackupPC takes for the header counts: it had an owner before the header got lost.
        """
        wanted = keyed(host)
        content = headed(self.content) if self.content else self.content
        lines = self.lines if content == self.content else parse(content).lines
        return tuple(line for line in lines if line.host == wanted)

    def written_for(self, host: str) -> tuple["Written", ...]:
        """Return the lines of *host* that BackupPC reads, each with its bytes."""
        return tuple(written for written in self.written() if written.line.host == keyed(host))

    def written(self) -> tuple["Written", ...]:
        """Return the lines, each with its bytes."""
        rows = (row for row in io.BytesIO(self.content) if _fields(row))
        next(rows, b"")
        return tuple(Written(*both) for both in zip(self.lines, map(_unended, rows), strict=True))


@dataclass(frozen=True)
class Written:
    """A line and its bytes, without the newline."""

    line: Line
    raw: bytes


def parse(content: bytes) -> HostsFile:
    """Return what BackupPC reads in *content*; its first valid line names the columns."""
    rows = taken(content)
    _, columns = next(rows, (0, []))
    return HostsFile(tuple(_line(columns, fields) for _, fields in rows), content)


def skipped(content: bytes) -> tuple[str, ...]:
    """Return the lines that BackupPC skips although they are neither empty nor comments."""
    rows = (row for row in io.BytesIO(content) if row.partition(b"#")[0].strip())
    return tuple(text(_unended(row)) for row in rows if not _fields(row))


def has_header(content: bytes) -> bool:
    """Tell whether the first line that BackupPC reads names the columns, and is not a host's."""
    return bool(content) and headed(content) == content


def with_header(current: HostsFile) -> HostsFile:
    """Return *current* with a header, if its first line is a host's that BackupPC takes for the header.

    If nothing is missing, *current* itself is returned.
    """
    content = headed(current.content)
    changed = content != current.content and any(taken(current.content))
    return parse(content) if changed else current


def headed(content: bytes) -> bytes:
    """Return *content* with a header line before the first line that BackupPC reads.

    Without a header BackupPC takes the first host's line for it, and does not know that host.
    """
    at, fields = next(taken(content), (len(content), []))
    if fields and fields[1:2] not in ([b"0"], [b"1"]):
        return content
    return ended(content[:at]) + HEADER + content[at:]


def ended(content: bytes) -> bytes:
    """Return *content* with a newline at its end, unless it is empty."""
    return content if content.endswith(b"\n") or not content else content + b"\n"


def taken(content: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield offset and fields of each line that BackupPC reads; the first one names the columns."""
    offset = 0
    for row in io.BytesIO(content):
        if fields := _fields(row):
            yield offset, fields
        offset += len(row)


def read_as(content: bytes, row: bytes) -> Line | None:
    """Return what BackupPC would read in *row*, given without a newline, at the end of *content*."""
    _, columns = next(taken(content), (0, []))
    fields = _fields(row + b"\n")
    return _line(columns, fields) if fields and b"\n" not in row else None


def keyed(host: str) -> str:
    """Return the name of a host as BackupPC uses it for a key: with ASCII letters in lower case."""
    return text(raw(host).lower())


def text(raw: bytes) -> str:
    """Return bytes of the file as text; `raw` restores them even if they are not UTF-8."""
    return raw.decode("utf-8", "surrogateescape")


def raw(text: str) -> bytes:
    """Return the bytes of `text`."""
    return text.encode("utf-8", "surrogateescape")


def _fields(row: bytes) -> list[bytes]:
    # Perl's s/[\n\r]+// removes only the first such run, even inside the line.
    content = _LINE_END.sub(b"", row, count=1).partition(b"#")[0].rstrip(BLANKS)
    if not _TAKEN.match(content):
        return []
    return [_ESCAPED_BLANK.sub(rb"\1", part) for part in GAP.split(content)]


def _line(columns: Iterable[bytes], fields: Sequence[bytes]) -> Line:
    # Fields without a column are dropped; of two columns of one name the last one counts, even if empty.
    values = dict(zip(columns, chain(fields, repeat(b"")), strict=False))
    more = text(values.get(b"moreUsers", b"")).split(",")
    return Line(
        host=text(fields[0].lower()),
        dhcp=text(values.get(b"dhcp", b"")),
        user=text(values.get(b"user", b"")),
        more_users=tuple(user for user in more if user),
    )


def _unended(row: bytes) -> bytes:
    return row.removesuffix(b"\n")
