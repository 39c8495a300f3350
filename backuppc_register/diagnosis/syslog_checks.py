"""The check that our log lines reach the log."""

from collections.abc import Iterator
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, red
from backuppc_register.diagnosis.server_facts import ServerFacts


def syslog(facts: ServerFacts) -> Iterator[Answer]:
    """Check that syslog listens, and that a test line arrives in the log file."""
    where = facts.config.syslog
    if not Path(where.socket).is_socket():
        advice = "systemctl start rsyslog, or see [syslog] socket: requests are not logged."
        yield red(f"nothing listens at {where.socket}", advice)
        return
    match facts.arrived:
        case None:
            yield green("a test line was sent; only root can see whether it arrived")
        case False:
            advice = f"See that packaging/rsyslog.conf has {where.facility}; then systemctl restart rsyslog"
            yield red("a test line did not arrive in the log file", advice)
        case _:
            yield green("a test line arrived")
