"""Keep the key pair of a stopped host's next login beside its earlier one, and put one in the other's place.

An administrator has stopped the host. The earlier key lies on its machine since before that, so a login with
it proves nothing; the fresh key can only have been installed by root since.
"""

from datetime import datetime
from pathlib import Path

from backuppc_register.state import attic, key_pairs, retired_files, safe_files, ssh_files
from backuppc_register.system import atomic_files


def is_there(folder: Path) -> bool:
    """Tell whether *folder* has a fresh key, of the last decision or an earlier one; raises StateError."""
    return safe_files.content(folder / key_pairs.FRESH) is not None


def set_aside(state: Path, folder: Path, now: datetime) -> None:
    """Move the fresh pair in *folder*, if there is one, aside; *now* has a time zone. Raises StateError."""
    attic.move_files(state, folder, key_pairs.FRESH_PAIR, None, now)


def promote(state: Path, folder: Path, private: str, now: datetime) -> None:
    """Make the fresh key that of the host, under the name *private*; the earlier pair is kept aside.

    The fresh pair stays until `forget`, so that the same call completes an interrupted one. *now* has a time
    zone. Raises StateError.
    """
    fresh, half = (safe_files.content(folder / name) for name in key_pairs.FRESH_PAIR)
    if fresh is None:
        return
    earlier = (retired_files.KEY, key_pairs.PRIVATE, key_pairs.PUBLIC)
    if not any(safe_files.content(folder / name) == fresh for name in earlier):
        attic.move_files(state, folder, earlier, None, now)
        with safe_files.faults():
            atomic_files.write(folder / private, fresh, 0o600)
    if half is not None:
        safe_files.put(folder / key_pairs.PUBLIC, half)


def forget(state: Path, folder: Path, host: str, now: datetime) -> None:
    """Let ssh use only the key of *host* from now on; a fresh pair that is another one is kept aside.

    *now* has a time zone. Raises StateError.
    """
    let_ssh_use(folder, host, (key_pairs.PRIVATE,))
    fresh = safe_files.content(folder / key_pairs.FRESH)
    if fresh is not None and fresh != safe_files.content(folder / key_pairs.PRIVATE):
        set_aside(state, folder, now)
    with safe_files.faults():
        for name in key_pairs.FRESH_PAIR:
            (folder / name).unlink(missing_ok=True)


def let_ssh_use(folder: Path, host: str, keys: tuple[str, ...]) -> None:
    """Name the private *keys* of *host* in its ssh_config, if it has one; raises StateError."""
    content = safe_files.content(folder / ssh_files.SSH_CONFIG)
    if content is None or ssh_files.keys_in(content) == keys:
        return
    strict = bool(safe_files.content(folder / ssh_files.NAME))
    safe_files.put(
        folder / ssh_files.SSH_CONFIG, ssh_files.ssh_config(folder, host, strict=strict, keys=keys)
    )
