"""A tree of files that a backup could get wrong, made, changed and looked at on a host of the lab.

Run there by its own python3: `tree.py fill|change|look FOLDER` or `tree.py many FOLDER NUMBER`. With the
standard library only. `look` prints JSON; bytes that are no UTF-8 are surrogates in it: no name is lost.
"""

import hashlib
import json
import os
import random
import socket
import stat
import sys
from pathlib import Path
from typing import Any

CMARTIN, SOMEBODY = (1000, 1000), (1234, 1235)
SECOND = 10**9  # nanoseconds
IN_A_FOLDER = 1000  # of many
NAMES = [
    "deux mots", " avant et apres ", "été à la mer", "e\u0301te\u0301", "latin \udce9t\udce9",
    "\udcff\udcfe", "deux\nlignes", "\n", "a la fin\n", "it's \"quoted\" $HOME `id` \\n", "-dash", "--delete",
    "a*b?[c]{d}", "~", "#x#", "%2f", "back\\slash", "name:with:colons", "tab\there", "cr\rhere", "\x1b[31m",
    "\x7f", "\U0001f4be", "...", ".hidden", "attrib", "fattrib", "backupInfo",
    "attrib_0123456789abcdef0123456789abcdef", "x" * 254, "é" * 127,
]  # fmt: skip
MODES = [0o0, 0o400, 0o600, 0o644, 0o755, 0o777, 0o1644, 0o1777, 0o2755, 0o4755, 0o6711]
TIMES = [-86400, -1, 0, 1, 10**9, 2**31 - 1, 2**31, 2**32 + 5]  # seconds since 1970
AIMS = ["one", "deep", "/etc/passwd", "../..", "dangling", "été", "\udcff", "deux\nlignes", "a" * 1000]
HOLES = {
    "at first": (b"", 16 << 20, b"end"),
    "middle": (b"begin" * 1000, 8 << 20, b"end"),
    "all": (b"", 32 << 20, b""),
}
# What becomes of a file between two backups: its name says it.
TO_CHANGE = ["to be deleted", "to be touched", "to be changed silently", "to grow", "to be renamed",
             "to become a folder", "to become a link", "to be locked"]  # fmt: skip


def fill(top: Path) -> None:
    """Make the tree in *top*, which is not there yet; people's, but for a few files."""
    for part in (names, modes, times, kinds, links, holes, to_change):
        (folder := top / part.__name__).mkdir(parents=True)
        os.chdir(folder)
        part()
    give(top)
    os.chown(top / "kinds/somebody's", *SOMEBODY)
    os.chown(top / "kinds/root's", 0, 0)
    os.chown(top / "kinds/device", 0, 0)
    for mode in MODES:  # a new owner has taken setuid away
        (top / f"modes/file {mode:04o}").chmod(mode)


def names() -> None:
    """Each name as a folder's, and as a file's in it and beside it."""
    for number, name in enumerate(NAMES):
        Path(name).mkdir()
        for path in (Path(f"_{name}"), Path(name, name)):
            path.write_text(f"{number}\n")


def modes() -> None:
    """Each mode as a file's and as a folder's with something in it."""
    for mode in MODES:
        folder = Path(f"folder {mode:04o}")
        folder.mkdir()
        for path in (Path(f"file {mode:04o}"), folder / "in it"):
            path.write_text("x")
        os.chown(folder, *CMARTIN)
        folder.chmod(mode)


def times() -> None:
    """Times before 1970 and after 2038 too, with fractions of a second."""
    for second in TIMES:
        (path := Path(f"time {second}")).write_text("x")
        os.utime(path, ns=(0, second * SECOND + 123456789))


def kinds() -> None:
    """All kinds of files, empty ones too, and one of 3 MB that cannot be compressed."""
    Path("empty").touch()
    Path("empty folder").mkdir()
    for name in ("somebody's", "root's"):
        Path(name).write_text(name)
    Path("random").write_bytes(random.Random(1).randbytes(3_000_001))
    os.mkfifo("fifo")
    socket.socket(socket.AF_UNIX).bind("socket")
    os.mknod("device", stat.S_IFCHR | 0o660, os.makedev(1, 3))
    deep = Path("deep")
    for _ in range(40):
        deep /= "a folder in a folder"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("far down\n")


