"""A person of the directory, and what can be a logon at all."""

import re
from dataclasses import dataclass, field

_LOGON = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Person:
    """One entry of the directory.

    *uid* is spelled as the directory spells it, *name* is for display and may be empty. *entry* is the
    entry's own lasting identity: ``entryUUID:VALUE`` and the like for each attribute of that kind that could
    be read, with blanks between them; empty where none could. *found* says, for the log alone, what went
    wrong before the entry was found; it is no part of the person.
    """

    uid: str
    name: str = ""
    entry: str = ""
    found: str = field(default="", compare=False)


def possible_logon(logon: str) -> bool:
    """Tell whether *logon* has the form of a logon (design, section 3, ``bad-user``)."""
    return _LOGON.fullmatch(logon) is not None


def same_logon(one: str, other: str) -> bool:
    """Tell whether two logons differ in the case of ASCII letters at most."""
    return one.isascii() and other.isascii() and one.lower() == other.lower()


def another_entry(one: str, other: str) -> bool:
    """Tell whether two marks of entries (`Person.entry`) are certainly of two entries.

    Attributes that only one of them has say nothing: what may be read changes with a directory's rules.
    """
    first, second = _marks(one), _marks(other)
    return any(first[name] != second[name] for name in first.keys() & second.keys())


def same_entry(one: str, other: str) -> bool:
    """Tell whether two marks of entries are certainly of one entry."""
    return bool(_marks(one).keys() & _marks(other).keys()) and not another_entry(one, other)


def _marks(entry: str) -> dict[str, str]:
    return dict(mark.split(":", 1) for mark in entry.split(" ") if ":" in mark)
