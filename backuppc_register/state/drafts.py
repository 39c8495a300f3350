"""Make the folder of a new host without its record, before BackupPC's lock is taken.

So the lock is not held while ssh-keygen runs. A draft is one process's own, for one host, and never kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import key_pairs, records, safe_files, ssh_files
from backuppc_register.state.records import Record
from backuppc_register.system import atomic_files, temporary
from backuppc_register.system.deadline import Deadline


@dataclass(frozen=True)
class Draft:
    """The *folder* of *host*, complete on disk but for the record."""

    host: str
    folder: Path


@contextmanager
def made(state: Path, place: Path, deadline: Deadline | None) -> Iterator[Draft]:
    """Give a draft of the folder *place* of a host; delete it afterwards, unless it was moved to *place*.

    ssh-keygen is not waited for past *deadline*. Raises StateError, NoSpace.
    """
    with temporary.folder(state) as folder:
        with safe_files.faults():
            fill(folder, place, key_pairs.PRIVATE, deadline)
        yield Draft(place.name, folder)


def fill(folder: Path, place: Path, private: str, deadline: Deadline | None) -> bool:
    """Add what is missing in *folder*, which is or becomes *place*, but for the record.

    *private*: the name of the private key. Returns whether anything was written. Raises StateError, OSError.
    """
    wrote = key_pairs.complete(folder, place.name, deadline, private=private)
    wrote |= safe_files.add(folder / ssh_files.NAME, b"")
    # A lost ssh_config may have been strict. A host with a known key needs no other one.
    strict = bool(safe_files.content(folder / ssh_files.NAME))
    text = ssh_files.ssh_config(place, place.name, strict=strict)
    return wrote | safe_files.add(folder / ssh_files.SSH_CONFIG, text)


def complete(draft: Draft, record: Record) -> None:
    """Add the *record* to the draft, which may then become the folder of its host.

    Raises StateError, also if it is another host's draft; OSError.
    """
    if draft.host != record.host:
        raise StateError(detail=f"the key pair of {draft.host} is not for {record.host}")
    atomic_files.create(draft.folder / records.NAME, records.to_bytes(record), 0o640)
    draft.folder.chmod(0o750)
    atomic_files.sync_folder(draft.folder)
