"""Create a host's folder in the state, complete or not at all; change it, and move it aside as a whole."""

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path

from backuppc_register import names
from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import Misconfigured, StateError
from backuppc_register.state import (
    attic,
    drafts,
    fresh_key,
    key_pairs,
    pinned_key,
    records,
    retired_files,
    safe_files,
    ssh_files,
    state_dir,
)
from backuppc_register.state.drafts import Draft
from backuppc_register.state.records import Record
from backuppc_register.system import atomic_files, os_errors
from backuppc_register.system.deadline import Deadline

_PARTS = (ssh_files.NAME, ssh_files.SSH_CONFIG, records.NAME)


class HostFolders:
    """The folders of all hosts, below *state*.

    Writers hold BackupPC's lock. ssh-keygen is not waited for past *deadline*.
    """

    def __init__(self, state: Path, deadline: Deadline | None = None) -> None:
        self._state = state
        self._deadline = deadline
        self._hosts = state / state_dir.HOSTS

    def ready(self) -> None:
        """Check that the state exists, has our format and can be written; write nothing.

        Raises Misconfigured; TryAgain for an error that says nothing about the configuration.
        """
        try:
            problem = state_dir.problem(self._state)
        except OSError as error:
            raise os_errors.fault(error, f"[state] directory: {error}") from error
        if problem:
            raise Misconfigured(detail=f"[state] directory: {problem}")

    def path(self, host: str) -> Path:
        """Return the path of the folder of *host*, which need not exist.

        Raises ValueError if *host* is no name of a host; callers check that first.
        """
        if not names.is_host(host):
            raise ValueError(f"not a host's name: {host!r}")
        return self._hosts / host

    def names(self) -> tuple[str, ...]:
        """Return the hosts that have a folder, sorted; raises StateError if they cannot be read."""
        with safe_files.faults():
            if not safe_files.is_folder(self._hosts):
                return ()
            return tuple(sorted(e.name for e in os.scandir(self._hosts) if names.is_host(e.name)))

    def exists(self, host: str) -> bool:
        """Tell whether *host* has a folder, even an incomplete one; raises StateError in doubt."""
        return safe_files.is_folder(self.path(host))

    def record(self, host: str) -> Record | None:
        """Return the record of *host*, None if there is none; raises StateError in doubt."""
        if not self.exists(host):
            return None
        record = records.read(self.path(host))
        if record is not None and record.host != host:
            raise StateError(detail=f"{self.path(host)} holds the record of {record.host}")
        return record

    def public_key(self, host: str, record: Record | None = None) -> str | None:
        """Return the line of the public key of *host*, None if there is no pair; raises StateError.

        By its *record* the host may be stopped: then its private key is kept aside, or it has a fresh one.
        """
        if not self.exists(host):
            return None
        private = self.private_key(record).name if record else key_pairs.PRIVATE
        return key_pairs.public_key(self.path(host), self._deadline, private=private)

    def private_key(self, record: Record) -> Path:
        """Return the path of the private key that the host of *record* is called with; raises StateError."""
        folder = self.path(record.host)
        return folder / _private_name(folder, record)

    def is_whole(self, host: str) -> bool:
        """Tell whether the folder of *host* is complete; raises StateError in doubt."""
        folder, record = self.path(host), self.record(host)
        if record is None:
            return False
        parts = (*_PARTS, key_pairs.public_of(_private_name(folder, record)))
        if any(safe_files.content(folder / name) is None for name in parts):
            return False
        return self.public_key(host, record) is not None

    def draft(self, host: str) -> AbstractContextManager[Draft]:
        """Give the folder of *host* without a record, for `create`; else it is deleted afterwards.

        Needs no lock. Entering raises StateError, NoSpace.
        """
        return drafts.made(self._state, self.path(host), self._deadline)

    def create(self, record: Record, draft: Draft | None = None) -> None:
        """Create the folder of the record's host, with all its files; of the *draft*, if there is one.

        It is filled under another name and renamed once: an interrupted run leaves no folder, or a complete
        one that names its owner.

        Raises StateError, also if the host has a folder; Misconfigured if the state is not ready.
        """
        folder = self.path(record.host)
        self.ready()
        with safe_files.faults():
            if safe_files.is_folder(folder):
                raise StateError(detail=f"{folder} is there already")
            if draft is not None and not record.is_stopped:
                state_dir.begin(self._state)
                drafts.complete(draft, record)
                draft.folder.rename(folder)
                atomic_files.sync_folder(self._hosts)
            else:
                self._create(folder, lambda new: self._fill(new, record))

    def put_record(self, record: Record) -> None:
        """Write *record* and nothing else; create a folder for it if its host has none.

        So an archive has a record and no key. Raises StateError; Misconfigured if the state is not ready.
        """
        folder = self.path(record.host)
        self.ready()
        with safe_files.faults():
            if safe_files.is_folder(folder):
                records.write(folder, record)
            else:
                self._create(folder, lambda new: records.write(new, record))

    def complete(self, record: Record) -> bool:
        """Add missing files to the folder of the record's host, and write *record* if it differs.

        Other files stay unchanged. Returns whether anything was written. Raises StateError.
        """
        with safe_files.faults():
            if self.record(record.host) is None and not self.exists(record.host):
                raise StateError(detail=f"{self.path(record.host)} is not there")
            return self._fill(self.path(record.host), record)

    def known_keys(self, host: str) -> tuple[HostKey, ...]:
        """Return the pinned ssh host keys of *host*, none before the first connection.

        Raises StateError in doubt.
        """
        return pinned_key.known(self.path(host), host)

    def pin(self, host: str, key: HostKey) -> bool:
        """Pin *key* as the only ssh host key of *host* that ssh accepts from now on.

        An offered key is forgotten. Returns whether anything was written. Raises StateError.
        """
        return pinned_key.pin(self.path(host), host, key)

    def offer(self, host: str, key: HostKey) -> None:
        """Keep *key*, the unknown ssh host key of a machine, until an administrator accepts it.

        Raises StateError.
        """
        pinned_key.offer(self.path(host), key)

    def offered_key(self, host: str) -> HostKey | None:
        """Return the key that was last offered, None if there is none; raises StateError in doubt."""
        return pinned_key.offered(self.path(host)) if self.exists(host) else None

    def promote_fresh_key(self, record: Record, now: datetime) -> None:
        """Make the fresh key, if there is one, that of the host; the earlier one is kept aside.

        *now* has a time zone. Call `forget_fresh_key` when the record says so. Raises StateError.
        """
        private = retired_files.KEY if record.is_stopped else key_pairs.PRIVATE
        fresh_key.promote(self._state, self.path(record.host), private, now)

    def forget_fresh_key(self, host: str, now: datetime) -> None:
        """Let ssh use only the host's key; a fresh one that is not it is kept aside. Raises StateError."""
        fresh_key.forget(self._state, self.path(host), host, now)

    def fresh_key(self, host: str) -> Path | None:
        """Return the path of the fresh private key of *host*, None if it has none; raises StateError."""
        folder = self.path(host)
        return folder / key_pairs.FRESH if fresh_key.is_there(folder) else None

    def let_ssh_use_fresh_key(self, host: str, *, also: bool) -> None:
        """Let BackupPC's ssh try the fresh key of *host* *also*, or only the usual one; raises StateError."""
        keys = (key_pairs.PRIVATE, key_pairs.FRESH) if also else (key_pairs.PRIVATE,)
        fresh_key.let_ssh_use(self.path(host), host, keys)

    def set_aside(self, host: str, config: Path | None, now: datetime) -> Path:
        """Move the folder of *host* aside, which was an earlier owner's; return its new path.

        *config* is the host's .pl, if that is moved too. *now* has a time zone. The same call completes an
        interrupted one. Raises StateError.
        """
        return attic.move_folder(self._state, self.path(host), config, now)

    def set_parts_aside(self, host: str, names: Iterable[str], config: Path | None, now: datetime) -> None:
        """Move the files *names* of the folder of *host* aside, with a copy of *config*, its .pl.

        Missing files are no error. Raises StateError.
        """
        attic.move_files(self._state, self.path(host), names, config, now)

    def _create(self, folder: Path, fill: Callable[[Path], object]) -> None:
        new = self._hosts / state_dir.NEW
        state_dir.begin(self._state)
        safe_files.remove_folder(new)
        try:
            safe_files.make_folder(new)
            fill(new)
            atomic_files.sync_folder(new)
            new.rename(folder)
        except BaseException:
            with suppress(StateError):
                safe_files.remove_folder(new)
            raise
        atomic_files.sync_folder(self._hosts)

    def _fill(self, folder: Path, record: Record) -> bool:
        """Add what is missing in *folder*, the record last; return whether anything was written.

        The private key of a stopped host is made where BackupPC does not use it.
        """
        private = _private_name(folder, record)
        wrote = drafts.fill(folder, self.path(record.host), private, self._deadline)
        if records.read(folder) != record:
            records.write(folder, record)
            wrote = True
        return wrote


def _private_name(folder: Path, record: Record) -> str:
    """Return the name of the private key in *folder*, by the *record*, whether it is there yet or not."""
    if record.has_fresh_key:
        return key_pairs.FRESH
    return retired_files.private_name(folder) if record.is_stopped else key_pairs.PRIVATE
