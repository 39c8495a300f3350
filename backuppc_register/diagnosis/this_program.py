"""Checks of what is ours: program, configuration, state."""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.reconciliation import inconsistencies
from backuppc_register.state import key_pairs
from backuppc_register.state.records import Record
from backuppc_register.state.snapshot_file import HostsSnapshot
from backuppc_register.system import data_files

_ADMIN = "backuppc-register-admin"
_LATE = timedelta(hours=2)  # since the last reconcile
_LEDGER = (
    f"Put that file back from a copy; or move it away, and {_ADMIN} reconcile notes the lines of today,"
    " but brings none back that is lost by now."
)


@otherwise("See docs/configuration.md; until then every request is refused.")
def configuration(situation: Situation) -> Iterator[Answer]:
    """Look at our own configuration file."""
    if situation.problem:
        yield red(situation.problem, "See docs/configuration.md; until then every request is refused.")
    try:
        mode = situation.config_path.stat().st_mode
    except OSError:
        return  # told above
    # Root has read it before it became this account, as which sshd starts the program.
    if not situation.problem and not os.access(situation.config_path, os.R_OK):
        what = f"{situation.config_path} is closed to {situation.account}"
        yield red(what, f"chown root:{situation.account} and chmod 640: every request is refused until then.")
    if mode & stat.S_IWOTH:
        yield red(
            f"{situation.config_path} can be written by everybody", f"chmod o-w {situation.config_path}"
        )


@otherwise("See [backuppc] config_dir, and who may enter the folders above it.")
def account(situation: Situation) -> Iterator[Answer]:
    """Look at whose BackupPC's configuration folder is."""
    folder = situation.config.backuppc.config_dir
    if not folder.is_dir():
        yield red(f"there is no folder {folder}", "See [backuppc] config_dir; is BackupPC installed?")
    elif folder.stat().st_uid != situation.uid:
        what = f"{folder} is owned by uid {folder.stat().st_uid}, not by {situation.account}"
        yield red(what, f"chown {situation.account} {folder}; what root makes there is closed to BackupPC.")
    else:
        yield green(f"we work as {situation.account}")


@otherwise(f"See [state] directory: is its disk there? {_ADMIN} init makes it, and puts its owner right.")
def state(situation: Situation) -> Iterator[Answer]:
    """Look at our state folder."""
    folder = situation.config.state.directory
    situation.folders.ready()
    status = folder.stat()
    if status.st_uid != situation.uid:
        yield red(f"{folder} is not {situation.account}'s", f"chown {situation.account} {folder}")
    if status.st_mode & stat.S_IRWXO:
        yield yellow(f"{folder} is open to everybody", f"chmod o= {folder}")


@otherwise("See who may read [state] directory: ls -lR")
def state_files(situation: Situation) -> Iterator[Answer]:
    """Look at owner and mode of every file of ours."""
    odd = []
    if not situation.config.state.directory.is_dir():
        return  # `state` tells
    for folder, _, names in os.walk(situation.config.state.directory, onerror=_raise):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            odd += [f"{path} {problem}" for problem in _oddities(path, situation.uid)]
    if odd:
        advice = f"chown {situation.account} them, and chmod 600 private keys: ssh refuses others."
        yield red(some(odd, "; "), advice)


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


@otherwise(_LEDGER)
def reconciled(situation: Situation) -> Iterator[Answer]:
    """Look whether the hosts lines are watched."""
    ledger = HostsSnapshot(situation.config.state.directory)
    timer = "Enable backuppc-register-reconcile.timer, or packaging/backuppc-register.cron."
    if not ledger.path.exists():
        yield yellow(f"{_ADMIN} reconcile never ran: nobody would notice a lost hosts line", timer)
        return
    known = ledger.read()
    seen = [datetime.fromisoformat(host.seen) for host in known.values()]
    last = max(seen, default=datetime.fromtimestamp(ledger.path.stat().st_mtime, UTC))
    if datetime.now(UTC) - last > _LATE:
        yield yellow(f"{_ADMIN} reconcile ran last at {last.isoformat(timespec='seconds')}", timer)
    if lost := sorted(known.keys() - {line.host for line in situation.lines}):
        advice = f"{_ADMIN} reconcile, before BackupPC's next nightly run deletes their backups."
        yield red(f"lost their hosts lines: {some(lost)}", advice)


@otherwise(f"See hosts-file and state; then {_ADMIN} reconcile --dry-run")
def undecided(situation: Situation) -> Iterator[Answer]:
    """Look for what does not fit together."""
    wrong = inconsistencies.contradictions(situation.hosts, situation.server, datetime.now(UTC))
    told = [f"{one.host}: {one.what}" if one.host else one.what for one in wrong]
    if told:
        yield yellow(some(told, "; "), f"{_ADMIN} reconcile --dry-run tells all of it, with advice.")


@otherwise("See who may read [state] directory, and if its disk is there.")
def purges(situation: Situation) -> Iterator[Answer]:
    """Look for data that should have been deleted by now."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    due = [record.host for record in _records(situation) if _is_before(record.purge, yesterday)]
    if due:
        yield yellow(f"still not purged: {some(due)}", f"{_ADMIN} purge --due, once a day from cron.")


def _records(situation: Situation) -> Iterator[Record]:
    for host in situation.folders.names():
        try:
            record = situation.folders.record(host)
        except RegisterError:
            continue  # `undecided` tells
        if record is not None:
            yield record


def _is_before(moment: str, other: datetime) -> bool:
    try:
        return bool(moment) and datetime.fromisoformat(moment) < other
    except (ValueError, TypeError):
        return False


@otherwise("See where the program is installed, and who may read it: ls -l")
def program(situation: Situation) -> Iterator[Answer]:
    """Look whether anybody but root can change our program, which administrators start as root."""
    package = data_files.find("__init__.py").parent
    places = [*reversed(package.parents), package, *sorted(package.rglob("*.py"))]
    odd = [f"{place} {problem}" for place in places for problem in _changeable(place)]
    if odd:
        advice = "chown root: and chmod go-w them: who changes our program is root at its next start."
        yield red(f"others can change our program: {some(odd)}", advice)


def _changeable(place: Path) -> Iterator[str]:
    status = place.lstat()
    if status.st_uid:
        yield f"is owned by uid {status.st_uid}"
    group = status.st_gid and status.st_mode & stat.S_IWGRP
    # In a folder with the sticky bit, /tmp say, nobody renames what is not theirs.
    if (status.st_mode & stat.S_IWOTH or group) and not status.st_mode & stat.S_ISVTX:
        yield f"has mode {stat.S_IMODE(status.st_mode):o}"


CHECKS = {
    "configuration": configuration,
    "account": account,
    "state": state,
    "state-files": state_files,
    "reconcile": reconciled,
    "undecided": undecided,
    "purges": purges,
    "program": program,
}
