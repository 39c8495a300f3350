"""Let the operating system fail, or kill the program, at one single system call, by strace.

The program is forked from the tests with everything imported, and does its work as BackupPC's account. strace
is attached before the work begins, so that its calls are counted from there.
"""

import ctypes
import io
import os
import pkgutil
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import site_config
from fakes import Dns, People

import backuppc_register
from backuppc_register import admin, forced_command
from backuppc_register.backuppc.daemon.jobs import Kept
from backuppc_register.backuppc.daemon.pauses import Pauses
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.backuppc.settings import Settings
from backuppc_register.host_key import HostKey
from backuppc_register.network import ldap, ssh
from backuppc_register.person import Person
from backuppc_register.verification import begin_backup, way_back
from backuppc_register.verification.way_back import WayBack

NOBODY = 65534
PR_SET_PTRACER = 0x59616D61
ANYONE = ctypes.c_ulong(-1)
PEOPLE = tuple(Person(uid, uid.title(), f"entryUUID:{uid}") for uid in ("cmartin", "adupont"))
OWN_KEY = HostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIA9FVz3vmmHlPwZiMNxDizayZfUEYUau8+yxKndfkdzY")
CONNECTION = b"10.0.0.9 50000 192.0.2.1 22"

WRITERS = [
    "write",
    "pwrite64",
    "fsync",
    "ftruncate",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
]
WRITERS += ["chmod", "fchmod", "fchmodat", "fchown", "chown", "utimensat", "fsetxattr", "flock"]
READERS = ["openat", "getdents64", "newfstatat", "fstat", "statx", "lstat", "stat", "close"]
CALLS = (*WRITERS, *READERS)
FAULTS = {
    "EIO": CALLS,
    "ENOSPC": [call for call in WRITERS if call != "flock"] + ["openat"],
    "EACCES": ["openat", "newfstatat", "rename", "unlink", "mkdir"],
    "SIGKILL": CALLS,
}
_LINE = re.compile(r"([a-z0-9_]+)\(")


@dataclass(frozen=True)
class Fault:
    """What happens at call number *at* of the system call *call*: an error, or SIGKILL."""

    call: str
    at: int
    kind: str

    def __str__(self) -> str:
        return f"{self.call} {self.at} {self.kind}"

    @property
    def option(self) -> str:
        """Return the injection as strace takes it."""
        what = "signal=KILL" if self.kind == "SIGKILL" else f"error={self.kind}"
        return f"inject={self.call}:{what}:when={self.at}"


@dataclass(frozen=True)
class Ended:
    """How the program ended: its status (negative: a signal), what it said, and what it logged."""

    status: int
    said: str
    logged: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        return self.said.startswith("success\n")

    @property
    def code(self) -> str:
        found = re.search(r"^error:(.+)$", self.said, re.MULTILINE)
        return found[1] if found else ""


