"""The verb `diagnose`: report what is wrong with this server."""

import argparse
import os
import pwd
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from backuppc_register.admin import partial_config, root_facts, sshd_log
from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.admin.context import Start
from backuppc_register.admin.options import JSON, option, switch
from backuppc_register.admin.partial_config import PartialConfig
from backuppc_register.admin.root_facts import RootFacts
from backuppc_register.admin.sshd_log import SshdLog
from backuppc_register.diagnosis.checks import CHECKS
from backuppc_register.diagnosis.finding import Finding, Level, examine
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.system import atomic_files

SUMMARY = "report what is wrong with this server; exit 1 if anything is yellow or red"
EXAMPLE = """backuppc-register-admin diagnose
  backuppc-register-admin diagnose --quiet --prometheus /var/lib/prometheus/node-exporter/backuppc.prom"""

_COLOURS = {Level.GREEN: "\x1b[32m", Level.YELLOW: "\x1b[33m", Level.RED: "\x1b[31m"}
_PLAIN = "\x1b[0m"

_ONLY = f"only this check, may be repeated: {', '.join(CHECKS)}"
_METRICS = "also write a file for node_exporter's textfile collector"


def metrics_file(text: str) -> Path:
    """Read the path of a file for Prometheus, which reads *.prom alone; raises argparse's error.

    Debian's folder for it is below one that another account can exchange. So no other file is written there.
    """
    if not text.endswith(".prom"):
        raise argparse.ArgumentTypeError(f"{text} does not end in .prom")
    return Path(text)


OPTIONS = (
    option("--logon", metavar="LOGON", default="", help="a person to look for in the directory"),
    option("--only", metavar="CHECK", action="append", choices=CHECKS, help=_ONLY),
    switch("--quiet", "print nothing that is green"),
    option("--prometheus", metavar="FILE", type=metrics_file, help=_METRICS),
    JSON,
)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Run the checks; return 1 if anything is not green."""
    partial = partial_config.read(start.config_path)
    wanted = [name for name in CHECKS if name in (options.only or CHECKS)]
    seen = root_facts.gather(partial, start.administrator, log="syslog" in wanted)
    log = sshd_log.SshdLog()
    # In a child: this process keeps the account that started it, to write the file of --prometheus.
    answers = run_as_owner(partial.folder, lambda: _examined(_facts(partial, seen, options.logon), wanted))
    found = [Finding(name, Level(level), what, advice) for name, level, what, advice in answers]
    found = [_with_sshds_words(one, log, partial.folder) for one in found]
    if options.json:
        start.json([{**vars(one), "level": str(one.level)} for one in found])
    else:
        _print(start, found, quiet=options.quiet)
    if options.prometheus:
        _write_metrics(options.prometheus, found)
    return 1 if any(one.level for one in found) else 0


def _facts(partial: PartialConfig, seen: RootFacts, logon: str) -> ServerFacts:
    """Return what the checks work with, as BackupPC's account."""
    settings, problem = partial.checked()
    account = pwd.getpwuid(os.geteuid())
    return ServerFacts(
        server=Server(settings, account.pw_name, HostFolders(settings.state.directory)),
        config_path=partial.path,
        problem=problem,
        uid=account.pw_uid,
        home=Path(account.pw_dir),
        sshd=seen.sshd,
        logon=logon,
        arrived=seen.arrived,
    )


def _examined(facts: ServerFacts, wanted: Iterable[str]) -> list[tuple[str, int, str, str]]:
    found = (one for name in wanted for one in examine(CHECKS[name], facts))
    return [(one.name, int(one.level), one.what, one.advice) for one in found]


def _with_sshds_words(one: Finding, log: SshdLog, folder: Path) -> Finding:
    """Return the finding of a refused login with what sshd has logged of it; only root can read that."""
    if one.name != "register-login" or one.level is not Level.RED or os.geteuid() != 0:
        return one
    said = log.words(pwd.getpwuid(folder.stat().st_uid).pw_name)
    return replace(one, what=f"{one.what}; sshd says: {said}") if said else one


def _print(start: Start, found: Iterable[Finding], *, quiet: bool) -> None:
    """Print the findings, the worst first, each with its advice."""
    colours: Mapping[Level, str] = {}
    if start.out.isatty() and "NO_COLOR" not in os.environ:
        colours = _COLOURS
    counts: Counter[Level] = Counter()
    for one in sorted(found, key=lambda one: one.level, reverse=True):
        counts[one.level] += 1
        if quiet and not one.level:
            continue
        # say() escapes control characters, so the colour is printed before.
        mark = f"{one.level!s:6}"
        print(f"{colours[one.level]}{mark}{_PLAIN}" if colours else mark, end="  ", file=start.out)
        start.say(f"{one.name:17} {one.what}")
        if one.advice:
            start.say(f"{'':26}-> {one.advice}")
    if not quiet or counts[Level.RED] or counts[Level.YELLOW]:
        start.say(", ".join(f"{counts[level]} {level}" for level in reversed(Level)))


def _write_metrics(path: Path, found: Iterable[Finding]) -> None:
    """Write the worst level of each check in Prometheus' text format, complete or not at all.

    Raises Misconfigured if the file cannot be written.
    """
    worst: dict[str, int] = {}
    for one in found:
        worst[one.name] = max(int(one.level), worst.get(one.name, 0))
    metric = "backuppc_register_check"
    lines = [f"# HELP {metric} 0 green, 1 yellow, 2 red.", f"# TYPE {metric} gauge"]
    lines += [f'{metric}{{check="{name}"}} {level}' for name, level in worst.items()]
    metric = "backuppc_register_diagnosed_timestamp_seconds"
    lines += [f"# HELP {metric} Time of this diagnosis.", f"# TYPE {metric} gauge"]
    lines += [f"{metric} {int(time.time())}", ""]
    try:
        atomic_files.write(path, "\n".join(lines).encode("ascii"), 0o644)
    except OSError as error:
        raise Misconfigured(
            detail=f"--prometheus: {error}; start diagnose as an account that may write there"
        ) from error
