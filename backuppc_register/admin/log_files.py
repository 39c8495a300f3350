"""The rows of our log: from syslog's files, plain or compressed, or from the journal."""

import gzip
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from backuppc_register.lifecycle.operation import Refused
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import processes

Source = IO[bytes] | gzip.GzipFile
"""An open log."""

LOGS = Path("/var/log"), "backuppc-register.log*"

_JOURNAL = ["-t", "backuppc-register", "-o", "short-iso", "--no-pager", "-q"]
_PATH = processes.PATH


def opened(names: list[str] | None, since: datetime) -> list[Source]:
    """Open the files *names*, or syslog's files that are not older than *since*, or the journal.

    Raises Refused if a file is closed to us, another OSError if it cannot be opened.
    """
    folder, pattern = LOGS
    paths = [Path(name) for name in names] if names else sorted(folder.glob(pattern))
    if not paths:
        return [_journal(since)]
    try:
        return [_open(path) for path in paths if names or path.stat().st_mtime >= since.timestamp()]
    except PermissionError as error:
        raise Refused(reason=f"{error}; only root can read the log: try sudo") from error


def rows(sources: Iterable[Source]) -> Iterator[str]:
    """Yield the rows of all *sources*; a compressed file that was cut short ends where it was cut."""
    for source in sources:
        with source, suppress(EOFError, zlib.error, gzip.BadGzipFile):
            for raw in source:
                yield raw.decode("utf-8", "replace").rstrip("\n")


def _open(path: Path) -> Source:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _journal(since: datetime) -> IO[bytes]:
    tool = shutil.which("journalctl", path=_PATH)
    if tool is None:
        raise Misconfigured(detail=f"there is neither {Path(*LOGS)} nor journalctl")
    command = [tool, *_JOURNAL, "--since", since.strftime("%Y-%m-%d %H:%M:%S")]
    return processes.stream(command, path=_PATH)
