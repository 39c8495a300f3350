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

LARGEST_ANSWER = 1 << 26
"""Bytes that `run` reads likewise."""

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
        return _last_words(self.errors)


class TimedOut(TimeoutError):
    """A program took too long and was ended; *output* and *errors* are what it had written by then."""

    def __init__(self, program: str, output: bytes, errors: bytes = b"") -> None:
        super().__init__(f"{program} took too long")
        self.output = output
        self.errors = errors

    @property
    def error_text(self) -> str:
        """Return the end of its standard error, for people to read."""
        return _last_words(self.errors)


def _last_words(errors: bytes) -> str:
    return errors.decode("utf-8", "replace").strip()[-300:]


def run(
    command: Sequence[str | bytes],
    timeout: float,
    *,
    folder: str | Path = "/",
    path: str = PATH,
    files: tuple[int, ...] = (),
) -> ProgramResult:
    """Run *command* in *folder* for at most *timeout* seconds, then end all that it started.

    *path*: where it is searched. *files*: open descriptors that it inherits. The status is that of a signal
    if it was ended after LARGEST_ANSWER bytes.

    Raises OSError if it cannot be started, TimedOut, and ValueError if *command* contains a NUL.
    """
    from subprocess import DEVNULL, PIPE  # slow to import, and most requests need no program

    with _start(command, folder=folder, path=path, files=files, streams=(DEVNULL, PIPE)) as process:
        return _followed(process, command[0], None, timeout, LARGEST_ANSWER)


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
    from subprocess import PIPE, STDOUT

    streams = STDOUT if together else PIPE
    with temporary.file(stdin) as given, _start(command, streams=(given, streams)) as process:
        return _followed(process, command[0], enough, timeout, LARGEST_OUTPUT)


def _followed(
    process: "Popen[bytes]",
    program: str | bytes,
    enough: Callable[[bytes], bool] | None,
    timeout: float,
    largest: int,
) -> ProgramResult:
    """Read what *process* writes until its end or *enough*, then end all that it started; raises TimedOut."""
    from subprocess import TimeoutExpired

    deadline = Deadline(timeout)
    received = {stream.fileno(): bytearray() for stream in (process.stdout, process.stderr) if stream}
    try:
        if _read_until(received, enough, deadline, largest):
            process.wait(deadline.remaining())
    except (TimeoutExpired, _Late) as late:
        output, *errors = map(bytes, received.values())
        raise TimedOut(os.fsdecode(program), output, b"".join(errors)) from late
    finally:
        _kill_group(process)
        process.wait()
    output, *errors = map(bytes, received.values())
    return ProgramResult(process.returncode, output, b"".join(errors))


class _Late(Exception):
    """A program has neither ended nor written enough in time."""


def _read_until(
    received: dict[int, bytearray], enough: Callable[[bytes], bool] | None, deadline: Deadline, largest: int
) -> bool:
    """Append to *received* what comes, by descriptor, output first; tell whether all of it was closed.

    Raises _Late.
    """
    output, still_open = next(iter(received.values())), list(received)
    while still_open and sum(map(len, received.values())) < largest:
        if enough and enough(bytes(output)):
            break
        ready, _, _ = select.select(still_open, [], [], deadline.remaining())
        if not ready:
            raise _Late
        for descriptor in ready:
            part = os.read(descriptor, 1 << 16)
            received[descriptor] += part
            if not part:
                still_open.remove(descriptor)
    return not still_open


def _kill_group(process: "Popen[bytes]") -> None:
    """Kill *process* and all that it started: the rest would go on without it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def stream(command: Sequence[str], *, path: str = PATH) -> IO[bytes]:
    """Start *command* and return its output and errors as an open stream, to be read to its end.

    Raises OSError if it cannot be started.
    """
    from subprocess import DEVNULL, STDOUT

    output = _start(command, path=path, streams=(DEVNULL, STDOUT)).stdout
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
