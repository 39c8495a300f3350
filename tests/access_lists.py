"""Access control lists of files, as the kernel has them."""

import struct

ACL, DEFAULT_ACL = "system.posix_acl_access", "system.posix_acl_default"
ANYBODY = 0xFFFFFFFF


def acl(*, user: int, mask: int, group: int = 4, owner: int = 6) -> bytes:
    """Give an access control list as the kernel has it (acl(5)): account 33 has *user*."""
    entries = [(1, owner, ANYBODY), (2, user, 33), (4, group, ANYBODY), (16, mask, ANYBODY), (32, 0, ANYBODY)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
