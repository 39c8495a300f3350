"""What every verb works with: the server, the administrator, and the terminal."""

import json
import os
import pwd
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from backuppc_register import config, syslog_line
from backuppc_register.admin import table
from backuppc_register.admin.table import Columns
from backuppc_register.config import Config, Syslog
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.protocol.escaping import escape_text
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.syslog_line import Entry
from backuppc_register.system.account import WrongAccount, become_owner


@dataclass(frozen=True)
class Start:
    """What is known before the configuration is read, under the account that started us.

    *administrator*: the login of the person at the terminal.
    """

    config_path: Path
    administrator: str
    out: TextIO
    keyboard: TextIO

    def say(self, text: str = "") -> None:
        """Print a line."""
        print(printable(text), file=self.out)

    def json(self, value: object) -> None:
        """Print *value* as JSON, in pure ASCII."""
        print(json.dumps(value, indent=1), file=self.out)

    def table(self, columns: Columns, rows: Iterable[Sequence[str]]) -> None:
        """Print a table that fits the terminal; in full if *out* is no terminal."""
        width = shutil.get_terminal_size().columns if self.out.isatty() else None
        for line in table.lines(columns, (list(map(printable, row)) for row in rows), width):
            print(line, file=self.out)

    def confirmed(self, host: str, given: str | None) -> bool:
        """Tell whether *host* is typed again: *given* by ``--yes HOST``, or else asked for now."""
        if given is None:
            print(f"Type {host} again to go on: ", end="", file=self.out, flush=True)
            given = self.keyboard.readline().strip()
        return given.lower() == host.lower()

    def write_log(self, entry: Entry, where: Syslog) -> None:
        """Write *entry* to syslog with the administrator in its detail; print if syslog does not take it."""
        detail = f"by {self.administrator}" + (f" {entry.detail}" if entry.detail else "")
        if not syslog_line.write(replace(entry, detail=detail), where):
            with suppress(OSError):
                print(f"note: {where.socket} takes no log: `{entry.outcome}` is not logged", file=sys.stderr)


@dataclass(frozen=True)
class Context(Start):
    """What a verb works with after we became BackupPC's account."""

    server: Server

    @property
    def config(self) -> Config:
        """Return our configuration."""
        return self.server.config

    @property
    def account(self) -> str:
        """Return BackupPC's account."""
        return self.server.account

    @property
    def folders(self) -> HostFolders:
        """Return our folders of the hosts."""
        return self.server.folders

    def log(self, did: str, *, host: str = "", person: str = "", detail: str = "", code: str = "") -> None:
        """Write the one syslog line of a change: *did* names it, for example ``retire``.

        *code*: the error that interrupted it.
        """
        level = "err" if code else "notice"
        entry = Entry("", escape_text(did), level, code=code, host=host, user=person, detail=detail)
        self.write_log(entry, self.config.syslog)


def settle(start: Start) -> Context:
    """Become BackupPC's account, and check the configuration under it.

    Raises Misconfigured; WrongAccount if a third account started us.
    """
    document = read_config(start)
    try:
        account = become_owner(config.config_dir(document))
    except WrongAccount:
        raise
    except Misconfigured as error:
        raise config.with_problems(error, document) from error
    settings = config.check(document)
    return Context(**vars(start), server=Server(settings, account, HostFolders(settings.state.directory)))


def read_config(start: Start) -> dict[str, Any]:
    """Return our configuration, unchecked, under the account that started us.

    Raises Misconfigured; WrongAccount if that account cannot read it.
    """
    path = start.config_path
    if os.geteuid() != 0 and path.exists() and not os.access(path, os.R_OK):
        raise WrongAccount(detail=f"{start.administrator} cannot read {path}")
    return config.read(path)


def administrator(environment: Mapping[str, str]) -> str:
    """Return the login of the administrator: sudo's caller, else the real uid's."""
    name = environment.get("SUDO_USER", "")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def printable(text: str) -> str:
    r"""Return *text* with what could move a terminal's cursor as ``\xHH``; accents stay."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    lone_byte = "\udc80" <= character <= "\udcff"
    raw = character.encode("utf-8", "surrogateescape" if lone_byte else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in raw)
