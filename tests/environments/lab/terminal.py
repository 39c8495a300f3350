"""A person at a terminal of a host: reads what a program shows, types answers."""

import codecs
import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from .parts import LabError, descendants
from .process import as_shell_says

TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441  # ioctl_tty(2); Python has no names for them


class Terminal:
    """A command on a terminal of the host's own (in its /dev/pts): /dev/tty, ttyname() and Ctrl-C work."""

    def __init__(
        self, root: str, entry: Sequence[str], command: Sequence[str], env: Mapping[str, str], *, owner: int
    ) -> None:
        self.command = command
        self.shown = ""
        self._seen = 0
        self._held = ""  # a return that may be the first half of an end of line
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._master = os.open(f"{root}/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(self._master, TIOCSPTLCK, struct.pack("i", 0))
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        slave = fcntl.ioctl(self._master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        try:
            os.fchown(slave, owner, -1)
            self._popen = subprocess.Popen(
                [*entry, *command],
                env=env,
                stdin=slave,
                stdout=slave,
                stderr=slave,
            )
        finally:
            os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()

    def expect(self, pattern: str, timeout: float = 15) -> re.Match[str]:
        """Read on until the regular expression *pattern* is shown. Raises LabError after *timeout* s."""
        end = time.monotonic() + timeout
        while not (match := re.compile(pattern, re.DOTALL).search(self.shown, self._seen)):
            if not self._read(end - time.monotonic()):
                raise LabError(f"{list(self.command)} never showed {pattern!r}, but:\n{self.shown}")
        self._seen = match.end()
        return match

    def type(self, text: str) -> None:
        """Type *text* and the return key."""
        os.write(self._master, text.encode(errors="surrogateescape") + b"\n")

    def press(self, keys: str) -> None:
        """Press single *keys*, control characters such as `\\x03` (Ctrl-C) or `\\x04` (end of input) too."""
        os.write(self._master, keys.encode())

    def answer(self, pattern: str, text: str, timeout: float = 15) -> None:
        """Wait for the question *pattern* and type *text*."""
        self.expect(pattern, timeout)
        self.type(text)

    def wait(self, timeout: float = 30) -> int:
        """Read to the end and give the exit status. Raises LabError when it takes over *timeout* seconds."""
        end = time.monotonic() + timeout
        while self._read(end - time.monotonic()):
            pass
        try:
            return as_shell_says(self._popen.wait(max(end - time.monotonic(), 0.1)))
        except subprocess.TimeoutExpired:
            self.hang_up()
            raise LabError(f"{list(self.command)} not done after {timeout} s:\n{self.shown}") from None

    def hang_up(self) -> None:
        """Close the terminal; what runs on it gets SIGHUP, and SIGKILL if it does not mind that."""
        master, self._master = self._master, -1  # closed once: the number may soon be another file's
        if master >= 0:
            os.close(master)
        try:
            self._popen.wait(2)
        except subprocess.TimeoutExpired:
            for child in descendants(self._popen.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self._popen.wait()

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(patience, 0))
        if not ready:
            return False
        try:
            block = os.read(self._master, 65536)
        except OSError:  # EIO: the last process closed its side
            return False
        text = re.sub(r"\r+\n", "\n", self._held + self._decoder.decode(block))
        self._held = "\r" if text.endswith("\r") else ""
        self.shown += text.removesuffix("\r")
        return bool(block)
