"""Our configuration file, from options and answers."""

import argparse
import json
import socket
import tomllib
from pathlib import Path
from typing import Any

from backuppc_register.admin.context import Start
from backuppc_register.admin.init.root_files import own_folder
from backuppc_register.admin.init.step import Plan, Step
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import atomic_files

_ANSWERS = ("url", "ldap", "base", "domain", "backups_from")
_CONFIG_DIR = "/etc/backuppc"
_DATA_DIR = "/var/lib/backuppc"
_STATE = "/var/lib/backuppc-register"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("the configuration, asked for where neither told here nor there yet")
    group.add_argument("--url", help="what people are told to visit, with {host} in it")
    group.add_argument("--ldap", metavar="URL", action="append", help="a directory server; may be repeated")
    group.add_argument("--base", metavar="DN", help="the entry below which all persons are")
    group.add_argument("--domain", action="append", help="a domain of the machines; may be repeated")
    group.add_argument(
        "--backups-from", metavar="ADDRESS", action="append", help="where backups come from; may be repeated"
    )
    group.add_argument("--config-dir", metavar="DIR", help=f"BackupPC's settings (default: {_CONFIG_DIR})")
    group.add_argument("--data-dir", metavar="DIR", help=f"BackupPC's data (default: {_DATA_DIR})")
    group.add_argument("--state", metavar="DIR", help=f"our own files (default: {_STATE})")


def step(plan: Plan) -> Step:
    """Return the step that writes the configuration, for root and BackupPC's account to read."""

    def make() -> None:
        own_folder(plan.path.parent)
        atomic_files.write(plan.path, plan.text.encode(), atomic_files.Ownership(0, plan.owner.pw_gid, 0o640))

    return Step(f"configuration {plan.path}", lambda: "there is none" if plan.text else "", make)


def not_taken(options: argparse.Namespace) -> list[str]:
    """Return the options that say something about a configuration, as they are typed."""
    names = (*_ANSWERS, "config_dir", "data_dir", "state")
    return [f"--{name.replace('_', '-')}" for name in names if getattr(options, name)]


def composed(start: Start, options: argparse.Namespace) -> str:
    """Return the text of a new configuration from options and answers; "" where something is not told."""
    own = socket.getfqdn()
    domain = own.partition(".")[2]
    guess = f"https://{own}/backuppc/index.cgi?host={{host}}"
    url = options.url or _answer(start, "What people are told to visit", guess)
    ldap = options.ldap or _answer(start, "Directory servers, ldaps://...", "").split()
    base = options.base or _answer(start, "The entry below which all persons are", _base_of(domain))
    domains = options.domain or _answer(start, "Domains of the machines", domain).split()
    if not all((url, ldap, base, domains)):
        start.say("Not told: --url, --ldap, --base and --domain are needed where nobody answers.")
        return ""
    told: dict[str, dict[str, Any]] = {
        "server": {"url": url} | ({"from": options.backups_from} if options.backups_from else {}),
        "directory": {"servers": ldap, "base": base},
        "dns": {"domains": domains},
        "backuppc": _places(options),
        "state": {"directory": options.state or _STATE},
    }
    return _toml(told)


def parsed(text: str) -> dict[str, Any]:
    """Return the document that a new configuration's *text* is; raises Misconfigured."""
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise Misconfigured(detail=f"the answers cannot be written down: {error}") from error


def _places(options: argparse.Namespace) -> dict[str, str]:
    folder = options.config_dir or _CONFIG_DIR
    places = {"hosts": str(Path(folder) / "hosts"), "config_dir": folder}
    return places | ({"data_dir": options.data_dir} if options.data_dir else {})


def _answer(start: Start, question: str, default: str) -> str:
    """Ask; "" where nobody answers, *default* for an empty answer."""
    start.out.write(f"{question}{f' [{default}]' if default else ''}: ")
    start.out.flush()
    line = start.keyboard.readline()
    return (line.strip() or default) if line else ""


def _base_of(domain: str) -> str:
    return ",".join(["ou=people", *(f"dc={label}" for label in domain.split("."))]) if domain else ""


def _toml(told: dict[str, dict[str, Any]]) -> str:
    lines = ["# Every key is described in docs/configuration.md; made by backuppc-register-admin init."]
    for section, values in told.items():
        lines += ["", f"[{section}]"]
        # A text of JSON is one of TOML, and so is a list of them.
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"
