"""BackupPC's web editor, closed where an owner could do harm."""

import re
from pathlib import Path

from backuppc_register.admin.init.step import Plan, Step
from backuppc_register.backuppc.lock import locked
from backuppc_register.backuppc.settings import SettingsReader
from backuppc_register.diagnosis import web_checks
from backuppc_register.diagnosis.finding import Level
from backuppc_register.inventory.server import LOCK_TIMEOUT
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files, data_files

BEGIN = b"# BEGIN backuppc-register: what owners may not change (backuppc-register-admin init)\n"
END = b"# END backuppc-register\n"

_PERLS_END = re.compile(rb"^__(?:END|DATA)__\b|^\x04|^\x1a", re.MULTILINE)
_FOR_PERL = 20.0  # seconds


def step(plan: Plan) -> Step:
    """Return the step that puts our settings at the end of config.pl."""
    path = plan.settings.backuppc.config_dir / "config.pl"

    def make() -> None:
        plan.as_owner(lambda: _harden(plan, path))

    def missing() -> str:
        if plan.as_owner(lambda: hardened(path) is not None):
            return "owners could do harm"
        return "something in that file undoes them" if plan.as_owner(lambda: _harm(plan)) else ""

    return Step(f"{path} closes the web editor's dangerous settings to owners", missing, make)


def is_open(plan: Plan) -> bool:
    """Tell whether owners can run programs, by what BackupPC reads in config.pl; raises Misconfigured."""
    return bool(plan.as_owner(lambda: _harm(plan)))


def hardened(path: Path, *, last: bool = False) -> bytes | None:
    """Return what *path* should hold: our snippet once, the rest as it is; None where it does.

    *last*: behind everything else that Perl reads there, whatever stands there already.

    Raises HostsFileError.
    """
    content, settings = safe_files.content(path), snippet()
    if content is None:
        raise HostsFileError(detail=f"there is no {path}")
    start, end = content.find(BEGIN), content.find(END)
    if start < 0 and settings in content and not last:
        return None  # put there by hand
    if start >= 0 and end < start:
        raise HostsFileError(detail=f"{path} has the line that begins our settings, but no end of them")
    head, rest = content, b""
    if start >= 0:
        head, rest = content[:start], content[end + len(END) :]
    if start < 0 or last:
        head, rest = _before_the_end(head + rest)
    wanted = head + BEGIN + settings + END + rest
    return None if wanted == content else wanted


def _before_the_end(content: bytes) -> tuple[bytes, bytes]:
    """Part *content* where Perl stops to read (perldata(1)): what follows is no program."""
    match = _PERLS_END.search(content)
    head, rest = (content[: match.start()], content[match.start() :]) if match else (content, b"")
    return head + b"\n" * (not head.endswith(b"\n")), rest


def _harm(plan: Plan) -> str:
    """Return how owners can run programs, "" where they cannot; raises Misconfigured."""
    told = SettingsReader(plan.settings.backuppc).main(_FOR_PERL)
    return next((what for level, what, _ in web_checks.open_to_owners(told) if level is Level.RED), "")


def snippet() -> bytes:
    """Return our settings, as they stand in config.pl."""
    return data_files.find("packaging/backuppc-hardening.pl").read_bytes()


def _harden(plan: Plan, path: Path) -> None:
    with locked(plan.settings.backuppc.config_dir, LOCK_TIMEOUT):
        _write(path, hardened(path))
        if _harm(plan):
            _write(path, hardened(path, last=True))
    if harm := _harm(plan):
        raise HostsFileError(detail=f"{path} undoes what init has put there: {harm}")


def _write(path: Path, wanted: bytes | None) -> None:
    if wanted is None:
        return
    status = path.lstat()
    try:
        atomic_files.write(
            path, wanted, atomic_files.ownership(status), later_than=atomic_files.second(status)
        )
    except OSError as error:
        raise HostsFileError(detail=f"{path} cannot be replaced: {error}") from error
