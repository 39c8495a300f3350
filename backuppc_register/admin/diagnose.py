"""The verb `diagnose`: what is wrong with this server, on one screen."""

import argparse
import os
import pwd
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from backuppc_register import config, files, journal, programs
from backuppc_register.account import WrongAccount, become_owner
from backuppc_register.admin import options as shared
from backuppc_register.admin.context import Start
from backuppc_register.config import Config
from backuppc_register.errors import Misconfigured
from backuppc_register.rules.diagnosis import ours, services, theirs
from backuppc_register.rules.diagnosis.finding import Finding, Level, examine
from backuppc_register.rules.diagnosis.situation import Situation

SUMMARY = "say what is wrong with this server; 0 where nothing is, 1 where anything is yellow or red"
EXAMPLE = """backuppc-register-admin diagnose
  backuppc-register-admin diagnose --quiet --prometheus /var/lib/prometheus/node-exporter/backuppc.prom"""

CHECKS = {**ours.CHECKS, **theirs.CHECKS, **services.CHECKS}

_LOG = Path("/var/log/backuppc-register.log")
_DEBIANS = {"hosts": "/etc/backuppc/hosts", "config_dir": "/etc/backuppc"}
_STATE = "/var/lib/backuppc-register"
_FOR_THE_LOG = 3.0  # seconds
_COLOURS = {Level.GREEN: "\x1b[32m", Level.YELLOW: "\x1b[33m", Level.RED: "\x1b[31m"}
_PLAIN = "\x1b[0m"


@dataclass(frozen=True)
class _Privileged:
    """What only root can see, taken before we become BackupPC's account."""

    sshd: dict[str, str] | None = None
    log: IO[bytes] | None = None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--logon", metavar="LOGON", default="", help="whom to look for in the directory")
    parser.add_argument("--only", metavar="CHECK", action="append", choices=CHECKS, help="may be repeated")
    parser.add_argument("--quiet", action="store_true", help="say nothing of what is green")
    parser.add_argument(
        "--prometheus", metavar="FILE", type=Path, help="write it for node_exporter's textfile collector too"
    )
    shared.add_json(parser)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Look at everything, as far as each thing can be looked at; 1 where anything is not green."""
    situation = _situation(start, options.logon)
    checks = {name: check for name, check in CHECKS.items() if name in (options.only or CHECKS)}
    found = [one for name, check in checks.items() for one in examine(name, check, situation)]
    if options.json:
        start.json([{**vars(one), "level": str(one.level)} for one in found])
    else:
        _print(start, found, quiet=options.quiet)
    if options.prometheus:
        _write_metrics(options.prometheus, found)
    return 1 if any(one.level for one in found) else 0


def _situation(start: Start, logon: str) -> Situation:
    """Return the server, whose configuration may be broken or missing, as BackupPC's account sees it.

    Raises WrongAccount; Misconfigured where nothing tells that account.
    """
    document, problem = _document(start.config_path)
    settings = config.as_far_as_readable(document)
    folder = _folder_of_the_account(settings)
    seen = _privileged(pwd.getpwuid(folder.stat().st_uid).pw_name) if os.geteuid() == 0 else _Privileged()
    account = pwd.getpwnam(become_owner(folder))
    if not problem:
        try:
            settings = config.check(document)
        except Misconfigured as error:
            problem = error.detail
            settings = config.as_far_as_readable(document)
    return Situation(
        config=settings,
        config_path=start.config_path,
        problem=problem,
        account=account.pw_name,
        uid=account.pw_uid,
        home=Path(account.pw_dir),
        sshd=seen.sshd,
        logon=logon,
        arrived=lambda: _arrives(settings, seen.log, start.administrator),
    )


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


def _privileged(account: str) -> _Privileged:
    """Look at what only root can see."""
    try:
        log = _LOG.open("rb")
        log.seek(0, os.SEEK_END)
    except OSError:
        log = None
    try:
        asked = ["sshd", "-T", "-C", f"user={account},host=localhost,addr=127.0.0.1"]
        ended = programs.run(asked, _FOR_THE_LOG, path=programs.PATH_OF_ROOT)
    except OSError:
        return _Privileged(None, log)
    return _Privileged(None if ended.status else _words(ended.said.decode("utf-8", "replace")), log)


def _words(told: str) -> dict[str, str]:
    """Return sshd's settings; of one with several lines all values, but for the port, whose first serves."""
    found: dict[str, str] = {}
    for line in told.splitlines():
        name, _, value = line.partition(" ")
        found[name] = f"{found[name]} {value}" if name in found and name != "port" else found.get(name, value)
    return found


def _arrives(settings: Config, log: IO[bytes] | None, administrator: str) -> bool | None:
    """Send a line, and tell whether it comes to the log's file; None where that cannot be seen."""
    token = f"{secrets.randbelow(10**8):08d}"
    detail = f"by {administrator}"
    journal.write(journal.Entry("", "diagnose", "notice", request=token, detail=detail), settings.syslog)
    if log is None:
        return None
    until, said = time.monotonic() + _FOR_THE_LOG, b""
    while time.monotonic() < until:
        said += log.read()
        if f"request={token} ".encode() in said:
            return True
        time.sleep(0.02)
    return False


def _print(start: Start, found: Iterable[Finding], *, quiet: bool) -> None:
    """Print what was found, the worst first, with its advice."""
    colours: Mapping[Level, str] = {}
    if start.out.isatty() and "NO_COLOR" not in os.environ:
        colours = _COLOURS
    counts: Counter[Level] = Counter()
    for one in sorted(found, key=lambda one: one.level, reverse=True):
        counts[one.level] += 1
        if quiet and not one.level:
            continue
        # The colour is put around after what a terminal might obey is made harmless.
        mark = f"{one.level!s:6}"
        print(f"{colours[one.level]}{mark}{_PLAIN}" if colours else mark, end="  ", file=start.out)
        start.say(f"{one.name:17} {one.what}")
        if one.advice:
            start.say(f"{'':26}-> {one.advice}")
    if not quiet or counts[Level.RED] or counts[Level.YELLOW]:
        start.say(", ".join(f"{counts[level]} {level}" for level in reversed(Level)))


def _write_metrics(path: Path, found: Iterable[Finding]) -> None:
    """Write the worst level of each check in Prometheus' text format, complete or not at all.

    Raises Misconfigured where BackupPC's account cannot write there.
    """
    worst: dict[str, int] = {}
    for one in found:
        worst[one.name] = max(int(one.level), worst.get(one.name, 0))
    metric = "backuppc_register_check"
    lines = [f"# HELP {metric} 0 green, 1 yellow, 2 red.", f"# TYPE {metric} gauge"]
    lines += [f'{metric}{{check="{name}"}} {level}' for name, level in worst.items()]
    metric = "backuppc_register_diagnosed_timestamp_seconds"
    lines += [f"# HELP {metric} When this was looked at.", f"# TYPE {metric} gauge"]
    lines += [f"{metric} {int(time.time())}", ""]
    try:
        files.write(path, "\n".join(lines).encode("ascii"), 0o644)
    except OSError as error:
        raise Misconfigured(detail=f"--prometheus: {error}; the folder must be open to us") from error
