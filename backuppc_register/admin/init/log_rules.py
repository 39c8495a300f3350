"""Where the log goes: rsyslog's rule, and its rotation."""

import re
from collections.abc import Iterator
from pathlib import Path

from backuppc_register.admin.init.root_files import file_step
from backuppc_register.admin.init.step import Plan, Step
from backuppc_register.system import data_files

RSYSLOG = Path("/etc/rsyslog.d/backuppc-register.conf")
LOGROTATE = Path("/etc/logrotate.d/backuppc-register")

_FACILITY = re.compile(r"^local3(?=\.)", re.MULTILINE)


def steps(plan: Plan) -> Iterator[Step]:
    """Yield the steps, each where what reads its file is installed."""
    facility = plan.settings.syslog.facility
    rule = _FACILITY.sub(facility, data_files.find("packaging/rsyslog.conf").read_text("utf-8"))
    rotation = data_files.find("packaging/logrotate.conf").read_text("utf-8")
    for path, text in ((RSYSLOG, rule), (LOGROTATE, rotation)):
        if path.parent.is_dir():
            yield file_step(path, text)


def next_lines(done: list[str]) -> Iterator[str]:
    """Yield what is left to do, where *done* are the steps that were taken."""
    if not RSYSLOG.parent.is_dir():
        yield "There is no rsyslog: requests leave their lines in the journal, where there is one."
    elif f"{RSYSLOG}" in done:
        yield "Next: systemctl restart rsyslog"
