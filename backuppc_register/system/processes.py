"""The only place that starts a program: away from our terminal and environment, and for so long at most."""

import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from backuppc_register.system import temporary
from backuppc_register.system.deadline import Deadline

if TYPE_CHECKING:
    from subprocess import Popen

LARGEST_BEGINNING = 1 << 18
"""Bytes that are listened to for how a program begins, its complaints included."""

PATH = "/usr/bin:/bin"
PATH_OF_ROOT = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit *status*, negative for a signal, and what it wrote to its two outputs."""

    status: int
    said: bytes
    complained: bytes

    @property
    def complaint(self) -> str:
        """What it complained of last, for people to read."""
        return self.complained.decode("utf-8", "replace").strip()[-300:]


class TooSlow(TimeoutError):
    """A program took too long and was ended; *said* is what it had said by then."""

    def __init__(self, program: str, said: bytes) -> None:
        super().__init__(f"{program} took too long")
        self.said = said


def run(
    command: Sequence[str | bytes],
    within: float,
    *,
    folder: str | Path = "/",
    path: str = PATH,
    files: tuple[int, ...] = (),
) -> Ended:
    """Run *command* in *folder* for *within* seconds at most; nothing that it started goes on afterwards.

    It is looked for in *path*, and gets the open descriptors *files*.

    Raises OSError where it cannot be started, TooSlow, ValueError where a NUL is in *command*.
    """
    from subprocess import DEVNULL, PIPE, TimeoutExpired  # slow to import, and most requests need no program

    with _started(command, folder=folder, path=path, files=files, streams=(DEVNULL, PIPE)) as process:
        try:
            said, complained = process.communicate(timeout=within)
        except TimeoutExpired as late:
            raise TooSlow(os.fsdecode(command[0]), late.stdout or b"") from late
        finally:
            _end_all(process)
    return Ended(process.returncode, said, complained)


def beginning(
    command: Sequence[str | bytes],
    told: bytes,
    enough: Callable[[bytes], bool],
    within: float,
    *,
    together: bool = False,
) -> Ended:
    """Run *command* with the input *told* until what it has said is *enough*, or it ends.

    Where we end it, one that says or complains of more than LARGEST_BEGINNING bytes too, the status is that
    of a signal; nothing of it goes on. *together*: what it complains of counts as said.

    Raises OSError where it cannot be started, TooSlow, ValueError where a NUL is in *command*.
    """
    from subprocess import PIPE, STDOUT, TimeoutExpired

    deadline, streams = Deadline(within), STDOUT if together else PIPE
    with temporary.file(told) as given, _started(command, streams=(given, streams)) as process:
        try:
            said, complained, ended = _heard(process, enough, deadline)
            if ended:
                process.wait(deadline.remaining())
        except TimeoutExpired as late:
            raise TooSlow(os.fsdecode(command[0]), b"") from late
        finally:
            _end_all(process)
    return Ended(process.returncode, said, complained)


def _heard(
    process: "Popen[bytes]", enough: Callable[[bytes], bool], deadline: Deadline
) -> tuple[bytes, bytes, bool]:
    """Return what *process* said and complained of, and whether that was all; raises TooSlow."""
    heard = {stream.fileno(): b"" for stream in (process.stdout, process.stderr) if stream is not None}
    said, open_ones = next(iter(heard)), list(heard)
    while open_ones and not enough(heard[said]) and sum(map(len, heard.values())) < LARGEST_BEGINNING:
        ready, _, _ = select.select(open_ones, [], [], deadline.remaining())
        if not ready:
            raise TooSlow("it", heard[said])
        for descriptor in ready:
            part = os.read(descriptor, 4096)
            heard[descriptor] += part
            if not part:
                open_ones.remove(descriptor)
    return heard.pop(said), b"".join(heard.values()), not open_ones


def _end_all(process: "Popen[bytes]") -> None:
    """End a process with its whole group: what it has started would go on without it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def output(command: Sequence[str], *, path: str = PATH) -> IO[bytes]:
    """Start *command* and return what it says, to be read to its end; its complaints are lost.

    Raises OSError where it cannot be started.
    """
    from subprocess import DEVNULL

    said = _started(command, path=path, streams=(DEVNULL, DEVNULL)).stdout
    if said is None:
        raise OSError(f"{command[0]} has no standard output")
    return said


def _started(
    command: Sequence[str | bytes],
    *,
    streams: tuple[int, int],
    folder: str | Path = "/",
    path: str = PATH,
    files: tuple[int, ...] = (),
) -> "Popen[bytes]":
    """Start *command*; *streams* are its standard input and error, Popen's words."""
    from subprocess import PIPE, Popen

    return Popen(
        command,
        cwd=folder,
        env={"PATH": path, "LC_ALL": "C.UTF-8"},
        stdin=streams[0],
        stdout=PIPE,
        stderr=streams[1],
        pass_fds=files,
        # It may run as BackupPC's account while root is at the terminal: who holds it could type there.
        start_new_session=True,
    )
