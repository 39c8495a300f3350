"""Measure the time that is left of a timeout."""

import time


class Deadline:
    """A point in time, *seconds* from now, which no change of the clock moves."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, 0 if none are."""
        return max(0.0, self._end - time.monotonic())
