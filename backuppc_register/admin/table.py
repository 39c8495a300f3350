"""Tables that fit a terminal: what may be cut is cut, and then whole columns are left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_GAP = "  "
_CUT = "~"


@dataclass(frozen=True)
class Columns:
    """The columns of a table, in their order.

    *cut*: those that may end in ``~``, and to how many characters at the least; a time or a number would say
    something else then. *leave*: those that may be left out, the first one first. What is in neither, the
    host say, is whole at any width.
    """

    names: tuple[str, ...]
    leave: tuple[str, ...]
    cut: Mapping[str, int]


def lines(columns: Columns, rows: Iterable[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table of at most *width* characters, None for as many as it takes.

    They are longer only where what is never cut is.
    """
    cells = [columns.names, *rows]
    widths = {name: max(len(row[n]) for row in cells) for n, name in enumerate(columns.names)}
    if width is not None:
        _leave_out(columns, widths, width)
        _narrow(columns, widths, width)
    shown = [(n, widths[name]) for n, name in enumerate(columns.names) if name in widths]
    return [_GAP.join(_fitted(row[n], wide) for n, wide in shown).rstrip() for row in cells]


def _leave_out(columns: Columns, widths: dict[str, int], width: int) -> None:
    """Take columns out of *widths* until all others fit, each cut as far as it may be."""
    for name in columns.leave:
        least = {one: min(wide, columns.cut.get(one, wide)) for one, wide in widths.items()}
        if _total(least) <= width:
            return
        del widths[name]


def _narrow(columns: Columns, widths: dict[str, int], width: int) -> None:
    """Make the widest columns that may be cut narrower until all fit."""
    while _total(widths) > width:
        left = {name: widths[name] for name, least in columns.cut.items() if widths.get(name, 0) > least}
        if not left:
            return
        widths[max(left, key=left.__getitem__)] -= 1


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _fitted(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else cell[: width - len(_CUT)] + _CUT
