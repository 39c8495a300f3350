"""Read and change BackupPC's hosts file: `syntax` parses, `edit` changes bytes, `file` reads and writes."""

from backuppc_register.backuppc.hosts.file import (
    append,
    create,
    give,
    read,
    refuse_append,
    refuse_give,
    remove,
    replace,
)
from backuppc_register.backuppc.hosts.syntax import (
    HostsFile,
    Line,
    Written,
    has_header,
    keyed,
    parse,
    skipped,
    with_header,
)

__all__ = [
    "HostsFile",
    "Line",
    "Written",
    "append",
    "create",
    "give",
    "has_header",
    "keyed",
    "parse",
    "read",
    "refuse_append",
    "refuse_give",
    "remove",
    "replace",
    "skipped",
    "with_header",
]
