"""Process 1 of a host in the lab: it builds the host's root file system, then reaps and waits for the end.

Run by `unshare` in fresh namespaces, with `python3 -I -S`: the standard library only. Standard input is the
lifeline: its first line says what to build, and its end (the lab is gone, however it went) ends this process;
the kernel then ends every other process of the host and drops its mounts and network.
"""

import ctypes
import json
import os
import shutil
import signal
import stat
import sys
from pathlib import Path
from typing import Any

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x2, 0x4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
CLONE_NEWNS = 0x20000
PR_SET_NAME = 15

# What a Debian has at the top; all else there (a checkout, someone's data) is none of a host's business.
SYSTEM = {
    "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc",
    "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
}  # fmt: skip
EMPTY = (
    "home", "root", "srv", "opt", "media", "mnt", "usr/local", "var/tmp", "var/log", "var/mail",
    "etc/ssh/sshd_config.d", "etc/ssh/ssh_config.d", "etc/sudoers.d", "etc/rsyslog.d",
    "etc/backuppc-register", "var/lib/backuppc", "var/lib/backuppc-register",
)  # fmt: skip
VIRTUAL = ("proc", "sys", "dev", "run", "tmp")
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
FIRST_HUMAN, NOBODY = 1000, 65534
FIRST_LAYER = 100  # descriptor of the layer that takes what is written to the root, then to each other part

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Build the host, say `ready PID`, and stay until the lifeline breaks."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then reaps orphans by itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o022)
    spec = json.loads(sys.stdin.buffer.readline())
    parts: list[str] = []
    outer = Path("/proc/self").readlink()  # our pid as the lab sees it: this /proc is still the machine's
    if spec["kind"] == "host":
        parts = build(spec)
    print("ready", outer, json.dumps(parts), flush=True)
    for line in sys.stdin.buffer:
        if line == b"keep\n":
            libc.prctl(PR_SET_NAME, b"lab-kept", 0, 0, 0)
            signal.pause()


