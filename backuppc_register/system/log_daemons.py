"""The syslog daemons that write a file of ours by a rule, and whether they are installed."""

import os
from dataclasses import dataclass
from pathlib import Path

LOG = Path("/var/log/backuppc-register.log")
"""The file that these rules write."""

_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin")


@dataclass(frozen=True)
class LogDaemon:
    """A syslog daemon: its *name*, its *program*, where its *rule* for us is, and *packaged*: our text of it.

    *settings* must contain *needs* for the rule to be understood.
    """

    name: str
    program: str
    rule: Path
    packaged: str
    settings: Path
    needs: str = ""


RSYSLOG = LogDaemon(
    "rsyslog",
    "rsyslogd",
    Path("/etc/rsyslog.d/backuppc-register.conf"),
    "rsyslog.conf",
    Path("/etc/rsyslog.conf"),
)
SYSLOG_NG = LogDaemon(
    "syslog-ng",
    "syslog-ng",
    Path("/etc/syslog-ng/conf.d/backuppc-register.conf"),
    "syslog-ng.conf",
    Path("/etc/syslog-ng/syslog-ng.conf"),
    "source s_src",
)
DAEMONS = (RSYSLOG, SYSLOG_NG)


def installed() -> list[LogDaemon]:
    """Return those daemons that are installed. A removed package may leave its folder in /etc."""
    return [one for one in DAEMONS if any(os.access(f"{place}/{one.program}", os.X_OK) for place in _FOLDERS)]
