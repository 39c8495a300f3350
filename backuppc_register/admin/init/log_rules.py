"""The steps for the rule of the syslog daemon and for the log rotation."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from backuppc_register.admin.init.root_files import file_step
from backuppc_register.admin.init.step import NotDone, Plan, Step, packaged
from backuppc_register.system import log_daemons
from backuppc_register.system.log_daemons import LogDaemon

LOGROTATE = Path("/etc/logrotate.d/backuppc-register")

_FACILITY = re.compile(r"\blocal3\b")
_SINCE_0_4 = re.compile(r"^ +if \[.*\n +if \[.*\n", re.MULTILINE)
_BEFORE_0_4 = "        /usr/lib/rsyslog/rsyslog-rotate\n"
_SINCE_0_3 = "    maxsize 50M\n"


def steps(plan: Plan) -> Iterator[Step]:
    """Yield a step for each file that a program reads on this server; none if the journal is alone."""
    daemons = _daemons()
    for one in daemons:
        yield _rule(one, plan.settings.syslog.facility)
    if daemons and LOGROTATE.parent.is_dir():
        rotation = packaged("logrotate.conf")
        of_0_3 = _SINCE_0_4.sub(_BEFORE_0_4, rotation)
        yield file_step(LOGROTATE, rotation, earlier=(of_0_3, of_0_3.replace(_SINCE_0_3, "")))


def next_lines(done: list[str]) -> Iterator[str]:
    """Yield what is left to do after the steps *done*."""
    daemons = _daemons()
    if not daemons:
        yield "There is neither rsyslog nor syslog-ng: the log lines go to the journal, if there is one."
    for one in daemons:
        if f"{one.rule}" in done:
            yield f"Next: systemctl restart {one.name}"


def _daemons() -> list[LogDaemon]:
    return [one for one in log_daemons.installed() if one.rule.parent.is_dir()]


def _rule(daemon: LogDaemon, facility: str) -> Step:
    step = file_step(daemon.rule, _FACILITY.sub(facility, packaged(daemon.packaged)))

    def make() -> None:
        """Write the rule, unless it names what that daemon does not have: it would not start again."""
        if daemon.needs and daemon.needs not in daemon.settings.read_text("utf-8", "replace"):
            raise NotDone(f"{daemon.settings} has no `{daemon.needs}`: see packaging/{daemon.packaged}")
        step.make()

    return replace(step, make=make)
