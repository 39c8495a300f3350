"""Pin the ssh host key of a machine in the host's folder; keep another key that it offered."""

from pathlib import Path

from backuppc_register import host_key
from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files, ssh_files

_OFFERED = "offered_key"


def known(folder: Path, host: str) -> tuple[HostKey, ...]:
    """Return the pinned keys of *host*; raises StateError in doubt."""
    path = folder / ssh_files.NAME
    try:
        return ssh_files.from_bytes(safe_files.content(path) or b"", host)
    except ValueError as error:
        raise StateError(detail=f"{path}: {error}") from error


def pin(folder: Path, host: str, key: HostKey) -> bool:
    """Let ssh accept only *key*, and forget an offered key; return whether anything was written.

    Raises StateError.
    """
    keys = ssh_files.keys_in(safe_files.content(folder / ssh_files.SSH_CONFIG) or b"")
    strict = ssh_files.ssh_config(folder, host, strict=True, keys=keys)
    # First the key: a strict ssh without any key would stop the backups.
    wrote = safe_files.put(folder / ssh_files.NAME, ssh_files.to_bytes(host, key))
    wrote |= safe_files.put(folder / ssh_files.SSH_CONFIG, strict)
    with safe_files.faults():
        (folder / _OFFERED).unlink(missing_ok=True)
    return wrote


def offer(folder: Path, key: HostKey) -> None:
    """Keep *key* until an administrator accepts it; raises StateError."""
    safe_files.put(folder / _OFFERED, f"{key}\n".encode("ascii"))


def offered(folder: Path) -> HostKey | None:
    """Return the key that was last offered, None if there is none; raises StateError in doubt."""
    path = folder / _OFFERED
    content = safe_files.content(path)
    if content is None:
        return None
    key = host_key.read(content.decode("ascii", "replace").strip())
    if key is None:
        raise StateError(detail=f"{path} is not one ssh host key")
    return key
