"""The items of a report of `reconcile`, each with a word that scripts may know."""

from dataclasses import dataclass
from enum import Enum


class Word(Enum):
    """What an item reports about its host, or about the whole hosts file if it names no host."""

    RESTORED = "restored"
    CLEANED = "cleaned"
    CHANGED = "changed"
    NEW_OWNER = "new-owner"
    HEADER = "header"
    MASS_LOSS = "mass-loss"
    NOT_RESTORED = "not-restored"
    NOT_NOTED = "not-noted"
    DATA_MISSING = "data-missing"
    TAKEN_BACK = "taken-back"
    GIVEN_BACK = "given-back"
    RELEASED = "released"
    NOT_RELEASED = "not-released"
    MANY_UNVERIFIED = "many-unverified"
    PAUSE_LIFTED = "pause-lifted"
    PAUSE_NOT_LIFTED = "pause-not-lifted"
    BACKUPPC = "backuppc"


_URGENT = (
    Word.MASS_LOSS,
    Word.NOT_RESTORED,
    Word.NOT_NOTED,
    Word.DATA_MISSING,
    Word.TAKEN_BACK,
    Word.GIVEN_BACK,
    Word.MANY_UNVERIFIED,
)


@dataclass(frozen=True)
class Item:
    """Something that happened since the last run: *what*, and *advice*; *person* is the owner of *host*."""

    word: Word
    what: str
    advice: str = ""
    host: str = ""
    person: str = ""

    @property
    def urgent(self) -> bool:
        """Tell whether an administrator should look at once."""
        return self.word in _URGENT
