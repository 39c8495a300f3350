"""A real OpenSSH server as a child process, on a high port of a loopback address."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
PATIENCE = 20.0

# StrictModes no: the folder is below /tmp, where all may write. UsePAM: the account may have no password.
_CONFIGURATION = """\
Port {port}
ListenAddress {address}
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel VERBOSE
"""


class SshdError(Exception):
    """sshd did not do what the test asked of it."""


class Sshd:
    """sshd in the foreground, as whoever starts it, until the ``with`` statement ends.

    Only that same account can log in, by the *authorized_keys* given (lines of that file; `authorize` changes
    them). *key_types* are those of its ssh host keys, *options* further lines of sshd_config(5).
    """

    def __init__(
        self,
        authorized_keys: str = "",
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        key_types: Sequence[str] = ("ed25519",),
        options: str = "",
    ) -> None:
        self.address = address
        self.port = port or free_port(address)
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self._authorized_keys, self._key_types, self._options = authorized_keys, key_types, options
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="sshd."))
        try:
            for kind in self._key_types:
                make_key(self._folder / f"host_{kind}", kind=kind)
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Give the pid of the listening process. Raises SshdError."""
        if self._process is None:
            raise SshdError("sshd does not run")
        return self._process.pid

    @property
    def host_keys(self) -> list[str]:
        """Give the public ssh host keys, `TYPE BASE64` each."""
        texts = (path.read_text() for path in sorted(self._folder.glob("host_*.pub")))
        return [" ".join(text.split()[:2]) for text in texts]

    @property
    def known_hosts(self) -> str:
        """Give the known_hosts lines that pin this server."""
        return "".join(f"[{self.address}]:{self.port} {key}\n" for key in self.host_keys)

    @property
    def log(self) -> str:
        """Give what the server has logged so far."""
        return (self._folder / "sshd.log").read_text(errors="replace")

    def authorize(self, lines: str) -> None:
        """Let the authorized_keys file be *lines*, from the next login on."""
        self._authorized_keys = lines
        (self._folder / "authorized_keys").write_text(lines)

    def command(self, key: Path, *words: str) -> list[str]:
        """Give the ssh command line that logs in with *key*, asks nothing and trusts no other server."""
        known = self._folder / "known_hosts"
        known.write_text(self.known_hosts)
        wanted = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes")
        options = [word for option in (*wanted, f"UserKnownHostsFile={known}") for word in ("-o", option)]
        target = ["-i", str(key), "-p", str(self.port), "-l", self.user, self.address]
        return ["ssh", "-F", "none", "-x", "-a", *options, *target, *words]

    def start(self) -> None:
        """Start it and wait until it greets. Raises SshdError."""
        if not os.geteuid():
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd refuses to start without
        self.authorize(self._authorized_keys)
        with (self._folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                command_line(self._write()), stdin=subprocess.DEVNULL, stderr=log, start_new_session=True
            )
        until = time.monotonic() + PATIENCE
        while not greets(self.address, self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                raise SshdError(f"sshd did not start on port {self.port}:\n{self.log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it and the sessions that it has open."""
        if self._process is None:
            return
        sessions = _children(self._process.pid)
        self._process.terminate()
        for session in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(session, signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _write(self) -> Path:
        text = _CONFIGURATION.format(port=self.port, address=self.address, folder=self._folder)
        keys = "".join(f"HostKey {self._folder}/host_{kind}\n" for kind in self._key_types)
        configuration = self._folder / "sshd_config"
        configuration.write_text(f"{self._options}\n{text}{keys}")  # sshd takes the first value that it finds
        return configuration


def command_line(configuration: Path) -> list[str]:
    """Give the command that runs sshd in the foreground until SIGTERM, or until the caller dies."""
    program = shutil.which("sshd", path=PATH)  # sshd insists on being called by its full path
    if not program:
        raise SshdError("sshd is not installed")
    return ["setpriv", "--pdeathsig", "TERM", program, "-D", "-e", "-f", str(configuration)]


def make_key(path: Path, *, kind: str = "ed25519", comment: str = "") -> str:
    """Make a key pair without passphrase at *path*; give its public line."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.with_name(f"{path.name}.pub").read_text().rstrip("\n")


def free_port(address: str = "127.0.0.1") -> int:
    """Give a TCP port that is free at *address*."""
    with socket.create_server((address, 0), family=_family(address)) as probe:
        return int(probe.getsockname()[1])


def greets(address: str, port: int) -> bool:
    """Tell whether an ssh server says its version there within a second."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
