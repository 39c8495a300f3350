"""Send a test line to syslog, and see whether it arrives in the log."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from backuppc_register import syslog_line
from backuppc_register.config import Syslog
from backuppc_register.system import processes

LOG = Path("/var/log/backuppc-register.log")
OUTCOME = "diagnose"
"""The outcome in a test line."""

_TIMEOUT = 3.0  # seconds
_JOURNAL = ["journalctl", "-t", "backuppc-register", "-o", "cat", "-q", "--no-pager", "-n", "50"]


def send(where: Syslog, administrator: str) -> str:
    """Send a test line to syslog; return the number in it."""
    token = f"{secrets.randbelow(10**8):08d}"
    entry = syslog_line.Entry("", OUTCOME, "notice", request=token, detail=f"by {administrator}")
    syslog_line.write(entry, where)
    return token


def arrives(sent: Callable[[], str]) -> bool:
    """Tell whether the line that *sent* sends arrives in the log file, or in the journal without a file."""
    log = _opened(at_end=True)
    row = f"request={sent()} ".encode()
    until, seen = time.monotonic() + _TIMEOUT, b""
    while time.monotonic() < until:
        log = log or _opened()
        seen += log.read() if log else _journal()
        if row in seen:
            return True
        time.sleep(0.02 if log else 0.3)
    return False


def _opened(*, at_end: bool = False) -> IO[bytes] | None:
    try:
        log = LOG.open("rb")
        log.seek(0, os.SEEK_END if at_end else os.SEEK_SET)
    except OSError:
        return None
    return log


def _journal() -> bytes:
    try:
        return processes.run(_JOURNAL, _TIMEOUT).output
    except OSError:
        return b""
