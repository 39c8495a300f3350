"""Turn a success into the lines of the reply; pure. `errors.reply` does it for an error."""

from dataclasses import dataclass

from backuppc_register.protocol.escaping import escape, escape_field, to_lines


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
    port: int = 0  # the ssh port that the server connected to
    shares: tuple[str, ...] = ()  # the folders that BackupPC saves
    lacking: tuple[str, ...] = ()  # homes that BackupPC does not save, because they are on other file systems
    user: str = ""  # only for the log: the canonical logon
    note: str = ""  # only for the log: what the administrator should know


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
        ("port", str(answer.port or "")),
        ("advice", answer.advice),
        ("request", request),
    ]
    lines = [f"{word}: {escape(value)}" for word, value in fields if value]
    for word, paths in (("shares", answer.shares), ("lacking", answer.lacking)):
        lines += [f"{word}: {' '.join(map(escape_field, paths))}"] if paths else []
    return to_lines(["success", *lines])
