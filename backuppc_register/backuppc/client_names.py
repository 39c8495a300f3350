"""Read which other names hosts have in BackupPC (ClientNameAlias), without its Perl where that is enough."""

import re
from collections.abc import Iterable
from pathlib import Path

from backuppc_register.backuppc import host_config
from backuppc_register.protocol.errors import StateError
from backuppc_register.system import regular_files

_COMMENT = re.compile(rb"^\s*#[^\n]*", re.MULTILINE)
_ASSIGNED = re.compile(rb"ClientNameAlias['\"]?\s*\}\s*=\s*([^;]*);")
# One quoted name, or a list of them.
_LITERAL = re.compile(rb"\s*\[?(?:\s*(['\"])[A-Za-z0-9._:-]*\1\s*,?)*\s*\]?\s*")
_NAME = re.compile(rb"[A-Za-z0-9._:-]+")


def written(content: bytes) -> tuple[str, ...] | None:
    """Return all names that a host's .pl has for ClientNameAlias; None if only Perl can tell."""
    code = _COMMENT.sub(b"", content)
    values = _ASSIGNED.findall(code)
    if len(values) != code.count(b"ClientNameAlias") or not all(map(_LITERAL.fullmatch, values)):
        return None
    return tuple(name.decode("ascii") for value in values for name in _NAME.findall(value))


def of(hosts: Iterable[str], config_dir: Path) -> dict[str, tuple[str, ...] | None]:
    """Return for each of *hosts* with a .pl of its own what `written` tells; raises StateError in doubt.

    Of two files for one host only Perl can tell which one BackupPC reads.
    """
    try:
        folders = {host_config.folder(config_dir), config_dir}
        files = {path.name: path for folder in folders for path in folder.iterdir()}
        known = {host: files[f"{host}.pl"] for host in hosts if f"{host}.pl" in files}
        return {host: _written(path, folders) for host, path in known.items()}
    except OSError as error:
        raise StateError(detail=f"the name of another host cannot be read: {error}") from error


def _written(path: Path, folders: set[Path]) -> tuple[str, ...] | None:
    if len(folders) > 1 and all((folder / path.name).exists() for folder in folders):
        return None
    return written(regular_files.read(path, follow=True)[0])
