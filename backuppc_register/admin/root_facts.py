"""The server that `diagnose` looks at: whose it is, and what only root can see of it."""

import os
import pwd
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from backuppc_register import config, syslog_line
from backuppc_register.admin.as_backuppc import done_as_owner
from backuppc_register.admin.context import Start
from backuppc_register.config import Config
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.system import processes
from backuppc_register.system.account import WrongAccount

LOG = Path("/var/log/backuppc-register.log")
TEST = "diagnose"
"""What the line says that is sent to see it arrive."""

_DEBIANS = {"hosts": "/etc/backuppc/hosts", "config_dir": "/etc/backuppc"}
_STATE = "/var/lib/backuppc-register"
_PATIENCE = 3.0  # seconds, for a line to arrive and for sshd
_JOURNAL = ["journalctl", "-t", "backuppc-register", "-o", "cat", "-q", "--no-pager", "-n", "50"]


@dataclass(frozen=True)
class Installation:
    """An installation: our configuration as it stands there, *problem* why no more of it can be read.

    *folder* is BackupPC's account's, by which that account is known.
    """

    start: Start
    document: dict[str, Any]
    problem: str
    folder: Path

    def situation(self, seen: "Seen", logon: str) -> ServerFacts:
        """Return the server as checks see it, looked at by BackupPC's account, which we are."""
        settings, problem = config.as_far_as_readable(self.document), self.problem
        if not problem:
            try:
                settings = config.check(self.document)
            except Misconfigured as error:
                problem = error.detail
        account = pwd.getpwuid(os.geteuid())
        return ServerFacts(
            server=Server(settings, account.pw_name, HostFolders(settings.state.directory)),
            config_path=self.start.config_path,
            problem=problem,
            uid=account.pw_uid,
            home=Path(account.pw_dir),
            sshd=seen.sshd,
            logon=logon,
            arrived=lambda: seen.arrived,
        )


@dataclass(frozen=True)
class Seen:
    """What only root can see, None for others: sshd's settings, and whether a line comes to the log."""

    sshd: dict[str, str] | None = None
    arrived: bool | None = None


def found(start: Start) -> Installation:
    """Return the server by our configuration, which may be broken or missing.

    Raises WrongAccount; Misconfigured where nothing tells BackupPC's account.
    """
    document, problem = _document(start.config_path)
    return Installation(start, document, problem, _folder_of_the_account(config.as_far_as_readable(document)))


def seen(installation: Installation, *, log: bool) -> Seen:
    """Look at what only root can see; a line is sent to the *log* in any case, if that is asked for."""
    settings = config.as_far_as_readable(installation.document)

    def send() -> str:
        return str(
            done_as_owner(installation.folder, lambda: _sent(settings, installation.start.administrator))
        )

    if os.geteuid() != 0:
        if log:
            send()
        return Seen()
    account = pwd.getpwuid(installation.folder.stat().st_uid).pw_name
    listens = Path(settings.syslog.socket).is_socket()  # else nothing arrives, and `syslog` tells why
    return Seen(_sshd(account), _arrives(send) if log and listens else None)


def _document(path: Path) -> tuple[dict[str, Any], str]:
    """Return our configuration with Debian's places where it tells none, and why it cannot be read."""
    try:
        document, problem = config.read(path), ""
    except Misconfigured as error:
        document, problem = {}, error.detail
    if problem or not isinstance(document.get("backuppc", {}), dict):
        return {"backuppc": _DEBIANS, "state": {"directory": _STATE}}, problem
    told = {"backuppc": {**_DEBIANS, **document.get("backuppc", {})}}
    return {**document, **told, "state": document.get("state", {"directory": _STATE})}, problem


def _folder_of_the_account(settings: Config) -> Path:
    """Return a folder that is of BackupPC's account: config_dir, or where that is broken, the next best."""
    for folder in (settings.backuppc.config_dir, settings.backuppc.data_dir, settings.state.directory):
        try:
            if pwd.getpwuid(folder.stat().st_uid).pw_uid:
                return folder
        except PermissionError as error:
            raise WrongAccount(detail=f"uid {os.geteuid()} may not see {folder}") from error
        except (OSError, KeyError):
            continue
    raise Misconfigured(detail="no folder of BackupPC's or ours tells BackupPC's account: is it installed?")


def _sshd(account: str) -> dict[str, str] | None:
    command = ["sshd", "-T", "-C", f"user={account},host=localhost,addr=127.0.0.1"]
    try:
        ended = processes.run(command, _PATIENCE, path=processes.PATH_OF_ROOT)
    except OSError:
        return None
    return _words(ended.output.decode("utf-8", "replace")) if ended.status == 0 else None


def _words(told: str) -> dict[str, str]:
    """Return sshd's settings; of one with several lines all values, but for the port, whose first serves."""
    known: dict[str, str] = {}
    for line in told.splitlines():
        name, _, value = line.partition(" ")
        known[name] = f"{known[name]} {value}" if name in known and name != "port" else known.get(name, value)
    return known


def _sent(settings: Config, administrator: str) -> str:
    """Send a line to syslog; return the number in it."""
    token = f"{secrets.randbelow(10**8):08d}"
    entry = syslog_line.Entry("", TEST, "notice", request=token, detail=f"by {administrator}")
    syslog_line.write(entry, settings.syslog)
    return token


def _arrives(send: Callable[[], str]) -> bool:
    """Tell whether the line of *send* comes to the log's file, or where there is none, to the journal."""
    log = _opened(at_end=True)
    row = f"request={send()} ".encode()
    until, said = time.monotonic() + _PATIENCE, b""
    while time.monotonic() < until:
        log = log or _opened()
        said += log.read() if log else _journal()
        if row in said:
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
        return processes.run(_JOURNAL, _PATIENCE).output
    except OSError:
        return b""
