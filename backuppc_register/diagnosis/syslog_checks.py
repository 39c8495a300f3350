"""The check of syslog: a line comes to the log."""

from collections.abc import Iterator
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, otherwise, red
from backuppc_register.diagnosis.server_facts import Situation


@otherwise("See [syslog] socket; systemctl status rsyslog")
def syslog(situation: Situation) -> Iterator[Answer]:
    """Look whether our line comes through syslog to its file."""
    where = situation.config.syslog
    if not Path(where.socket).is_socket():
        advice = "systemctl start rsyslog, or see [syslog] socket: requests leave no trace."
        yield red(f"nobody listens at {where.socket}", advice)
        return
    match situation.arrived():
        case None:
            yield green("a line was sent; only root can see whether it arrived")
        case False:
            advice = f"See that packaging/rsyslog.conf has {where.facility} and that rsyslog was restarted."
            yield red("a line that was sent did not arrive in the log's file", advice)
        case _:
            yield green("a line that was sent arrived")


CHECKS = {
    "syslog": syslog,
}
