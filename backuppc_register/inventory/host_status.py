"""A host's status: its hosts lines, record, per-host config, backups and owner, read once under the lock."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backuppc_register.backuppc import backups, host_config, hosts
from backuppc_register.backuppc.hosts import HostsFile, Line
from backuppc_register.inventory.server import Server
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import StateError
from backuppc_register.state import key_pairs, safe_files
from backuppc_register.state.records import Record

if TYPE_CHECKING:
    from backuppc_register.backuppc.data_folder import Extent
    from backuppc_register.state.former_owners import Owners
    from backuppc_register.state.snapshot_file import SeenHost

_MANUALLY_ADDED = Record("", full_name="", person="", entry="", os="", address="", registered="", config="")


@dataclass(frozen=True)
class HostStatus:
    """A host's status.

    *folder*: our state has a folder of it. *config*: the per-host .pl, None if there is none. *reserved*: it
    has a per-host config of any kind; *overriding*: the one that BackupPC reads instead of the .pl, if any.
    *backups*: BackupPC has data of it, or cannot be asked; then *doubt* says why.

    A request of a known host needs no more. The properties that read more raise HostsFileError or StateError.
    """

    host: str
    server: Server = field(repr=False, compare=False)
    hosts: HostsFile
    record: Record | None
    folder: bool
    config: bytes | None
    reserved: bool
    backups: bool
    overriding: Path | None = None
    doubt: str = ""

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return the hosts lines of the host."""
        return self.hosts.lines_for(self.host)

    @property
    def line(self) -> Line | None:
        """Return the first hosts line, None if there is none."""
        return next(iter(self.lines), None)

    @cached_property
    def owner(self) -> str:
        """Return the effective owner, "" if the host has none."""
        owners = self.server.former_owners.of(self.host)
        last = self.last_seen if owners.former else None  # without a former owner it does not count
        return effective_owner(self.line.user if self.line else "", owners, last)

    @cached_property
    def last_seen(self) -> "SeenHost | None":
        """Return what the hosts snapshot has of the host."""
        return self.server.snapshot.read().get(self.host)

    @cached_property
    def extent(self) -> "Extent":
        """Return how much BackupPC has of the host by its own list."""
        from backuppc_register.backuppc import data_folder

        return data_folder.extent(self.server.backuppc.data_dir, self.host)

    @cached_property
    def key_in_use(self) -> bool:
        """Tell whether BackupPC's ssh can use the private key of the host."""
        folder = self.server.folders.path(self.host)
        return safe_files.content(folder / key_pairs.PRIVATE) is not None

    @cached_property
    def recorded(self) -> Record:
        """Return the host's record, or a minimal one for a manually added host."""
        record = self.record or _MANUALLY_ADDED
        if not record.by_hand:
            return record
        return replace(record, host=self.host, person=self.owner if self.line else record.person)


def read(host: str, server: Server, file: HostsFile | None = None) -> HostStatus:
    """Return the status of *host*; the caller holds BackupPC's lock.

    *file*: the hosts file, if it was read already. Raises HostsFileError, StateError.
    """
    places = server.backuppc
    data = backups.data(places.data_dir, host)
    return HostStatus(
        host=host,
        server=server,
        hosts=hosts.read(places.hosts) if file is None else file,
        record=server.folders.record(host),
        folder=server.folders.exists(host),
        config=host_config.read(places.config_dir, host),
        reserved=host_config.exists(places, host),
        backups=data.exists,
        doubt=data.doubt,
        overriding=host_config.overriding(places, host),
    )


def is_retired(host: str, server: Server) -> bool:
    """Tell whether *host* is certainly retired."""
    try:
        record = server.folders.record(host)
    except (StateError, ValueError):  # ValueError: a line with a name that no machine can have
        return False
    return record is not None and bool(record.retired)


def effective_owner(line_owner: str, owners: "Owners", last: "SeenHost | None") -> str:
    """Return the owner of a host with a hosts line that names *line_owner*.

    An administrator's command beats the hosts line. If the owner by a command is not known, the line counts,
    unless it was reverted to a former owner: then the owner in the snapshot (*last*) counts.
    """
    if owners.owner:
        return owners.owner
    before = [line.user for line in last.lines] if last else []
    reverted = owners.is_former(line_owner) and not any(same_logon(line_owner, one) for one in before)
    return before[0] if reverted and before else line_owner
