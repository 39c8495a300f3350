"""Recognise the names that hosts and archived backups can have."""

import re

_HOST = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)


def is_host(name: str) -> bool:
    """Tell whether a host or an archive can have *name*, in lower case; it is also a safe file name."""
    return _HOST.fullmatch(name) is not None


def is_archive_of(host: str, name: str) -> bool:
    """Tell whether archived backups of *host* can have *name*: ``HOST_YYYYMMDD`` or ``HOST_YYYYMMDD-N``."""
    return re.fullmatch(rf"{re.escape(host)}_[0-9]{{8}}(-[0-9]+)?", name, re.ASCII) is not None


def is_machine(name: str) -> bool:
    """Tell whether a machine can have *name*: no DNS name has an underscore, each archive's name has one."""
    return "_" not in name
