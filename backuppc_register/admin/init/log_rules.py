"""The steps for rsyslog's rule and for the log rotation."""

import re
from collections.abc import Iterator
from pathlib import Path

from backuppc_register.admin.init.root_files import file_step
from backuppc_register.admin.init.step import Plan, Step, packaged

RSYSLOG = Path("/etc/rsyslog.d/backuppc-register.conf")
LOGROTATE = Path("/etc/logrotate.d/backuppc-register")

_FACILITY = re.compile(r"^local3(?=\.)", re.MULTILINE)
_SINCE_0_3 = "    maxsize 50M\n"


def steps(plan: Plan) -> Iterator[Step]:
    """Yield a step for each file that a program reads on this server."""
    rule = _FACILITY.sub(plan.settings.syslog.facility, packaged("rsyslog.conf"))
    rotation = packaged("logrotate.conf")
    if RSYSLOG.parent.is_dir():
        yield file_step(RSYSLOG, rule)
    if LOGROTATE.parent.is_dir():
        yield file_step(LOGROTATE, rotation, earlier=rotation.replace(_SINCE_0_3, ""))


def next_lines(done: list[str]) -> Iterator[str]:
    """Yield what is left to do after the steps *done*."""
    if not RSYSLOG.parent.is_dir():
        yield "There is no rsyslog: the log lines go to the journal, if there is one."
    elif f"{RSYSLOG}" in done:
        yield "Next: systemctl restart rsyslog"
