"""What a check finds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import wraps
from typing import TypeVar

from backuppc_register.protocol.errors import RegisterError


class Level(IntEnum):
    """How bad it is; the worst is the greatest."""

    GREEN = 0
    YELLOW = 1
    RED = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One thing that a check has looked at: *what* is so, and what to do about it."""

    name: str
    level: Level
    what: str
    advice: str = ""


_SHOWN = 5  # of what there is a list of

SituationT = TypeVar("SituationT")
Answer = tuple[Level, str, str]
"""A level, what is so, and advice: a finding but for its name."""

Check = Callable[[SituationT], Iterable[Answer]]


def green(what: str) -> Answer:
    """Return that all is well."""
    return Level.GREEN, what, ""


def yellow(what: str, advice: str) -> Answer:
    """Return that something should be looked at."""
    return Level.YELLOW, what, advice


def red(what: str, advice: str) -> Answer:
    """Return that something does not work, or that people's data is at risk."""
    return Level.RED, what, advice


def otherwise(advice: str) -> Callable[[Check[SituationT]], Check[SituationT]]:
    """Give a check the *advice* for where it cannot look: the errors' own is for people at their machines."""

    def advised(check: Check[SituationT]) -> Check[SituationT]:
        @wraps(check)
        def looked(situation: SituationT) -> Iterator[Answer]:
            try:
                yield from check(situation)
            except RegisterError as error:
                yield red(error.detail or error.message(), advice)
            except OSError as error:
                yield red(str(error), advice)

        return looked

    return advised


def some(items: Sequence[str], between: str = ", ") -> str:
    """Return *items* in a row, of many the first ones and how many more there are."""
    more = len(items) - _SHOWN
    return between.join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def examine(name: str, check: Check[SituationT], situation: SituationT) -> list[Finding]:
    """Return what *check* finds; one that fails is a finding itself, and says nothing about the others."""
    found: list[Finding] = []
    try:
        found.extend(Finding(name, *answer) for answer in check(situation))
    except Exception as error:
        what = f"this check does not work: {type(error).__name__}: {error}"
        advice = f"backuppc-register-admin diagnose --only {name} tries again; it may be a bug of ours."
        found.append(Finding(name, Level.RED, what, advice))
    return found or [Finding(name, Level.GREEN, "nothing wrong")]
