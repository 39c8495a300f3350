"""Add, list and revoke register-keys: their pairs in our state, their lines in BackupPC's authorized_keys."""

import re
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import key_pairs, safe_files
from backuppc_register.state.authorized_keys import (
    Binding,
    RegisterKey,
    fingerprint,
    is_labelled,
    key_of,
    lines,
    read,
    written,
)
from backuppc_register.system import atomic_files

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NEW = ".new"


def possible_label(label: str) -> bool:
    """Tell whether *label* can name a register-key: it becomes a file name, and a word in the log."""
    return _LABEL.fullmatch(label) is not None


class RegisterKeys:
    """The register-keys of a server: *state* is our folder, *authorized_keys* the file of BackupPC's account.

    Writers hold BackupPC's lock.
    """

    def __init__(self, state: Path, authorized_keys: Path) -> None:
        self._folder = state / "register-keys"
        self._authorized_keys = authorized_keys

    @property
    def file(self) -> Path:
        """Return the authorized_keys with the lines of these keys."""
        return self._authorized_keys

    def all(self) -> tuple[RegisterKey, ...]:
        """Return the register-keys, first those with a line in authorized_keys, in that order.

        A label with several lines is returned several times. Raises StateError.
        """
        held = self._held()
        found = [key for line in lines(self._content()) if (key := read(line, held))]
        lost = sorted(held.keys() - {key.label for key in found})
        return (*found, *(RegisterKey(label, held[label], held=held[label]) for label in lost))

    def unbound(self) -> tuple[str, ...]:
        """Return the labels of register-keys that another line lets run another command.

        sshd uses the first line of a key. Raises StateError.
        """
        bound = {key.fingerprint: key.label for key in self.all() if key.fingerprint}
        others = (line for line in lines(self._content()) if read(line, {}) is None)
        return tuple(bound[key] for line in others if (key := key_of(line)) in bound)

    def private(self, label: str) -> bytes | None:
        """Return the private key of *label*, None if we do not have it; raises StateError."""
        if not possible_label(label) or not safe_files.is_folder(self._folder / label):
            return None
        return safe_files.content(self._folder / label / key_pairs.PRIVATE)

    def add(self, label: str, binding: Binding) -> None:
        """Make a key pair for *label* if we have none, and add its line at the end of authorized_keys.

        Every other byte of the file stays. Raises StateError; ValueError if *label* cannot be a label.
        """
        if not possible_label(label):
            raise ValueError(f"not a label: {label!r}")
        with safe_files.faults():
            self._make_pair(label)
            public = self._public(label)
            content = self._content()
            line = written(label, binding, public)
            self._replace(content + b"\n" * (not content.endswith(b"\n") and bool(content)) + line)

    def revoke(self, label: str) -> bool:
        """Remove every line of *label* from authorized_keys, then its key pair; other lines stay.

        Returns whether there was anything to remove. Raises StateError.
        """
        if not possible_label(label):
            return False
        content = self._content()
        kept = [line for line in lines(content) if not is_labelled(line, label)]
        there = safe_files.is_folder(self._folder / label)
        with safe_files.faults():
            if b"".join(kept) != content:
                self._replace(b"".join(kept))
            elif not there:
                return False
            safe_files.remove_folder(self._folder / label)
        return True

    def _held(self) -> dict[str, str]:
        """Return the fingerprint of each private key that we have, by its label."""
        if not safe_files.is_folder(self._folder):
            return {}
        with safe_files.faults():
            names = {entry.name for entry in self._folder.iterdir()}
        return {name: self._held_fingerprint(name) for name in names if self.private(name) is not None}

    def _held_fingerprint(self, label: str) -> str:
        try:
            return fingerprint(self._public(label))
        except StateError:  # ssh cannot use it either
            return ""

    def _public(self, label: str) -> bytes:
        """Return the public key, derived from our private key and not from the file beside it."""
        return key_pairs.ssh_keygen(["-y", "-P", "", "-f", key_pairs.PRIVATE], self._folder / label)

    def _content(self) -> bytes:
        return safe_files.content(self._authorized_keys) or b""

    def _make_pair(self, label: str) -> None:
        """Make the pair under another name and rename it once, so that it is always complete."""
        place, new = self._folder / label, self._folder / _NEW
        if safe_files.is_folder(place):
            return
        if not safe_files.is_folder(self._folder):
            self._folder.mkdir(0o750)
        safe_files.remove_folder(new)
        new.mkdir(0o700)
        comment = f"register-key {label}"
        key_pairs.ssh_keygen(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key_pairs.PRIVATE], new)
        atomic_files.sync_folder(new)
        new.rename(place)
        atomic_files.sync_folder(self._folder)

    def _replace(self, content: bytes) -> None:
        path = self._authorized_keys
        try:
            keep: atomic_files.Ownership | int = atomic_files.ownership(path.lstat())
        except FileNotFoundError:
            keep = 0o600
            if not safe_files.is_folder(path.parent):
                path.parent.mkdir(0o700)
        atomic_files.write(path, content, keep)
