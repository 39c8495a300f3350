"""The facts for `diagnose` that only root can see."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from backuppc_register.admin import log_arrival
from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.admin.partial_config import PartialConfig
from backuppc_register.system import processes

_TIMEOUT = 3.0  # seconds


@dataclass(frozen=True)
class RootFacts:
    """sshd's settings, and whether a test line arrived in the log; None if we may not see that."""

    sshd: dict[str, str] | None = None
    arrived: bool | None = None


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
    return RootFacts(_sshd(account), log_arrival.arrives(send) if log and listens else None)


def _sshd(account: str) -> dict[str, str] | None:
    command = ["sshd", "-T", "-C", f"user={account},host=localhost,addr=127.0.0.1"]
    try:
        ended = processes.run(command, _TIMEOUT, path=processes.PATH_OF_ROOT)
    except OSError:
        return None
    return _options(ended.output.decode("utf-8", "replace")) if ended.status == 0 else None


def _options(text: str) -> dict[str, str]:
    """Return sshd's options: all values of an option with several lines, but only the first port."""
    known: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        known[name] = f"{known[name]} {value}" if name in known and name != "port" else known.get(name, value)
    return known
