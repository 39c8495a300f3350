"""Capture how the rsync begins that BackupPC starts for a folder."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import os_errors, processes

# Xfer/Rsync.pm: the first and the last option before RsyncSshArgs.
_TOP_DIR, _LAST_OPTION = b"--bpc-top-dir", b"--bpc-attrib-new"
_LETTERS = re.compile(rb"-([A-Za-z]+?)(?:e\..*)?")


class NotBegun(Exception):
    """Rsync ended before it called its remote shell; the text is the reason."""


@dataclass(frozen=True)
class Transfer:
    """The beginning of the backup of the folder *path* of a machine.

    *words*: the arguments of rsync's remote shell, the machine's name first. *handshake*: what rsync then
    sends to the machine, up to its protocol. *command*: the command that BackupPC starts, with another remote
    shell and another folder for received data.
    """

    path: str
    words: tuple[bytes, ...]
    handshake: bytes
    command: tuple[bytes, ...] = ()

    def listing(self, shell: str, folder: Path) -> list[bytes]:
        """Return the command that lists by the remote *shell* what would be saved, with data in *folder*.

        It has no --checksum: the machine would read whole files before it names them.
        """
        command = [word for word in self.command if word != b"--checksum"]
        command[command.index(_TOP_DIR) + 1] = os.fsencode(folder)
        remote_shell = command.index(b"-e", command.index(_LAST_OPTION))
        command[remote_shell + 1 : remote_shell + 2] = [os.fsencode(shell), b"--list-only"]
        return command

    @property
    def stays(self) -> bool:
        """Tell whether other file systems are left out (--one-file-system)."""
        return "x" in self._letters

    @property
    def goes_deep(self) -> bool:
        """Tell whether the contents of folders are saved (--recursive)."""
        return "r" in self._letters

    @property
    def idle(self) -> bool:
        """Tell whether nothing is saved (--dry-run, --list-only)."""
        return "n" in self._letters or b"--list-only" in (*self.words, *self.handshake.split(b"\0"))

    @property
    def _letters(self) -> str:
        for match in filter(None, map(_LETTERS.fullmatch, self.words[1:])):
            return match[1].decode()
        return ""


def captured(started: Mapping[str, Any], heard: Path, within: float) -> Transfer:
    """Run the rsync of *started* (path, command; in hex) with a remote shell that makes no connection.

    The remote shell writes to the file *heard* (remote_shell.pl).

    Raises NotBegun, Misconfigured.
    """
    command = [bytes.fromhex(word) for word in started["command"]]
    heard.unlink(missing_ok=True)
    try:
        ended = processes.run(command, within)
    except processes.TimedOut as late:
        raise NotBegun(f"rsync took too long: {late.output[-200:]!r}") from late
    except OSError as error:
        raise os_errors.fault(error, f"BackupPC's rsync cannot be started: {error}") from error
    except ValueError as error:
        raise Misconfigured(detail=f"BackupPC's rsync cannot be started: {error}") from error
    try:
        words, _, first = heard.read_text("ascii").partition("\n\n")
    except FileNotFoundError as error:
        raise NotBegun(ended.error_text or f"exit status {ended.status}") from error
    path = bytes.fromhex(started["path"]).decode("utf-8", "replace")
    return Transfer(path, tuple(map(bytes.fromhex, words.split("\n"))), bytes.fromhex(first), tuple(command))
