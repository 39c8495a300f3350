"""Tell whether another account could replace or redirect what we write in a folder."""

import errno
import os
import pwd
import stat
from pathlib import Path

_ACL = "system.posix_acl_access"  # acl(5)


def flaw(folder: Path) -> str:
    """Return why an account other than root and ours could change what *folder* has, or "".

    Each folder above it counts as well, because whoever can rename one of them can exchange all below it.
    Links are not followed. Raises OSError.
    """
    for place in (folder, *folder.parents):
        status = place.lstat()
        if stat.S_ISLNK(status.st_mode):
            return f"{place} is a link, perhaps of others"
        if status.st_uid not in (0, os.geteuid()):
            return f"others can change {place}: it is owned by {_name(status.st_uid)}"
        # In a folder with the sticky bit, such as /tmp, accounts cannot rename the folders of others.
        above = place != folder and status.st_mode & stat.S_ISVTX
        if not above and _is_loose(place, status):
            return f"others can change {place}: its mode is {stat.S_IMODE(status.st_mode):04o}"
    return ""


def _is_loose(place: Path, status: os.stat_result) -> bool:
    """Tell whether more accounts can write in *place* than its owner and the group root."""
    if status.st_mode & stat.S_IWGRP:  # with an access control list, this bit is its mask
        return bool(status.st_gid) or _has_acl(place) or bool(status.st_mode & stat.S_IWOTH)
    return bool(status.st_mode & stat.S_IWOTH)


def _has_acl(place: Path) -> bool:
    try:
        return bool(os.getxattr(place, _ACL, follow_symlinks=False))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return False
        raise


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
