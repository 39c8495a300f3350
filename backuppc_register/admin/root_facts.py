"""The facts for `diagnose` that only root can see."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from backuppc_register.admin import log_arrival, sshd_settings
from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.admin.partial_config import PartialConfig


@dataclass(frozen=True)
class RootFacts:
    """sshd's settings, and where a test line arrived ("": nowhere); None if we may not see that."""

    sshd: dict[str, str] | None = None
    arrived: str | None = None


def gather(partial: PartialConfig, administrator: str, *, log: bool) -> RootFacts:
    """Return what only root can see; if *log* is true, send a test line in any case."""
    syslog = partial.settings.syslog

    def send() -> str:
        return str(run_as_owner(partial.folder, lambda: log_arrival.send(syslog, administrator)))

    if os.geteuid() != 0:
        if log:
            send()
        return RootFacts()
    account = pwd.getpwuid(partial.folder.stat().st_uid).pw_name
    listens = Path(syslog.socket).is_socket()  # if not, the check `syslog` reports it
    return RootFacts(_sshd(account), log_arrival.place(send) if log and listens else None)


def _sshd(account: str) -> dict[str, str] | None:
    try:
        return sshd_settings.effective(account)
    except sshd_settings.Refused:
        return None
