"""Read and compare ssh host keys, which identify a machine."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

_FORM = re.compile(r"([a-z0-9@.-]{1,64})[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t].*)?", re.ASCII)
_LENGTH = 4  # bytes of the length before each part of a key (RFC 4253, section 6.6)


@dataclass(frozen=True)
class HostKey:
    """A public key as in known_hosts and /etc/ssh/*.pub: its *type* and its content in *base64*."""

    type: str
    base64: str

    def __str__(self) -> str:
        return f"{self.type} {self.base64}"

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint as ``ssh-keygen -l`` prints it: SHA256:..."""
        digest = hashlib.sha256(binascii.a2b_base64(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


UNREADABLE = HostKey("", "")
"""A key that no machine has, in place of one that could not be read."""


def read(text: str) -> HostKey | None:
    """Parse ``TYPE BASE64 [COMMENT]``; return None if *text* has another form."""
    match = _FORM.fullmatch(text)
    if not match:
        return None
    kind, text = match[1], match[2]
    try:
        blob = binascii.a2b_base64(text)
    except ValueError:
        return None
    # Keys are compared as text, so each key must have only one spelling.
    canonical = base64.b64encode(blob).decode("ascii") == text
    return HostKey(kind, text) if canonical and _is_key(kind, blob) else None


def _is_key(kind: str, blob: bytes) -> bool:
    """Tell whether *blob* consists of complete fields: the type, then at least one more."""
    parts = []
    while blob:
        end = _LENGTH + int.from_bytes(blob[:_LENGTH], "big")
        if len(blob) < end:
            return False
        parts.append(blob[_LENGTH:end])
        blob = blob[end:]
    return len(parts) > 1 and parts[0] == kind.encode("ascii")
