"""A daemon of a host, which a test can stop, start again and read the words of."""

import signal
from collections.abc import Callable, Sequence

from .host import Host
from .parts import LabError
from .process import Process


class Service:
    """A daemon in the foreground: *ready* tells when it answers; it ends with its host at the latest."""

    def __init__(
        self,
        host: Host,
        name: str,
        command: Sequence[str],
        ready: Callable[[], object],
        *,
        user: str = "root",
    ) -> None:
        self.name = name
        self._host, self._command, self._ready, self._user = host, command, ready, user
        self._process: Process | None = None

    def launch(self) -> None:
        """Start it without waiting until it answers."""
        if self.running:
            raise LabError(f"{self.name} runs already on {self._host.name}")
        self._process = self._host.start(self._command, user=self._user)
        self._process.close()

    def await_ready(self) -> None:
        """Wait until it answers. Raises LabError with what it said when it does not, or has ended."""
        try:
            self._host.wait_for(lambda: not self.running or self._ready(), f"{self.name} answering")
        except LabError as error:
            raise LabError(f"{error}\n{self.log}") from None
        if not self.running:
            raise LabError(f"{self.name} ended on {self._host.name}:\n{self.log}")

    def start(self) -> None:
        """Start it and wait until it answers. Raises LabError."""
        self.launch()
        self.await_ready()

    def stop(self) -> None:
        """End it, with what it has started, and wait for that. Raises LabError."""
        if self._process:
            self._process.stop()

    def hang(self) -> None:
        """Let it stand still, with all that is its own: whoever asks it waits."""
        if self._process:
            self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Undo `hang`."""
        if self._process:
            self._process.signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it and start it again. Raises LabError."""
        self.stop()
        self.start()

    @property
    def running(self) -> bool:
        """Tell whether its process lives."""
        return self._process is not None and self._process.alive()

    @property
    def log(self) -> str:
        """Give what it has written to standard output and standard error since its last start."""
        return self._process.output() + self._process.errors() if self._process else ""
