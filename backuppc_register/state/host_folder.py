"""A host's folder in the state, made whole or not at all, and set aside as one."""

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from backuppc_register import files, host_key
from backuppc_register.deadline import Deadline
from backuppc_register.errors import Misconfigured, NoConfigFile
from backuppc_register.host_key import HostKey
from backuppc_register.state import key_pairs, known_hosts, parts, records
from backuppc_register.state.records import Record

_FORMAT = b"1"
# What begins with a dot is ours; no machine's name has the underscore, but those of archived backups have.
_HOST = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_NEW = ".new"
_OFFERED = "offered_key"
_PARTS = (key_pairs.PRIVATE, key_pairs.PUBLIC, known_hosts.NAME, known_hosts.SSH_CONFIG, records.NAME)


class HostFolders:
    """The folders of all hosts, below *state*.

    Who writes holds BackupPC's lock: one writer at a time. No key pair is waited for past *deadline*.
    """

    def __init__(self, state: Path, deadline: Deadline | None = None) -> None:
        self._state = state
        self._deadline = deadline
        self._hosts = state / "hosts"
        self._aside = state / "aside"

    def ready(self) -> None:
        """Check that the state is there, of our format and open to us; write nothing.

        Raises Misconfigured.
        """
        try:
            problem = self._problem()
        except (OSError, NoConfigFile) as error:
            problem = str(error)
        if problem:
            raise Misconfigured(detail=f"[state] directory: {problem}")

    def path(self, host: str) -> Path:
        """Return where the folder of *host* is, or would be.

        Raises ValueError for what no host is called: whoever asks has checked the name.
        """
        if not _HOST.fullmatch(host):
            raise ValueError(f"not a host's name: {host!r}")
        return self._hosts / host

    def names(self) -> tuple[str, ...]:
        """Return the hosts that have a folder, sorted; raises NoConfigFile where that cannot be read."""
        with parts.faults():
            if not parts.is_folder(self._hosts):
                return ()
            return tuple(sorted(e.name for e in os.scandir(self._hosts) if _HOST.fullmatch(e.name)))

    def exists(self, host: str) -> bool:
        """Tell whether *host* has a folder, whatever is in it; raises NoConfigFile in doubt."""
        return parts.is_folder(self.path(host))

    def record(self, host: str) -> Record | None:
        """Return the record of *host*, None where there is none; raises NoConfigFile in doubt."""
        if not self.exists(host):
            return None
        record = records.read(self.path(host))
        if record is not None and record.host != host:
            raise NoConfigFile(detail=f"{self.path(host)} holds the record of {record.host}")
        return record

    def public_key(self, host: str) -> str | None:
        """Return the line of the public key of *host*, None where there is no pair; raises NoConfigFile."""
        return key_pairs.public_key(self.path(host), self._deadline) if self.exists(host) else None

    def is_whole(self, host: str) -> bool:
        """Tell whether nothing is missing in the folder of *host*; raises NoConfigFile in doubt."""
        folder = self.path(host)
        there = self.exists(host) and all(parts.content(folder / name) is not None for name in _PARTS)
        return there and self.record(host) is not None and self.public_key(host) is not None

    def create(self, record: Record) -> None:
        """Make the folder of the record's host, with everything that belongs in it.

        It is filled under another name and renamed once: whoever is killed leaves nothing, or a whole folder
        that says whose it is.

        Raises NoConfigFile, also where the host has a folder; Misconfigured where the state is not ready.
        """
        folder, new = self.path(record.host), self._hosts / _NEW
        self.ready()
        with parts.faults():
            if parts.is_folder(folder):
                raise NoConfigFile(detail=f"{folder} is there already")
            self._begin()
            parts.remove_folder(new)
            try:
                _make_folder(new)
                self._fill(new, record)
                files.sync_folder(new)
                new.rename(folder)
            except BaseException:
                with suppress(NoConfigFile):
                    parts.remove_folder(new)
                raise
            files.sync_folder(self._hosts)

    def put_record(self, record: Record) -> None:
        """Put down *record* and nothing else; make a folder for it where its host has none.

        So archived backups have a record and no key. Raises NoConfigFile; Misconfigured where the state is
        not ready.
        """
        folder, new = self.path(record.host), self._hosts / _NEW
        self.ready()
        with parts.faults():
            if parts.is_folder(folder):
                records.write(folder, record)
                return
            self._begin()
            parts.remove_folder(new)
            _make_folder(new)
            records.write(new, record)
            new.rename(folder)
            files.sync_folder(self._hosts)

    def complete(self, record: Record) -> bool:
        """Make what is missing in the folder of the record's host and put down *record* where it differs.

        What is there is not touched. Tells whether anything was written. Raises NoConfigFile.
        """
        with parts.faults():
            if self.record(record.host) is None and not self.exists(record.host):
                raise NoConfigFile(detail=f"{self.path(record.host)} is not there")
            return self._fill(self.path(record.host), record)

    def known_keys(self, host: str) -> tuple[HostKey, ...]:
        """Return the ssh host keys by which we know *host*, none before the first connection.

        Raises NoConfigFile in doubt.
        """
        path = self.path(host) / known_hosts.NAME
        try:
            return known_hosts.from_bytes(parts.content(path) or b"", host)
        except ValueError as error:
            raise NoConfigFile(detail=f"{path}: {error}") from error

    def pin(self, host: str, key: HostKey) -> bool:
        """Let *key* be the one by which *host* is known, and let ssh take no other from now on.

        A key that was offered before is forgotten. Tells whether anything was written. Raises NoConfigFile.
        """
        folder = self.path(host)
        strict = known_hosts.ssh_config(folder, host, strict=True)
        with parts.faults():
            # First the key: a strict ssh that knows none would stop the backups.
            wrote = _put(folder / known_hosts.NAME, known_hosts.to_bytes(host, key))
            wrote |= _put(folder / known_hosts.SSH_CONFIG, strict)
            (folder / _OFFERED).unlink(missing_ok=True)
        return wrote

    def offer(self, host: str, key: HostKey) -> None:
        """Keep *key*, with which a machine answered that is not the one we know, until somebody accepts it.

        Raises NoConfigFile.
        """
        with parts.faults():
            _put(self.path(host) / _OFFERED, f"{key}\n".encode("ascii"))

    def offered_key(self, host: str) -> HostKey | None:
        """Return the key that was last offered, None where there is none; raises NoConfigFile in doubt."""
        path = self.path(host) / _OFFERED
        content = parts.content(path) if self.exists(host) else None
        if content is None:
            return None
        key = host_key.read(content.decode("ascii", "replace").strip())
        if key is None:
            raise NoConfigFile(detail=f"{path} is not one ssh host key")
        return key

    def set_aside(self, host: str, config: Path | None, now: datetime) -> Path:
        """Move away what we made for an earlier person; return where it is now.

        *config* is the host's .pl where that goes too: it is in the folder before it leaves its place, so
        that the same call finishes what a killed one began. *now* has a time zone.

        Raises NoConfigFile.
        """
        folder = self.path(host)
        with parts.faults():
            if not parts.is_folder(folder):
                raise NoConfigFile(detail=f"{folder} is not there")
            if config is not None:
                _move_into(folder, config)
            self._begin_aside()
            place = self._free_place(host, now)
            folder.rename(place)
            files.sync_folder(self._aside)
            files.sync_folder(self._hosts)
        return place

    def set_parts_aside(self, host: str, names: Iterable[str], config: Path | None, now: datetime) -> None:
        """Move away the files *names* of the folder of *host*, and put a copy of *config*, its .pl, to them.

        What is not there is not missed. Each is in the other place before it leaves its own.

        Raises NoConfigFile.
        """
        with parts.faults():
            going = [path for name in names if parts.content(path := self.path(host) / name) is not None]
            copied = going + ([config] if config is not None else [])
            if not copied:
                return
            self._begin_aside()
            place = self._free_place(host, now)
            _make_folder(place)
            for path in copied:
                files.write(place / path.name, parts.content(path) or b"", 0o600)
            files.sync_folder(self._aside)
            for path in going:
                path.unlink()
            if going:
                files.sync_folder(self.path(host))

    def _begin_aside(self) -> None:
        if not parts.is_folder(self._aside):
            _make_folder(self._aside)
            files.sync_folder(self._state)

    def _problem(self) -> str:
        """Return why the state cannot be worked with, "" where it can."""
        status = self._state.stat()
        if not stat.S_ISDIR(status.st_mode):
            return f"{self._state} is not a folder"
        if status.st_mode & stat.S_IWOTH:
            return f"{self._state} can be written by everybody (chmod o=)"
        begun = [folder for folder in (self._hosts, self._aside) if parts.is_folder(folder)]
        for folder in (self._state, *begun):
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                return f"{folder} is not open to this account"
        told = parts.content(self._state / "FORMAT")
        if told is None:
            return f"{begun[0]} is there, but no FORMAT beside it" if begun else ""
        return "" if told.strip() == _FORMAT else f"FORMAT is {told[:20]!r}, and we know {_FORMAT!r} alone"

    def _begin(self) -> None:
        """Make a new state what it must be; FORMAT first, without which nobody accepts the rest."""
        if parts.is_folder(self._hosts):
            return
        files.write(self._state / "FORMAT", _FORMAT + b"\n", 0o640)
        for folder in (self._state / "limits", self._hosts):
            if not parts.is_folder(folder):
                _make_folder(folder)
        files.sync_folder(self._state)

    def _fill(self, folder: Path, record: Record) -> bool:
        """Make what *folder* lacks, the record last; tell whether anything was."""
        wrote = key_pairs.complete(folder, record.host, self._deadline)
        wrote |= _add(folder / known_hosts.NAME, b"")
        # An ssh_config that got lost may have been strict: a host whose key is known needs no other one.
        strict = bool(parts.content(folder / known_hosts.NAME))
        text = known_hosts.ssh_config(self.path(record.host), record.host, strict=strict)
        wrote |= _add(folder / known_hosts.SSH_CONFIG, text)
        if records.read(folder) != record:
            records.write(folder, record)
            wrote = True
        return wrote

    def _free_place(self, host: str, now: datetime) -> Path:
        dated = f"{host}.{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        place, n = self._aside / dated, 1
        while os.path.lexists(place):  # a rename would replace an empty folder
            n += 1
            place = self._aside / f"{dated}-{n}"
        return place


def _make_folder(path: Path) -> None:
    path.mkdir(0o750)
    path.chmod(0o750)  # whatever the umask


def _add(path: Path, content: bytes) -> bool:
    """Write *path* where there is nothing; tell whether it was."""
    if parts.content(path) is not None:
        return False
    files.write(path, content, 0o640)
    return True


def _put(path: Path, content: bytes) -> bool:
    """Write *path* where it holds something else; tell whether it did."""
    if parts.content(path) == content:
        return False
    files.write(path, content, 0o640)
    return True


def _move_into(folder: Path, config: Path) -> None:
    content = parts.content(config)
    if content is None:
        return
    files.write(folder / config.name, content, 0o640)
    config.unlink()
    files.sync_folder(config.parent)
