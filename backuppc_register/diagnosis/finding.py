"""What a check is, and the findings that it returns."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.protocol.escaping import first_of

_SHOWN = 5  # items of a list


class Level(IntEnum):
    """How bad a finding is; the worst is the greatest."""

    GREEN = 0
    YELLOW = 1
    RED = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One result of the check *name*: *what* was found, and the advice to the administrator."""

    name: str
    level: Level
    what: str
    advice: str = ""


Answer = tuple[Level, str, str]
"""A finding without the name of its check: level, what was found, advice."""


@dataclass(frozen=True)
class Check:
    """A check of the server; *advice* is for the administrator if *run* raises RegisterError or OSError."""

    name: str
    run: Callable[[ServerFacts], Iterable[Answer]]
    advice: str


Severe = Callable[[str, str], Answer]
"""`yellow` or `red`."""


def green(what: str) -> Answer:
    """Return an answer that all is well."""
    return Level.GREEN, what, ""


def yellow(what: str, advice: str) -> Answer:
    """Return an answer that needs attention."""
    return Level.YELLOW, what, advice


def red(what: str, advice: str) -> Answer:
    """Return an answer that something does not work, or that people's data is at risk."""
    return Level.RED, what, advice


def listed(answer: Severe, what: str, items: Sequence[str], advice: str) -> list[Answer]:
    """Return one *answer* with the *items* after *what*, or none if there are no items."""
    return [answer(f"{what} {some(items)}", advice)] if items else []


def some(items: Sequence[str], between: str = ", ") -> str:
    """Join the first *items*, and add how many more there are."""
    return first_of(items, between, _SHOWN)


def examine(check: Check, facts: ServerFacts) -> list[Finding]:
    """Return what *check* finds; a check that fails is a finding itself."""
    found = [Finding(check.name, *answer) for answer in _answers(check, facts)]
    return found or [Finding(check.name, Level.GREEN, "nothing wrong")]


def _answers(check: Check, facts: ServerFacts) -> Iterator[Answer]:
    try:
        yield from check.run(facts)
    except RegisterError as error:  # its own advice is for people at their machines
        yield red(error.detail or error.message(), check.advice)
    except OSError as error:
        yield red(str(error), check.advice)
    except Exception as error:
        what = f"this check does not work: {type(error).__name__}: {error}"
        yield red(what, f"Try backuppc-register-admin diagnose --only {check.name} again; or report a bug.")
