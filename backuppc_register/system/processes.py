"""Run programs with a timeout, without our terminal and environment; no other module starts one."""

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

LARGEST_OUTPUT = 1 << 18
"""Bytes that `run_until` reads of both streams together before it ends the program."""

PATH = "/usr/bin:/bin"
PATH_OF_ROOT = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class ProgramResult:
    """How a program ended: its exit *status* (negative: a signal), standard output and standard error."""

    status: int
    output: bytes
    errors: bytes

    @property
    def error_text(self) -> str:
        """Return the end of its standard error, for people to read."""
        return self.errors.decode("utf-8", "replace").strip()[-300:]


class TimedOut(TimeoutError):
    """A program took too long and was ended; *output* is what it had written by then."""

    def __init__(self, program: str, output: bytes) -> None:
        super().__init__(f"{program} took too long")
        self.output = output


def run(
    command: Sequence[str | bytes],
    timeout: float,
    *,
    folder: str | Path = "/",
    path: str = PATH,
    files: tuple[int, ...] = (),
) -> ProgramResult:
    """Run *command* in *folder* for at most *timeout* seconds, then end all that it started.

    *path*: where it is searched. *files*: open descriptors that it inherits.

    Raises OSError if it cannot be started, TimedOut, and ValueError if *command* contains a NUL.
    """
    from subprocess import DEVNULL, PIPE, TimeoutExpired  # slow to import, and most requests need no program

    with _start(command, folder=folder, path=path, files=files, streams=(DEVNULL, PIPE)) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except TimeoutExpired as late:
            raise TimedOut(os.fsdecode(command[0]), late.stdout or b"") from late
        finally:
            _kill_group(process)
    return ProgramResult(process.returncode, output, errors)


def run_until(
    command: Sequence[str | bytes],
    stdin: bytes,
    enough: Callable[[bytes], bool],
    timeout: float,
    *,
    together: bool = False,
) -> ProgramResult:
    """Run *command* with the input *stdin* until *enough* holds for its output, then end all that it started.

    The status is that of a signal if we ended it. That happens as well after LARGEST_OUTPUT bytes.
    *together*: standard error is part of the output.

    Raises OSError if it cannot be started, TimedOut, and ValueError if *command* contains a NUL.
    """
    from subprocess import PIPE, STDOUT, TimeoutExpired

    deadline, streams = Deadline(timeout), STDOUT if together else PIPE
    with temporary.file(stdin) as given, _start(command, streams=(given, streams)) as process:
        try:
            output, errors, complete = _read_until(process, enough, deadline)
            if complete:
                process.wait(deadline.remaining())
        except TimeoutExpired as late:
            raise TimedOut(os.fsdecode(command[0]), b"") from late
        finally:
            _kill_group(process)
    return ProgramResult(process.returncode, output, errors)


def _read_until(
    process: "Popen[bytes]", enough: Callable[[bytes], bool], deadline: Deadline
) -> tuple[bytes, bytes, bool]:
    """Return the output and errors of *process*, and whether both streams were closed; raises TimedOut."""
    received = {stream.fileno(): b"" for stream in (process.stdout, process.stderr) if stream is not None}
    output, still_open = next(iter(received)), list(received)
    while still_open and not enough(received[output]) and sum(map(len, received.values())) < LARGEST_OUTPUT:
        ready, _, _ = select.select(still_open, [], [], deadline.remaining())
        if not ready:
            raise TimedOut("it", received[output])
        for descriptor in ready:
            part = os.read(descriptor, 4096)
            received[descriptor] += part
            if not part:
                still_open.remove(descriptor)
    return received.pop(output), b"".join(received.values()), not still_open


def _kill_group(process: "Popen[bytes]") -> None:
    """Kill *process* and all that it started: the rest would go on without it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def stream(command: Sequence[str], *, path: str = PATH) -> IO[bytes]:
    """Start *command* and return its output as an open stream, to be read to its end; drop its errors.

    Raises OSError if it cannot be started.
    """
    from subprocess import DEVNULL

    output = _start(command, path=path, streams=(DEVNULL, DEVNULL)).stdout
    if output is None:
        raise OSError(f"{command[0]} has no standard output")
    return output


def _start(
    command: Sequence[str | bytes],
    *,
    streams: tuple[int, int],
    folder: str | Path = "/",
    path: str = PATH,
    files: tuple[int, ...] = (),
) -> "Popen[bytes]":
    """Start *command*; *streams* are its standard input and standard error, as Popen takes them."""
    from subprocess import PIPE, Popen

    return Popen(
        command,
        cwd=folder,
        env={"PATH": path, "LC_ALL": "C.UTF-8"},
        stdin=streams[0],
        stdout=PIPE,
        stderr=streams[1],
        pass_fds=files,
        # It may run as BackupPC's account while root uses the terminal: it must not be able to type there.
        start_new_session=True,
    )
