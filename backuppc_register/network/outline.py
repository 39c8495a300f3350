"""What records a DNS answer has, told from its bytes before a library makes anything of them.

Strangers write these bytes, and what dnspython makes of them may cost seconds: its work for a name grows with
the square of its labels, two bytes can point at a name of 127, and some types hold thousands of names.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum

_HEADER = 12  # bytes (RFC 1035, section 4.1.1)
_MOST_LABELS = 127  # of a name of 255 bytes
_POINTER = 0xC0
_OPAQUE = (65280).to_bytes(2)  # a type for private use (RFC 6895, section 3.1), of which nothing is known


class Section(IntEnum):
    """The sections of records."""

    ANSWER = 0
    AUTHORITY = 1
    ADDITIONAL = 2


@dataclass(frozen=True)
class Record:
    """A record: where its *owner*'s name, its type *kind* and its *data* begin."""

    section: Section
    kind: int
    ttl: int
    owner: int
    at: int
    data: int


def questions(wire: bytes) -> int:
    """Return how many questions the message says to repeat."""
    return int.from_bytes(wire[4:6])


def size(wire: bytes) -> int:
    """Return how many records the message says to have."""
    return sum(_counts(wire))


def records(wire: bytes) -> tuple[Record, ...]:
    """Return the records of the message, which end where it ends; raises ValueError for a malformed one."""
    at = _HEADER
    for _ in range(questions(wire)):
        at = _after_name(wire, at) + 4
    found = []
    for section, count in zip(Section, _counts(wire), strict=True):
        for _ in range(count):
            owner, at = at, _after_name(wire, at)
            kind, ttl, length = (int.from_bytes(wire[at + a : at + b]) for a, b in ((0, 2), (4, 8), (8, 10)))
            found.append(Record(section, kind, ttl, owner, at, at + 10))
            at += 10 + length
    if at != len(wire):
        raise ValueError("a message that is cut short or goes on after its end")
    return tuple(found)


def labels(wire: bytes, at: int) -> int:
    """Return how many labels the name *at* this byte has, pointers followed.

    Raises ValueError where there are more of either than a name can need.
    """
    count = pointers = 0
    while length := _byte(wire, at):
        if length >= _POINTER:
            pointers, at = pointers + 1, (length - _POINTER) << 8 | _byte(wire, at + 1)
        else:
            count, at = count + 1, at + 1 + length
        if max(count, pointers) > _MOST_LABELS:
            raise ValueError("a name that is too long")
    return count


def answer_alone(wire: bytes, found: Sequence[Record], kinds: Collection[int]) -> bytes:
    """Return the message as one of an answer section alone, whose records of other than *kinds* are opaque.

    Every byte keeps its place, because names point at others; so what is left of the message stays behind it.
    """
    alone = bytearray(wire)
    alone[8:12] = bytes(4)
    for record in found:
        if record.section is Section.ANSWER and record.kind not in kinds:
            alone[record.at : record.at + 2] = _OPAQUE
    return bytes(alone)


def _counts(wire: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(wire[at : at + 2]) for at in (6, 8, 10))


def _after_name(wire: bytes, at: int) -> int:
    while length := _byte(wire, at):
        if length >= _POINTER:
            return at + 2
        at += 1 + length
    return at + 1


def _byte(wire: bytes, at: int) -> int:
    if at >= len(wire):
        raise ValueError("a message that is cut short")
    return wire[at]