def links() -> None:
    """Hard links in one folder and across two, two files that are alike but not one, and symbolic links."""
    Path("deep").mkdir()
    for name in ("one", "other"):
        Path(name).write_text("linked\n")
        Path("deep", name).hardlink_to(name)
    Path("two").hardlink_to("one")
    for number, aim in enumerate(AIMS):
        Path(f"symbolic {number}").symlink_to(aim)


def holes() -> None:
    """Sparse files: a hole before the end, in the middle, and nothing else."""
    for name, (start, size, end) in HOLES.items():
        with Path(name).open("wb") as file:
            file.write(start)
            file.truncate(size)
            file.seek(size)
            file.write(end)


def to_change() -> None:
    """Files with a fate."""
    for name in TO_CHANGE:
        Path(name).write_text("before\n")
        os.utime(name, (10**9, 10**9))


def change(top: Path) -> None:
    """Change the tree in *top* as people do between two backups; once in a way that only a digest can see."""
    os.chdir(top / "to_change")
    Path("to be deleted").unlink()
    os.utime("to be touched", (10**9 + 5, 10**9 + 5))
    Path("to be changed silently").write_text("AFTER.\n")
    os.utime("to be changed silently", (10**9, 10**9))
    Path("to grow").write_text("before\nand more\n")
    Path("to be renamed").rename("renamed\nand new")
    for name in ("to become a folder", "to become a link"):
        Path(name).unlink()
    Path("to become a folder").mkdir()
    Path("to become a folder/new").write_text("new\n")
    Path("to become a link").symlink_to("to grow")
    Path("to be locked").chmod(0o000)
    Path("../links/two").unlink()
    Path("../links/three").hardlink_to("../links/one")
    give(top / "to_change")


def many(top: Path, number: int) -> None:
    """Make *number* small files, no two alike, in folders of a thousand."""
    for first in range(0, number, IN_A_FOLDER):
        folder = top / f"{first:06}"
        folder.mkdir(parents=True)
        for file in range(first, min(first + IN_A_FOLDER, number)):
            (folder / f"file {file}").write_text(f"{file}\n")
    give(top)


def give(top: Path) -> None:
    """Let *top* and all below it be cmartin's."""
    for path in (top, *below(top)):
        os.chown(path, *CMARTIN, follow_symlinks=False)


def look(top: Path) -> dict[str, dict[str, Any]]:
    """Give what stands below *top*: name → its facts, `same` being the names that one file has."""
    paths = below(top)
    files: dict[int, list[str]] = {}
    for path in paths:
        if not stat.S_ISDIR((status := path.lstat()).st_mode):
            files.setdefault(status.st_ino, []).append(str(path.relative_to(top)))
    same = {name: sorted(names) for names in files.values() for name in names}
    return {
        (name := str(path.relative_to(top))): facts(path) | ({"same": same[name]} if name in same else {})
        for path in paths
    }


def below(top: Path) -> list[Path]:
    """Give all that stands below *top*; no link is followed."""
    return [Path(folder, name) for folder, folders, files in os.walk(top) for name in folders + files]


def facts(path: Path) -> dict[str, Any]:
    """Give what lstat, readlink and a digest tell of *path*; times in nanoseconds, `blocks` of 512 bytes."""
    status = path.lstat()
    told: dict[str, Any] = {
        "mode": f"{status.st_mode:06o}",
        "owner": f"{status.st_uid}:{status.st_gid}",
        "time": status.st_mtime_ns,
    }
    if stat.S_ISREG(status.st_mode):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        told |= {"size": status.st_size, "digest": digest, "blocks": status.st_blocks}
    elif stat.S_ISLNK(status.st_mode):
        told["aim"] = os.fspath(path.readlink())
    elif stat.S_ISCHR(status.st_mode):
        told["device"] = status.st_rdev
    return told


if __name__ == "__main__":
    verb, where = sys.argv[1], Path(sys.argv[2])
    if verb == "many":
        many(where, int(sys.argv[3]))
    elif verb == "look":
        print(json.dumps(look(where)))
    else:
        {"fill": fill, "change": change}[verb](where)
