"""The sections of the configuration as frozen dataclasses: each key with its check and its default."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from backuppc_register.config import value_checks as must
from backuppc_register.config.directory_kinds import KINDS

FACILITIES = {
    **{name: number for number, name in enumerate(("kern", "user", "mail", "daemon", "auth", "syslog"))},
    "cron": 9,
    "authpriv": 10,
    **{f"local{n}": 16 + n for n in range(8)},
}
"""The facilities of syslog by name (RFC 5424, table 1)."""


SOCKETS = {
    "/etc/backuppc": "/run/backuppc/BackupPC.sock",
    "/etc/BackupPC": "/run/BackupPC/BackupPC.sock",
}
"""Where BackupPC listens, by its configuration folder: Debian's, then EPEL's and that of the source."""


class Secret:
    """A password that no repr, log or traceback shows."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the password, for the call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"


def _key(check: must.Check, default: Any = MISSING, *, name: str = "", quoted: bool = True) -> Any:
    """Describe a key: its check, its *name* if not the field's, and whether a log may quote its value."""
    settings = {} if default is MISSING else {"default": default}
    return field(metadata={"check": check, "name": name, "quoted": quoted}, **settings)


@dataclass(frozen=True)
class Server:
    """What the replies contain, and how BackupPC's files spell logons."""

    url: str = _key(must.url)
    os: tuple[str, ...] = _key(must.each(must.word, least=1), ("linux", "mac", "windows"))
    sources: tuple[str, ...] = _key(must.sources, (), name="from")
    lower_case_logons: bool = _key(must.anything, False)


@dataclass(frozen=True)
class Directory:
    """Where to look persons up; *timeout* in seconds per server, *password* from bind_password_file.

    The reader puts in what *kind* brings for the keys that the file does not have.
    """

    servers: tuple[str, ...] = _key(must.each(must.ldap_url, least=1))
    base: str = _key(must.filled)
    kind: str = _key(must.one_of(*KINDS), "openldap")
    filter: str = _key(must.ldap_filter, "(uid={logon})")
    logon_attribute: str = _key(must.attribute, "uid")
    name_attribute: str = _key(must.or_empty(must.attribute), "cn")
    bind_dn: str = _key(must.anything, "")
    # Not quoted: a value that is not a path may be the password itself.
    bind_password_file: str = _key(must.or_empty(must.path), "", quoted=False)
    start_tls: bool = _key(must.anything, False)
    ca_file: str = _key(must.or_empty(must.path), "")
    timeout: int = _key(must.between(1, 60), 5)
    password: Secret = field(default=Secret(""), metadata={"internal": True})


@dataclass(frozen=True)
class Dns:
    """How to look names up, and which to register; *timeout* in seconds for all questions of a request."""

    domains: tuple[str, ...] = _key(must.each(must.domain, least=1))
    nameservers: tuple[str, ...] = _key(must.each(must.address), ())
    port: int = _key(must.between(1, 65535), 53)
    timeout: int = _key(must.between(1, 60), 5)
    networks: tuple[str, ...] = _key(must.each(must.network), ())
    refuse: tuple[str, ...] = _key(must.each(must.pattern), ())
    host_name: str = _key(must.one_of("short", "full"), "short")


@dataclass(frozen=True)
class BackupPC:
    """Where the files of BackupPC are; *install_dir* is empty for a usual place."""

    hosts: Path = _key(must.path)
    config_dir: Path = _key(must.path)
    data_dir: Path = _key(must.path, Path("/var/lib/backuppc"))
    socket: str = _key(must.or_empty(must.path), SOCKETS["/etc/backuppc"])
    install_dir: str = _key(must.or_empty(must.path), "")
    templates: Path = _key(must.path, Path("/etc/backuppc-register/templates"))


@dataclass(frozen=True)
class State:
    """Where our own files are."""

    directory: Path = _key(must.safe_path)


@dataclass(frozen=True)
class Limits:
    """How much an address or a person may use; 0 is no limit.

    *per_address*: requests a minute. *at_once*: requests in work. *hosts_per_person*: hosts lines.
    *unverified_days*: how long a registration may wait for its first verification without any backup.
    *longest_pause_days*: how far away an owner may put off the backups of a host.
    """

    per_address: int = _key(must.between(0, 1_000_000), 30)
    at_once: int = _key(must.between(0, 10_000), 40)
    hosts_per_person: int = _key(must.between(0, 1_000_000), 0)
    unverified_days: int = _key(must.between(0, 36_500), 14)
    longest_pause_days: int = _key(must.between(0, 36_500), 30)


@dataclass(frozen=True)
class Syslog:
    """Where the log goes."""

    facility: str = _key(must.one_of(*FACILITIES), "local3")
    socket: str = _key(must.path, "/dev/log")


@dataclass(frozen=True)
class Config:
    """The whole configuration (design, section 5)."""

    server: Server
    directory: Directory
    dns: Dns
    backuppc: BackupPC
    state: State
    limits: Limits
    syslog: Syslog
