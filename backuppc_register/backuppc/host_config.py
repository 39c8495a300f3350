"""Read and write HOST.pl, BackupPC's settings for one host; render it from a template per OS word."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from backuppc_register import config
from backuppc_register.backuppc import perl
from backuppc_register.protocol.errors import Misconfigured, StateError
from backuppc_register.system import atomic_files, data_files, os_errors, regular_files

_MODE = 0o640
_OS = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_NOTE = re.compile(rb"^##[^\n]*\n", re.MULTILINE)
_INSERT = re.compile(rb"^@INSERT\b([^\n]*)\n?", re.MULTILINE)
_PART = re.compile(rb" ([a-z][a-z0-9_-]{0,31})@\r?")
_PLACEHOLDER = re.compile(rb"@([A-Z][A-Z_]*)@")


@dataclass(frozen=True)
class Values:
    """The values of a template's placeholders: ``@HOST@``, ``@FULL_NAME@``, ``@SSH_CONFIG@``.

    *full_name* is the confirmed DNS name, *ssh_config* our own ssh settings for the host.
    """

    host: str
    full_name: str
    ssh_config: Path


def path(config_dir: Path, host: str) -> Path:
    """Return the path at which the per-host config of *host* is written."""
    return folder(config_dir) / f"{host}.pl"


def folder(config_dir: Path) -> Path:
    """Return the folder of the per-host configs: pc/ in EPEL's package and most installations from source.

    Debian's pc is a link to the folder itself.
    """
    below = config_dir / "pc"
    return below if below.is_dir() and not below.samefile(config_dir) else config_dir


def exists(backuppc: config.BackupPC, host: str) -> bool:
    """Tell whether *host* has a per-host config anywhere that BackupPC looks (Storage/Text.pm, ConfigPath).

    A dangling link counts: an administrator made it.

    Raises StateError in doubt.
    """
    return _is_there(path(backuppc.config_dir, host)) or overrides(backuppc, host)


def overrides(backuppc: config.BackupPC, host: str) -> bool:
    """Tell whether *host* has a per-host config that BackupPC reads instead of `path`.

    Raises StateError in doubt.
    """
    return overriding(backuppc, host) is not None


def overriding(backuppc: config.BackupPC, host: str) -> Path | None:
    """Return the per-host config that BackupPC reads instead of `path`, None if there is none.

    Raises StateError in doubt.
    """
    ours = path(backuppc.config_dir, host)
    others = (backuppc.config_dir / f"{host}.pl", backuppc.data_dir / "pc" / host / "config.pl")
    return next((place for place in others if _is_there(place) and not _is_same(place, ours)), None)


def render(os: str, values: Values, site_templates: Path) -> bytes:
    """Return the per-host config for the OS word *os*, from the site's own ``OS.pl`` or else from ours.

    A line ``@INSERT NAME@`` is replaced by the part ``common/NAME.pl``, the site's own or else ours. A
    placeholder is replaced by a whole Perl literal. A line that begins with ``##`` is left out.

    Raises Misconfigured if a template or part is missing, or has an unknown placeholder.
    """
    known = {
        b"HOST": values.host,
        b"FULL_NAME": values.full_name,
        b"SSH_CONFIG": str(values.ssh_config),
    }
    place, template = _template(os, site_templates)
    whole = _INSERT.sub(lambda line: _part(line, place, site_templates), template)

    def literal(match: re.Match[bytes]) -> bytes:
        if match[1] not in known:
            detail = f"{place}, or a part of it, has an unknown placeholder: {match[0].decode('ascii')}"
            raise Misconfigured(detail=detail)
        return perl.quote(known[match[1]]).encode("ascii")

    return _PLACEHOLDER.sub(literal, _NOTE.sub(b"", whole))


def read(config_dir: Path, host: str) -> bytes | None:
    """Return the per-host config of *host* in *config_dir*, None if there is none.

    Raises StateError in doubt.
    """
    try:
        return regular_files.read(path(config_dir, host), follow=True)[0]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(detail=f"the per-host config cannot be read: {error}") from error


def write(config_dir: Path, host: str, content: bytes) -> None:
    """Write *content* to the per-host config of *host*, complete on disk, not readable by others.

    Raises StateError.
    """
    try:
        atomic_files.write(path(config_dir, host), content, _MODE)
    except OSError as error:
        raise StateError(detail=f"the per-host config cannot be written: {error}") from error


def digest(content: bytes) -> str:
    """Return a digest by which to recognise a per-host config that we wrote."""
    return hashlib.sha256(content).hexdigest()


def _template(os: str, site_templates: Path) -> tuple[Path, bytes]:
    if not _OS.fullmatch(os):
        raise Misconfigured(detail=f"{os} is no OS word")
    return _found(f"{os}.pl", site_templates)


def _part(line: re.Match[bytes], place: Path, site_templates: Path) -> bytes:
    """Return the part that replaces a *line* ``@INSERT NAME@`` of the template at *place*."""
    name = _PART.fullmatch(line[1])
    if name is None:
        text = line[0].decode("ascii", "backslashreplace").strip()
        raise Misconfigured(detail=f"{place} has a line that inserts nothing: {text}")
    part, content = _found(f"common/{name[1].decode('ascii')}.pl", site_templates)
    if _INSERT.search(content):
        raise Misconfigured(detail=f"{part} is a part itself and can insert nothing")
    return content if content.endswith(b"\n") else content + b"\n"


def _found(name: str, site_templates: Path) -> tuple[Path, bytes]:
    own = site_templates / name
    try:
        place = own if os_errors.exists(own) else data_files.find(f"templates/{name}")
        return place, place.read_bytes()
    except OSError as error:
        detail = f"the template {own} cannot be read: {error}"
        raise (StateError if os_errors.is_momentary(error) else Misconfigured)(detail=detail) from error


def _is_there(place: Path) -> bool:
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StateError(detail=f"{place} cannot be looked up: {error}") from error
    return True


def _is_same(place: Path, other: Path) -> bool:
    try:
        return os.path.samestat(place.lstat(), other.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StateError(detail=f"{place} cannot be looked up: {error}") from error
