#!/usr/bin/python3
"""Time how `verify` connects back: ssh reads the ssh host key, then logs in and runs a command.

    benchmarks/way_back.py [ROUNDS]

An sshd on loopback answers. Each round is a process of its own, as each request is. Prints the medians of the
time that passed, and of the processor time of the process and its programs.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "tests/environments")]

from services.sshd import Sshd, make_key  # noqa: E402

ROUND = """
import os, sys, time
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from types import SimpleNamespace
from backuppc_register.network import ssh
address, port, user, key = sys.argv[2:]
began = time.monotonic()
words = ("IdentitiesOnly=yes", f"IdentityFile={key}", "HostKeyAlias=x", f"Port={port}", f"User={user}")
command = ("/usr/bin/ssh", "-F", "none", *(part for word in words for part in ("-o", word)))
way = SimpleNamespace(place=ssh.Place("x", address, int(port)), ssh=command)
shown = ssh.offered_key(way, 20)
assert ssh.run(way, shown, Path(key), "probe", 20).output == "here\\n"
print(time.monotonic() - began, sum(os.times()[:4]))
"""


def main(rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        make_key(key)
        with Sshd(f'restrict,command="echo here" {key.with_name("key.pub").read_text()}') as sshd:
            place = [sshd.address, str(sshd.port), sshd.user, str(key)]
            command = [sys.executable, "-I", "-c", ROUND, str(CHECKOUT), *place]
            taken = [subprocess.run(command, check=True, capture_output=True) for _ in range(rounds)]
    times = [[float(word) for word in one.stdout.split()] for one in taken]
    for name, column in zip(("passed", "of the processor"), zip(*times, strict=True), strict=True):
        print(f"{name:<18}{statistics.median(column) * 1000:5.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20)
