"""Root's own folders and files, made where nobody else can bend the way."""

import os
import stat
from pathlib import Path

from backuppc_register.admin.init.step import Step
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import atomic_files


def file_step(path: Path, text: str) -> Step:
    """Return the step that makes root's file *path* with *text*; one that is there may be the site's own."""

    def make() -> None:
        trusted(path.parent)
        atomic_files.write(path, text.encode(), 0o644)

    return Step(f"{path}", lambda: "" if os.path.lexists(path) else "there is none", make)


def own_folder(folder: Path) -> None:
    """Make *folder*, root's, where there is none; raises Misconfigured for one that others could bend."""
    if not folder.exists():
        trusted(folder.parent)
        folder.mkdir(0o755)
        folder.chmod(0o755)
    trusted(folder)


def trusted(folder: Path) -> None:
    """Refuse to work as root in a *folder* that anybody but root can change, itself or on the way there.

    Raises Misconfigured.
    """
    for place in (folder, *folder.parents):
        status = place.lstat()
        theirs = status.st_mode & stat.S_IWOTH or (status.st_gid and status.st_mode & stat.S_IWGRP)
        if theirs or status.st_uid or stat.S_ISLNK(status.st_mode):
            raise Misconfigured(detail=f"{place} is not root's alone: root does not write below it")
