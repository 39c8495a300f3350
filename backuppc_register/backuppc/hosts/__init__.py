"""BackupPC's hosts file: `syntax` reads as BackupPC does, `edit` changes bytes, `file` replaces it."""

from backuppc_register.backuppc.hosts.file import (
    append,
    give,
    make_anew,
    read,
    refuse_append,
    refuse_give,
    remove,
    replace_line,
    restore_header,
    restore_lines,
)
from backuppc_register.backuppc.hosts.syntax import (
    HostsFile,
    Line,
    Written,
    has_header,
    keyed,
    meant,
    parse,
    skipped,
)

__all__ = [
    "HostsFile",
    "Line",
    "Written",
    "append",
    "give",
    "has_header",
    "keyed",
    "make_anew",
    "meant",
    "parse",
    "read",
    "refuse_append",
    "refuse_give",
    "remove",
    "replace_line",
    "restore_header",
    "restore_lines",
    "skipped",
]
