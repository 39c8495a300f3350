"""Folders and files that root writes, where no other account can redirect the write."""

import os
from pathlib import Path

from backuppc_register.admin.init.step import NONE, Step
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import atomic_files, own_folders


def file_step(path: Path, text: str, earlier: tuple[str, ...] = ()) -> Step:
    """Return the step that writes root's file *path*; an existing file is the site's own and stays.

    *earlier*: the texts of earlier releases, which are replaced if no one has changed it.
    """

    def missing() -> str:
        if not os.path.lexists(path):
            return NONE
        is_earlier = path.is_file() and path.read_bytes() in [one.encode() for one in earlier]
        return "it is of an earlier release" if is_earlier and not path.is_symlink() else ""

    def make() -> None:
        trusted(path.parent)
        atomic_files.write(path, text.encode(), 0o644)

    return Step(f"{path}", missing, make)


def own_folder(folder: Path) -> None:
    """Make root's *folder* if there is none; raises Misconfigured if others can change the folder."""
    if not folder.exists():
        trusted(folder.parent)
        folder.mkdir(0o755)
        folder.chmod(0o755)
    trusted(folder)


def trusted(folder: Path) -> None:
    """Refuse to write in a *folder* if an account other than root can change it or one of its parents.

    Raises Misconfigured.
    """
    if flaw := own_folders.flaw(folder):
        raise Misconfigured(detail=f"{flaw}. Root does not write below it")
