"""The step for our configuration file, from options and answers."""

import argparse
import json
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.admin.context import Start
from backuppc_register.admin.init.root_files import own_folder
from backuppc_register.admin.init.step import NONE, Plan, Step
from backuppc_register.admin.options import group, option
from backuppc_register.backuppc import installation
from backuppc_register.backuppc.settings import SettingsReader
from backuppc_register.config import BackupPC
from backuppc_register.config.directory_kinds import KINDS
from backuppc_register.protocol.errors import Misconfigured, RegisterError
from backuppc_register.system import atomic_files

# Where BackupPC's pages are by default: EPEL's package.
_PAGES = {"/etc/BackupPC": "BackupPC"}
_PERL_TIMEOUT = 20.0  # seconds
_STATE = "/var/lib/backuppc-register"
_KIND_QUESTION = f"Kind of directory ({', '.join(KINDS)})"
_OPTIONS = {
    "--url": ("URL", "the address of a host's web page, with {host} in it"),
    "--directory": ("KIND", f"the kind of directory: {', '.join(KINDS)} (default: openldap)"),
    "--base": ("DN", "the entry that has all persons below it"),
    "--bind-dn": ("DN", "the account that reads the directory"),
    "--bind-password-file": ("FILE", "the file with its password"),
    "--ca-file": ("FILE", "the certificate of the directory's authority"),
    "--config-dir": ("DIR", "BackupPC's settings (default: /etc/backuppc or /etc/BackupPC)"),
    "--data-dir": ("DIR", "BackupPC's data (default: its TopDir)"),
    "--state": ("DIR", f"our own files (default: {_STATE})"),
}
_REPEATED = {
    "--ldap": ("URL", "a directory server; may be repeated"),
    "--domain": ("DOMAIN", "a domain of the machines; may be repeated"),
    "--backups-from": ("ADDRESS", "an address that backups come from; may be repeated"),
}
OPTIONS = group(
    "a new configuration; init asks for what is not given",
    *(option(name, metavar=value, help=what) for name, (value, what) in _OPTIONS.items()),
    *(option(name, metavar=value, help=what, action="append") for name, (value, what) in _REPEATED.items()),
)


def options_given(options: argparse.Namespace) -> list[str]:
    """Return the given options for a configuration, as they are typed."""
    names = (*_OPTIONS, *_REPEATED)
    return [name for name in names if getattr(options, name[2:].replace("-", "_"))]


def next_lines(plan: Plan) -> Iterator[str]:
    """Yield what the new configuration lacks."""
    directory = plan.settings.directory
    if plan.text and directory.kind != "openldap" and not directory.bind_dn:
        yield f"Set bind_dn, bind_password_file and ca_file in [directory] of {plan.path}:"
        yield "see docs/reference/directories.md."


def step(plan: Plan) -> Step:
    """Return the step that writes the configuration, which root and BackupPC's account can read."""

    def make() -> None:
        own_folder(plan.path.parent)
        atomic_files.write(plan.path, plan.text.encode(), atomic_files.Ownership(0, plan.owner.pw_gid, 0o640))

    return Step(f"configuration {plan.path}", lambda: NONE if plan.text else "", make)


def composed(start: Start, options: argparse.Namespace) -> str:
    """Return the text of a new configuration from options and answers, or "" if an answer is missing."""
    own = socket.getfqdn()
    domain = own.partition(".")[2]
    folder = options.config_dir or installation.config_dir()
    page = _PAGES.get(folder, "backuppc/index.cgi")
    guess = f"https://{own}/{page}?host={{host}}"
    url = options.url or _answer(start, "Address of a host's web page", guess)
    ldap = options.ldap or _answer(start, "Directory servers, ldaps://...", "").split()
    kind = options.directory or ("" if options.base else _answer(start, _KIND_QUESTION, "openldap"))
    base = options.base or _answer(start, "Entry that has all persons below it", _base_of(domain, kind))
    domains = options.domain or _answer(start, "Domains of the machines", domain).split()
    if not all((url, ldap, base, domains)):
        start.say("Missing: --url, --ldap, --base and --domain are needed if the questions are not answered.")
        return ""
    backuppc = {"hosts": str(Path(folder) / "hosts"), "config_dir": folder, **_places(Path(folder))}
    if options.data_dir:
        backuppc["data_dir"] = options.data_dir
    return _toml(
        {
            "server": {"url": url, "from": options.backups_from},
            "directory": {"kind": kind, "servers": ldap, "base": base, **_reader(options)},
            "dns": {"domains": domains},
            "backuppc": backuppc,
            "state": {"directory": options.state or _STATE},
        }
    )


def _places(folder: Path) -> dict[str, str]:
    """Return where BackupPC has its data and its socket, if that is no default and config.pl tells it.

    If config.pl cannot be read, `diagnose` reports it.
    """
    places = BackupPC(folder / "hosts", folder)
    try:
        known = run_as_owner(folder, lambda: SettingsReader(places).main(_PERL_TIMEOUT))
    except RegisterError:
        return {}
    top, run = (str(known.get(name) or "") for name in ("TopDir", "RunDir"))
    found = {"data_dir": top, "socket": f"{run}/BackupPC.sock" if run else ""}
    usual = {"data_dir": str(places.data_dir), "socket": places.socket}
    return {name: path for name, path in found.items() if path and path != usual[name]}


def parsed(text: str) -> dict[str, Any]:
    """Return the document of a new configuration's *text*; raises Misconfigured."""
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise Misconfigured(detail=f"the answers cannot be written as TOML: {error}") from error


def _answer(start: Start, question: str, default: str) -> str:
    """Ask; return *default* for an empty answer, "" at the end of the input."""
    start.out.write(f"{question}{f' [{default}]' if default else ''}: ")
    start.out.flush()
    line = start.keyboard.readline()
    return (line.strip() or default) if line else ""


def _reader(options: argparse.Namespace) -> dict[str, str]:
    """Return the keys about the account that reads the directory."""
    files = {"bind_password_file": options.bind_password_file, "ca_file": options.ca_file}
    return {
        "bind_dn": options.bind_dn,
        **{key: name and str(Path(name).absolute()) for key, name in files.items()},
    }


def _base_of(domain: str, kind: str) -> str:
    """Return where a directory of this *kind* likely has its persons."""
    branch = ["ou=people"] if kind not in KINDS or kind == "openldap" else []
    return ",".join([*branch, *(f"dc={label}" for label in domain.split("."))]) if domain else ""


def _toml(sections: dict[str, dict[str, Any]]) -> str:
    lines = ["# docs/configuration.md describes every key; made by backuppc-register-admin init."]
    for section, values in sections.items():
        lines += ["", f"[{section}]"]
        # A text in JSON is also one in TOML, and so is a list of them.
        given = {name: value for name, value in values.items() if value}
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
    return "\n".join(lines) + "\n"
