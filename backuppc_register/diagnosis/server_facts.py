"""The facts about a server that the checks work with; any of them may be broken."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from backuppc_register.backuppc import host_config, hosts
from backuppc_register.backuppc.hosts import HostsFile, Line
from backuppc_register.backuppc.settings import Settings, SettingsReader
from backuppc_register.config import Config
from backuppc_register.inventory.server import Server
from backuppc_register.protocol.errors import HostsFileError, Misconfigured, StateError
from backuppc_register.state.records import Record

_PERL_TIMEOUT = 10.0  # seconds
_HOSTS_TIMEOUT = 10.0  # seconds for all hosts' own settings
_LOCK_TIMEOUT = 3.0  # seconds; BackupPC waits while another process holds its lock


@dataclass(frozen=True)
class ServerFacts:
    """A server.

    *server* has the part of our configuration that can be read, *problem* says why the rest cannot, or is
    "". *uid* and *home* are those of BackupPC's account, which we run as. *sshd* maps sshd's lower-case
    option names to their values for that account, None if we may not ask. *logon* is the person to look for
    in the directory, "" for any of the hosts file. *arrived* tells where a test line arrived, "" if
    nowhere, None if that is unknown.
    """

    server: Server
    config_path: Path
    problem: str
    uid: int
    home: Path
    sshd: dict[str, str] | None = None
    logon: str = ""
    arrived: str | None = None

    @property
    def config(self) -> Config:
        """Return our configuration."""
        return self.server.config

    @property
    def account(self) -> str:
        """Return the account that we work as."""
        return self.server.account

    @property
    def records(self) -> list[Record]:
        """Return the records that can be read; the check `undecided` reports the others."""
        found = (self._record(host) for host in self.server.folders.names())
        return [record for record in found if record is not None]

    def _record(self, host: str) -> Record | None:
        try:
            return self.server.folders.record(host)
        except StateError:
            return None

    @cached_property
    def hosts(self) -> HostsFile:
        """Return the hosts file; raises HostsFileError."""
        places = self.config.backuppc
        # A check must not create LOCK. Without that file, no process holds the lock.
        if not (places.config_dir / "LOCK").exists():
            return hosts.read(places.hosts)
        with self.server.locked(_LOCK_TIMEOUT):
            return hosts.read(places.hosts)

    @property
    def settings(self) -> dict[str, Any]:
        """Return BackupPC's settings for all hosts; raises Misconfigured."""
        if isinstance(self._settings, Misconfigured):
            raise self._settings
        return self._settings

    @cached_property
    def _settings(self) -> dict[str, Any] | Misconfigured:
        """Read the settings once, also if they cannot be read: a config.pl may take all of the time."""
        try:
            return SettingsReader(self.config.backuppc).main(_PERL_TIMEOUT)
        except Misconfigured as error:
            return error

    @cached_property
    def host_settings(self) -> dict[str, Settings | str]:
        """Return the settings of hosts with a .pl, or why BackupPC cannot read them.

        Hosts that were not reached in time are left out. Raises Misconfigured, StateError.
        """
        known = self.hosts_with_settings
        start = int(time.time() // 600) % max(len(known), 1)  # other hosts first each time
        reader = SettingsReader(self.config.backuppc)
        return reader.each(known[start:] + known[:start], _HOSTS_TIMEOUT) if known else {}

    @property
    def hosts_with_settings(self) -> list[str]:
        """Return the hosts with a line and a .pl, sorted; raises StateError."""
        places = self.config.backuppc
        return sorted({line.host for line in self.lines if host_config.exists(places, line.host)})

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return the hosts lines, or none if the check `hosts-file` reports that the file is broken."""
        try:
            return self.hosts.lines
        except HostsFileError:
            return ()

    @property
    def known_settings(self) -> dict[str, Any]:
        """Return BackupPC's settings, or none if the check `backuppc-config` reports that they are broken."""
        try:
            return self.settings
        except Misconfigured:
            return {}

    @property
    def persons(self) -> list[str]:
        """Return the owners of hosts, sorted, without BackupPC's own account."""
        return sorted({line.user for line in self.lines} - {"", "backuppc", self.account})
