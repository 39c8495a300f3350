"""How the rsync that BackupPC starts for a folder begins, overheard from itself."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import processes

# Xfer/Rsync.pm: what it puts in front of RsyncSshArgs, from there to there.
_PLACE, _LAST_OF_OURS = b"--bpc-top-dir", b"--bpc-attrib-new"
_LETTERS = re.compile(rb"-([A-Za-z]+?)(?:e\..*)?")


class NotBegun(Exception):
    """Why rsync ended before it called its remote shell."""


@dataclass(frozen=True)
class Transfer:
    """The beginning of the backup of the folder *path*, as the machine calls it.

    *words*: what rsync gives its remote shell, the machine's name first. *handshake*: what it then sends to
    the rsync there, up to and with its protocol. *command*: what BackupPC starts, with another remote shell
    and another place for what it keeps.
    """

    path: str
    words: tuple[bytes, ...]
    handshake: bytes
    command: tuple[bytes, ...] = ()

    def listing(self, shell: str, folder: Path) -> list[bytes]:
        """Return the command that lists by *shell* what would be saved, what it keeps being in *folder*.

        Without --checksum, or the machine would read its files whole before it names them.
        """
        command = [word for word in self.command if word != b"--checksum"]
        command[command.index(_PLACE) + 1] = os.fsencode(folder)
        remote_shell = command.index(b"-e", command.index(_LAST_OF_OURS))
        command[remote_shell + 1 : remote_shell + 2] = [os.fsencode(shell), b"--list-only"]
        return command

    @property
    def stays(self) -> bool:
        """Whether it leaves out other file systems (--one-file-system)."""
        return "x" in self._letters

    @property
    def goes_deep(self) -> bool:
        """Whether it saves what is in folders (--recursive)."""
        return "r" in self._letters

    @property
    def idle(self) -> bool:
        """Whether it only tells what it would do (--dry-run, --list-only)."""
        return "n" in self._letters or b"--list-only" in (*self.words, *self.handshake.split(b"\0"))

    @property
    def _letters(self) -> str:
        for match in filter(None, map(_LETTERS.fullmatch, self.words[1:])):
            return match[1].decode()
        return ""


def overheard(started: Mapping[str, Any], said: Path, within: float) -> Transfer:
    """Run the rsync of *started* (path, command; in hex) with a remote shell that reaches nobody.

    That one writes to the file *said* (remote_shell.pl).

    Raises NotBegun, Misconfigured.
    """
    command = [bytes.fromhex(word) for word in started["command"]]
    said.unlink(missing_ok=True)
    try:
        ended = processes.run(command, within)
    except processes.TimedOut as late:
        raise NotBegun(f"rsync took too long: {late.output[-200:]!r}") from late
    except (OSError, ValueError) as error:
        raise Misconfigured(detail=f"BackupPC's rsync cannot be started: {error}") from error
    try:
        words, _, first = said.read_text("ascii").partition("\n\n")
    except FileNotFoundError as error:
        raise NotBegun(ended.error_text or f"exit status {ended.status}") from error
    path = bytes.fromhex(started["path"]).decode("utf-8", "replace")
    return Transfer(path, tuple(map(bytes.fromhex, words.split("\n"))), bytes.fromhex(first), tuple(command))
