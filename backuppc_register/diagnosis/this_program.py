"""Checks of this program: its files, its configuration, its state."""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, listed, red, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.reconciliation import inconsistencies
from backuppc_register.state import key_pairs
from backuppc_register.system import data_files

_ADMIN = "backuppc-register-admin"

STATE_ADVICE = f"See [state] directory: is its disk mounted? {_ADMIN} init creates it."
UNDECIDED_ADVICE = f"See the checks hosts-file and state; then {_ADMIN} reconcile --dry-run"


def configuration(facts: ServerFacts) -> Iterator[Answer]:
    """Check our own configuration file."""
    path = facts.config_path
    if facts.problem:
        yield red(facts.problem, "See docs/configuration.md. Every request is refused until then.")
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # *problem* says so
    # Root read it before it became this account; sshd starts the program as this account.
    if not facts.problem and not os.access(path, os.R_OK):
        advice = f"chown root:{facts.account} and chmod 640 {path}. Every request is refused until then."
        yield red(f"{path} cannot be read by {facts.account}", advice)
    if mode & stat.S_IWOTH:
        yield red(f"everybody can write {path}", f"chmod o-w {path}")


def account(facts: ServerFacts) -> Iterator[Answer]:
    """Check who owns BackupPC's configuration folder."""
    folder = facts.config.backuppc.config_dir
    if not folder.is_dir():
        yield red(f"there is no folder {folder}", "See [backuppc] config_dir. Is BackupPC installed?")
    elif folder.stat().st_uid != facts.uid:
        what = f"{folder} is owned by uid {folder.stat().st_uid}, not by {facts.account}"
        yield red(what, f"chown {facts.account} {folder}: BackupPC cannot use the files of another account.")
    else:
        yield green(f"we run as {facts.account}")


def state(facts: ServerFacts) -> Iterator[Answer]:
    """Check our state folder."""
    folder = facts.config.state.directory
    facts.server.folders.ready()
    status = folder.stat()
    if status.st_uid != facts.uid:
        yield red(f"{folder} is not owned by {facts.account}", f"chown {facts.account} {folder}")
    if status.st_mode & stat.S_IRWXO:
        yield yellow(f"{folder} is open to everybody", f"chmod o= {folder}")


def state_files(facts: ServerFacts) -> Iterator[Answer]:
    """Check owner and mode of each file in our state folder."""
    odd: list[str] = []
    if not facts.config.state.directory.is_dir():
        return  # `state` reports it
    for folder, _, names in os.walk(facts.config.state.directory, onerror=_raise):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            odd += [f"{path} {problem}" for problem in _oddities(path, facts.uid)]
    advice = f"chown {facts.account} these files, and chmod 600 private keys: else ssh refuses them."
    yield from listed(red, "files:", odd, advice)


def _oddities(path: Path, uid: int) -> Iterator[str]:
    try:
        status = path.lstat()
    except FileNotFoundError:  # a request's temporary file
        return
    if status.st_uid != uid:
        yield f"is owned by uid {status.st_uid}"
    if path.name == key_pairs.PRIVATE and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield f"has mode {stat.S_IMODE(status.st_mode):o}"
    elif status.st_mode & stat.S_IWOTH and not stat.S_ISLNK(status.st_mode):
        yield "can be written by everybody"


def _raise(error: OSError) -> None:
    raise error


def program(_: ServerFacts) -> Iterator[Answer]:
    """Check that only root can change our program, because administrators start it as root."""
    package = data_files.find("__init__.py").parent
    places = [*reversed(package.parents), package, *sorted(package.rglob("*.py"))]
    odd = [f"{place} {problem}" for place in places for problem in _changeable(place)]
    advice = "chown root: and chmod go-w these files: whoever changes the program becomes root."
    yield from listed(red, "others can change our program:", odd, advice)


def _changeable(place: Path) -> Iterator[str]:
    status = place.lstat()
    if status.st_uid:
        yield f"is owned by uid {status.st_uid}"
    group = status.st_gid and status.st_mode & stat.S_IWGRP
    # In a folder with the sticky bit, such as /tmp, accounts cannot rename the files of others.
    if (status.st_mode & stat.S_IWOTH or group) and not status.st_mode & stat.S_ISVTX:
        yield f"has mode {stat.S_IMODE(status.st_mode):o}"


def undecided(facts: ServerFacts) -> Iterator[Answer]:
    """Report what does not fit together and waits for the administrator."""
    found = inconsistencies.find(facts.hosts, facts.server, datetime.now(UTC))
    wrong = [f"{one.host}: {one.what}" if one.host else one.what for one in found]
    if wrong:
        yield yellow(some(wrong, "; "), f"{_ADMIN} reconcile --dry-run shows all of it, with advice.")


def purges(facts: ServerFacts) -> Iterator[Answer]:
    """Check that no purge is overdue."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    due = [record.host for record in facts.records if _is_before(record.purge, yesterday)]
    yield from listed(yellow, "purge is overdue:", due, f"{_ADMIN} purge --due, once a day from cron.")


def _is_before(moment: str, other: datetime) -> bool:
    try:
        return bool(moment) and datetime.fromisoformat(moment) < other
    except (ValueError, TypeError):
        return False
