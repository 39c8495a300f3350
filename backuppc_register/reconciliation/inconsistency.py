"""What does not fit together about a host."""

from dataclasses import dataclass

ADMIN = "backuppc-register-admin"


@dataclass(frozen=True)
class Contradiction:
    """What does not fit together about a host, and what can be done."""

    host: str
    person: str
    what: str
    advice: str
