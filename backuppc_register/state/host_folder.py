"""A host's folder in the state, made whole or not at all, and set aside as one."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import Misconfigured, StateError
from backuppc_register.state import attic, key_pairs, pinned_key, records, safe_files, ssh_files, state_dir
from backuppc_register.state.records import Record
from backuppc_register.system import atomic_files
from backuppc_register.system.deadline import Deadline

# What begins with a dot is ours; no machine's name has the underscore, but those of archived backups have.
_HOST = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_NEW = ".new"
_PARTS = (key_pairs.PRIVATE, key_pairs.PUBLIC, ssh_files.NAME, ssh_files.SSH_CONFIG, records.NAME)


class HostFolders:
    """The folders of all hosts, below *state*.

    Who writes holds BackupPC's lock: one writer at a time. No key pair is waited for past *deadline*.
    """

    def __init__(self, state: Path, deadline: Deadline | None = None) -> None:
        self._state = state
        self._deadline = deadline
        self._hosts = state / state_dir.HOSTS

    def ready(self) -> None:
        """Check that the state is there, of our format and open to us; write nothing.

        Raises Misconfigured.
        """
        try:
            problem = state_dir.problem(self._state)
        except (OSError, StateError) as error:
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
        """Return the hosts that have a folder, sorted; raises StateError where that cannot be read."""
        with safe_files.faults():
            if not safe_files.is_folder(self._hosts):
                return ()
            return tuple(sorted(e.name for e in os.scandir(self._hosts) if _HOST.fullmatch(e.name)))

    def exists(self, host: str) -> bool:
        """Tell whether *host* has a folder, whatever is in it; raises StateError in doubt."""
        return safe_files.is_folder(self.path(host))

    def record(self, host: str) -> Record | None:
        """Return the record of *host*, None where there is none; raises StateError in doubt."""
        if not self.exists(host):
            return None
        record = records.read(self.path(host))
        if record is not None and record.host != host:
            raise StateError(detail=f"{self.path(host)} holds the record of {record.host}")
        return record

    def public_key(self, host: str) -> str | None:
        """Return the line of the public key of *host*, None where there is no pair; raises StateError."""
        return key_pairs.public_key(self.path(host), self._deadline) if self.exists(host) else None

    def is_whole(self, host: str) -> bool:
        """Tell whether nothing is missing in the folder of *host*; raises StateError in doubt."""
        folder = self.path(host)
        there = self.exists(host) and all(safe_files.content(folder / name) is not None for name in _PARTS)
        return there and self.record(host) is not None and self.public_key(host) is not None

    def create(self, record: Record) -> None:
        """Make the folder of the record's host, with everything that belongs in it.

        It is filled under another name and renamed once: whoever is killed leaves nothing, or a whole folder
        that says whose it is.

        Raises StateError, also where the host has a folder; Misconfigured where the state is not ready.
        """
        folder, new = self.path(record.host), self._hosts / _NEW
        self.ready()
        with safe_files.faults():
            if safe_files.is_folder(folder):
                raise StateError(detail=f"{folder} is there already")
            state_dir.begin(self._state)
            safe_files.remove_folder(new)
            try:
                safe_files.make_folder(new)
                self._fill(new, record)
                atomic_files.sync_folder(new)
                new.rename(folder)
            except BaseException:
                with suppress(StateError):
                    safe_files.remove_folder(new)
                raise
            atomic_files.sync_folder(self._hosts)

    def put_record(self, record: Record) -> None:
        """Put down *record* and nothing else; make a folder for it where its host has none.

        So archived backups have a record and no key. Raises StateError; Misconfigured where the state is
        not ready.
        """
        folder, new = self.path(record.host), self._hosts / _NEW
        self.ready()
        with safe_files.faults():
            if safe_files.is_folder(folder):
                records.write(folder, record)
                return
            state_dir.begin(self._state)
            safe_files.remove_folder(new)
            safe_files.make_folder(new)
            records.write(new, record)
            new.rename(folder)
            atomic_files.sync_folder(self._hosts)

    def complete(self, record: Record) -> bool:
        """Make what is missing in the folder of the record's host and put down *record* where it differs.

        What is there is not touched. Tells whether anything was written. Raises StateError.
        """
        with safe_files.faults():
            if self.record(record.host) is None and not self.exists(record.host):
                raise StateError(detail=f"{self.path(record.host)} is not there")
            return self._fill(self.path(record.host), record)

    def known_keys(self, host: str) -> tuple[HostKey, ...]:
        """Return the ssh host keys by which we know *host*, none before the first connection.

        Raises StateError in doubt.
        """
        return pinned_key.known(self.path(host), host)

    def pin(self, host: str, key: HostKey) -> bool:
        """Let *key* be the one by which *host* is known, and let ssh take no other from now on.

        A key that was offered before is forgotten. Tells whether anything was written. Raises StateError.
        """
        return pinned_key.pin(self.path(host), host, key)

    def offer(self, host: str, key: HostKey) -> None:
        """Keep *key*, with which a machine answered that is not the one we know, until somebody accepts it.

        Raises StateError.
        """
        pinned_key.offer(self.path(host), key)

    def offered_key(self, host: str) -> HostKey | None:
        """Return the key that was last offered, None where there is none; raises StateError in doubt."""
        return pinned_key.offered(self.path(host)) if self.exists(host) else None

    def set_aside(self, host: str, config: Path | None, now: datetime) -> Path:
        """Move away what we made for an earlier person; return where it is now.

        *config* is the host's .pl where that goes too. *now* has a time zone. The same call finishes what a
        killed one began. Raises StateError.
        """
        return attic.move_folder(self._state, self.path(host), config, now)

    def set_parts_aside(self, host: str, names: Iterable[str], config: Path | None, now: datetime) -> None:
        """Move away the files *names* of the folder of *host*, and put a copy of *config*, its .pl, to them.

        What is not there is not missed. Raises StateError.
        """
        attic.move_files(self._state, self.path(host), names, config, now)

    def _fill(self, folder: Path, record: Record) -> bool:
        """Make what *folder* lacks, the record last; tell whether anything was."""
        wrote = key_pairs.complete(folder, record.host, self._deadline)
        wrote |= safe_files.add(folder / ssh_files.NAME, b"")
        # An ssh_config that got lost may have been strict: a host whose key is known needs no other one.
        strict = bool(safe_files.content(folder / ssh_files.NAME))
        text = ssh_files.ssh_config(self.path(record.host), record.host, strict=strict)
        wrote |= safe_files.add(folder / ssh_files.SSH_CONFIG, text)
        if records.read(folder) != record:
            records.write(folder, record)
            wrote = True
        return wrote
