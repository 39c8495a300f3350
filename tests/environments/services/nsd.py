"""A real DNS server, NSD, as a child process: zones in, answers out."""

import contextlib
import ipaddress
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = ("127.0.0.1", "::1")
PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
PATIENCE = 20.0

_HEADER = """\
$ORIGIN {origin}.
$TTL 60
@ IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60
@ IN NS ns.invalid.
"""
_SERVER = """\
server:
    port: {port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    xfrdir: "{folder}"
    database: ""
    zonelistfile: "{folder}/zone.list"
    xfrdfile: "{folder}/xfrd.state"
    pidfile: "{folder}/nsd.pid"
    logfile: "{folder}/nsd.log"
    server-count: 1
    rrl-ratelimit: 0
    zonefiles-check: no
"""


class NsdError(Exception):
    """NSD did not do what the test asked of it."""


class Nsd:
    """NSD in the foreground, as whoever starts it, until the ``with`` statement ends.

    *zones* maps a zone's name to its records in the form of a zone file; `$ORIGIN`, `$TTL`, SOA and NS are
    put before them. What is no zone of these is REFUSED, and a zone whose text is no zone file is SERVFAIL.
    With *port* 0 a free one is found; it is `self.port` afterwards.
    """

    def __init__(
        self, zones: Mapping[str, str], *, addresses: Sequence[str] = LOOPBACK, port: int = 0
    ) -> None:
        self.addresses = tuple(addresses)
        self.port = port or free_port(addresses)
        self._zones = dict(zones)
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="nsd."))
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Give the pid of the server's first process, which ends the others. Raises NsdError."""
        if self._process is None:
            raise NsdError("NSD does not run")
        return self._process.pid

    @property
    def log(self) -> str:
        """Give what the server has logged so far."""
        return (self._folder / "nsd.log").read_text(errors="replace")

    def serve(self, zones: Mapping[str, str]) -> None:
        """Answer from *zones* from now on, and from nothing else.

        NSD is started anew on its port: a SIGHUP would be done some time later, and knows of no new zones.
        """
        self._stop()
        self._zones = dict(zones)
        self._start()

    def _start(self) -> None:
        proof = secrets.token_hex(8) + ".nsd-is-ready.invalid"
        zones = {**self._zones, proof: ""}
        command = command_line(write(self._folder, zones, addresses=self.addresses, port=self.port))
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + PATIENCE
        while not all(answers(address, self.port, proof) for address in self.addresses):
            if self._process.poll() is not None or time.monotonic() > until:
                raise NsdError(f"NSD did not start on port {self.port}:\n{self.log}")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


def write(
    folder: Path, zones: Mapping[str, str], *, addresses: Sequence[str] = LOOPBACK, port: int = 53
) -> Path:
    """Write NSD's configuration and its zone files to *folder*; give the configuration's path."""
    lines = [_SERVER.format(folder=folder, port=port)]
    lines += [f"    ip-address: {address}\n" for address in addresses]
    lines.append("remote-control:\n    control-enable: no\n")
    for number, (origin, records) in enumerate(zones.items()):
        name = f"{number}.zone"
        (folder / name).write_text(_HEADER.format(origin=origin) + records)
        lines.append(f'zone:\n    name: "{origin}"\n    zonefile: "{name}"\n')
    configuration = folder / "nsd.conf"
    configuration.write_text("".join(lines))
    return configuration


def command_line(configuration: Path) -> list[str]:
    """Give the command that runs NSD in the foreground until SIGTERM, or until the caller dies."""
    program = shutil.which("nsd", path=PATH)
    if not program:
        raise NsdError("nsd is not installed")
    return ["setpriv", "--pdeathsig", "TERM", program, "-d", "-c", str(configuration)]


def reverse_name(address: str) -> str:
    """Give the name that the PTR of *address* stands at, with its final dot."""
    return ipaddress.ip_address(address).reverse_pointer + "."


def free_port(addresses: Sequence[str] = LOOPBACK) -> int:
    """Give a port that is free on all *addresses*, for UDP and for TCP. Raises NsdError."""
    for _ in range(100):
        with socket.socket(_family(addresses[0]), socket.SOCK_DGRAM) as first:
            first.bind((addresses[0], 0))
            port = int(first.getsockname()[1])
        if all(
            _is_free(address, port, kind)
            for address in addresses
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ):
            return port
    raise NsdError(f"no port is free on {', '.join(addresses)}")


def answers(address: str, port: int, zone: str) -> bool:
    """Tell whether a server at *address* has *zone*, which takes at most a tenth of a second."""
    question = b"".join(bytes([len(label)]) + label for label in zone.encode().split(b".")) + b"\0\0\6\0\1"
    with socket.socket(_family(address), socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.1)
        try:
            udp.connect((address, port))
            udp.send(secrets.token_bytes(2) + b"\0\0\0\1\0\0\0\0\0\0" + question)
            answer = udp.recv(512)
        except TimeoutError:
            return False
        except OSError:
            time.sleep(0.02)
            return False
    return len(answer) > 12 and answer[3] & 15 == 0 and answer[7] > 0


def _is_free(address: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(_family(address), kind) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
