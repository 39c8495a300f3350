"""A host of the lab, from outside: run commands in it, read and write its files, sit down at its terminal."""

import io
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from .network import Switch, in_network_of
from .parts import PATIENCE, LabError, ProcessOne
from .process import Process, Result
from .terminal import Terminal

NAMESPACES = [
    "--mount",
    "--uts",
    "--ipc",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--propagation",
    "unchanged",
]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A run in the background ignores Ctrl-C, and so would all that it starts. In front of nsenter, which ends
# itself by the signal that ended its command.
FRESH = ["env", "--default-signal"]
CHECKOUT = Path(__file__).resolve().parents[3]
CHECKOUT_AT = "/opt/backuppc-register"
LISTENING = "0A"  # in /proc/net/tcp; the next two stand in /proc/net/unix
DATAGRAM, ACCEPTS = "0002", 0x10000

# What an administrator of the machine may have changed, and tests would notice.
PLAIN = {
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\ngshadow: files\nhosts: files dns\n",
    "/etc/environment": "",
    "/etc/default/locale": "",
}

T = TypeVar("T")
Command = str | Sequence[str]


@dataclass(frozen=True)
class User:
    """An account of a person on a host."""

    name: str
    uid: int = 1000
    gecos: str = ""
    shell: str = "/bin/bash"

    @property
    def home(self) -> str:
        """Give the home directory."""
        return f"/home/{self.name}"


@dataclass(frozen=True)
class Account:
    """An account as its host's passwd file has it, and what it takes to become it."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @property
    def switch(self) -> list[str]:
        """Give the command that becomes this account, to stand before another.

        setpriv looks up what it executes with root's capabilities still; sh, between the two, has lost them.
        """
        if not self.uid:
            return []
        become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"]
        return [*become, "sh", "-c", 'exec "$@"', "sh"]

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment that this account starts with."""
        mine = {"HOME": self.home, "SHELL": self.shell, "USER": self.name, "LOGNAME": self.name}
        return {"PATH": PATH, "LANG": "C.UTF-8", **mine}


@dataclass(frozen=True)
class Plan:
    """What a host is to be like before anything runs in it."""

    fqdn: str
    addresses: Sequence[str]
    users: Sequence[User] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    root: str = ""  # a folder with another system than the machine's own

    @property
    def name(self) -> str:
        """Give the first label."""
        return self.fqdn.partition(".")[0]


