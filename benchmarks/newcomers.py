#!/usr/bin/python3
"""Register 200 new machines, 40 at a time, over ssh, beside as many `ssh ... true` on the same sshd.

    sudo benchmarks/newcomers.py [MACHINES [AT_ONCE]]

In the lab of the tests: a real sshd, slapd, NSD, rsyslogd and BackupPC on one host, the client on another.
Each machine has an address and a name of its own, and tries again as clients/setup.sh does: up to four times
after exit status 75, after a random wait. Prints how many tries were needed; exits 1 unless all succeeded.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "tests/environments")]

from lab import Lab, available  # noqa: E402

SSH = ["ssh", "-x", "-a", "-T", "-o", "LogLevel=ERROR", "-l", "backuppc"]
SERVER = "10.77.0.1"
WAITS = (6, 12, 24, 48)  # seconds at most, half of that at least: clients/setup.d/30-server.sh


def main(machines: int, at_once: int) -> int:
    """Measure and print."""
    if reason := available():
        sys.exit(f"no lab here: {reason}")
    with Lab() as lab:
        server = lab.server("dugong.univ-brest.fr")
        laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
        prepare(lab, server, laptop, machines)

        def nothing(number: int) -> int:
            command = [*SSH, "-i", "/root/plain", "-b", address(number), SERVER, "true"]
            return int(laptop.run(command).status == 0)

        def register(number: int) -> int:
            key = ["-i", "/root/register-key", "-b", address(number), SERVER, "linux:cmartin"]
            for tries, wait in enumerate((*WAITS, 0), 1):
                told = laptop.run([*SSH, *key])
                if told.stdout.startswith("success\n"):
                    return tries
                if told.status != 75:
                    print(told)
                    return 0
                time.sleep(random.uniform(wait / 2, wait))
            return 0

        plain, _ = all_of(nothing, machines, at_once)
        took, tries = all_of(register, machines, at_once)
        lines = server.read("/etc/backuppc/hosts").count("poste")
    print(f"{machines} machines, {at_once} at a time; {lines} hosts lines")
    print(f"ssh ... true {plain:6.1f} s")
    print(f"new hosts    {took:6.1f} s, {took / plain:.1f} times ssh ... true")
    for number, count in sorted(tries.items()):
        print(f"{count:4} {f'at try {number}' if number else 'failed'}")
    return int(lines != machines or tries[0] > 0)


def address(number: int) -> str:
    """Return the address of a machine."""
    return f"10.77.{4 + number // 250}.{1 + number % 250}"


def prepare(lab: Lab, server: Any, laptop: Any, machines: int) -> None:
    """Give the laptop the keys and addresses of all machines, and let sshd take them all."""
    laptop.write("/root/.ssh/known_hosts", server.known_hosts, mode=0o600)
    laptop.write("/root/register-key", server.register_key, mode=0o600)
    laptop.run("ssh-keygen -q -t ed25519 -N '' -f /root/plain", check=True)
    plain = laptop.read("/root/plain.pub")
    server.run("cat >> /var/lib/backuppc/.ssh/authorized_keys", input=plain, check=True)
    for number in range(machines):
        lab.names.publish(f"poste{number}.univ-brest.fr", address(number))
        laptop.run(["ip", "address", "add", f"{address(number)}/16", "dev", "eth0"], check=True)


def all_of(work: Callable[[int], int], machines: int, at_once: int) -> tuple[float, Counter[int]]:
    """Do *work* for all machines, *at_once* at a time; return the seconds, and the counts of the results."""
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        results = Counter(pool.map(work, range(machines)))
    return time.perf_counter() - began, results


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(given + [200, 40][len(given) :])))
