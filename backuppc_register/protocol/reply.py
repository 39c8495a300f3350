"""Turn the answer to a request into the lines of the reply; pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from backuppc_register.protocol.errors import RegisterError


@dataclass(frozen=True)
class Success:
    """The answer to a request that succeeded; only ``register`` sets *key* and *url*."""

    host: str
    person: str
    status: str
    key: str = ""
    url: str = ""
    sources: tuple[str, ...] = ()
    advice: str = ""
    backup: str = ""  # whether the first backup was queued
    shares: tuple[str, ...] = ()  # the folders that BackupPC saves
    user: str = ""  # only for the log: the canonical logon
    note: str = ""  # only for the log: what the administrator should know


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


def success(answer: Success, request: str) -> bytes:
    """Return the reply to a request that succeeded; *request* is its number for the help desk."""
    fields = [
        ("key", answer.key),
        ("url", answer.url),
        ("host", answer.host),
        ("person", answer.person),
        ("status", answer.status),
        ("from", ",".join(answer.sources)),
        ("backup", answer.backup),
        ("advice", answer.advice),
        ("request", request),
    ]
    shares = " ".join(map(escape_field, answer.shares))
    lines = [f"{word}: {escape(value)}" for word, value in fields if value]
    return _lines(["success", *lines, *([f"shares: {shares}"] if shares else [])])


def failure(error: RegisterError, request: str, connection: str) -> bytes:
    """Return the reply to a request that ended with *error*.

    *connection*: SSH_CONNECTION, empty if that is malformed.
    """
    message = error.message(escape, escape)
    first = f"{connection} {message}" if connection else message
    names = [name for name in error.reply_values if error.values.get(name)]
    lines = [first, f"error:{error.code}", f"request:{request}", f"advice:{escape(error.advice)}"]
    return _lines([*lines, *(f"{name}:{escape(error.values[name])}" for name in names)])


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode("ascii")
