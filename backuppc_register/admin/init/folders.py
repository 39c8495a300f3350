"""The folders that init makes ready: our state, and BackupPC's settings."""

import os
import stat

from backuppc_register.admin.init.root_files import own_folder, trusted
from backuppc_register.admin.init.step import Plan, Step
from backuppc_register.protocol.errors import Misconfigured


def state(plan: Plan) -> Step:
    """Return the step that makes our state folder, BackupPC's account's alone."""
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
            own_folder(folder.parent)
            folder.mkdir(0o700)
            os.chown(folder, plan.owner.pw_uid, plan.owner.pw_gid, follow_symlinks=False)
        plan.as_owner(lambda: folder.chmod(0o750))

    return Step(f"state folder {folder}, {plan.owner.pw_name}'s alone", missing, make)


def group(plan: Plan) -> Step:
    """Return the step that lets new files in BackupPC's folder keep its group.

    On Debian BackupPC's account is no member of it, and cannot set this bit itself then (chmod(2)), so root
    does, on the open folder.
    """
    folder = plan.settings.backuppc.config_dir

    def make() -> None:
        trusted(folder.parent)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | stat.S_ISGID)
        finally:
            os.close(descriptor)

    def missing() -> str:
        return "" if folder.stat().st_mode & stat.S_ISGID else "a new hosts file would lose its group"

    return Step(f"chmod g+s {folder}", missing, make)
