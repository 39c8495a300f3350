"""Escape and shorten text for replies and the log, and end the lines of a reply; pure."""

from collections.abc import Iterable, Sequence


def escape(text: str) -> str:
    r"""Return *text* with every byte outside printable ASCII, and the backslash, as ``\xHH``."""
    return _escape(text, b"\\")


def escape_field(text: str) -> str:
    r"""Escape for a field of the log: blanks and ``=`` too, so that a client cannot forge fields."""
    return _escape(text, b"\\ =")


def escape_text(text: str) -> str:
    r"""Escape for free text at the end of a log line: blanks stay, ``=`` is ``\x3d``."""
    return _escape(text, b"\\=")


def first_of(texts: Sequence[str], between: str = ", ", most: int = 3) -> str:
    """Join the first *most* of *texts*, and add how many more there are."""
    more = len(texts) - most
    return between.join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def _escape(text: str, special: bytes) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if 0x20 <= b < 0x7F and b not in special else f"\\x{b:02x}" for b in raw)


def to_lines(lines: Iterable[str]) -> bytes:
    """Return *lines* as a reply has them."""
    return "".join(line + "\n" for line in lines).encode("ascii")
