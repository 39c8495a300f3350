"""How much of a request's time is left."""

import time


class Deadline:
    """A point in time, *seconds* from now, that no clock change moves."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, 0 when there are none."""
        return max(0.0, self._end - time.monotonic())
