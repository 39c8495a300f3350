"""Read and change BackupPC's hosts file: `syntax` parses, `edit` changes bytes, `file` reads and writes."""

from backuppc_register.backuppc.hosts.edit import with_user
from backuppc_register.backuppc.hosts.file import (
    append,
    create,
    give,
    read,
    refuse_append,
    refuse_give,
    refuse_replace,
    remove,
    replace,
)
from backuppc_register.backuppc.hosts.syntax import (
    SAYS_DHCP,
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
    "SAYS_DHCP",
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
    "refuse_replace",
    "remove",
    "replace",
    "skipped",
    "with_header",
    "with_user",
]