def sampled(faults: list[Fault], name: str, most: int) -> list[Fault]:
    """Return about *most* of the *faults*, always the same ones for *name*; all if *most* is 0."""
    step = max(1, len(faults) // most) if most else 1
    return faults[sum(name.encode()) % step :: step]


def imported() -> None:
    """Import all modules of the package, so that no import happens under the faults."""
    for module in pkgutil.walk_packages(backuppc_register.__path__, "backuppc_register."):
        import_module(module.name)
    import_module("tempfile")


class Machine:
    """A small server below *folder*, and what is done there."""

    def __init__(self, folder: Path) -> None:
        self.room, self.folder = folder, folder / "site"
        self.hosts, self.state = self.folder / "etc/hosts", self.folder / "state"
        self.aside = self.state / "aside"
        for name in ("etc", "data/pc", "state", "tmp"):
            (self.folder / name).mkdir(parents=True)
        self.hosts.write_text("host\tdhcp\tuser\tmoreUsers\n")
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._syslog.bind(str(folder / "log"))
        self._syslog.setblocking(False)
        (folder / "log").chmod(0o777)
        self.config = folder / "config.toml"
        text = site_config.text(self.folder).replace(f"{self.folder}/log", f"{folder}/log")
        self.config.write_text(f"{text}\n[limits]\nper_address = 0\n")
        self.give_to_the_owner()

    def give_to_the_owner(self) -> None:
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def pin(self, host: str) -> None:
        """Let the machine that `verify` reaches be known."""
        (self.state / "hosts" / host / "known_hosts").write_text(f"{host} {OWN_KEY}\n")

    def save(self, name: str) -> None:
        """Keep the machine as it is, by *name*."""
        shutil.rmtree(self.room / name, ignore_errors=True)
        subprocess.run(["cp", "-a", self.folder, self.room / name], check=True)

    def restore(self, name: str) -> None:
        """Make the machine again what it was when it was saved by *name*."""
        shutil.rmtree(self.folder)
        subprocess.run(["cp", "-a", self.room / name, self.folder], check=True)

    def register(self, request: str, host: str = "dormeur") -> Callable[[], tuple[int, str]]:
        """Return the work of the forced command for *request* of the machine *host*."""

        def work() -> tuple[int, str]:
            resolver, directory = Dns(f"{host}.univ-brest.fr"), People(*PEOPLE)
            forced_command._resolver = lambda settings: resolver
            forced_command._directory = lambda settings: directory
            given = {b"SSH_CONNECTION": CONNECTION, b"SSH_ORIGINAL_COMMAND": request.encode()}
            outcome = forced_command.run(["--config", str(self.config)], given)
            return outcome.exit_status, outcome.reply.decode()

        return work

    def verify(self, text: str, host: str = "dormeur") -> Callable[[], tuple[int, str]]:
        """Return the work of the forced command for the verify *text* of a machine that answers well."""
        request, folder = self.register(text, host), self.state / "hosts" / host
        private = next((path for path in (folder / "fresh_key", folder / "key") if path.exists()), folder)

        def work() -> tuple[int, str]:
            _answer_well(host, private)
            return request()

        return work

    def with_a_pause(self, host: str, *arguments: str) -> Callable[[], tuple[int, str]]:
        """Return the work of a verb while the owner of *host* has paused its backups for years."""
        verb = self.verb(*arguments)

        def work() -> tuple[int, str]:
            paused = Pauses({host: datetime(9999, 1, 1, tzinfo=UTC)})
            Daemon.pauses = lambda self, hosts, within: paused  # type: ignore[method-assign]
            Kept.lift_pause = lambda self, host: None  # type: ignore[method-assign]
            return verb()

        return work

    def verb(self, *arguments: str) -> Callable[[], tuple[int, str]]:
        """Return the work of the administrators' program with *arguments*."""

        def work() -> tuple[int, str]:
            ldap.Ldap.find = lambda self, logon, timeout: People(*PEOPLE).find(logon, timeout)  # type: ignore[method-assign]
            with redirect_stdout(io.StringIO()) as said, redirect_stderr(said):
                status = admin.main([*arguments, "--config", str(self.config)], {"SUDO_USER": "chef"})
            return status, said.getvalue()

        return work

    def run(self, work: Callable[[], tuple[int, str]], *strace: str) -> Ended:
        """Run *work* in a child, under strace with the options *strace* if there are any."""
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            self._in_the_child(work, theirs)
        theirs.close()
        with ours, _traced(child, strace):
            ours.send(b"go")
            said = ours.recv(1 << 20).decode("utf-8", "replace")
            _, status = os.waitpid(child, 0)
        return Ended(os.waitstatus_to_exitcode(status), said, tuple(self._logged()))

    def _in_the_child(self, work: Callable[[], tuple[int, str]], channel: socket.socket) -> None:
        status = 99
        try:
            ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYONE, 0, 0, 0)
            os.umask(0o027)
            tempfile.tempdir = str(self.folder / "tmp")
            channel.recv(2)
            status, said = work()
            channel.send(said.encode())
        except BaseException as error:  # a bug of the program, or of this
            with suppress(OSError):
                channel.send(f"{error!r}".encode())
        finally:
            os._exit(status)

    def _logged(self) -> Iterator[str]:
        with suppress(BlockingIOError):
            while True:
                yield self._syslog.recv(65536).decode("ascii")

    def faults_of(self, work: Callable[[], tuple[int, str]]) -> list[Fault]:
        """Do *work* once, and return every fault that its system calls on the site can have."""
        trace = self.room / "trace"
        ended = self.run(work, "-y", "-s", "0", "-o", str(trace), "-e", f"trace={','.join(CALLS)}")
        assert ended.status in (0, 1), ended
        counts: dict[str, int] = {}
        found = []
        for line in trace.read_text("utf-8", "replace").splitlines():
            if match := _LINE.match(line):
                call = match[1]
                counts[call] = counts.get(call, 0) + 1
                if str(self.folder) in line:
                    found += [Fault(call, counts[call], k) for k, calls in FAULTS.items() if call in calls]
        return found

    def fail(self, work: Callable[[], tuple[int, str]], fault: Fault) -> Ended:
        """Do *work* with one *fault*."""
        return self.run(work, "-o", "/dev/null", "-e", f"trace={fault.call}", "-e", fault.option)

    def close(self) -> None:
        self._syslog.close()


def _answer_well(host: str, private: Path) -> None:
    """Let the machine *host* be reached and recognised, and accept the key *private*."""
    its_settings = Settings("rsync", False, (host,), "/usr/bin/ssh", ("-e", "ssh"), (), ("/home",))
    way = WayBack(its_settings, ssh.Place(host, host), ("ssh",), (Transfer("/home", (), b""),))
    probed = "version:1\nsystem:Linux\nuser:bckpciuem\nrsync:3.5.0\nshare:/home\nrestore:off\n"
    for module, name, value in (
        (way_back, "find", way),
        (ssh, "offered_key", OWN_KEY),
        (ssh, "run", ssh.Answer(probed, "", 0, str(private))),
        (begin_backup, "begin_each", None),
        (forced_command, "_input", b""),
    ):
        setattr(module, name, lambda *given, value=value: value)


@contextmanager
def _traced(child: int, options: Sequence[str]) -> Iterator[None]:
    if not options:
        yield
        return
    strace = subprocess.Popen(
        ["strace", "-qq", "-p", str(child), *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
            if strace.poll() is not None:
                os.kill(child, signal.SIGKILL)
                assert strace.stderr
                sys.exit(f"strace: {strace.stderr.read().decode()}")
            time.sleep(0.001)
        yield
    finally:
        strace.wait(30)


@contextmanager
def machine() -> Iterator[Machine]:
    """Give a machine in a folder that every account may enter."""
    imported()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Machine(Path(folder))
        yield made
        made.close()