def build(spec: dict[str, Any]) -> list[str]:
    """Make the host that *spec* describes and move into it; give its parts, each a file system of its own."""
    root = spec["root"].lstrip("/")  # from the machine's top; what is mounted there is not in another system
    parts = [""] if root else ["", *mounted_parts()]
    leave_chroot()
    # It may be below /tmp, which is hidden soon.
    mount(spec["checkout"].lstrip("/"), f"{root}/sys".lstrip("/"), None, MS_BIND)
    os.chdir(root or ".")
    mount("tmpfs", "tmp", "tmpfs", 0, "mode=755")
    for folder in ("upper", "root"):
        Path("tmp", folder).mkdir()
    furnish(Path("tmp/upper"), spec)
    layers = {part: take_layer(part, number) for number, part in reversed([*enumerate(parts)])}
    for part in parts:
        options = f"lowerdir={part or '.'},upperdir={layers[part]}/upper,workdir={layers[part]}/work"
        mount("overlay", f"tmp/root/{part}", "overlay", 0, options)
    os.chdir("tmp/root")
    mount("proc", "proc", "proc")
    mount("sysfs", "sys", "sysfs", MS_RDONLY)
    mount("tmpfs", "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    make_devices()
    for folder in ("run/lock", "run/sshd"):
        Path(folder).mkdir()
    turn_root()
    name = spec["name"].encode()
    call(libc.sethostname, name, len(name))
    return parts


def leave_chroot() -> None:
    """Work from the directory that was `/`, under the namespace's own root, and keep our mounts to ourselves.

    In a chroot `/` need not be a mount point, and then nobody can make it private; joining one's own mount
    namespace again sets the root to that namespace's (setns(2)).
    """
    here = os.open("/", os.O_PATH)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    call(libc.setns, namespace, CLONE_NEWNS)
    os.close(namespace)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    os.fchdir(here)
    os.close(here)


def mounted_parts() -> list[str]:
    """Give the folders near the top that are file systems of their own, such as /var, outer ones first.

    An overlay shows one file system, not what is mounted in it: each of them needs an overlay of its own.
    """
    parts = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        path = line.split()[4].lstrip("/")
        near = path.partition("/")[0] in SYSTEM and path.count("/") < 2
        hidden = any(f"{path}/".startswith(f"{folder}/") for folder in (*EMPTY, *VIRTUAL))
        if near and not hidden and Path("/", path).is_dir():
            parts.add(path)
    return sorted(parts)


def take_layer(part: str, number: int) -> str:
    """Part the share of *part* from what is furnished, inner ones first; give the folder of its layer."""
    layer = Path(f"tmp/layer{number}")
    made = Path("tmp/upper", part)
    if not made.is_dir():
        like(Path(part), place(Path("tmp/upper"), part))
    (layer / "work").mkdir(parents=True)
    made.rename(layer / "upper")
    if part:
        like(Path(part), made)
    os.dup2(os.open(layer / "upper", os.O_PATH), FIRST_LAYER + number)  # for who looks from outside
    return str(layer)


def furnish(upper: Path, spec: dict[str, Any]) -> None:
    """Put what tells this host from the machine into the overlay's *upper* layer, before it is mounted."""
    for entry in Path().iterdir():
        if entry.name not in SYSTEM:
            make_node(upper / entry, 0, 0)  # a whiteout: not there at all
    for folder in EMPTY:
        empty_folder(upper, folder)
    for folder in ("bin", "sbin", "lib", "share", "etc"):
        (upper / "usr/local" / folder).mkdir()
    accounts(upper, spec["users"])
    for path, text in spec["files"].items():
        place(upper, path.lstrip("/")).write_text(text, encoding="utf-8")
    install_checkout(Path("sys"), upper / spec["checkout_at"].lstrip("/"))


def empty_folder(upper: Path, folder: str) -> None:
    target = place(upper, folder)
    like(Path(folder), target)
    os.setxattr(target, "trusted.overlay.opaque", b"y")


def place(upper: Path, path: str) -> Path:
    """Give the place of *path* in the upper layer, its parents made as they are below."""
    target = upper / path
    for parent in reversed(Path(path).parents[:-1]):
        like(parent, upper / parent)
    return target


def like(model: Path, folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir()
    if model.is_dir():
        status = model.stat()
        os.chown(folder, status.st_uid, status.st_gid)
        folder.chmod(stat.S_IMODE(status.st_mode))


def accounts(upper: Path, users: list[dict[str, Any]]) -> None:
    """Leave the packages' accounts, drop the machine's people, add *users* (shadow `*`: keys and su work)."""
    tables = {name: [line.split(":") for line in Path("etc", name).read_text().splitlines()]
              for name in ("passwd", "group", "shadow", "gshadow")}  # fmt: skip
    for name in ("passwd", "group"):
        tables[name] = [row for row in tables[name] if len(row) > 3 and keeps(row)]
    taken = {row[0] for row in tables["passwd"]}
    tables["shadow"] = [row for row in tables["shadow"] if row[0] in taken]
    taken = {row[0] for row in tables["group"]}
    tables["gshadow"] = [row for row in tables["gshadow"] if row[0] in taken]
    for user in users:
        name, number, home = user["name"], str(user["uid"]), user["home"]
        tables["passwd"].append([name, "x", number, number, user["gecos"], home, user["shell"]])
        tables["group"].append([name, "x", number, ""])
        tables["shadow"].append([name, "*", "19700", "0", "99999", "7", "", "", ""])
        tables["gshadow"].append([name, "*", "", ""])
        folder = place(upper, home.lstrip("/"))
        folder.mkdir(mode=0o700)
        os.chown(folder, user["uid"], user["uid"])
    for name, rows in tables.items():
        target = place(upper, f"etc/{name}")
        target.write_text("".join(":".join(row) + "\n" for row in rows))
        status = Path("etc", name).stat()
        os.chown(target, status.st_uid, status.st_gid)
        target.chmod(stat.S_IMODE(status.st_mode))


def keeps(row: list[str]) -> bool:
    return row[0] != "bckpciuem" and row[2].isdigit() and (int(row[2]) < FIRST_HUMAN or int(row[2]) == NOBODY)


def install_checkout(source: Path, target: Path) -> None:
    """Copy the checkout, as its real place may be closed to accounts: root's, readable by all.

    The package's compiled modules come along, as they do with pip: otherwise each request compiles them.
    """

    def unwanted(folder: str, names: list[str]) -> list[str]:
        return [
            name for name in names
            if name.startswith(".") or Path(folder, name, "pyvenv.cfg").exists()
            or (name == "__pycache__" and "backuppc_register" not in Path(folder).parts)
        ]  # fmt: skip

    shutil.copytree(source, target, symlinks=True, ignore=unwanted)
    for folder, _folders, files in os.walk(target):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def make_devices() -> None:
    """Fill a /dev of the host's own: terminals of its own, and whoever listens on /dev/log is the host's."""
    mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755")
    os.umask(0)
    for name, (major, minor) in DEVICES.items():
        make_node(Path("dev", name), 0o666, os.makedev(major, minor))
    os.umask(0o022)
    for folder in ("dev/pts", "dev/shm"):
        Path(folder).mkdir()
    mount("devpts", "dev/pts", "devpts", MS_NOSUID, "newinstance,ptmxmode=0666,mode=620,gid=5")
    mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    for name, aim in links.items():
        Path("dev", name).symlink_to(aim)


def make_node(path: Path, mode: int, device: int) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | mode, device)
    except OSError as error:  # Python does not say what it was about
        raise OSError(error.errno, f"mknod {path}: {error.strerror}") from None


def turn_root() -> None:
    """Make the working directory `/` and let go of the machine's mounts (pivot_root(2), last example)."""
    call(libc.pivot_root, b".", b".")
    call(libc.umount2, b".", MNT_DETACH)
    os.chdir("/")


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str = "") -> None:
    call(libc.mount, source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags),
         options.encode(), what=f"mount {source} on {target}")  # fmt: skip


def call(function: Any, *arguments: Any, what: str = "") -> None:
    if function(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what or function.__name__}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
