"""The verb `init`: make this server ready, step by step."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from backuppc_register import config
from backuppc_register.admin.context import Start
from backuppc_register.admin.init import (
    configuration,
    first_key,
    folders,
    log_rules,
    sshd_limits,
    timers,
    web_editor,
    web_requests,
)
from backuppc_register.admin.init.step import NotDone, Plan, Step, owner_of
from backuppc_register.admin.options import DRY_RUN, switch
from backuppc_register.backuppc import installation
from backuppc_register.syslog_line import Entry

SUMMARY = "make this server ready"
EXAMPLE = (
    "backuppc-register-admin init --url 'https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}' \\\n"
    "      --ldap ldaps://ldap1.univ-brest.fr --base ou=people,dc=univ-brest,dc=fr --domain univ-brest.fr"
)
OPTIONS = (
    configuration.OPTIONS,
    first_key.OPTIONS,
    switch("--no-harden", "do not change BackupPC's web editor"),
    DRY_RUN,
)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Make the server ready, and keep what exists. Only this verb stays root."""
    if os.geteuid() != 0:
        start.say("Only root can run init, because it writes into /etc. Try sudo.")
        return 2
    path = start.config_path.absolute()
    text = "" if path.exists() else configuration.composed(start, options)
    if not path.exists() and not text:
        return 2
    plan = _plan(path, text, options)
    done = _carry_out(plan, start)
    for line in _unused(plan, done):
        start.say(line)
    for line in ("Nothing was changed.",) if options.dry_run else _next(plan, done):
        start.say(line)
    return 0


def _plan(path: Path, text: str, options: argparse.Namespace) -> Plan:
    """Return what is to be done; raises Misconfigured, also if BackupPC is not there or is BackupPC 3."""
    settings = config.check(configuration.parsed(text) if text else config.read(path))
    installation.library(settings.backuppc.install_dir)
    return Plan(path, settings, text, owner_of(settings.backuppc.config_dir), options)


def _carry_out(plan: Plan, start: Start) -> list[str]:
    """Do the steps that are needed, or only show them; return them."""
    done: list[str] = []
    try:
        for step in _steps(plan):
            _take(step, start, done, dry_run=plan.options.dry_run)
    finally:  # if a step fails or the terminal is gone, the steps so far are logged as well
        if done and not plan.options.dry_run:
            start.write_log(Entry("", "init", "notice", detail="; ".join(done)), plan.settings.syslog)
    return done


def _steps(plan: Plan) -> Iterator[Step]:
    yield configuration.step(plan)
    yield folders.state(plan)
    yield folders.group(plan)
    yield first_key.step(plan)
    if not plan.options.no_harden:
        yield web_editor.step(plan)
    yield from web_requests.steps()
    yield from log_rules.steps(plan)
    yield from timers.steps(plan)
    yield from sshd_limits.steps(plan)


def _take(step: Step, start: Start, done: list[str], *, dry_run: bool) -> None:
    missing = step.missing()
    if not missing:
        start.say(f"  {'already done':15}  {step.what}")
        return
    if not dry_run:
        try:
            step.make()
        except NotDone as reason:
            start.say(f"  {'not done':15}  {step.what} ({reason})")
            return
    done.append(step.what)
    start.say(f"  {'would be done' if dry_run else 'done':15}  {step.what} ({missing})")


def _unused(plan: Plan, done: list[str]) -> Iterator[str]:
    """Yield the options that were not used, because what they describe exists."""
    unused = [] if plan.text else configuration.options_given(plan.options)
    if unused:
        yield f"Not used, because {plan.path} exists: {', '.join(unused)}"
    unused = [] if first_key.step(plan).what in done else first_key.options_given(plan.options)
    if unused:
        yield f"Not used, because there is a register-key: {', '.join(unused)} (see register-key add)"


def _next(plan: Plan, done: list[str]) -> Iterator[str]:
    yield ""
    yield from configuration.next_lines(plan)
    yield from log_rules.next_lines(done)
    yield from sshd_limits.next_lines(plan, done)
    yield from timers.next_lines(plan)
    yield from web_requests.next_lines()
    yield "Next: backuppc-register-admin diagnose"
    yield "Next: backuppc-register-admin bundle --os linux -o /root/setup.sh; on a machine: sudo sh setup.sh"
    if plan.options.no_harden and web_editor.is_open(plan):
        yield "The web editor was not changed: every owner of a host can run commands on this server."
        yield "init without --no-harden prevents that."
    yield "Check that every URL of BackupPC's pages asks for a login: without one, all are administrators."
