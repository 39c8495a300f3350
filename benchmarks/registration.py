#!/usr/bin/python3
"""Time a registration over ssh beside `ssh ... true` on the same sshd; prints medians and their ratio.

    sudo benchmarks/registration.py [ROUNDS]

In the lab of the tests: a real sshd, slapd, NSD, rsyslogd and BackupPC on one host, the client on another.
The commands take turns within each round, so that a machine whose speed drifts is fair to all of them.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "tests/environments")]

from lab import Lab, available  # noqa: E402

SSH = ["ssh", "-x", "-a", "-T", "-o", "LogLevel=ERROR", "-l", "backuppc"]
SERVER = "10.77.0.1"


def main(rounds: int) -> None:
    """Measure and print."""
    if reason := available():
        sys.exit(f"no lab here: {reason}")
    with Lab() as lab:
        server = lab.server("dugong.univ-brest.fr")
        laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
        laptop.write("/root/.ssh/known_hosts", server.known_hosts, mode=0o600)
        laptop.write("/root/register-key", server.register_key, mode=0o600)
        laptop.run("ssh-keygen -q -t ed25519 -N '' -f /root/plain", check=True)
        plain = laptop.read("/root/plain.pub")
        server.run("cat >> /var/lib/backuppc/.ssh/authorized_keys", input=plain, check=True)
        server.configure("[state]", "[limits]\nper_address = 0\n[state]")
        for number in range(1, rounds + 1):
            lab.names.publish(f"poste{number}.univ-brest.fr", f"10.77.4.{number}")
            laptop.run(["ip", "address", "add", f"10.77.4.{number}/16", "dev", "eth0"], check=True)

        def register(number: int = 0) -> None:
            source = f"10.77.4.{number}" if number else "10.77.0.11"
            command = [*SSH, "-i", "/root/register-key", "-b", source, SERVER, "linux:cmartin"]
            reply = laptop.run(command, check=True)
            expected = "status: new" if number else "status: unchanged"
            if expected not in reply.stdout:
                raise SystemExit(f"not {expected}: {reply}")

        def nothing() -> None:
            laptop.run([*SSH, "-i", "/root/plain", SERVER, "true"], check=True)

        first = [*SSH, "-i", "/root/register-key", "-b", "10.77.0.11", SERVER, "linux:cmartin"]
        laptop.run(first, check=True)
        report(rounds, nothing, register)


def report(rounds: int, nothing: Callable[[], None], register: Callable[..., None]) -> None:
    """Let the commands take turns and print each one's median."""
    times: dict[str, list[float]] = {"ssh ... true": [], "unchanged host": [], "new host": []}
    for number in range(1, rounds + 1):
        times["ssh ... true"].append(seconds(nothing))
        times["unchanged host"].append(seconds(register))
        times["new host"].append(seconds(lambda number=number: register(number)))
    plain = statistics.median(times["ssh ... true"])
    print(f"{rounds} rounds, medians (smallest to largest)")
    for name, taken in times.items():
        median = statistics.median(taken)
        spread = f"({min(taken) * 1000:.0f} to {max(taken) * 1000:.0f})"
        print(f"{name:16} {median * 1000:5.0f} ms {spread:15} {median / plain:.1f} times ssh ... true")


def seconds(work: Callable[[], None]) -> float:
    """Return how long *work* takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
