"""How long this machine has been running, by a clock that nobody sets."""

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Uptime:
    """*seconds* since the start *boot* of the machine, those asleep included (CLOCK_BOOTTIME)."""

    boot: str
    seconds: float

    def after(self, seconds: float) -> str:
        """Return in a word the moment in so many *seconds*, for `is_before`."""
        return f"{self.boot}@{max(0, int(self.seconds + seconds))}"

    def is_before(self, moment: str) -> bool:
        """Tell whether *moment* is still to come; of another start of the machine nobody knows."""
        boot, _, seconds = moment.partition("@")
        return boot == self.boot and seconds.isdecimal() and self.seconds < int(seconds)


def read() -> Uptime | None:
    """Return how long this machine has been running, None where the system does not tell."""
    try:
        boot = _BOOT.read_text("ascii").strip()
        return Uptime(boot, time.clock_gettime(time.CLOCK_BOOTTIME)) if boot else None
    except (OSError, UnicodeError):
        return None
