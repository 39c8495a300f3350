"""Keep the key and the .pl of a retired host in its folder, where BackupPC does not use them."""

from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import key_pairs, safe_files
from backuppc_register.system import atomic_files

KEY = "retired_key"
CONFIG = "retired.pl"
EDITED = "edited.pl"

OF_AN_OWNER = (key_pairs.PRIVATE, key_pairs.PUBLIC, *key_pairs.FRESH_PAIR, KEY, CONFIG, EDITED)
"""What was made for one owner in a host's folder, and is kept aside when the host gets another owner."""


def private_name(folder: Path) -> str:
    """Return the name of the private key of a retired host in *folder*, whether there is one yet or not.

    After an interrupted retirement the key is still in place. Raises StateError.
    """
    in_place = safe_files.content(folder / KEY) is None and safe_files.content(folder / key_pairs.PRIVATE)
    return key_pairs.PRIVATE if in_place else KEY


def put_key_away(folder: Path) -> None:
    """Rename the private key in *folder* to a name that no ssh_config has; raises StateError."""
    _rename(folder, key_pairs.PRIVATE, KEY)


def bring_key_back(folder: Path) -> None:
    """Undo `put_key_away`; raises StateError."""
    _rename(folder, KEY, key_pairs.PRIVATE)


def kept_config(folder: Path) -> bytes | None:
    """Return the .pl from before the retirement, None if none is kept; raises StateError."""
    return safe_files.content(folder / CONFIG)


def keep_config(folder: Path, content: bytes) -> None:
    """Keep *content*, the present .pl. If one is kept already, this one was edited after the retirement.

    Raises StateError.
    """
    kept = kept_config(folder)
    if kept is None:
        with safe_files.faults():
            atomic_files.write(folder / CONFIG, content, 0o640)
    elif kept != content:
        keep_edited(folder, content)


def keep_edited(folder: Path, content: bytes) -> None:
    """Keep *content*, the edited .pl of a retired host, so that it can be read; raises StateError."""
    with safe_files.faults():
        atomic_files.write(folder / EDITED, content, 0o640)


def forget_config(folder: Path) -> None:
    """Remove the kept .pl; raises StateError."""
    with safe_files.faults():
        (folder / CONFIG).unlink(missing_ok=True)
        atomic_files.sync_folder(folder)


def _rename(folder: Path, name: str, other: str) -> None:
    """Rename a private key; never replace a different one."""
    content = safe_files.content(folder / name)
    if content is None:
        return
    if safe_files.content(folder / other) not in (None, content):
        raise StateError(detail=f"{folder} has two different keys, {name} and {other}: remove the wrong one")
    with safe_files.faults():
        atomic_files.write(folder / other, content, 0o600)
        (folder / name).unlink()
        atomic_files.sync_folder(folder)
