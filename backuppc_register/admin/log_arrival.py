"""Send a test line to syslog, and see where it arrives."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from backuppc_register import syslog_line
from backuppc_register.config import Syslog
from backuppc_register.system import log_daemons, processes

OUTCOME = "diagnose"
"""The outcome in a test line."""

_ELSEWHERE = (Path("/var/log/syslog"), Path("/var/log/messages"))
_TIMEOUT = 3.0  # seconds
_FOR_OUR_FILE = 1.0  # seconds more, if the line is elsewhere already
_JOURNAL = ["journalctl", "-t", "backuppc-register", "-o", "cat", "-q", "--no-pager", "-n", "50"]


def send(where: Syslog, administrator: str) -> str:
    """Send a test line to syslog; return the number in it."""
    token = f"{secrets.randbelow(10**8):08d}"
    entry = syslog_line.Entry("", OUTCOME, "notice", request=token, detail=f"by {administrator}")
    syslog_line.write(entry, where)
    return token


def place(sent: Callable[[], str]) -> str:
    """Return where the line that *sent* sends arrives: a path, "the journal", or "" for nowhere.

    Our own file counts most, and is waited for longest.
    """
    files = [_Followed(path) for path in (log_daemons.LOG, *_ELSEWHERE)]
    row = f"request={sent()} ".encode()
    until, found = time.monotonic() + _TIMEOUT, ""
    while time.monotonic() < until:
        arrived = [str(one.path) for one in files if one.has(row)]
        if str(log_daemons.LOG) in arrived:
            return str(log_daemons.LOG)
        if not found and (arrived or row in _journal()):
            found = arrived[0] if arrived else "the journal"
            until = min(until, time.monotonic() + _FOR_OUR_FILE * log_daemons.LOG.exists())
        time.sleep(0.05)
    return found


class _Followed:
    """A log file from its present end on; one that is not there yet from its beginning."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = b""
        self._file = self._opened(os.SEEK_END)

    def has(self, row: bytes) -> bool:
        self._file = self._file or self._opened(os.SEEK_SET)
        if self._file:
            self._seen += self._file.read()
        return row in self._seen

    def _opened(self, whence: int) -> IO[bytes] | None:
        try:
            file = self.path.open("rb")
            file.seek(0, whence)
        except OSError:
            return None
        return file


def _journal() -> bytes:
    try:
        return processes.run(_JOURNAL, _TIMEOUT).output
    except OSError:
        return b""
