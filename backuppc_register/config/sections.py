"""The TOML file, read and checked, as frozen dataclasses."""

import ipaddress
import os
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from backuppc_register.config import value_checks as must
from backuppc_register.protocol.errors import Misconfigured

DEFAULT_PATH = Path("/etc/backuppc-register/config.toml")

FACILITIES = {
    **{name: number for number, name in enumerate(("kern", "user", "mail", "daemon", "auth", "syslog"))},
    "cron": 9,
    "authpriv": 10,
    **{f"local{n}": 16 + n for n in range(8)},
}
"""Syslog's facilities by name (RFC 5424, table 1)."""


class Secret:
    """A password that no repr, log or traceback shows."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the password, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"


def _key(check: must.Check, default: Any = MISSING, *, name: str = "", quoted: bool = True) -> Any:
    """Describe a key: its check, its name where that is not the field's, and whether a log may quote it."""
    settings = {} if default is MISSING else {"default": default}
    return field(metadata={"check": check, "name": name, "quoted": quoted}, **settings)


@dataclass(frozen=True)
class Server:
    """What clients are told."""

    url: str = _key(must.url)
    os: tuple[str, ...] = _key(must.each(must.word, least=1), ("linux", "mac", "windows"))
    sources: tuple[str, ...] = _key(must.each(must.network), (), name="from")


@dataclass(frozen=True)
class Directory:
    """Where persons are looked up; *timeout* in seconds per server, *password* read from its file."""

    servers: tuple[str, ...] = _key(must.each(must.ldap_url, least=1))
    base: str = _key(must.filled)
    filter: str = _key(must.ldap_filter, "(uid={logon})")
    logon_attribute: str = _key(must.attribute, "uid")
    name_attribute: str = _key(must.or_empty(must.attribute), "cn")
    bind_dn: str = _key(must.anything, "")
    # Not quoted: what is no path there may be the password itself.
    bind_password_file: str = _key(must.or_empty(must.path), "", quoted=False)
    start_tls: bool = _key(must.anything, False)
    ca_file: str = _key(must.or_empty(must.path), "")
    timeout: int = _key(must.between(1, 60), 5)
    password: Secret = field(default=Secret(""), metadata={"internal": True})


@dataclass(frozen=True)
class Dns:
    """How names are looked up, and which we register; *timeout* in seconds for all questions of a request."""

    domains: tuple[str, ...] = _key(must.each(must.domain, least=1))
    nameservers: tuple[str, ...] = _key(must.each(must.address), ())
    port: int = _key(must.between(1, 65535), 53)
    timeout: int = _key(must.between(1, 60), 5)
    networks: tuple[str, ...] = _key(must.each(must.network), ())
    refuse: tuple[str, ...] = _key(must.each(must.pattern), ())
    host_name: str = _key(must.one_of("short", "full"), "short")


@dataclass(frozen=True)
class BackupPC:
    """Where BackupPC has its files."""

    hosts: Path = _key(must.path)
    config_dir: Path = _key(must.path)
    data_dir: Path = _key(must.path, Path("/var/lib/backuppc"))
    socket: str = _key(must.or_empty(must.path), "/run/backuppc/BackupPC.sock")
    templates: Path = _key(must.path, Path("/etc/backuppc-register/templates"))


@dataclass(frozen=True)
class State:
    """Where our own files are."""

    directory: Path = _key(must.safe_path)


@dataclass(frozen=True)
class Limits:
    """How much one request, address or person may take; 0 is no limit.

    *per_address* in requests a minute, *at_once* in requests in work, *hosts_per_person* in hosts lines.
    """

    per_address: int = _key(must.between(0, 1_000_000), 30)
    at_once: int = _key(must.between(0, 10_000), 40)
    hosts_per_person: int = _key(must.between(0, 1_000_000), 0)


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


_SECTIONS: dict[str, type] = {
    "server": Server,
    "directory": Directory,
    "dns": Dns,
    "backuppc": BackupPC,
    "state": State,
    "limits": Limits,
    "syslog": Syslog,
}
_TYPES: dict[object, str] = {
    str: "a text",
    Path: "a text",
    int: "a whole number",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
}


