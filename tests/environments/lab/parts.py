"""What the lab's parts share: the error that they raise, and starting a process 1."""

import contextlib
import functools
import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

MACHINE = Path(__file__).with_name("machine.py")
MARK = "backuppc-register-lab"
PATIENCE = 20.0
FIRST_LAYER = 100  # machine.py opens them


class LabError(Exception):
    """The lab could not do what the test asked of it."""


class ProcessOne:
    """A process 1 (`machine.py`) in namespaces of its own, from outside: its pid, its lifeline, its end."""

    def __init__(self, lab: str, name: str, namespaces: list[str], spec: dict[str, Any]) -> None:
        self.name = name
        owner = f"{os.getpid()}:{start_time(os.getpid())}:{pid_namespace()}"
        argv = ["unshare", *namespaces, "/usr/bin/python3", "-I", "-S", str(MACHINE), MARK, lab, name, owner]
        self._outer = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._lifeline, self._said, self._complaints = (
            cast(IO[bytes], pipe) for pipe in (self._outer.stdin, self._outer.stdout, self._outer.stderr)
        )
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.write(json.dumps(spec).encode() + b"\n")
            self._lifeline.flush()
        self.pid = 0
        self._parts: list[str] = []

    def await_ready(self) -> int:
        """Wait until it has built what it is to be; give its pid. Raises LabError."""
        word, _, facts = self._said.readline().decode().partition(" ")
        if word != "ready":
            complaint = self._complaints.read().decode(errors="replace")
            self._outer.wait()
            raise LabError(f"{self.name} did not start:\n{complaint}")
        pid, _, parts = facts.partition(" ")
        self.pid, self._parts = int(pid), json.loads(parts)
        return self.pid

    def written(self) -> Iterator[tuple[str, os.stat_result]]:
        """Find what differs from the machine's files, or has differed: each path in the host and its status.

        What is not in these upper layers of the overlays cannot have changed.
        """
        for number, part in enumerate(self._parts):
            layer = f"/proc/{self.pid}/fd/{FIRST_LAYER + number}"
            for folder, folders, files in os.walk(layer):
                for name in ["", *folders, *files] if folder == layer else [*folders, *files]:
                    status = Path(folder, name).lstat()
                    if not (stat.S_ISCHR(status.st_mode) and status.st_rdev == 0):  # a whiteout is not there
                        inside = Path("/", part, os.path.relpath(folder, layer), name)
                        yield str(inside), status

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self._outer.poll() is None

    def keep(self) -> None:
        """Let it outlive this program: `kill -9` of its pid is then the only end."""
        self._lifeline.write(b"keep\n")
        self._lifeline.flush()

    def kill(self) -> None:
        """End it, and with it all that runs inside, without waiting for that."""
        if self.pid and self.alive():  # its number may be another process's otherwise
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it likewise; done when the last process is gone."""
        self.kill()
        for pipe in (self._lifeline, self._said, self._complaints):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._outer.wait()


@dataclass(frozen=True)
class Found:
    """A process 1, or a switch, of any lab on this machine, as its command line and name tell.

    `owner` is the pid of the program that opened the lab, as `namespace` counts pids.
    """

    pid: int
    lab: str
    owner: int
    since: str
    namespace: str
    kept: bool

    @property
    def orphaned(self) -> bool:
        """Tell whether its program is gone; in a PID namespace other than ours nobody can be told from here.

        What lives in one ends with it at the latest.
        """
        return self.namespace == pid_namespace() and start_time(self.owner) != self.since

    def kill(self) -> None:
        """End it, if it has not ended yet."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def processes_one() -> Iterator[Found]:
    """Find those of all labs on this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            kept = (folder / "comm").read_text() == "lab-kept\n"
        except OSError:
            continue
        if MARK in argv and argv[0].endswith("python3"):
            lab, _name, owner = argv[argv.index(MARK) + 1 :][:3]
            pid, since, namespace = owner.split(":")
            yield Found(int(folder.name), lab, int(pid), since, namespace, kept)


def descendants(pid: int) -> list[int]:
    """Give the processes below *pid*, without itself: `nsenter` stays, to say how its command ended."""
    found = [pid]
    for number in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split())
    return found[1:]


@functools.cache
def pid_namespace() -> str:
    """Give the number of the PID namespace that we are in."""
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def start_time(pid: int) -> str:
    """Give the start time of process *pid* in clock ticks: with the pid it names a process for good."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
