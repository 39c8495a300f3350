"""Count the requests of the last minute, and give the counts the form of their file; pure."""

_WINDOW = 60  # seconds
_MOST_ROWS = 4096

MOST_BYTES = _MOST_ROWS * 80
"""More than that is not counted."""

Rows = dict[tuple[str, int], int]
"""How many requests an address, subnet, machine or person made in a second since the epoch, oldest first."""


class Counts:
    """The counts of the last minute, while their lock is held."""

    def __init__(self, rows: Rows, now: int) -> None:
        self.rows, self.changed, self._now = rows, False, now

    def of(self, key: str) -> int:
        """Return how many requests of *key* there were."""
        return sum(count for (known, _), count in self.rows.items() if known == key)

    def add(self, key: str) -> None:
        """Count one more request of *key*."""
        self.rows[key, self._now] = self.rows.get((key, self._now), 0) + 1
        self.changed = True


def read(content: bytes, now: int) -> Counts:
    """Return the counts in *content* as they are at *now*, none if it cannot be understood."""
    return Counts(_rows(content, now), now)


def _rows(content: bytes, now: int) -> Rows:
    """Return the counts of the last minute, none if *content* cannot be understood.

    A count dated after *now* is from before the clock was set back, and is dropped.
    """
    if len(content) > MOST_BYTES:
        return {}
    rows: Rows = {}
    try:
        for line in content.decode("ascii").split("\n")[:-1]:
            address, second, count = line.split(" ")
            if now - _WINDOW < int(second) <= now:
                rows[address, int(second)] = int(count)
    except ValueError:
        return {}
    return rows


def to_bytes(rows: Rows) -> bytes:
    """Return the new content of the file, without the oldest rows if there are too many.

    So a flood from many addresses gets more requests than allowed, but locks no one out; the places still
    limit the work.
    """
    kept = list(rows.items())[-_MOST_ROWS:]
    return "".join(f"{address} {second} {count}\n" for (address, second), count in kept).encode("ascii")
