"""Look at what one directory server shows of itself and of a person: its kind, and what it hides."""

from collections.abc import Sequence
from dataclasses import dataclass

from backuppc_register import config
from backuppc_register.config.directory_kinds import KINDS
from backuppc_register.network.ldap import IDENTITIES
from backuppc_register.network.ldap_connection import Conversation, Entry, Failed, ask, filter_for
from backuppc_register.protocol.errors import DirectoryUnavailable

_ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"  # MS-ADTS 3.1.1.3.4.3.1


@dataclass(frozen=True)
class Seen:
    """What a server shows.

    *kind*: a word of [directory] kind, or "" for a server of none of these kinds. *logon*: the person looked
    at, or "". *identity*: the lasting identity of that person can be read. *locks*: it can be read whether
    the account is locked; also true where the server has no such attribute.
    """

    kind: str
    logon: str = ""
    identity: bool = True
    locks: bool = True


def look(settings: config.Directory, url: str, logons: Sequence[str], seconds: float) -> Seen:
    """Look at the server at *url* and at the first of *logons* that it has; raises DirectoryUnavailable."""
    try:
        return ask(url, settings, seconds, lambda server: _look(settings, logons, server))
    except Failed as error:
        raise DirectoryUnavailable(detail=f"{url}: {error}") from error


def _look(settings: config.Directory, logons: Sequence[str], server: Conversation) -> Seen:
    wanted = ("vendorName", "vendorVersion", "supportedCapabilities", "objectClass", "subschemaSubentry")
    root = server.read("", wanted)
    kind, locked = _kind(root), KINDS[settings.kind].locked
    for logon in logons:
        found = server.search(settings.base, filter_for(settings.filter, logon), IDENTITIES).entries
        if len(found) == 1:
            identity = any(found[0].values(attribute) for attribute in IDENTITIES)
            return Seen(kind, logon, identity, _shows(locked, found[0].dn, root, server))
    return Seen(kind)


def _kind(root: Entry | None) -> str:
    """Return the kind of the server from its own entry (RFC 4512, 5.1)."""
    if root is None:
        return ""
    vendor = " ".join((*root.texts("vendorName"), *root.texts("vendorVersion"))).lower()
    if _ACTIVE_DIRECTORY in root.texts("supportedCapabilities"):
        return "ad"
    if "389" in vendor:
        return "freeipa"
    return "openldap" if "OpenLDAProotDSE" in root.texts("objectClass") else ""


def _shows(attribute: str, dn: str, root: Entry | None, server: Conversation) -> bool:
    """Tell whether the reader may know if the entry *dn* has *attribute*.

    For an attribute that is hidden, a filter and its opposite are both undefined (RFC 4511, 4.5.1.7). So
    they are for an attribute that the server does not know, and that no entry has.
    """
    if not attribute or server.read(dn, ("1.1",), f"(|({attribute}=*)(!({attribute}=*)))"):
        return True
    return not any(
        _knows(schema, attribute, server) for schema in (root.texts("subschemaSubentry") if root else [])
    )


def _knows(schema: str, attribute: str, server: Conversation) -> bool:
    entry = server.read(schema, ("attributeTypes",), "(objectClass=subschema)")
    types = entry.texts("attributeTypes") if entry else []
    return any(f"'{attribute.lower()}'" in each.lower() for each in types)
