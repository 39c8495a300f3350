"""A backup server in a folder: real files, with stand-ins for the DNS, the directory and BackupPC."""

import builtins
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self, cast

from fakes import BackupPC, Dns, Jobs, People

from backuppc_register import config
from backuppc_register.backuppc import hosts
from backuppc_register.inventory import server as inventory
from backuppc_register.inventory.services import Services, Trace, untraced
from backuppc_register.lifecycle.operation import Operation
from backuppc_register.person import Person
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Request
from backuppc_register.reconciliation import inconsistencies, reconcile
from backuppc_register.registration import register
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.snapshot_file import HostsSnapshot
from backuppc_register.system.deadline import Deadline

PEER = ip_address("10.0.0.9")
CMARTIN = Person("cmartin", "Christophe Martin", "entryUUID:1")
ADUPONT = Person("adupont", "Anne Dupont", "entryUUID:2")
HEADER = "host\tdhcp\tuser\tmoreUsers\n"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ARCHIVE = "dormeur_20261122"
ROW = "0\tfull\t1\t2\t3\t4096\t0\t0\t0\t0\t0\n"
MADE = b"# by hand\n$Conf{XferMethod} = 'smb'; $Conf{SmbSharePasswd} = 'cmartin's';\n1;\n"
LINE = "dormeur 0 cmartin friend  # room 12"


class Server:
    """A server in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("etc", "data/pc", "state", "templates"):
            (folder / name).mkdir(parents=True)
        self.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")
        self.people, self.backuppc = People(CMARTIN, ADUPONT), BackupPC()
        self.limits = config.Limits()

    @property
    def hosts(self) -> Path:
        return self.folder / "etc/hosts"

    @property
    def pl(self) -> Path:
        return self.folder / "etc/dormeur.pl"

    @property
    def state(self) -> Path:
        return self.folder / "state/hosts/dormeur"

    def ask(
        self,
        logon: str = "cmartin",
        *,
        verb: str = "register",
        os: str = "mac",
        name: str = "dormeur.univ-brest.fr",
        trace: Trace = untraced,
    ) -> Success:
        services = Services(
            resolver=lambda: Dns(name),
            directory=lambda: self.people,
            daemon=self.backuppc,
            deadline=Deadline(28),
            trace=trace,
        )
        site = self.server()
        site.folders.ready()
        return register.serve(Request(verb, os, logon), PEER, site, services)

    def server(self) -> inventory.Server:
        return inventory.Server(self.config(), "backuppc", HostFolders(self.folder / "state"))

    def config(self) -> config.Config:
        return config.Config(
            server=config.Server(url="https://dugong.univ-brest.fr/?host={host}", sources=("192.0.2.3",)),
            directory=config.Directory(servers=("ldap://x",), base="dc=x"),
            dns=config.Dns(domains=("univ-brest.fr", "iuem.fr")),
            backuppc=config.BackupPC(
                hosts=self.hosts,
                config_dir=self.folder / "etc",
                data_dir=self.folder / "data",
                socket="",
                templates=self.folder / "templates",
            ),
            state=config.State(directory=self.folder / "state"),
            limits=self.limits,
            syslog=config.Syslog(),
        )

    def add_backup(self, number: str = "0") -> None:
        (self.folder / "data/pc/dormeur" / number).mkdir(parents=True)

    def lines(self) -> list[str]:
        return self.hosts.read_text().splitlines()[2:]

    def bytes(self) -> dict[Path, tuple[builtins.bytes, int, int]]:
        """Every file with its content and its times, BackupPC's LOCK and the temporary ones included."""
        return {
            path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
            for path in self.folder.rglob("*")
            if path.is_file()
        }


class Site(Server):
    """A server on which cmartin has registered dormeur."""

    def __init__(self, folder: Path, *, data: bool = True) -> None:
        super().__init__(folder)
        self.jobs = Jobs()
        self.key = self.ask().key
        if data:
            self.add_data()

    def add_data(self, host: str = "dormeur") -> None:
        pc = self.folder / "data/pc" / host
        (pc / "0").mkdir(parents=True)
        (pc / "0/secret").write_text("cmartin's")
        (pc / "backups").write_text(ROW)

    def custody(self, *, now: datetime = NOW) -> Operation:
        return Operation(
            server=self.server(),
            administrator="chef",
            jobs=cast(Any, self.jobs),
            now=now,
        )

    def find(self, logon: str) -> Person:
        return self.people.find(logon, 5)

    def record(self, host: str = "dormeur") -> Any:
        return HostFolders(self.folder / "state").record(host)

    def users(self) -> dict[str, str]:
        """Whose each host is, as the hosts file has it."""
        return {line.split()[0]: line.split()[2] for line in self.lines()}

    def readers(self) -> set[str]:
        """Who can read cmartin's data: the users of the lines of hosts that have it."""
        return {
            user
            for host, user in self.users().items()
            if (self.folder / "data/pc" / host / "0/secret").exists()
        }

    def readers_of(self, owner: str) -> set[str]:
        """Return who can read what is *owner*'s."""
        pc = self.folder / "data/pc"
        secrets = {host: pc / host / "0/secret" for host in self.users()}
        return {
            user
            for host, user in self.users().items()
            if secrets[host].exists() and secrets[host].read_text() == f"{owner}'s"
        }

    def reconcile(self) -> list[tuple[str, str]]:
        """Let reconcile look, and act; return what it had to tell."""
        outcome = reconcile.reconcile(self.server(), BackupPC(), NOW)
        return [(item.word.value, item.host) for item in outcome.report]

    def contradictions(self) -> list[tuple[str, str]]:
        """What reconcile would have to leave undecided."""
        found = inconsistencies.find(hosts.read(self.hosts), self.server(), NOW)
        return [(one.host, one.what) for one in found]

    def texts(self) -> dict[Path, builtins.bytes]:
        """Every file's content, without the locks."""
        return {p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file() and p.name != "LOCK"}

    def noted(self, **changes: Any) -> Self:
        """Note as `reconcile` does that there are backups of dormeur."""
        ledger = HostsSnapshot(self.folder / "state")
        ledger.note(replace(ledger.read()["dormeur"], data=True, **changes))
        return self


class ByHand(Site):
    """A server with a host that an administrator added: line, settings, backups, and nothing of ours."""

    def __init__(
        self, folder: Path, *, line: str = LINE, made: bytes | None = MADE, data: bool = True
    ) -> None:
        Server.__init__(self, folder)
        self.jobs, self.line = Jobs(), line
        self.hosts.write_text(f"{HEADER}localhost\t0\tbackuppc\n{line}\n")
        if made is not None:
            self.pl.write_bytes(made)
        if data:
            self.add_data()

    def aside(self) -> list[tuple[str, builtins.bytes]]:
        """What was set aside: each file's name and content."""
        found = sorted((self.folder / "state/aside").rglob("*"))
        return [(path.name, path.read_bytes()) for path in found if path.is_file()]
