"""An ssh host key: the identity of a machine."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

_FORM = re.compile(r"([a-z0-9@.-]{1,64})[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t].*)?", re.ASCII)
_LENGTH = 4  # bytes of the length before each part of a key (RFC 4253, section 6.6)


@dataclass(frozen=True)
class HostKey:
    """A public key as it stands in known_hosts and in /etc/ssh/*.pub: *type*, *base64*."""

    type: str
    base64: str

    def __str__(self) -> str:
        return f"{self.type} {self.base64}"

    @property
    def fingerprint(self) -> str:
        """Return what people compare, as ``ssh-keygen -l`` writes it: SHA256:..."""
        digest = hashlib.sha256(binascii.a2b_base64(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


NOBODYS = HostKey("", "")
"""The key that no machine has: what stands for one that could not be read."""


def read(text: str) -> HostKey | None:
    """Return the key that *text*, ``TYPE BASE64 [COMMENT]``, says; None where it is not of that form."""
    match = _FORM.fullmatch(text)
    if not match:
        return None
    kind, text = match[1], match[2]
    try:
        blob = binascii.a2b_base64(text)
    except ValueError:
        return None
    # Keys are compared as texts, so there must be one text only for each.
    canonical = base64.b64encode(blob).decode("ascii") == text
    return HostKey(kind, text) if canonical and _is_key(kind, blob) else None


def _is_key(kind: str, blob: bytes) -> bool:
    """Tell whether *blob* is made of whole parts, its type and then something."""
    parts = []
    while blob:
        end = _LENGTH + int.from_bytes(blob[:_LENGTH], "big")
        if len(blob) < end:
            return False
        parts.append(blob[_LENGTH:end])
        blob = blob[end:]
    return len(parts) > 1 and parts[0] == kind.encode("ascii")
