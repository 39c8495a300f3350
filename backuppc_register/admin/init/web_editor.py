"""BackupPC's web editor, closed where an owner could do harm."""

from pathlib import Path

from backuppc_register import files, resources
from backuppc_register.admin.init.plan import Plan, Step
from backuppc_register.admin.overview import LOCK_PATIENCE
from backuppc_register.backuppc.lock import locked
from backuppc_register.errors import CouldNotRegister
from backuppc_register.state import parts

BEGIN = b"# BEGIN backuppc-register: what owners may not change (backuppc-register-admin init)\n"
END = b"# END backuppc-register\n"


def step(plan: Plan) -> Step:
    """Return the step that puts our settings at the end of config.pl."""
    path = plan.settings.backuppc.config_dir / "config.pl"

    def make() -> None:
        plan.as_owner(lambda: _harden(plan, path))

    def missing() -> str:
        return "owners could do harm" if is_open(plan) else ""

    return Step(f"{path} closes the web editor's dangerous settings to owners", missing, make)


def is_open(plan: Plan) -> bool:
    """Tell whether config.pl lacks our settings; raises CouldNotRegister."""
    path = plan.settings.backuppc.config_dir / "config.pl"
    return bool(plan.as_owner(lambda: hardened(path) is not None))


def hardened(path: Path) -> bytes | None:
    """Return what *path* should hold: our snippet once, the rest as it is; None where it does.

    Raises CouldNotRegister.
    """
    content, settings = parts.content(path), snippet()
    if content is None:
        raise CouldNotRegister(detail=f"there is no {path}")
    start, end = content.find(BEGIN), content.find(END)
    if start < 0 and settings in content:
        return None  # put there by hand
    if start >= 0 and end < start:
        raise CouldNotRegister(detail=f"{path} has the line that begins our settings, but no end of them")
    if start < 0:
        start = end = len(content)
        head = content + b"\n" * (not content.endswith(b"\n"))
    else:
        head, end = content[:start], end + len(END)
    wanted = head + BEGIN + settings + END + content[end:]
    return None if wanted == content else wanted


def snippet() -> bytes:
    """Return our settings, as they stand in config.pl."""
    return resources.find("packaging/backuppc-hardening.pl").read_bytes()


def _harden(plan: Plan, path: Path) -> None:
    with locked(plan.settings.backuppc.config_dir, LOCK_PATIENCE):
        wanted = hardened(path)
        if wanted is None:
            return
        status = path.lstat()
        try:
            files.write(path, wanted, files.ownership(status), later_than=files.second(status))
        except OSError as error:
            raise CouldNotRegister(detail=f"{path} cannot be replaced: {error}") from error
