"""The verb `init`: a server made ready, step by step."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from backuppc_register import config, syslog_line
from backuppc_register.admin import options as common
from backuppc_register.admin.context import Start, write_log
from backuppc_register.admin.init import configuration, first_key, folders, log_rules, timers, web_editor
from backuppc_register.admin.init.step import Plan, Step, owner_of

SUMMARY = "make this server ready"
EXAMPLE = (
    "backuppc-register-admin init --url 'https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}' \\\n"
    "      --ldap ldaps://ldap1.univ-brest.fr --base ou=people,dc=univ-brest,dc=fr --domain univ-brest.fr"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    configuration.arguments(parser)
    first_key.arguments(parser)
    parser.add_argument("--no-harden", action="store_true", help="leave BackupPC's web editor as it is")
    common.add_dry_run(parser)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Make the server ready; what is so already stays as it is. Only this verb stays root."""
    if os.geteuid() != 0:
        start.say("init is root's work: it writes into /etc. Try sudo.")
        return 2
    path = start.config_path.absolute()
    known = path.exists()
    text = "" if known else configuration.composed(start, options)
    if not known and not text:
        return 2
    plan = _plan(path, text, options)
    done: list[str] = []
    try:
        for step in _steps(plan):
            _carry_out(step, start, done, dry_run=options.dry_run)
    finally:  # who watches may be gone, and a step may have failed: what was done is logged
        if done and not options.dry_run:
            detail = f"by {start.administrator} {'; '.join(done)}"
            write_log(syslog_line.Entry("", "init", "notice", detail=detail), plan.settings.syslog)
    for line in _not_taken(plan, done):
        start.say(line)
    if options.dry_run:
        start.say("Nothing was changed.")
        return 0
    for line in _next(plan, done):
        start.say(line)
    return 0


def _carry_out(step: Step, start: Start, done: list[str], *, dry_run: bool) -> None:
    """Do one step where it is needed, note it as *done*, or as what would be, and say so."""
    missing = step.missing()
    if not missing:
        start.say(f"  as it should be  {step.what}")
        return
    if not dry_run:
        step.make()
    done.append(step.what)
    start.say(f"  {'would be done  ' if dry_run else 'done           '}  {step.what} ({missing})")


def _plan(path: Path, text: str, options: argparse.Namespace) -> Plan:
    settings = config.check(configuration.parsed(text) if text else config.read(path))
    return Plan(path, settings, text, owner_of(settings.backuppc.config_dir), options)


def _steps(plan: Plan) -> Iterator[Step]:
    yield configuration.step(plan)
    yield folders.state(plan)
    yield folders.group(plan)
    yield first_key.step(plan)
    if not plan.options.no_harden:
        yield web_editor.step(plan)
    yield from log_rules.steps(plan)
    yield from timers.steps(plan)


def _not_taken(plan: Plan, done: list[str]) -> Iterator[str]:
    """Yield what was told about something that is there already, and so was not looked at."""
    told = [] if plan.text else configuration.not_taken(plan.options)
    if told:
        yield f"Not looked at, because {plan.path} is there: {', '.join(told)}"
    told = [] if first_key.step(plan).what in done else first_key.not_taken(plan.options)
    if told:
        yield f"Not looked at, because there is such a register-key: {', '.join(told)} (see register-key add)"


def _next(plan: Plan, done: list[str]) -> Iterator[str]:
    yield ""
    yield from log_rules.next_lines(done)
    yield from timers.next_lines(plan)
    yield "Next: backuppc-register-admin diagnose"
    yield "Next: backuppc-register-admin bundle --os linux -o setup.sh, and on a machine: sudo sh setup.sh"
    if plan.options.no_harden and web_editor.is_open(plan):
        yield "The web editor was left as it is: every owner of a host can run commands on this server."
        yield "init without --no-harden closes it."
    yield "See that every way to BackupPC's pages asks for a login: who has none is an administrator there."