def read(path: Path) -> dict[str, Any]:
    """Return the TOML document at *path*, unchecked.

    Raises Misconfigured where it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Misconfigured(detail=f"{path}: {error}") from error


def check(document: dict[str, Any]) -> Config:
    """Return the configuration that *document* holds.

    Raises Misconfigured, whose detail names all problems at once, each with section and key.
    """
    problems = [f"[{name}] is no section of ours" for name in document if name not in _SECTIONS]
    sections = {
        name: _section(kind, name, document.get(name, {}), problems) for name, kind in _SECTIONS.items()
    }
    directory = sections["directory"]
    problems += _contradictions(directory)
    sections["directory"] = replace(directory, password=_password(directory, problems))
    if problems:
        raise Misconfigured(detail="; ".join(problems))
    return Config(**sections)


def with_problems(error: Misconfigured, document: dict[str, Any]) -> Misconfigured:
    """Return *error* with the problems that *document* has besides."""
    try:
        check(document)
    except Misconfigured as others:
        return Misconfigured(detail=f"{error.detail}; {others.detail}")
    return error


def as_far_as_readable(document: dict[str, Any]) -> Config:
    """Return what *document* holds, each wrong key with its default or with nothing; never raises.

    For looking at a broken server alone; no request is ever served by it.
    """
    told = {name: _section(kind, name, document.get(name, {}), []) for name, kind in _SECTIONS.items()}
    told["directory"] = replace(told["directory"], password=_password(told["directory"], []))
    return Config(**told)


def syslog(document: dict[str, Any]) -> Syslog:
    """Return where to log by *document*, the default where that is wrong or silent; never raises."""
    return cast(Syslog, _section(Syslog, "syslog", document.get("syslog", {}), []))


def config_dir(document: dict[str, Any]) -> Path:
    """Return BackupPC's configuration folder by *document*, whose owner is who we work as.

    Raises Misconfigured where it is not told, with all the other problems.
    """
    section = document.get("backuppc", {})
    told = section.get("config_dir", "") if isinstance(section, dict) else ""
    if isinstance(told, str) and not must.path(told):
        return Path(told)
    return check(document).backuppc.config_dir


def _section(kind: type, name: str, table: object, problems: list[str]) -> Any:
    """Return the section as *kind* and add its problems to the list.

    A key with a problem has its default, or nothing, so that the others are judged all the same.
    """
    if not isinstance(table, dict):
        problems.append(f"[{name}] is not a section")
        return kind(**_nothing(kind))
    known = {f.metadata["name"] or f.name: f for f in _keys(kind)}
    problems += [f"[{name}] {key}: is no key of ours" for key in table if key not in known]
    values = _nothing(kind)
    for key, told in known.items():
        found = list(_problems(told, table, key))
        problems += [f"[{name}] {key}: {problem}" for problem in found]
        if key in table and not found:
            values[told.name] = _converted(told, table[key])
    return kind(**values)


def _nothing(kind: type) -> dict[str, Any]:
    """Return an empty value for each key that must be there."""
    required = (f for f in _keys(kind) if f.default is MISSING)
    return {f.name: _converted(f, "" if f.type in (str, Path) else []) for f in required}


def _keys(kind: type) -> Iterator[Field[Any]]:
    return (f for f in fields(kind) if not f.metadata.get("internal"))


def _problems(told: Field[Any], table: dict[str, Any], key: str) -> Iterator[str]:
    if key not in table:
        if told.default is MISSING:
            yield "is missing"
    elif not _is_a(told.type, table[key]):
        yield f"is not {_TYPES[told.type]}"
    elif problem := told.metadata["check"](table[key]):
        quoted = told.metadata["quoted"] and not isinstance(table[key], list)
        yield f"{table[key]!r} {problem}" if quoted else problem


def _is_a(kind: object, value: object) -> bool:
    if kind == tuple[str, ...]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return type(value) is (str if kind is Path else kind)


def _converted(told: Field[Any], value: Any) -> Any:
    if told.type is Path and isinstance(value, str):
        return Path(value)
    return tuple(value) if isinstance(value, list) else value


def _contradictions(directory: Directory) -> Iterator[str]:
    if directory.ca_file and not os.access(directory.ca_file, os.R_OK):
        yield f"[directory] ca_file: {directory.ca_file!r} cannot be read"
    if bool(directory.bind_dn) != bool(directory.bind_password_file):
        yield "[directory] bind_dn and bind_password_file: one without the other"
    if directory.bind_dn and not directory.start_tls:
        for server in directory.servers:
            if server.startswith("ldap://") and not _loopback(urlsplit(server).hostname or ""):
                yield f"[directory] servers: {server!r} would get the bind password without TLS"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _password(directory: Directory, problems: list[str]) -> Secret:
    """Read the bind password; its last newline does not belong to it."""
    if not directory.bind_password_file:
        return Secret("")
    path = Path(directory.bind_password_file)
    where = f"[directory] bind_password_file: {str(path)!r}"
    try:
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
            problems.append(f"{where} is open to everybody (chmod o=)")
        password = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, ValueError) as error:
        # A decoding error would quote the password.
        problems.append(f"{where}: {error.strerror if isinstance(error, OSError) else 'is not UTF-8'}")
        return Secret("")
    if not password:
        problems.append(f"{where} is empty")
    return Secret(password)
