"""Find what lets the kernel refuse to rename a new file over an old one, although it may be written."""

import array
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS, ioctl_iflags(2)
_FLAGS = {0x10: ("immutable", "i"), 0x20: ("append-only", "a")}
_OCTAL = re.compile(r"\\([0-7]{3})")


def obstacles(path: Path) -> Iterator[tuple[str, str]]:
    """Yield why no file can be renamed to *path*, each with what mends it; raises OSError in doubt."""
    status, folder = path.lstat(), path.parent
    if stat.S_ISLNK(status.st_mode):
        target = path.readlink()
        yield f"{path} is a symbolic link to {target}", f"Put the file itself there: mv {target} {path}"
        return
    if _is_mount(path):
        yield f"{path} is a mount of its own", f"umount {path}, and mount the folder {folder}, not the file"
    for place in (path, folder):
        for word, letter in _flags(place):
            yield f"{place} is {word}", f"chattr -{letter} {place}"
    above = folder.stat()
    if above.st_mode & stat.S_ISVTX and os.geteuid() not in (0, status.st_uid, above.st_uid):
        yield f"{folder} has the sticky bit, and {path} has another owner", f"chmod -t {folder}"


def _is_mount(path: Path) -> bool:
    """Tell whether something is mounted on *path* itself; rename(2) then fails with EBUSY."""
    real = str(path.parent.resolve() / path.name)
    rows = _MOUNTS.read_text("utf-8", "surrogateescape").split("\n")
    points = (row.split(" ")[4] for row in rows if row.count(" ") > 4)  # proc(5)
    return real in (_OCTAL.sub(lambda match: chr(int(match[1], 8)), point) for point in points)


def _flags(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the attributes of *path* (chattr(1)) that forbid a rename; none on a file system without them."""
    flags = array.array("l", [0])
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        finally:
            os.close(descriptor)
    yield from (words for bit, words in _FLAGS.items() if flags[0] & bit)
