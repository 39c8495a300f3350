"""A person in the directory, and the form of a logon."""

import re
from dataclasses import dataclass, field

_LOGON = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Person:
    """One entry of the directory.

    *uid*: the logon that was asked for, as the directory spells it. *name*: for display, may be empty.
    *entry_id*: the lasting identity of the entry, ``ATTRIBUTE:VALUE`` for each of ``entryUUID`` and the like
    that could be read, separated by blanks; empty if none could. *note*: for the log, what went wrong during
    the search; it is not part of the person. *others*: further logons of the same entry. *unproved*: those of
    which it is not known that no other entry has them; they count only against the person.
    """

    uid: str
    name: str = ""
    entry_id: str = ""
    note: str = field(default="", compare=False)
    others: tuple[str, ...] = ()
    unproved: tuple[str, ...] = field(default=(), compare=False)

    def spelling_of(self, logon: str) -> str:
        """Return *logon* as the directory spells it, "" if this entry does not have it."""
        return next((own for own in (self.uid, *self.others) if same_logon(own, logon)), "")

    def has(self, logon: str) -> bool:
        """Tell whether this entry has *logon*."""
        return bool(self.spelling_of(logon))

    def may_have(self, logon: str) -> bool:
        """Tell whether this entry has *logon*, or that is not known."""
        return self.has(logon) or any(same_logon(one, logon) for one in self.unproved)


def possible_logon(logon: str) -> bool:
    """Tell whether *logon* has the form of a logon (design, section 3, ``bad-user``)."""
    return _LOGON.fullmatch(logon) is not None


def same_logon(one: str, other: str) -> bool:
    """Tell whether two logons are equal but for the case of ASCII letters."""
    return one.isascii() and other.isascii() and one.lower() == other.lower()


def different_entry(one: str, other: str) -> bool:
    """Tell whether two entry ids certainly belong to two different entries.

    Only attributes that both have are compared: which ones can be read changes with the directory's rules.
    One that is the same is enough for the same entry: a restore from LDIF gives some of them anew.
    """
    return _common(one, other) and not same_entry(one, other)


def same_entry(one: str, other: str) -> bool:
    """Tell whether two entry ids certainly belong to the same entry."""
    return bool(_attributes(one).items() & _attributes(other).items())


def _common(one: str, other: str) -> bool:
    return bool(_attributes(one).keys() & _attributes(other).keys())


def _attributes(entry_id: str) -> dict[str, str]:
    return dict(part.split(":", 1) for part in entry_id.split(" ") if ":" in part)
