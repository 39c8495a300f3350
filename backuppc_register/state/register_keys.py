"""The register-keys by label: the pairs in our state, their lines in BackupPC's authorized_keys."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from backuppc_register import files, host_key
from backuppc_register.errors import NoConfigFile
from backuppc_register.state import key_pairs, parts

PROGRAM = "backuppc-register"

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NEW = ".new"
_PYTHON = re.compile(r"python[0-9.]*", re.ASCII)
# sshd(8), AUTHORIZED_KEYS FILE FORMAT: no blanks but within double quotes, where \" stands for one.
_OPTIONS = re.compile(rb'(?:[^ \t"]|"(?:\\"|[^"])*")+')
_OPTION = re.compile(rb'([A-Za-z0-9-]+)(?:="((?:\\"|[^"])*)")?(?:,|\Z)')
_MOMENT = re.compile(r"([0-9]{8})([0-9]{4})?([0-9]{2})?(Z|UTC)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Binding:
    """What sshd lets a register-key do: run *command*, a line for the shell, and nothing else.

    *sources*: addresses or networks that it is good from, all where empty. *expires*: ``YYYYMMDD``, the first
    day on which it is no longer good, never where empty.
    """

    command: str
    sources: tuple[str, ...] = ()
    expires: str = ""


@dataclass(frozen=True)
class RegisterKey:
    """A register-key as we find it.

    *line*: whether authorized_keys has it; *restricted*: there with ``restrict``. *held*: the fingerprint of
    the private half that we hold under this label, "" for none that ssh could use.
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
        """Tell whether we hold the private half of this very key."""
        return bool(self.held) and self.held == self.fingerprint

    def expired(self, now: datetime) -> bool:
        """Tell whether sshd refuses it at *now* for its time; one that sshd cannot read is refused too."""
        try:
            moment = expiry(self.expires)
        except ValueError:
            return True
        return moment is not None and moment <= now

    def flaw(self, now: datetime) -> str:
        """Return why nobody should be given this key at *now*, "" where all is well with it."""
        if not self.line:
            return "has no line in authorized_keys: it was revoked, or the line is lost"
        if not self.held:
            return "has no private half on this server"
        if not self.private:
            return f"is {self.fingerprint} in authorized_keys, and the private half here is of {self.held}"
        if not self.restricted:
            return "is not restricted: put restrict before command= in authorized_keys"
        return f"expired on {self.expires}" if self.expired(now) else ""


def expiry(told: str) -> datetime | None:
    """Return from when on sshd refuses a key with the ``expiry-time`` *told*, None for "", which is never.

    Times without a zone are the server's. Raises ValueError for what sshd cannot read (its misc.c,
    parse_absolute_time): it refuses the key then.
    """
    if not told:
        return None
    match = _MOMENT.fullmatch(told)
    if match is None:
        raise ValueError(f"no time of sshd's: {told}")
    day, minutes, seconds, utc = match.groups()
    zone = "+0000" if utc else ""
    moment = datetime.strptime(
        f"{day}{minutes or '0000'}{seconds or '00'}{zone}", "%Y%m%d%H%M%S" + "%z" * bool(zone)
    )
    return moment.astimezone()


def possible_label(label: str) -> bool:
    """Tell whether *label* can be the name of a register-key: it is a file name, and a word in the log."""
    return _LABEL.fullmatch(label) is not None