class Host:
    """One host: its own file system over the machine's, name, network, processes; all gone when it ends."""

    def __init__(self, lab: str, switch: Switch, plan: Plan) -> None:
        self.fqdn, self.name, self.addresses = plan.fqdn, plan.name, list(plan.addresses)
        spec = {
            "kind": "host", "name": plan.name, "checkout": str(CHECKOUT), "checkout_at": CHECKOUT_AT,
            "root": plan.root,
            "users": [{**asdict(user), "home": user.home} for user in plan.users],
            "files": PLAIN | _own_name(plan) | dict(plan.files),
        }  # fmt: skip
        self.process = ProcessOne(lab, plan.fqdn, NAMESPACES, spec)
        self._switch = switch
        self.pid = self.process.await_ready()
        self._cable = switch.plug(self.pid, self.addresses)

    @property
    def entry(self) -> list[str]:
        """Give the command that enters this host, to stand before a command to run in it."""
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p"]

    def start(self, command: Command, *, user: str = "root", env: Mapping[str, str] | None = None) -> Process:
        """Start *command* (a string goes to sh) as *user*; it ends with the host at the latest.

        Its standard input stays open until it is closed or waited for.
        """
        account = self._account(user)
        entry = [*FRESH, *self.entry, *account.switch]
        return Process(_argv(command), entry, account.environment | dict(env or {}))

    def run(
        self, command: Command, *, user: str = "root", input: str | bytes | None = None,
        env: Mapping[str, str] | None = None, timeout: float = 30, check: bool = False,
    ) -> Result:  # fmt: skip
        """Run *command* (a string goes to sh) as *user* and wait for at most *timeout* seconds.

        Standard input is *input* and then its end. Raises LabError: too long; with *check*, any status but 0.
        """
        process = self.start(command, user=user, env=env)
        data = input if isinstance(input, bytes) else (input or "").encode(errors="surrogateescape")
        if data:
            process.feed(data)
        result = process.wait(timeout, leave_open=bool(data))
        if check and result.status:
            raise LabError(f"on {self.name}: {result}")
        return result

    def terminal(
        self, command: Command, *, user: str = "root", env: Mapping[str, str] | None = None
    ) -> Terminal:
        """Start *command* as *user* on a terminal, for a dialogue with it."""
        account = self._account(user)
        environment = {"TERM": "xterm"} | account.environment | dict(env or {})
        entry = [*FRESH, *self.entry, "setsid", "--ctty", "--wait", *account.switch]
        return Terminal(f"/proc/{self.pid}/root", entry, _argv(command), environment, owner=account.uid)

    def write(self, path: str, content: str | bytes, *, mode: int = 0o644, owner: str = "root") -> None:
        """Write a file, its parents too where missing; *owner* is `user` or `user:group`."""
        user, _, group = owner.partition(":")
        ownership = ["-o", user] + (["-g", group] if group else [])
        self.run(
            ["install", "-D", "-m", f"{mode:o}", *ownership, "/dev/stdin", path],
            input=content or b"",
            check=True,
        )

    def write_all(
        self, folder: str, files: Mapping[str, str | bytes], *, mode: int = 0o644, owner: str = "root"
    ) -> None:
        """Write *files*, named from *folder*, all of them and the folders between theirs to *owner*."""
        self.run(["tar", "-C", folder, "-xpmf", "-"], user=owner, input=_tar(files, mode), check=True)

    def read(self, path: str) -> str:
        """Give a file's text. Raises LabError."""
        return self.run(["cat", path], check=True).stdout

    def exists(self, path: str) -> bool:
        """Tell whether there is anything at *path*, a dangling link included."""
        return self.run(["sh", "-c", 'test -e "$0" || test -L "$0"', path]).status == 0

    def changed(self, path: str) -> int:
        """Give when the inode at *path* changed last, in nanoseconds."""
        return Path(f"/proc/{self.pid}/root{path}").lstat().st_ctime_ns

    def copy(self, source: Path, path: str, *, mode: int = 0o644, owner: str = "root") -> None:
        """Copy the machine's file *source* to *path* in the host."""
        self.write(path, source.read_bytes(), mode=mode, owner=owner)

    def picture(self, *folders: str) -> dict[str, str]:
        """Give path → type, mode, owner, size, time, digest of all below *folders*: equal is unchanged."""
        script = (
            'find "$@" -printf "%p\\t%y %m %u:%g %s %T@ %l\\n" | sort; echo; '
            'find "$@" -type f -exec sha256sum {} + | sort'
        )
        shown = self.run(["sh", "-c", script, "picture", *folders], check=True).stdout
        facts, _, digests = shown.partition("\n\n")
        picture = dict(line.split("\t", 1) for line in facts.splitlines())
        for line in digests.splitlines():
            picture[line[66:]] += f" {line[:64]}"
        return picture

    def listens(self, port: int) -> bool:
        """Tell whether a process of this host listens on TCP *port*."""
        rows = [line.split() for table in ("tcp", "tcp6") for line in self._table(table)]
        return any(row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port for row in rows)

    def serves(self, path: str) -> bool:
        """Tell whether a process of this host takes messages or connections at the Unix socket *path*."""
        rows = [line.split() for line in self._table("unix")]
        return any(row[-1] == path and (row[4] == DATAGRAM or int(row[3], 16) & ACCEPTS) for row in rows)

    def wait_for(self, question: Callable[[], object], what: str = "it", timeout: float = PATIENCE) -> None:
        """Ask *question* until it is true. Raises LabError after *timeout* seconds."""
        end = time.monotonic() + timeout
        pause = 0.005
        while not question():
            if time.monotonic() > end:
                raise LabError(f"on {self.name}: {what} did not come about in {timeout} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)  # many questions start a program, which slows what is waited for

    def in_network(self, action: Callable[[], T]) -> T:
        """Do *action* of this program's with the host's network: sockets that it opens are the host's."""
        return in_network_of(self.pid, action)

    def unplug(self) -> None:
        """Pull the network cable out."""
        self._switch.set_cable(self._cable, plugged=False)

    def plug(self) -> None:
        """Put the network cable back."""
        self._switch.set_cable(self._cable, plugged=True)

    def kill(self) -> None:
        """End the host at once, as if its power had gone."""
        self.process.end()

    def _table(self, name: str) -> list[str]:
        return Path(f"/proc/{self.pid}/net/{name}").read_text().splitlines()[1:]

    def _account(self, name: str) -> Account:
        text = Path(f"/proc/{self.pid}/root/etc/passwd").read_text(errors="replace")
        for row in (line.split(":") for line in text.split("\n")):
            if row[0] == name:
                return Account(name, int(row[2]), int(row[3]), row[5], row[6])
        raise LabError(f"{self.name} has no account {name}")


def _argv(command: Command) -> list[str]:
    return ["sh", "-c", command] if isinstance(command, str) else list(command)


def _tar(files: Mapping[str, str | bytes], mode: int) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def _own_name(plan: Plan) -> dict[str, str]:
    own = f"{plan.fqdn} {plan.name}" if plan.fqdn != plan.name else plan.name
    local = "::1     localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
    hosts = f"127.0.0.1\tlocalhost\n127.0.1.1\t{own}\n\n{local}"
    return {"/etc/hostname": f"{plan.name}\n", "/etc/hosts": hosts}
