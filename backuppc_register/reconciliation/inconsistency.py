"""Something about a host that does not fit together."""

from dataclasses import dataclass

ADMIN = "backuppc-register-admin"


@dataclass(frozen=True)
class Inconsistency:
    """*what* does not fit about *host*, which *person* owns, and *advice* to an administrator."""

    host: str
    person: str
    what: str
    advice: str
