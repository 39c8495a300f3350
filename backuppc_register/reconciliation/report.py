"""What `reconcile` has to tell."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What is told of a host, or, where it names none, of all."""

    RESTORED = "restored"
    CLEANED = "cleaned"
    CHANGED = "changed"
    HEADER = "header"
    MASS_LOSS = "mass-loss"
    NOT_RESTORED = "not-restored"
    NOT_NOTED = "not-noted"
    DATA_MISSING = "data-missing"
    TAKEN_BACK = "taken-back"
    CLOSED = "closed"
    GIVEN_BACK = "given-back"
    BACKUPPC = "backuppc"


_LOUD = (
    Kind.MASS_LOSS,
    Kind.NOT_RESTORED,
    Kind.NOT_NOTED,
    Kind.DATA_MISSING,
    Kind.TAKEN_BACK,
    Kind.CLOSED,
    Kind.GIVEN_BACK,
)


@dataclass(frozen=True)
class News:
    """Something that happened since the last run; *person* is whose the host was."""

    kind: Kind
    what: str
    advice: str = ""
    host: str = ""
    person: str = ""

    @property
    def loud(self) -> bool:
        """Tell whether somebody has to look at once."""
        return self.kind in _LOUD
