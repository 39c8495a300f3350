"""The steps for our state folder and for BackupPC's configuration folder."""

import os
import stat

from backuppc_register.admin.init.root_files import own_folder, trusted
from backuppc_register.admin.init.step import NONE, Plan, Step
from backuppc_register.protocol.errors import Misconfigured


def state(plan: Plan) -> Step:
    """Return the step that makes our state folder, which only BackupPC's account can read."""
    folder, owner = plan.settings.state.directory, plan.owner

    def missing() -> str:
        try:
            status = folder.lstat()
        except FileNotFoundError:
            return NONE
        if not stat.S_ISDIR(status.st_mode):
            raise Misconfigured(detail=f"[state] directory: {folder} is not a folder")
        if status.st_uid != owner.pw_uid:
            raise Misconfigured(detail=f"[state] directory: {folder} is not owned by {owner.pw_name}")
        return "it is open to others" if status.st_mode & stat.S_IRWXO else ""

    def make() -> None:
        if not folder.exists():
            own_folder(folder.parent)
            folder.mkdir(0o700)
            os.chown(folder, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        plan.as_owner(lambda: folder.chmod(0o750))

    return Step(f"state folder {folder}, only for {owner.pw_name}", missing, make)


def group(plan: Plan) -> Step:
    """Return the step that lets new files in BackupPC's folder keep the folder's group.

    On Debian, BackupPC's account is not a member of that group and so cannot set this bit (chmod(2)). Root
    sets it on the open folder.
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
