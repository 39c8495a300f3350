"""A room for tests of rsyncsend.sh: real bash, root's files in a temporary folder, and programs that record.

The script there is a copy in which the lines that name root's files name that folder instead.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checkout import CHECKOUT

SCRIPT = CHECKOUT / "clients" / "rsyncsend.sh"
RSYNC_BPC = "/usr/libexec/backuppc-rsync/rsync_bpc"
ACCOUNT_ID = "990"
PEER = "134.158.240.3"
REFUSED, MISSING, MISCONFIGURED = 64, 69, 78

RECORDER = """#!/bin/bash
if [ "${1-}" = --version ]; then
    printf 'rsync  version %s  protocol version 31\\n' "$(cat FOLDER/version)"
    exit
fi
case " $* " in
    *' find . '*) exit ;;
    *' -- mkdir -- '*)
        printf '%s\\0' "${0##*/}" "$@" >FOLDER/made
        while [ "$1" != -- ]; do shift; done
        shift
        exec "$@"
        ;;
esac
printf '%s\\0' "${0##*/}" "$@" >FOLDER/executed
pwd -P >FOLDER/where
env -0 >FOLDER/environment
cat >FOLDER/rest
exit "$(cat FOLDER/status)"
"""
# As if root could mount (FOLDER/mounts is there) or not. It records the wall, and starts the command alone.
UNSHARE = """#!/bin/bash
[ -e FOLDER/mounts ] || exit 1
[ "$5" != /bin/sh ] || exit 0
printf '%s\\n' "${11} ${12}" >FOLDER/walled
shift 13
exec "$@"
"""
STUBS = {
    "unshare": UNSHARE,
    "rsync": RECORDER,
    "setpriv": RECORDER,
    "sudo": RECORDER,
    "id": "#!/bin/sh\n"
    f"case $1$2 in -?bckpciuem) echo {ACCOUNT_ID} ;; -?n1234) echo lea ;; -?1234) echo 1235 ;; "
    '*) exec /usr/bin/id "$@" ;; esac\n',
    "getent": '#!/bin/sh\necho "lea:x:1235:$(cat FOLDER/members 2>/dev/null)"\n',
    "logger": "#!/bin/sh\ncat\nprintf '%s\\n' \"$*\" >>FOLDER/log\n",
}
WITHOUT_SETPRIV = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
ROOTS_RIGHTS = "-all,+chown,+dac_override,+dac_read_search,+fowner"  # of a restore in place as root
# What is added to a restore in place.
IN_PLACE = ["--sparse", "--chmod=ug-s", "--ignore-times", "--drop-D", "--filter=-x! user.*"]
# What BackupPC 4.4 sends (backup full, incremental, restore), and the list behind it.
FULL = "rsync --server --sender -slHogDtprcxe.iLsfxC"
INCREMENTAL = "rsync --server --sender -slHogDtprxe.iLsfxC"
RESTORE = "rsync --server -slHogDtprRe.iLsfxC"
BACKUP_OPTIONS = ["--timeout=72000", "--ignore-errors", "--numeric-ids"]
RESTORE_OPTIONS = ["--log-format=%i", "--super", "--stats", "--partial", "--numeric-ids"]


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: bytes
    stderr: str
    executed: list[str] | None
    where: str
    rest: bytes
    log: str


class Room:
    """A folder with the script in both roles, a configuration, a share, and stubs that record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.share = self.folder / "home"
        self.restore_dir = self.folder / "restored"
        for path in (self.share / "cmartin", self.restore_dir, self.folder / "bin"):
            path.mkdir(parents=True)
            path.chmod(0o755)
        self.folder.chmod(0o755)
        (self.folder / "version").write_text("3.5.0")
        (self.folder / "status").write_text("0")
        for name, text in STUBS.items():
            stub = self.folder / "bin" / name
            stub.write_text(text.replace("FOLDER", str(self.folder)))
            stub.chmod(0o755)
        self.configure()
        self.install()

    def install(self, patience: int = 10) -> None:
        text = SCRIPT.read_text()
        for name, value in {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "CONFIG": f"{self.folder}/conf",
            "ANCHOR": str(self.folder),
            "PATIENCE": str(patience),
            "PLACE": f"{self.folder}/place",
            "TCC": f"{self.folder}/TCC #",  # the value there has a blank
        }.items():
            text, count = re.subn(rf"^{name}=\S+", f"{name}={value}", text, flags=re.MULTILINE)
            assert count == 1, name
        for name in ("rsync-helper", "rsyncsend.sh"):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)

    def configure(self, *lines: str, restore: str = "dirs") -> None:
        usual = [
            f"share={self.share}",
            f"restore={restore}",
            f"restore-dir={self.restore_dir}",
            f"rsync={self.folder}/bin/rsync",
        ]
        (self.folder / "conf").write_text("".join(f"{line}\n" for line in [*usual, *lines]))
        (self.folder / "conf").chmod(0o644)

    def pretend(self, owners: dict[Path, str]) -> None:
        """Let ls tell another mode, owner and group of these folders: `drwxr-xr-x 2 1234 1235`."""
        told = "".join(
            f'{path}) echo "{facts} 0 Nov 22 20:00 $3"; exit ;;\n' for path, facts in owners.items()
        )
        stub = self.folder / "bin/ls"
        stub.write_text(
            '#!/bin/sh\npath=$3\n[ "$path" != . ] || path=$PWD\n'
            f'case $path in\n{told}esac\nexec /bin/ls "$@"\n'
        )
        stub.chmod(0o755)

    def let_root_mount(self) -> None:
        """Let the wall be a namespace of mounts; else it is rsync's own, if its version has one."""
        (self.folder / "mounts").touch()

    def helper(self, command: str, items: Sequence[str] | bytes = b"", *, peer: str = PEER) -> Outcome:
        stdin = items if isinstance(items, bytes) else listed(items)
        return self.start([str(self.folder / "rsync-helper"), command, peer], stdin)

    def start(
        self, argv: Sequence[str], stdin: bytes = b"", environment: dict[str, str] | None = None
    ) -> Outcome:
        self.forget()
        done = subprocess.run(
            argv, input=stdin, capture_output=True, env=environment or {}, timeout=60, check=False
        )
        return self.outcome(done.returncode, done.stdout, done.stderr)

    def forget(self) -> None:
        for name in ("executed", "made", "where", "rest", "log", "environment", "walled"):
            (self.folder / name).unlink(missing_ok=True)

    def outcome(self, status: int, stdout: bytes, stderr: bytes) -> Outcome:
        executed = self.read("executed")
        argv = [os.fsdecode(word) for word in executed.split(b"\0")[:-1]] if executed else None
        where = os.fsdecode(self.read("where")).rstrip("\n")
        log = self.read("log").decode()
        return Outcome(status, stdout, stderr.decode(), argv, where, self.read("rest"), log)

    def read(self, name: str) -> bytes:
        path = self.folder / name
        return path.read_bytes() if path.exists() else b""

    def backup_argv(self, cluster: str, *options: str) -> list[str]:
        return [*as_account("-all,+dac_read_search"), f"{self.folder}/bin/rsync", "--server", "--sender",
                f"--confine-root={self.share}", cluster, *options, ".", "./"]  # fmt: skip

    def restore_argv(self, cluster: str, *options: str) -> list[str]:
        return [f"{self.folder}/bin/rsync", "--server", f"--confine-root={self.restore_dir}",
                cluster, *options, "--sparse", "--chmod=ug-s", ".", "./"]  # fmt: skip

    def full_argv(self, cluster: str, *options: str, room: Path) -> list[str]:
        return [*as_account(ROOTS_RIGHTS, "0", "0"), f"{self.folder}/bin/rsync", "--server",
                f"--confine-root={room}", cluster, *options, *IN_PLACE, ".", "./"]  # fmt: skip


def listed(items: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(item) + b"\0" for item in items)


def as_account(capabilities: str, uid: str = ACCOUNT_ID, gid: str = ACCOUNT_ID) -> list[str]:
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs",
            f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}",
            f"--bounding-set={capabilities}", "--"]  # fmt: skip


def backup_list(room: Room, *extra: str, path: str = "") -> list[str]:
    return ["rsync", *BACKUP_OPTIONS, *extra, ".", path or f"{room.share}/", ""]


def restore_list(path: str, *extra: str) -> list[str]:
    return ["rsync", *RESTORE_OPTIONS, *extra, ".", path, ""]


WITHOUT_SUPER = [option for option in RESTORE_OPTIONS if option != "--super"]


def owner_argv(room: Room) -> list[str]:
    status = room.restore_dir.stat()
    uid, gid = (str(status.st_uid), str(status.st_gid)) if status.st_uid else (ACCOUNT_ID, ACCOUNT_ID)
    return as_account("-all", uid, gid)
