"""The step that takes the dangerous settings of BackupPC's web editor away from owners."""

import re
from pathlib import Path

from backuppc_register.admin.init.step import Plan, Step, packaged
from backuppc_register.backuppc.lock import locked
from backuppc_register.backuppc.settings import SettingsReader
from backuppc_register.diagnosis import web_checks
from backuppc_register.diagnosis.finding import Level
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files

BEGIN = b"# BEGIN backuppc-register: what owners may not change (backuppc-register-admin init)\n"
END = b"# END backuppc-register\n"

_PERLS_END = re.compile(rb"^__(?:END|DATA)__\b|^\x04|^\x1a", re.MULTILINE)
_PERL_TIMEOUT = 20.0  # seconds


def step(plan: Plan) -> Step:
    """Return the step that adds our settings to config.pl."""
    path = plan.settings.backuppc.config_dir / "config.pl"

    def missing() -> str:
        if plan.as_owner(lambda: hardened(path) is not None):
            return "owners can do harm"
        return "other lines of that file undo our settings" if is_open(plan) else ""

    what = f"{path} takes the web editor's dangerous settings away from owners"
    return Step(what, missing, lambda: plan.as_owner(lambda: _harden(plan, path)))


def is_open(plan: Plan) -> bool:
    """Tell whether owners can run programs, as BackupPC reads config.pl; raises Misconfigured."""
    return bool(plan.as_owner(lambda: _harm(plan)))


def hardened(path: Path, *, last: bool = False) -> bytes | None:
    """Return the content that *path* should have, with our settings once; None if it has it.

    If *last* is true, our settings go behind everything else that Perl reads in that file.

    Raises HostsFileError.
    """
    content, settings = safe_files.content(path), snippet()
    if content is None:
        raise HostsFileError(detail=f"there is no {path}")
    start, end = content.find(BEGIN), content.find(END)
    if start < 0 and settings in content and not last:
        return None  # an administrator added them
    if start >= 0 and end < start:
        raise HostsFileError(detail=f"{path} has the line that begins our settings, but not their end")
    head, rest = (content[:start], content[end + len(END) :]) if start >= 0 else (content, b"")
    if start < 0 or last:
        head, rest = _before_the_end(head + rest)
    wanted = head + BEGIN + settings + END + rest
    return None if wanted == content else wanted


def _before_the_end(content: bytes) -> tuple[bytes, bytes]:
    """Cut *content* where Perl stops to read (perldata(1))."""
    match = _PERLS_END.search(content)
    head, rest = (content[: match.start()], content[match.start() :]) if match else (content, b"")
    return head + b"\n" * (not head.endswith(b"\n")), rest


def _harm(plan: Plan) -> str:
    """Return how owners can run programs, or ""; raises Misconfigured."""
    places = plan.settings.backuppc
    settings = SettingsReader(places).main(_PERL_TIMEOUT)
    return next((what for level, what, _ in web_checks.open_to_owners(settings) if level is Level.RED), "")


def snippet() -> bytes:
    """Return our settings for config.pl."""
    return packaged("backuppc-hardening.pl").encode()


def _harden(plan: Plan, path: Path) -> None:
    with locked(plan.settings.backuppc.config_dir):
        _write(path, hardened(path))
        if _harm(plan):
            _write(path, hardened(path, last=True))
    if harm := _harm(plan):
        raise HostsFileError(detail=f"{path} undoes the settings that init has added: {harm}")


def _write(path: Path, wanted: bytes | None) -> None:
    if wanted is None:
        return
    status = path.lstat()
    owner, later_than = atomic_files.ownership(status), atomic_files.second(status)
    try:
        atomic_files.write(path, wanted, owner, later_than=later_than)
    except OSError as error:
        raise HostsFileError(detail=f"{path} cannot be replaced: {error}") from error
