"""Read how long this machine has been running, by a clock that cannot be set."""

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Uptime:
    """*seconds* since the machine's boot with the id *boot*, time asleep included (CLOCK_BOOTTIME)."""

    boot: str
    seconds: float

    def after(self, seconds: float) -> "Uptime":
        """Return the moment in so many *seconds*, cut to whole seconds."""
        return Uptime(self.boot, max(0, int(self.seconds + seconds)))

    def is_before(self, moment: "Uptime | None") -> bool:
        """Tell whether *moment* is still to come; False for a moment of another boot, which is unknown."""
        return moment is not None and moment.boot == self.boot and self.seconds < moment.seconds


def read() -> Uptime | None:
    """Return how long this machine has been running, None if the system does not report it."""
    try:
        boot = _BOOT.read_text("ascii").strip()
        return Uptime(boot, time.clock_gettime(time.CLOCK_BOOTTIME)) if boot else None
    except (OSError, UnicodeError):
        return None