class RegisterKeys:
    """The register-keys of a server: *state* is our folder, *authorized_keys* BackupPC's account's file.

    Who writes holds BackupPC's lock: one writer at a time.
    """

    def __init__(self, state: Path, authorized_keys: Path) -> None:
        self._folder = state / "register-keys"
        self._authorized_keys = authorized_keys

    @property
    def file(self) -> Path:
        """Return the authorized_keys that these keys have their lines in."""
        return self._authorized_keys

    def all(self) -> tuple[RegisterKey, ...]:
        """Return the register-keys, those with a line first, in its order.

        A label has several where authorized_keys has several lines of it. Raises NoConfigFile.
        """
        held = self._held()
        found = [key for line in _lines(self._content()) if (key := _read(line, held))]
        lost = sorted(held.keys() - {key.label for key in found})
        return (*found, *(RegisterKey(label, held[label], held=held[label]) for label in lost))

    def unbound(self) -> tuple[str, ...]:
        """Return the labels of the register-keys that another line lets in too, to something else than ours.

        sshd takes the first line of a key. Raises NoConfigFile.
        """
        bound = {key.fingerprint: key.label for key in self.all() if key.fingerprint}
        others = (line for line in _lines(self._content()) if _read(line, {}) is None)
        return tuple(bound[key] for line in others if (key := _key_of(line)) in bound)

    def private(self, label: str) -> bytes | None:
        """Return the private key of *label*, None where we do not hold it; raises NoConfigFile."""
        if not possible_label(label) or not parts.is_folder(self._folder / label):
            return None
        return parts.content(self._folder / label / key_pairs.PRIVATE)

    def add(self, label: str, binding: Binding) -> None:
        """Make a key pair for *label* where we hold none, and put its line at the end of authorized_keys.

        All that stands there already stays, byte for byte. Raises NoConfigFile; ValueError for what cannot be
        a label.
        """
        if not possible_label(label):
            raise ValueError(f"not a label: {label!r}")
        with parts.faults():
            self._make_pair(label)
            public = self._public(label)
            content = self._content()
            line = _line(label, binding, public)
            self._replace(content + b"\n" * (not content.endswith(b"\n") and bool(content)) + line)

    def revoke(self, label: str) -> bool:
        """Take every line of *label* out of authorized_keys, then remove its key pair; other lines stay.

        Tells whether there was anything. Raises NoConfigFile.
        """
        if not possible_label(label):
            return False
        content = self._content()
        kept = [line for line in _lines(content) if not _is_labelled(line, label)]
        there = parts.is_folder(self._folder / label)
        with parts.faults():
            if b"".join(kept) != content:
                self._replace(b"".join(kept))
            elif not there:
                return False
            parts.remove_folder(self._folder / label)
        return True

    def _held(self) -> dict[str, str]:
        """Return the fingerprint of each private half that we hold, by its label."""
        if not parts.is_folder(self._folder):
            return {}
        with parts.faults():
            names = {entry.name for entry in self._folder.iterdir()}
        return {name: self._held_fingerprint(name) for name in names if self.private(name) is not None}

    def _held_fingerprint(self, label: str) -> str:
        try:
            return _fingerprint(self._public(label))
        except NoConfigFile:  # ssh cannot use it either
            return ""

    def _public(self, label: str) -> bytes:
        """Return the public key of the private half that we hold, whatever the file beside it says."""
        return key_pairs.ssh_keygen(["-y", "-P", "", "-f", key_pairs.PRIVATE], self._folder / label)

    def _content(self) -> bytes:
        return parts.content(self._authorized_keys) or b""

    def _make_pair(self, label: str) -> None:
        """Make the pair under another name, and rename that once: what is there is whole."""
        place, new = self._folder / label, self._folder / _NEW
        if parts.is_folder(place):
            return
        if not parts.is_folder(self._folder):
            self._folder.mkdir(0o750)
        parts.remove_folder(new)
        new.mkdir(0o700)
        comment = f"register-key {label}"
        key_pairs.ssh_keygen(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key_pairs.PRIVATE], new)
        files.sync_folder(new)
        new.rename(place)
        files.sync_folder(self._folder)

    def _replace(self, content: bytes) -> None:
        path = self._authorized_keys
        try:
            keep: files.Ownership | int = files.ownership(path.lstat())
        except FileNotFoundError:
            keep = 0o600
            if not parts.is_folder(path.parent):
                path.parent.mkdir(0o700)
        files.write(path, content, keep)


def _lines(content: bytes) -> Iterator[bytes]:
    """Yield the lines with their ends; only a newline ends one."""
    yield from re.findall(rb"[^\n]*\n|[^\n]+", content)


def _line(label: str, binding: Binding, public: bytes) -> bytes:
    if host_key.read(public.decode("ascii", "replace").strip()) is None:
        raise NoConfigFile(detail=f"the public key of {label} is not one")
    if "\n" in binding.command:
        raise NoConfigFile(detail="a command of several lines")
    command = f"{binding.command} --register-key {label}".replace('"', '\\"')
    options = ["restrict", f'command="{command}"']
    options += [f'from="{",".join(binding.sources)}"'] if binding.sources else []
    options += [f'expiry-time="{binding.expires}"'] if binding.expires else []
    return ",".join(options).encode("utf-8", "surrogateescape") + b" " + public.strip() + b"\n"


def _is_labelled(line: bytes, label: str) -> bool:
    return _label_of(_options(line).get("command", "")) == label


def _read(line: bytes, held: Mapping[str, str]) -> RegisterKey | None:
    """Return the register-key of an authorized_keys line, None where the line is another one's."""
    options = _options(line)
    label = _label_of(options.get("command", ""))
    if label is None:
        return None
    return RegisterKey(
        label=label,
        fingerprint=_fingerprint(line[len(_field(line)) :]),
        line=True,
        restricted="restrict" in options,
        sources=options.get("from", ""),
        expires=options.get("expiry-time", ""),
        command=options["command"],
        held=held.get(label, ""),
    )


def _field(line: bytes) -> bytes:
    """Return the first field of a line, with the blanks before it: its options, where it begins with any."""
    start = len(line) - len(line.lstrip(b" \t"))
    match = _OPTIONS.match(line, start)
    return line[: match.end()] if match else b""


def _options(line: bytes) -> dict[str, str]:
    """Return the options of a line by name; of one that is there twice the first, as sshd takes it."""
    field, found, position = _field(line).lstrip(b" \t"), dict[str, str](), 0
    while position < len(field) and (match := _OPTION.match(field, position)):
        value = (match[2] or b"").replace(b'\\"', b'"').decode("utf-8", "surrogateescape")
        found.setdefault(match[1].decode("ascii").lower(), value)
        position = match.end()
    return found if position == len(field) else {}


def _label_of(command: str) -> str | None:
    """Return the label in a forced command, "" where it is ours and has none, None where it is another's."""
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


def _key_of(line: bytes) -> str:
    """Return the fingerprint of the key in a line, with options or without, "" where there is none."""
    if line.lstrip().startswith(b"#"):
        return ""
    return _fingerprint(line) or _fingerprint(line[len(_field(line)) :])


def _fingerprint(public: bytes) -> str:
    key = host_key.read(public.decode("ascii", "replace").strip())
    return key.fingerprint if key else ""
