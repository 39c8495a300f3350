#!/usr/bin/python3
"""Time how long a registration holds BackupPC's lock, beside a durable write of one small file.

    benchmarks/lock.py [ROUNDS [FOLDER]]

FOLDER is on the disk to measure (default: the system's place for temporary files). The registration is the
real one, with stand-ins for the DNS, the directory and the daemon, none of which is asked under the lock. A
durable write is what replaces each file: temporary file, fsync, rename, fsync of the folder.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests"), str(CHECKOUT / "tests/environments")]

from server_folder import Server  # noqa: E402

from backuppc_register.backuppc import lock  # noqa: E402
from backuppc_register.system import atomic_files  # noqa: E402

HELD: list[float] = []
_locked = lock.locked


@contextmanager
def timed(folder: Path, timeout: float = lock.TIMEOUT) -> Iterator[None]:
    """Hold the lock, and note for how long."""
    with _locked(folder, timeout):
        began = time.perf_counter()
        try:
            yield
        finally:
            HELD.append(time.perf_counter() - began)


def main(rounds: int, where: str | None) -> None:
    """Let the three take turns, so that a machine of changing speed is fair to all of them, and print."""
    lock.locked = timed
    times: dict[str, list[float]] = {"durable write": [], "unchanged host": [], "new host": []}
    with tempfile.TemporaryDirectory(dir=where) as folder:
        server = Server(Path(folder) / "site")
        server.limits = type(server.limits)(hosts_per_person=0)
        for number in range(rounds + 1):
            began = time.perf_counter()
            atomic_files.write(Path(folder) / "file", b"x" * 200, 0o640)
            wrote = time.perf_counter() - began
            for name in ("new host", "unchanged host"):
                server.ask(name=f"poste{number}.univ-brest.fr")
                if number:  # the first round imports
                    times[name].append(HELD[-1])
            if number:
                times["durable write"].append(wrote)
    plain = statistics.median(times["durable write"])
    print(f"{rounds} rounds, medians (smallest to largest) of the time under the lock")
    for name, taken in times.items():
        median = statistics.median(taken)
        spread = f"({min(taken) * 1000:.1f} to {max(taken) * 1000:.1f})"
        print(f"{name:16} {median * 1000:6.1f} ms {spread:17} {median / plain:5.1f} durable writes")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50, sys.argv[2] if len(sys.argv) > 2 else None)
