"""Read the TOML file and check it against the sections."""

import ipaddress
import os
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from backuppc_register.config import value_checks as must
from backuppc_register.config.directory_kinds import KINDS
from backuppc_register.config.sections import SOCKETS, BackupPC, Config, Directory, Secret, Syslog
from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import os_errors

DEFAULT_PATH = Path("/etc/backuppc-register/config.toml")

_TYPES: dict[object, str] = {
    str: "a text",
    Path: "a text",
    int: "a whole number",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
}
_SECTIONS: dict[str, type] = {section.name: cast(type, section.type) for section in fields(Config)}


def read(path: Path) -> dict[str, Any]:
    """Return the TOML document at *path*, unchecked.

    Raises Misconfigured if it cannot be read or is not TOML, TryAgain if it may be readable at the next try.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise os_errors.fault(error, f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(detail=f"{path}: {error}") from error


def check(document: dict[str, Any]) -> Config:
    """Return the configuration in *document*.

    Raises Misconfigured with all problems at once in its detail, each with section and key.
    """
    problems = [f"[{name}] is not a known section" for name in document if name not in _SECTIONS]
    config = _config(document, problems)
    if problems:
        raise Misconfigured(detail="; ".join(problems))
    return config


def with_problems(error: Misconfigured, document: dict[str, Any]) -> Misconfigured:
    """Return *error* together with the problems in *document*."""
    try:
        check(document)
    except Misconfigured as others:
        return Misconfigured(detail=f"{error.detail}; {others.detail}")
    return error


def as_far_as_readable(document: dict[str, Any]) -> Config:
    """Return the configuration in *document*, wrong keys replaced by their default or by an empty value.

    For inspecting a broken server only; no request is ever answered with it. Never raises.
    """
    return _config(document, [])


def syslog(document: dict[str, Any]) -> Syslog:
    """Return where to log, or the default if *document* does not say; never raises."""
    return cast(Syslog, _section("syslog", document, []))


def config_dir(document: dict[str, Any]) -> Path:
    """Return BackupPC's configuration folder; its owner is the account that we work as.

    Raises Misconfigured if *document* does not say, with all its other problems.
    """
    section = document.get("backuppc", {})
    value = section.get("config_dir", "") if isinstance(section, dict) else ""
    if isinstance(value, str) and not must.path(value):
        return Path(value)
    return check(document).backuppc.config_dir


def _config(document: dict[str, Any], problems: list[str]) -> Config:
    sections = {name: _section(name, document, problems) for name in _SECTIONS}
    directory = _of_its_kind(sections["directory"], document.get("directory"))
    problems += _contradictions(directory)
    sections["directory"] = replace(directory, password=_password(directory, problems))
    backuppc = sections["backuppc"]
    sections["backuppc"] = replace(backuppc, socket=_socket(document, backuppc))
    return Config(**sections)


def _of_its_kind(directory: Directory, table: object) -> Directory:
    """Return *directory* with what its kind brings for the keys that *table* does not have."""
    kind, given = KINDS[directory.kind], table if isinstance(table, dict) else {}
    words = ("filter", "logon_attribute", "name_attribute")
    brought = {word: getattr(kind, word) for word in words if word not in given}
    return replace(directory, base=kind.base_of(directory.base), **brought)


def _section(name: str, document: dict[str, Any], problems: list[str]) -> Any:
    """Return section *name* of *document* and add its problems to the list.

    A key with a problem gets its default or an empty value, so that the others are checked as well.
    """
    kind, table = _SECTIONS[name], document.get(name, {})
    known = {key.metadata["name"] or key.name: key for key in _keys(kind)}
    values = {key.name: _empty(key) for key in known.values() if key.default is MISSING}
    if not isinstance(table, dict):
        problems.append(f"[{name}] is not a section")
        return kind(**values)
    problems += [f"[{name}] {word}: is not a known key" for word in table if word not in known]
    for word, key in known.items():
        found = list(_problems(key, table, word))
        problems += [f"[{name}] {word}: {problem}" for problem in found]
        if word in table and not found:
            values[key.name] = _converted(key, table[word])
    return kind(**values)


def _keys(kind: type) -> Iterator[Field[Any]]:
    return (key for key in fields(kind) if not key.metadata.get("internal"))


def _problems(key: Field[Any], table: dict[str, Any], word: str) -> Iterator[str]:
    if word not in table:
        if key.default is MISSING:
            yield "is missing"
    elif not _is_a(key.type, table[word]):
        yield f"is not {_TYPES[key.type]}"
    elif problem := key.metadata["check"](table[word]):
        quoted = key.metadata["quoted"] and not isinstance(table[word], list)
        yield f"{table[word]!r} {problem}" if quoted else problem


def _is_a(kind: object, value: object) -> bool:
    if kind == tuple[str, ...]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return type(value) is (str if kind is Path else kind)


def _empty(key: Field[Any]) -> Any:
    return _converted(key, "" if key.type in (str, Path) else [])


def _converted(key: Field[Any], value: Any) -> Any:
    if key.type is Path:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value


def _contradictions(directory: Directory) -> Iterator[str]:
    if directory.ca_file and not os.access(directory.ca_file, os.R_OK):
        yield f"[directory] ca_file: {directory.ca_file!r} cannot be read"
    if bool(directory.bind_dn) != bool(directory.bind_password_file):
        yield "[directory] bind_dn and bind_password_file: set both or neither"
    if directory.bind_dn and not directory.start_tls:
        for server in directory.servers:
            if server.startswith("ldap://") and not _loopback(urlsplit(server).hostname or ""):
                yield f"[directory] servers: {server!r} would get the bind password without TLS"


def _socket(document: dict[str, Any], backuppc: BackupPC) -> str:
    """Return the configured socket; if the key is missing, the usual one for this configuration folder."""
    section = document.get("backuppc")
    if isinstance(section, dict) and "socket" in section:
        return backuppc.socket
    return SOCKETS.get(str(backuppc.config_dir), backuppc.socket)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _password(directory: Directory, problems: list[str]) -> Secret:
    """Return the content of bind_password_file without its last newline; add its problems to the list."""
    if not directory.bind_password_file:
        return Secret("")
    path = Path(directory.bind_password_file)
    where = f"[directory] bind_password_file: {str(path)!r}"
    try:
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
            problems.append(f"{where} is accessible to others (chmod o=)")
        password = path.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        if os_errors.is_momentary(error):
            raise os_errors.fault(error, f"{where}: {error.strerror}") from error
        problems.append(f"{where}: {error.strerror}")
        return Secret("")
    except ValueError:  # its text quotes the password
        problems.append(f"{where}: is not UTF-8")
        return Secret("")
    if not password:
        problems.append(f"{where} is empty")
    return Secret(password)
