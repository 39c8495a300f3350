"""A command that runs in a host: started, waited for, and its end as a value."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from .parts import PATIENCE, LabError, descendants


@dataclass(frozen=True)
class Result:
    """How a command ended. Bytes that are no UTF-8 stand in the texts as surrogates."""

    command: Sequence[str]
    stdout: str
    stderr: str
    status: int

    @property
    def lines(self) -> list[str]:
        """Give the lines of standard output, without their line feeds."""
        return self.stdout.removesuffix("\n").split("\n") if self.stdout else []

    def __str__(self) -> str:
        head = f"{list(self.command)} ended with {self.status}"
        return f"{head}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Process:
    """A running command; its standard input stays open until `close` or the first `wait`."""

    def __init__(self, command: Sequence[str], entry: Sequence[str], env: Mapping[str, str]) -> None:
        # Files, not pipes: a daemon that keeps them open then holds nobody up.
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 (closed in _result)
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        self.command = command
        self._popen = subprocess.Popen(
            [*entry, *command],
            env=env,
            stdin=subprocess.PIPE,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )
        self.stdin: IO[bytes] = self._popen.stdin  # type: ignore[assignment]
        self._ended: Result | None = None

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self._popen.poll() is None

    def close(self) -> None:
        """End its standard input."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()

    def send(self, data: bytes) -> None:
        """Give it *data* to read; what it does not want is lost."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(data)
            self.stdin.flush()

    def feed(self, data: bytes) -> None:
        """Give it *data* and the end of it to read, without waiting: it may not read that fast, or ever."""
        threading.Thread(target=self._send_all, args=(data,), daemon=True).start()

    def output(self) -> str:
        """Give what it has written to standard output by now."""
        return _all_of(self._out)

    def errors(self) -> str:
        """Give what it has written to standard error by now."""
        return _all_of(self._err)

    def wait(self, timeout: float = 30, *, leave_open: bool = False) -> Result:
        """Close its input unless *leave_open*, wait for its end at most *timeout* seconds.

        Raises LabError when that was too short; the command has then been killed.
        """
        if self._ended:
            return self._ended
        if not leave_open:
            self.close()
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LabError(f"not done after {timeout} s: {self._result(128 + signal.SIGKILL)}") from None
        self._ended = self._result(as_shell_says(status))
        return self._ended

    def signal(self, number: int) -> None:
        """Send a signal to the command and to all that it has started and that has not become a daemon."""
        # `nsenter` stops itself with its command, and would never go on by itself.
        itself = [self._popen.pid] if number == signal.SIGCONT else []
        for pid in itself + descendants(self._popen.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, timeout: float = PATIENCE) -> Result:
        """Ask it to end (SIGTERM) and wait for that; give how it ended. Raises LabError."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """Kill it with all that it has started."""
        self.signal(signal.SIGKILL)
        self._popen.wait()
        self.close()

    def _send_all(self, data: bytes) -> None:
        self.send(data)
        self.close()

    def _result(self, status: int) -> Result:
        self.close()
        return Result(self.command, self.output(), self.errors(), status)


def as_shell_says(status: int) -> int:
    """Give 128 + N for what signal N has ended, as a shell does; Popen has -N."""
    return status if status >= 0 else 128 - status


def _all_of(file: IO[bytes]) -> str:
    # pread leaves alone the offset that the command writes at: both share it.
    parts, offset = [], 0
    while part := os.pread(file.fileno(), 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts).decode(errors="surrogateescape")
