"""Escape text for replies and the log, and end the lines of a reply; pure."""

from collections.abc import Iterable


def escape(text: str) -> str:
    r"""Return *text* with every byte outside printable ASCII, and the backslash, as ``\xHH``."""
    return _escape(text, b"\\")


def escape_field(text: str) -> str:
    r"""Escape for a field of the log: blanks and ``=`` too, so that a client cannot forge fields."""
    return _escape(text, b"\\ =")


def escape_text(text: str) -> str:
    r"""Escape for free text at the end of a log line: blanks stay, ``=`` is ``\x3d``."""
    return _escape(text, b"\\=")


def _escape(text: str, special: bytes) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if 0x20 <= b < 0x7F and b not in special else f"\\x{b:02x}" for b in raw)


def to_lines(lines: Iterable[str]) -> bytes:
    """Return *lines* as a reply has them."""
    return "".join(line + "\n" for line in lines).encode("ascii")
