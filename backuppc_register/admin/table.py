"""Tables that fit a terminal: long cells are cut, then whole columns are left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_GAP = "  "
_CUT = "~"


@dataclass(frozen=True)
class Columns:
    """The columns of a table, in their order.

    *cut* has the columns that may be cut and end in ``~``, with their least number of characters; times and
    numbers must not be cut. *leave* has the columns that may be left out, in that order. A column in neither,
    such as the host, is always whole.
    """

    names: tuple[str, ...]
    leave: tuple[str, ...]
    cut: Mapping[str, int]


def lines(columns: Columns, rows: Iterable[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table of at most *width* characters; None means no limit.

    A line is longer only if a column that is never cut needs it.
    """
    cells = [columns.names, *rows]
    widths = {name: max(len(row[n]) for row in cells) for n, name in enumerate(columns.names)}
    if width is not None:
        _leave_out(columns, widths, width)
        _narrow(columns, widths, width)
    shown = [(n, widths[name]) for n, name in enumerate(columns.names) if name in widths]
    return [_GAP.join(_fitted(row[n], wide) for n, wide in shown).rstrip() for row in cells]


def _leave_out(columns: Columns, widths: dict[str, int], width: int) -> None:
    """Remove columns from *widths* until the others fit, each cut as far as allowed."""
    for name in columns.leave:
        least = {one: min(wide, columns.cut.get(one, wide)) for one, wide in widths.items()}
        if _total(least) <= width:
            return
        del widths[name]


def _narrow(columns: Columns, widths: dict[str, int], width: int) -> None:
    """Narrow the widest columns that may be cut until all fit."""
    while _total(widths) > width:
        left = {name: widths[name] for name, least in columns.cut.items() if widths.get(name, 0) > least}
        if not left:
            return
        widths[max(left, key=left.__getitem__)] -= 1


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _fitted(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else cell[: width - len(_CUT)] + _CUT
