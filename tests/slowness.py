"""How much slower than the machine that a bound was set on this machine is at the moment."""

import subprocess
import time

PROGRAM = ["/usr/bin/python3", "-I", "-S", "-c", "pass"]
TIMES = 5
REFERENCE = 0.012  # seconds for PROGRAM on an idle core of the machine that the bounds were set on


def slowness() -> float:
    """Measure it now: 1 on an idle machine, 4 on one that has four times the work that it can do."""
    started = time.monotonic()
    for _ in range(TIMES):
        subprocess.run(PROGRAM, check=True)
    return max(1.0, (time.monotonic() - started) / TIMES / REFERENCE)


def within(took: float, bound: float) -> bool:
    """Tell whether *took* is less than *bound* seconds, which hold for an idle machine.

    Only if it is not, the machine is measured, and has as many times longer as it is slower.
    """
    if took < bound:
        return True
    factor = slowness()
    print(f"{took:.2f} s for {bound} s, on a machine that is {factor:.1f} times slower")
    return took < bound * factor
