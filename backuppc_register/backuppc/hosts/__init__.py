"""BackupPC's hosts file: `lines` reads as BackupPC does, `edit` changes bytes, `writing` replaces it."""

from backuppc_register.backuppc.hosts.lines import (
    HostsFile,
    Line,
    Written,
    has_header,
    keyed,
    meant,
    parse,
    skipped,
)
from backuppc_register.backuppc.hosts.writing import (
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
