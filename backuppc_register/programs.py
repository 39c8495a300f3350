"""The only place that starts a program: away from our terminal and environment, and for so long at most."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import Popen

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
    command: Sequence[str],
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
    from subprocess import PIPE, TimeoutExpired  # slow to import, and most requests need no program

    with _started(command, folder=folder, path=path, files=files, stderr=PIPE) as process:
        try:
            said, complained = process.communicate(timeout=within)
        except TimeoutExpired as late:
            raise TooSlow(command[0], late.stdout or b"") from late
        finally:
            # The whole group: what it has started would go on without it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return Ended(process.returncode, said, complained)


def output(command: Sequence[str], *, path: str = PATH) -> IO[bytes]:
    """Start *command* and return what it says, to be read to its end; its complaints are lost.

    Raises OSError where it cannot be started.
    """
    from subprocess import DEVNULL

    said = _started(command, folder="/", path=path, files=(), stderr=DEVNULL).stdout
    if said is None:
        raise OSError(f"{command[0]} has no standard output")
    return said


def _started(
    command: Sequence[str], *, folder: str | Path, path: str, files: tuple[int, ...], stderr: int
) -> "Popen[bytes]":
    from subprocess import DEVNULL, PIPE, Popen

    return Popen(
        command,
        cwd=folder,
        env={"PATH": path, "LC_ALL": "C.UTF-8"},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=stderr,
        pass_fds=files,
        # It may run as BackupPC's account while root is at the terminal: who holds it could type there.
        start_new_session=True,
    )
