"""The verb `init`: a server made ready, step by step."""

import argparse
import json
import os
import pwd
import re
import socket
import stat
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backuppc_register import config, files, journal, resources
from backuppc_register.admin import options as common
from backuppc_register.admin import program, register_key
from backuppc_register.admin.context import Start
from backuppc_register.admin.in_account import done_as_owner
from backuppc_register.admin.overview import LOCK_PATIENCE
from backuppc_register.backuppc.lock import locked
from backuppc_register.config import Config
from backuppc_register.errors import CouldNotRegister, Misconfigured
from backuppc_register.state import parts
from backuppc_register.state.register_keys import Binding, RegisterKeys

SUMMARY = "make this server ready"
EXAMPLE = (
    "backuppc-register-admin init --url 'https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}'\n"
    "      --ldap ldaps://ldap1.univ-brest.fr --base ou=people,dc=univ-brest,dc=fr --domain univ-brest.fr"
)

RSYSLOG = Path("/etc/rsyslog.d/backuppc-register.conf")
LOGROTATE = Path("/etc/logrotate.d/backuppc-register")
BEGIN = b"# BEGIN backuppc-register: what owners may not change (backuppc-register-admin init)\n"
END = b"# END backuppc-register\n"

_LABEL = "main"
_FACILITY = re.compile(r"^local3(?=\.)", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One thing that a ready server has: *missing* tells what it lacks, "" for nothing; *make* mends that."""

    what: str
    missing: Callable[[], str]
    make: Callable[[], None]


@dataclass(frozen=True)
class Plan:
    """What init works with; *text* is the configuration to write, "" where there is one."""

    path: Path
    settings: Config
    text: str
    owner: pwd.struct_passwd
    options: argparse.Namespace

    def as_owner(self, work: Callable[[], Any]) -> Any:
        """Do *work* as BackupPC's account: root follows no path that this account can bend."""
        return done_as_owner(self.settings.backuppc.config_dir, work)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    answers = parser.add_argument_group("the configuration, asked for where neither told here nor there yet")
    answers.add_argument("--url", help="what people are told to visit, with {host} in it")
    answers.add_argument("--ldap", metavar="URL", action="append", help="a directory server; may be repeated")
    answers.add_argument("--base", metavar="DN", help="the entry below which all persons are")
    answers.add_argument("--domain", action="append", help="a domain of the machines; may be repeated")
    answers.add_argument(
        "--backups-from", metavar="ADDRESS", action="append", help="where backups come from; may be repeated"
    )
    answers.add_argument("--config-dir", metavar="DIR", default="/etc/backuppc", help="BackupPC's settings")
    answers.add_argument("--data-dir", metavar="DIR", default="/var/lib/backuppc", help="BackupPC's data")
    answers.add_argument("--state", metavar="DIR", default="/var/lib/backuppc-register", help="our own files")
    key = parser.add_argument_group("the first register-key")
    key.add_argument("--label", type=register_key.label, help="its name, in every log line (default: main)")
    register_key.add_binding(key)
    key.add_argument("--authorized-keys", metavar="FILE", type=Path, help=register_key.FILE_HELP)
    parser.add_argument("--no-harden", action="store_true", help="leave BackupPC's web editor as it is")
    common.add_dry_run(parser)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Make the server ready; what is so already stays as it is. Only this verb stays root."""
    if os.geteuid() != 0:
        start.say("init is root's work: it writes into /etc. Try sudo.")
        return 2
    path = start.config_path.absolute()
    known = path.exists()
    text = "" if known else _composed(start, options)
    if not known and not text:
        return 2
    plan = _plan(path, text, options)
    done = [step.what for step in _steps(plan) if _carried_out(step, start, dry_run=options.dry_run)]
    if options.dry_run:
        start.say("Nothing was changed.")
        return 0
    if done:
        detail = f"by {start.administrator} {'; '.join(done)}"
        journal.write(journal.Entry("", "init", "notice", detail=detail), plan.settings.syslog)
    for line in _next(plan, done):
        start.say(line)
    return 0


def _carried_out(step: Step, start: Start, *, dry_run: bool) -> bool:
    """Do one step where it is needed and say so; tell whether it was."""
    missing = step.missing()
    if not missing:
        start.say(f"  as it should be  {step.what}")
        return False
    if dry_run:
        start.say(f"  would be done    {step.what} ({missing})")
        return False
    step.make()
    start.say(f"  done             {step.what} ({missing})")
    return True


def _plan(path: Path, text: str, options: argparse.Namespace) -> Plan:
    settings = config.check(_parsed(text) if text else config.read(path))
    folder = settings.backuppc.config_dir
    try:
        owner = pwd.getpwuid(folder.lstat().st_uid)
    except (OSError, KeyError) as error:
        raise Misconfigured(detail=f"[backuppc] config_dir: whose is {folder}? {error}") from error
    if owner.pw_uid == 0:
        raise Misconfigured(detail=f"[backuppc] config_dir: {folder} belongs to root, not to BackupPC")
    return Plan(path, settings, text, owner, options)


def _steps(plan: Plan) -> Iterator[Step]:
    yield _config_step(plan)
    yield _state_step(plan)
    yield _setgid_step(plan)
    yield _key_step(plan)
    if not plan.options.no_harden:
        yield _harden_step(plan)
    yield from _syslog_steps(plan)


def _config_step(plan: Plan) -> Step:
    def make() -> None:
        _own_folder(plan.path.parent)
        files.write(plan.path, plan.text.encode(), files.Ownership(0, plan.owner.pw_gid, 0o640))

    return Step(f"configuration {plan.path}", lambda: "there is none" if plan.text else "", make)


def _state_step(plan: Plan) -> Step:
    folder = plan.settings.state.directory

    def missing() -> str:
        try:
            status = folder.lstat()
        except FileNotFoundError:
            return "there is none"
        if not stat.S_ISDIR(status.st_mode):
            raise Misconfigured(detail=f"[state] directory: {folder} is not a folder")
        if status.st_uid != plan.owner.pw_uid:
            raise Misconfigured(detail=f"[state] directory: {folder} is not {plan.owner.pw_name}'s")
        return "open to others" if status.st_mode & stat.S_IRWXO else ""

    def make() -> None:
        if not folder.exists():
            _own_folder(folder.parent)
            folder.mkdir(0o700)
            os.chown(folder, plan.owner.pw_uid, plan.owner.pw_gid, follow_symlinks=False)
        plan.as_owner(lambda: folder.chmod(0o750))

    return Step(f"state folder {folder}, {plan.owner.pw_name}'s alone", missing, make)


def _setgid_step(plan: Plan) -> Step:
    """Let new files in BackupPC's folder keep its group, of which BackupPC's account is no member on Debian.

    The account cannot set this bit itself where it is not in that group (chmod(2)), so root does, on the
    open folder.
    """
    folder = plan.settings.backuppc.config_dir

    def make() -> None:
        _trusted(folder.parent)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | stat.S_ISGID)
        finally:
            os.close(descriptor)

    def missing() -> str:
        return "" if folder.stat().st_mode & stat.S_ISGID else "a new hosts file would lose its group"

    return Step(f"chmod g+s {folder}", missing, make)


def _key_step(plan: Plan) -> Step:
    options = plan.options
    path = options.authorized_keys or Path(plan.owner.pw_dir) / ".ssh" / "authorized_keys"
    keys = RegisterKeys(plan.settings.state.directory, path)

    def missing() -> str:
        there = plan.as_owner(lambda: [key.label for key in keys.all() if key.line])
        return "" if options.label in there or (there and not options.label) else "there is none"

    def make() -> None:
        plan.as_owner(lambda: _add_key(plan, keys))

    return Step(f"a register-key in {path}", missing, make)


def _add_key(plan: Plan, keys: RegisterKeys) -> None:
    options = plan.options
    binding = Binding(program.command(plan.path), tuple(options.key_from), options.expires or "")
    with locked(plan.settings.backuppc.config_dir, LOCK_PATIENCE):
        keys.add(options.label or _LABEL, binding)


def _harden_step(plan: Plan) -> Step:
    path = plan.settings.backuppc.config_dir / "config.pl"

    def missing() -> str:
        return "" if plan.as_owner(lambda: _hardened(path) is None) else "owners could do harm"

    def make() -> None:
        plan.as_owner(lambda: _harden(plan, path))

    return Step(f"{path} closes the web editor's dangerous settings to owners", missing, make)


def _hardened(path: Path) -> bytes | None:
    """Return what *path* should hold: our snippet once, the rest as it is; None where it does.

    Raises CouldNotRegister.
    """
    content, snippet = parts.content(path), _snippet()
    if content is None:
        raise CouldNotRegister(detail=f"there is no {path}")
    start, end = content.find(BEGIN), content.find(END)
    if start < 0 and snippet in content:
        return None  # put there by hand
    if start >= 0 and end < start:
        raise CouldNotRegister(detail=f"{path} has the line that begins our settings, but no end of them")
    if start < 0:
        start = end = len(content)
        head = content + b"\n" * (not content.endswith(b"\n"))
    else:
        head, end = content[:start], end + len(END)
    wanted = head + BEGIN + snippet + END + content[end:]
    return None if wanted == content else wanted


def _harden(plan: Plan, path: Path) -> None:
    with locked(plan.settings.backuppc.config_dir, LOCK_PATIENCE):
        wanted = _hardened(path)
        if wanted is None:
            return
        status = path.lstat()
        try:
            files.write(path, wanted, files.ownership(status), later_than=files.second(status))
        except OSError as error:
            raise CouldNotRegister(detail=f"{path} cannot be replaced: {error}") from error


def _snippet() -> bytes:
    return resources.find("packaging/backuppc-hardening.pl").read_bytes()


def _syslog_steps(plan: Plan) -> Iterator[Step]:
    facility = plan.settings.syslog.facility
    rule = _FACILITY.sub(facility, resources.find("packaging/rsyslog.conf").read_text("utf-8"))
    rotation = resources.find("packaging/logrotate.conf").read_text("utf-8")
    for path, text in ((RSYSLOG, rule), (LOGROTATE, rotation)):
        if path.parent.is_dir():
            yield _file_step(path, text)


def _file_step(path: Path, text: str) -> Step:
    def make() -> None:
        _trusted(path.parent)
        files.write(path, text.encode(), 0o644)

    # One that is there may be the site's own by now.
    return Step(f"{path}", lambda: "" if os.path.lexists(path) else "there is none", make)


def _next(plan: Plan, done: list[str]) -> Iterator[str]:
    yield ""
    if f"{RSYSLOG}" in done:
        yield "Next: systemctl restart rsyslog"
    yield "Next: backuppc-register-admin bundle --os linux -o setup.sh, and on a machine: sudo sh setup.sh"
    if plan.options.no_harden:
        yield "The web editor was left as it is: every owner of a host can run commands on this server."
    yield "See that every way to BackupPC's pages asks for a login: who has none is an administrator there."


def _composed(start: Start, options: argparse.Namespace) -> str:
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
    places = {"hosts": f"{options.config_dir}/hosts", "config_dir": options.config_dir}
    if options.data_dir != "/var/lib/backuppc":
        places["data_dir"] = options.data_dir
    told: dict[str, dict[str, Any]] = {
        "server": {"url": url} | ({"from": options.backups_from} if options.backups_from else {}),
        "directory": {"servers": ldap, "base": base},
        "dns": {"domains": domains},
        "backuppc": places,
        "state": {"directory": options.state},
    }
    return _toml(told)


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


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise Misconfigured(detail=f"the answers cannot be written down: {error}") from error


def _own_folder(folder: Path) -> None:
    """Make *folder*, root's, where there is none; refuse one that others could bend."""
    if not folder.exists():
        _trusted(folder.parent)
        folder.mkdir(0o755)
        folder.chmod(0o755)
    _trusted(folder)


def _trusted(folder: Path) -> None:
    """Refuse to work as root in a *folder* that anybody but root can change, itself or on the way there.

    Raises Misconfigured.
    """
    for place in (folder, *folder.parents):
        status = place.lstat()
        theirs = status.st_mode & stat.S_IWOTH or (status.st_gid and status.st_mode & stat.S_IWGRP)
        if theirs or status.st_uid or stat.S_ISLNK(status.st_mode):
            raise Misconfigured(detail=f"{place} is not root's alone: root does not write below it")
