"""Find and open the logs that may have lines of ours: syslog's files and the journal."""

import bz2
import gzip
import lzma
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from backuppc_register.lifecycle.operation import Refused
from backuppc_register.system import processes

FOLDER = Path("/var/log")
JOURNALS = (Path("/var/log/journal"), Path("/run/log/journal"))
OWN = ("backuppc-register.log*",)
GENERAL = tuple(f"{name}{ending}" for name in ("syslog", "messages") for ending in ("", ".[0-9]*", "-[0-9]*"))
"""Where rsyslog, syslog-ng and busybox write what no rule of ours takes away."""

IDENTIFIER = "backuppc-register"
JOURNAL = "the journal"
CLOSED = "only root can read it: try sudo"

_ASKED = ["-t", IDENTIFIER, "-o", "short-iso", "--no-pager"]
_PATH = processes.PATH
_MAGIC: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_ZSTD = b"\x28\xb5\x2f\xfd"
_CUT_SHORT = (EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass
class Source:
    """A log: its *name*; the open *stream*, None if it is not read; what was *said* instead of lines.

    *newest*: the time of its newest line of ours. *unread*: not all of it could be read.
    """

    name: str
    stream: IO[bytes] | None = None
    said: str = ""
    newest: datetime | None = None
    unread: bool = False

    def rows(self) -> Iterator[str]:
        """Yield the rows that name us; a compressed file that was cut short ends where it was cut."""
        if self.stream is None:
            return
        complaints: list[str] = []
        with self.stream:
            try:
                for raw in self.stream:
                    row = raw.decode("utf-8", "replace").rstrip("\n")
                    if IDENTIFIER in row:
                        yield row
                    elif self.name == JOURNAL and not row.startswith("--"):
                        complaints.append(row.strip())
            except _CUT_SHORT as error:
                self.said, self.unread = f"{type(error).__name__}: {error}", True
        if complaints:
            self.said = " ".join(complaints[:3])[:300]
            self.unread = True

    def __str__(self) -> str:
        """Return what was looked at, and what was found there."""
        newest = f"newest line of {self.newest:%Y-%m-%d %H:%M}" if self.newest else ""
        found = ", ".join(filter(None, (newest, self.said))) or f"no line of {IDENTIFIER}"
        return f"{self.name}: {found}"


def named(names: list[str]) -> list[Source]:
    """Open the files *names*; raises Refused if one is closed to us, or another OSError."""
    try:
        return [Source(name, _open(Path(name))) for name in names]
    except PermissionError as error:
        raise Refused(reason=f"{error}; only root can read the log: try sudo") from error


def usual(since: datetime) -> list[Source]:
    """Open our own files and the journal; syslog's general files too, if one of the others is not there.

    Files that were last written before *since* are not opened. Never raises: a source says what is wrong.
    """
    own = [*_files(OWN, since)] or [Source(f"{FOLDER}/{IDENTIFIER}.log", said="there is none")]
    journal = _journal(since)
    enough = journal.stream is not None and any(one.stream for one in own)
    return [*own, *(() if enough else _files(GENERAL, since)), journal]


def _files(patterns: tuple[str, ...], since: datetime) -> Iterator[Source]:
    for path in sorted({path for pattern in patterns for path in FOLDER.glob(pattern)}):
        try:
            written = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
            old = written < since
            said = f"last written {written:%Y-%m-%d %H:%M}" if old else ""
            yield Source(str(path), None if old else _open(path), said)
        except PermissionError:
            yield Source(str(path), said=CLOSED, unread=True)
        except OSError as error:
            yield Source(str(path), said=str(error.strerror or error), unread=True)


def _open(path: Path) -> IO[bytes]:
    """Open *path*, also a compressed file, by its first bytes; raises OSError."""
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(_ZSTD):
        tool = shutil.which("zstd", path=_PATH)
        if tool is None:
            raise OSError(f"{path} is compressed by zstd, which is not installed")
        return processes.stream([tool, "-dcq", str(path)], path=_PATH)
    for magic, opener in _MAGIC.items():
        if start.startswith(magic):
            return cast(IO[bytes], opener(path))
    return path.open("rb")


def _journal(since: datetime) -> Source:
    tool = shutil.which("journalctl", path=_PATH)
    if tool is None or not any(folder.is_dir() for folder in JOURNALS):
        return Source(JOURNAL, said="there is none")
    command = [tool, *_ASKED, "--since", since.strftime("%Y-%m-%d %H:%M:%S")]
    return Source(JOURNAL, processes.stream(command, path=_PATH))
