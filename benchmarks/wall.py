#!/usr/bin/python3
"""Time a run of rsyncsend.sh with and without the wall around rsync; prints medians, difference and ratio.

    sudo benchmarks/wall.py [ROUNDS]

On a laptop of the tests' lab, with the real rsync, which ends at once because the server sends nothing. The
two take turns within each round, so that a machine whose speed drifts is fair to both. The processor's time
hardly depends on what else the machine does.
"""

import json
import statistics
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "tests/environments"), str(CHECKOUT / "tests")]

from lab import Lab, available  # noqa: E402
from laptops import GIVEN, SETUP  # noqa: E402

HELPER = "/usr/local/libexec/bckpciuem/rsync-helper"
OPEN = "/usr/local/libexec/bckpciuem/open/rsync-helper"
WITH, WITHOUT = "with the wall", "without the wall"
# On the laptop itself: starting a command there from outside takes longer than the command.
TURNS = """
import json, resource, subprocess, sys, time
def used():
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime, time.perf_counter()
command = "rsync --server --sender -lre.iLsfxC . /home/"
times = {}
for _ in range(int(sys.argv[1])):
    for helper in sys.argv[2:]:
        began = used()
        done = subprocess.run([helper, command, "-"], stdin=subprocess.DEVNULL, capture_output=True)
        times.setdefault(helper, []).append([now - then for now, then in zip(used(), began)])
        assert done.stdout, done
print(json.dumps(times))
"""


def main(rounds: int) -> None:
    """Measure and print."""
    if reason := available():
        sys.exit(f"no lab here: {reason}")
    with Lab() as lab:
        server = lab.server("dugong.univ-brest.fr")
        laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
        laptop.write("/root/register-key", server.register_key, mode=0o600)
        laptop.write("/root/known_hosts", server.known_hosts)
        options = "--logon cmartin --unattended --no-verify"
        laptop.run(f"sh {SETUP} {GIVEN} {options}", timeout=60, check=True)
        helper = laptop.read(HELPER)
        switched_off = helper.replace("find_wall() {", "find_wall() { WALL=confine-root; return;")
        laptop.write(OPEN, switched_off, mode=0o755)
        done = laptop.run(["python3", "-c", TURNS, str(rounds), HELPER, OPEN], timeout=600, check=True)
    times = json.loads(done.stdout)
    report(rounds, {WITH: times[HELPER], WITHOUT: times[OPEN]})


def report(rounds: int, times: dict[str, list[list[float]]]) -> None:
    """Print each median, and what the wall costs."""
    for which, name in enumerate(("processor", "clock")):
        taken = {helper: [pair[which] * 1000 for pair in pairs] for helper, pairs in times.items()}
        medians = {helper: statistics.median(values) for helper, values in taken.items()}
        print(f"{name}, {rounds} rounds, medians (smallest to largest)")
        for helper, values in taken.items():
            print(f"  {helper:16} {medians[helper]:5.1f} ms ({min(values):.1f} to {max(values):.1f})")
        ratio = medians[WITH] / medians[WITHOUT]
        print(f"  the wall costs {medians[WITH] - medians[WITHOUT]:.1f} ms, {ratio:.2f} times without")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
