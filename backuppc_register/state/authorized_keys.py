"""Read and write the lines of register-keys in sshd's authorized_keys."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from backuppc_register import host_key
from backuppc_register.protocol.errors import StateError

PROGRAM = "backuppc-register"

_PYTHON = re.compile(r"python[0-9.]*", re.ASCII)
# sshd(8), AUTHORIZED_KEYS FILE FORMAT: blanks only within double quotes; \" is a quote there.
_OPTIONS = re.compile(rb'(?:[^ \t"]|"(?:\\"|[^"])*")+')
_OPTION = re.compile(rb'([A-Za-z0-9-]+)(?:="((?:\\"|[^"])*)")?(?:,|\Z)')
_MOMENT = re.compile(r"([0-9]{8})([0-9]{4})?([0-9]{2})?(Z|UTC)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Binding:
    """What sshd lets a register-key do: run *command*, a line for the shell, and nothing else.

    *sources*: the addresses or networks that may use it, all if empty. *expires*: ``YYYYMMDD``, the first day
    on which it is not accepted any more, never if empty.
    """

    command: str
    sources: tuple[str, ...] = ()
    expires: str = ""


@dataclass(frozen=True)
class RegisterKey:
    """A register-key as it is on this server.

    *line*: whether authorized_keys has a line of it; *restricted*: whether that line has ``restrict``.
    *held*: the fingerprint of the private key that we have under this label, "" if ssh can use none.
    """

    label: str
    fingerprint: str = ""
    line: bool = False
    restricted: bool = False
    sources: str = ""
    expires: str = ""
    command: str = ""
    held: str = ""

    @property
    def private(self) -> bool:
        """Tell whether we have the private key of this very line."""
        return bool(self.held) and self.held == self.fingerprint

    def expired(self, now: datetime) -> bool:
        """Tell whether the key has expired at *now*; sshd takes an unreadable time for expired."""
        try:
            moment = expiry(self.expires)
        except ValueError:
            return True
        return moment is not None and moment <= now

    def flaw(self, now: datetime) -> str:
        """Return why this key should not be handed out at *now*, "" if it is good."""
        if not self.line:
            return "has no line in authorized_keys: it was revoked, or the line is lost"
        if not self.held:
            return "has no private half on this server"
        if not self.private:
            return f"is {self.fingerprint} in authorized_keys, and the private half here is of {self.held}"
        if not self.restricted:
            return "is not restricted: put restrict before command= in authorized_keys"
        return f"expired on {self.expires}" if self.expired(now) else ""


def expiry(text: str) -> datetime | None:
    """Return the moment from which sshd refuses a key with the ``expiry-time`` *text*, None for "" (never).

    Times without a zone are the server's. Raises ValueError for a time that sshd cannot read (its misc.c,
    parse_absolute_time): sshd refuses such a key.
    """
    if not text:
        return None
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"no time of sshd's: {text}")
    day, minutes, seconds, utc = match.groups()
    zone = "+0000" if utc else ""
    moment = datetime.strptime(
        f"{day}{minutes or '0000'}{seconds or '00'}{zone}", "%Y%m%d%H%M%S" + "%z" * bool(zone)
    )
    return moment.astimezone()


def lines(content: bytes) -> Iterator[bytes]:
    """Yield the lines with their newlines; nothing else ends a line."""
    yield from re.findall(rb"[^\n]*\n|[^\n]+", content)


def written(label: str, binding: Binding, public: bytes) -> bytes:
    """Return the line that binds the key *public* as *label*; raises StateError if there can be none."""
    if host_key.read(public.decode("ascii", "replace").strip()) is None:
        raise StateError(detail=f"the public key of {label} is not one")
    if "\n" in binding.command:
        raise StateError(detail="a command of several lines")
    command = f"{binding.command} --register-key {label}".replace('"', '\\"')
    options = ["restrict", f'command="{command}"']
    options += [f'from="{",".join(binding.sources)}"'] if binding.sources else []
    options += [f'expiry-time="{binding.expires}"'] if binding.expires else []
    return ",".join(options).encode("utf-8", "surrogateescape") + b" " + public.strip() + b"\n"


def is_labelled(line: bytes, label: str) -> bool:
    """Tell whether a line belongs to the register-key *label*."""
    return _label_of(_options(line).get("command", "")) == label


def read(line: bytes, held: Mapping[str, str]) -> RegisterKey | None:
    """Return the register-key of an authorized_keys line, None if the line is no register-key's."""
    options = _options(line)
    label = _label_of(options.get("command", ""))
    if label is None:
        return None
    return RegisterKey(
        label=label,
        fingerprint=fingerprint(line[len(_field(line)) :]),
        line=True,
        restricted="restrict" in options,
        sources=options.get("from", ""),
        expires=options.get("expiry-time", ""),
        command=options["command"],
        held=held.get(label, ""),
    )


def _field(line: bytes) -> bytes:
    """Return the first field of a line, with the blanks before it; if the line has options, the options."""
    start = len(line) - len(line.lstrip(b" \t"))
    match = _OPTIONS.match(line, start)
    return line[: match.end()] if match else b""


def _options(line: bytes) -> dict[str, str]:
    """Return the options of a line by name; the first of two with the same name, as sshd does."""
    field, found, position = _field(line).lstrip(b" \t"), dict[str, str](), 0
    while position < len(field) and (match := _OPTION.match(field, position)):
        value = (match[2] or b"").replace(b'\\"', b'"').decode("utf-8", "surrogateescape")
        found.setdefault(match[1].decode("ascii").lower(), value)
        position = match.end()
    return found if position == len(field) else {}


def _label_of(command: str) -> str | None:
    """Return the label in a forced command of ours, "" if it has none; None for another command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words and _PYTHON.fullmatch(PurePosixPath(words[0]).name):
        words = words[1:]
    at = next((n for n, word in enumerate(words) if not word.startswith("-")), None)
    if at is None or PurePosixPath(words[at]).name != PROGRAM:
        return None
    rest = words[at + 1 :]
    for n, word in enumerate(rest):
        if word.startswith("--register-key="):
            return word.partition("=")[2]
        if word == "--register-key":
            return rest[n + 1] if n + 1 < len(rest) else ""
    return ""


def key_of(line: bytes) -> str:
    """Return the fingerprint of the key in a line, with or without options, "" if there is none."""
    if line.lstrip().startswith(b"#"):
        return ""
    return fingerprint(line) or fingerprint(line[len(_field(line)) :])


def fingerprint(public: bytes) -> str:
    """Return the fingerprint of a public key, "" if *public* is none."""
    key = host_key.read(public.decode("ascii", "replace").strip())
    return key.fingerprint if key else ""
