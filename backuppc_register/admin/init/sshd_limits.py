"""The step for sshd's limits: what connections of the register-key can hold."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from backuppc_register.admin import sshd_settings
from backuppc_register.admin.init.root_files import file_step, trusted
from backuppc_register.admin.init.step import NONE, NotDone, Plan, Step, packaged
from backuppc_register.admin.sshd_settings import MAIN, Refused
from backuppc_register.diagnosis.sshd_limit_checks import lacking
from backuppc_register.system import atomic_files, temporary

FILE = Path("/etc/ssh/sshd_config.d/backuppc-register.conf")

_USER = "backuppc"
_ANOTHER = "nobody"
_MATCH = re.compile(r"^[ \t]*match[ \t=](.*)$", re.MULTILINE | re.IGNORECASE)
_DEFAULTS = {"maxstartups": "10:30:100", "persourcemaxstartups": "none", "persourcenetblocksize": "32:128"}


def steps(plan: Plan) -> Iterator[Step]:
    """Yield the step; none if sshd has no folder for it, or an administrator has a Match of their own."""
    account = plan.owner.pw_name
    if os.path.lexists(FILE):
        yield file_step(FILE, "")
    elif not _obstacle(account):
        yield Step(f"{FILE}", lambda: NONE, lambda: _make(account))


def next_lines(plan: Plan, done: list[str]) -> Iterator[str]:
    """Yield what is left to do after the steps *done*."""
    if f"{FILE}" in done:
        yield "Next: systemctl reload ssh (on some systems sshd instead of ssh)"
    elif not os.path.lexists(FILE):
        reason = _obstacle(plan.owner.pw_name)
        yield f"sshd was not limited{f': {reason}' if reason else '.'}"
        yield "See packaging/sshd.conf for the lines, and diagnose --only sshd-limits for what is missing."


def _obstacle(account: str) -> str:
    """Return why sshd's settings are not for us to change, or ""."""
    if not FILE.parent.is_dir():
        return f"there is no {FILE.parent}"
    try:
        own = sshd_settings.effective(account) != sshd_settings.effective(_ANOTHER)
    except Refused as error:
        return f"sshd cannot be asked for its settings: {error}"
    files = [MAIN, *sorted(FILE.parent.glob("*.conf"))]
    named = [path for path in files if path.is_file() and _matches(path, account)]
    where = f" in {named[0]}" if named else ""
    return f"there is a Match for {account} already{where}" if own or named else ""


def _matches(path: Path, account: str) -> bool:
    found = _MATCH.findall(path.read_text("utf-8", "replace"))
    return any(account in re.split(r'[\s,="]+', criteria) for criteria in found)


def _make(account: str) -> None:
    """Write the file if sshd accepts it; delete it again if sshd then does not have the limits.

    Raises NotDone.
    """
    try:
        text = _limits(account)
        _try(text)
    except Refused as error:
        raise NotDone(f"sshd refuses it: {error}") from error
    trusted(FILE.parent)
    atomic_files.write(FILE, text.encode(), 0o644)
    accepted = False
    try:
        accepted = not lacking(sshd_settings.effective(account))
    except Refused as error:
        raise NotDone(f"sshd refuses it, so it is deleted again: {error}") from error
    finally:
        if not accepted:
            FILE.unlink()
    if not accepted:
        advice = f"add the line Include {FILE.parent}/*.conf at the beginning of {MAIN}"
        raise NotDone(f"sshd does not read it, so it is deleted again: {advice}")


def _limits(account: str) -> str:
    """Return the lines for *account*; raises Refused.

    Lines for all accounts are left out if an administrator has set any of them.
    """
    text = packaged("sshd.conf").replace(f"Match User {_USER}", f"Match User {account}")
    now = sshd_settings.effective(account)
    if all(now.get(name, value) == value for name, value in _DEFAULTS.items()):
        return text
    return re.sub(rf"^({'|'.join(_DEFAULTS)}) .*\n", "", text, flags=re.MULTILINE | re.IGNORECASE)


def _try(text: str) -> None:
    """Let sshd read *text* after its own settings, outside the folder that a running sshd reads.

    Raises Refused.
    """
    with temporary.folder() as folder:
        trial = folder / "sshd_config"
        atomic_files.write(trial, f"Include {MAIN}\n{text}".encode(), 0o600)
        sshd_settings.check(trial)
