"""The verb `diagnose`: what is wrong with this server, on one screen."""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from backuppc_register.admin import options as shared
from backuppc_register.admin import root_facts
from backuppc_register.admin.as_backuppc import done_as_owner
from backuppc_register.admin.context import Start
from backuppc_register.diagnosis.checks import CHECKS
from backuppc_register.diagnosis.finding import Finding, Level, examine
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import atomic_files

SUMMARY = "say what is wrong with this server; 0 where nothing is, 1 where anything is yellow or red"
EXAMPLE = """backuppc-register-admin diagnose
  backuppc-register-admin diagnose --quiet --prometheus /var/lib/prometheus/node-exporter/backuppc.prom"""

_COLOURS = {Level.GREEN: "\x1b[32m", Level.YELLOW: "\x1b[33m", Level.RED: "\x1b[31m"}
_PLAIN = "\x1b[0m"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--logon", metavar="LOGON", default="", help="whom to look for in the directory")
    one = f"this check alone, may be repeated: {', '.join(CHECKS)}"
    parser.add_argument("--only", metavar="CHECK", action="append", choices=CHECKS, help=one)
    parser.add_argument("--quiet", action="store_true", help="say nothing of what is green")
    parser.add_argument(
        "--prometheus", metavar="FILE", type=Path, help="write it for node_exporter's textfile collector too"
    )
    shared.add_json(parser)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Look at everything, as far as each thing can be looked at; 1 where anything is not green."""
    there = root_facts.found(start)
    wanted = [name for name in CHECKS if name in (options.only or CHECKS)]
    seen = root_facts.seen(there, log="syslog" in wanted)
    # In a child: what is written and printed afterwards is who started us.
    answers = done_as_owner(there.folder, lambda: _examined(there.situation(seen, options.logon), wanted))
    found = [Finding(name, Level(level), what, advice) for name, level, what, advice in answers]
    if options.json:
        start.json([{**vars(one), "level": str(one.level)} for one in found])
    else:
        _print(start, found, quiet=options.quiet)
    if options.prometheus:
        _write_metrics(options.prometheus, found)
    return 1 if any(one.level for one in found) else 0


def _examined(facts: ServerFacts, wanted: Iterable[str]) -> list[tuple[str, int, str, str]]:
    found = (one for name in wanted for one in examine(CHECKS[name], facts))
    return [(one.name, int(one.level), one.what, one.advice) for one in found]


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

    Raises Misconfigured where who started us cannot write there.
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
        atomic_files.write(path, "\n".join(lines).encode("ascii"), 0o644)
    except OSError as error:
        raise Misconfigured(detail=f"--prometheus: {error}; start it as who may write there") from error
