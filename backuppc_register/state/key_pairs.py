"""Make and read a host's key pair, by which the server logs in there."""

import binascii
import os
import re
import stat
from pathlib import Path

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files, processes
from backuppc_register.system.deadline import Deadline

PRIVATE = "key"
PUBLIC = "key.pub"
FRESH = "fresh_key"
"""The private key that a stopped host is given when its machine registers again."""

FRESH_PAIR = (FRESH, f"{FRESH}.pub")

NEW = ".new-key"
_PATH = processes.PATH
_TIMEOUT = 10.0  # seconds for one ssh-keygen, which takes some milliseconds
_LINE = re.compile(r"ssh-ed25519 ([A-Za-z0-9+/]{68}) backuppc server to client [a-z0-9.-]+ ssh key", re.ASCII)
_BLOB_START = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"  # RFC 8709, section 4


def public_of(private: str) -> str:
    """Return the name of the public half of the key *private*; a retired key has that of the usual one."""
    return f"{FRESH}.pub" if private == FRESH else PUBLIC


def generate(folder: Path, host: str, deadline: Deadline | None = None, *, private: str = PRIVATE) -> None:
    """Make the key pair of *host* in *folder* before *deadline*; never replace a private key.

    *private*: the name of the private key's file. Raises StateError.
    """
    if safe_files.content(folder / private) is not None:
        raise StateError(detail=f"{folder / private} is there already")
    with safe_files.faults():
        _generate(folder, f"backuppc server to client {host} ssh key", private, deadline)


def public_key(folder: Path, deadline: Deadline | None = None, *, private: str = PRIVATE) -> str | None:
    """Return the public key's line, None if there is no private key in the file *private*.

    If its file is missing, it is derived from the private key before *deadline*; nothing is written.

    Raises StateError if the two do not belong together, or ssh would not use them.
    """
    secret = safe_files.content(folder / private)
    if secret is None:
        return None
    _refuse_open(folder / private)
    half = folder / public_of(private)
    public = safe_files.content(half)
    if public is None:
        public = ssh_keygen(["-y", "-f", private], folder, deadline)
    line, blob = _checked(public, half)
    if blob not in _decoded(secret):
        raise StateError(detail=f"{half} is not the other half of {folder / private}")
    return line


def complete(folder: Path, host: str, deadline: Deadline | None = None, *, private: str = PRIVATE) -> bool:
    """Make what is missing of the pair in *folder* before *deadline*; return whether anything was written.

    A public key without its private key is useless: then both are made anew.

    Raises StateError.
    """
    line = public_key(folder, deadline, private=private)
    if line is None:
        generate(folder, host, deadline, private=private)
        return True
    half = folder / public_of(private)
    if safe_files.content(half) is not None:
        return False
    with safe_files.faults():
        atomic_files.write(half, line.encode() + b"\n", 0o640)
    return True


@safe_files.faults()
def _refuse_open(path: Path) -> None:
    """Refuse a key that others can read, because ssh ignores it (openssh's authfile.c)."""
    if stat.S_IMODE(path.lstat().st_mode) & 0o077:
        raise StateError(detail=f"{path} is open to others (chmod 600)")


def _generate(folder: Path, comment: str, private: str, deadline: Deadline | None) -> None:
    """Let ssh-keygen work in a folder of its own, then move the files.

    That folder is its working directory: if we are killed and ssh-keygen goes on, it writes into a folder
    that the next run removes.
    """
    new = folder / NEW
    safe_files.remove_folder(new)
    new.mkdir(0o700)
    ssh_keygen(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", PRIVATE], new, deadline)
    line, _ = _checked(safe_files.content(new / PUBLIC) or b"", new / PUBLIC)
    _settle(new / PRIVATE)
    (new / PUBLIC).unlink()
    # The public key of a lost private key would contradict the new one.
    half = folder / public_of(private)
    half.unlink(missing_ok=True)
    atomic_files.sync_folder(folder)
    (new / PRIVATE).rename(folder / private)
    new.rmdir()
    atomic_files.write(half, line.encode() + b"\n", 0o640)


def _settle(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked(content: bytes, path: Path) -> tuple[str, bytes]:
    """Return the one line of a public key's file and the key in it; raises StateError."""
    line = content.decode("ascii", "replace").removesuffix("\n")
    match = _LINE.fullmatch(line)
    blob = binascii.a2b_base64(match[1]) if match else b""
    if not blob.startswith(_BLOB_START):
        raise StateError(detail=f"{path} is not one line of an ed25519 key of ours")
    return line, blob


def _decoded(private: bytes) -> bytes:
    """Return the content of OpenSSH's own private key format, b"" for any other format.

    It has the public key unencrypted (openssh's PROTOCOL.key).
    """
    try:
        return binascii.a2b_base64(b"".join(private.strip().split(b"\n")[1:-1]))
    except ValueError:
        return b""


def ssh_keygen(arguments: list[str], folder: Path, deadline: Deadline | None = None) -> bytes:
    """Run ssh-keygen with *arguments* in *folder*, until *deadline* at the latest; return its output.

    Raises StateError.
    """
    timeout = min(_TIMEOUT, deadline.remaining()) if deadline else _TIMEOUT
    try:
        ended = processes.run(["ssh-keygen", *arguments], timeout, folder=folder, path=_PATH)
    except OSError as error:
        raise StateError(detail=f"ssh-keygen: {error}") from error
    if ended.status:
        raise StateError(detail=f"ssh-keygen ended with {ended.status}: {ended.error_text}")
    return ended.output
