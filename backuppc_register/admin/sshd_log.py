"""Read why sshd has refused a login: only root may read that, and ssh itself does not know."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from backuppc_register.system import processes

LOGS = tuple(Path("/var/log", name) for name in ("auth.log", "secure", "syslog", "messages"))

_TIMEOUT = 3.0  # seconds for the journal
_ARRIVAL = 1.0  # seconds until a line of syslog is in its file
_MOST = 3  # lines
_LONGEST = 200  # characters of a line
_LINE = re.compile(r"\bsshd(?:-session)?\[(\d+)\]: (.+)")
# What sshd logs of every connection, and what says no more than ssh itself.
_NOISE = re.compile(
    r"Connection |Accepted |Received disconnect|Disconnected |pam_\w+\(sshd:session\)|Starting session"
)


class SshdLog:
    """sshd's log from now on, where we may read it."""

    def __init__(self) -> None:
        self._since = int(time.time())
        self._logs = list(_opened())

    def words(self, account: str) -> str:
        """Return what sshd has said of logins as *account*, "" if it said nothing or cannot be heard."""
        until, text = time.monotonic() + _ARRIVAL, ""
        while not (said := _about(account, text)) and time.monotonic() < until:
            time.sleep(0.05)
            text += "".join(log.read().decode("utf-8", "replace") for log in self._logs)
        return "; ".join((said or _about(account, self._journal()))[:_MOST])

    def _journal(self) -> str:
        command = ["journalctl", "-q", "--no-pager", "-n", "200", f"--since=@{self._since}"]
        try:
            return processes.run([*command, "-t", "sshd", "-t", "sshd-session"], _TIMEOUT).output.decode(
                "utf-8", "replace"
            )
        except OSError:
            return ""


def _opened() -> Iterator[IO[bytes]]:
    for path in LOGS:
        with suppress(OSError):
            log = path.open("rb")
            log.seek(0, os.SEEK_END)
            yield log


def _about(account: str, text: str) -> list[str]:
    """Return the messages of those connections that name *account*, each once."""
    rows = [match.groups() for match in map(_LINE.search, text.split("\n")) if match]
    name = re.compile(rf"\b{re.escape(account)}\b")
    ours = {process for process, message in rows if name.search(message)}
    found = (message[:_LONGEST] for process, message in rows if process in ours and not _NOISE.match(message))
    return list(dict.fromkeys(found))
