"""A real dnsmasq as a child process: a resolver between the program and an authoritative server."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from services.nsd import PATH, PATIENCE, NsdError, answers, free_port

ADDRESS = "127.0.0.3"


@contextmanager
def dnsmasq(upstream: int, zone: str, *options: str) -> Iterator[int]:
    """Forward all questions to port *upstream* of 127.0.0.1, which has *zone*; give the port on ADDRESS."""
    program, port = shutil.which("dnsmasq", path=PATH), free_port((ADDRESS,))
    if not program:
        raise NsdError("dnsmasq is not installed")
    command = [
        *("setpriv", "--pdeathsig", "TERM", program, "--keep-in-foreground", "--conf-file=/dev/null"),
        *("--no-resolv", "--no-hosts", "--pid-file=", "--bind-interfaces", f"--listen-address={ADDRESS}"),
        *(f"--port={port}", f"--server=127.0.0.1#{upstream}", "--user=", "--group=", *options),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        for _ in range(int(PATIENCE * 10)):
            if answers(ADDRESS, port, zone):
                break
        else:
            raise NsdError("dnsmasq does not answer")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)
