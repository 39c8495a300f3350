"""Checks of [directory] kind: whether it fits the servers, and what they hide from our reader."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backuppc_register.config import Directory
from backuppc_register.config.directory_kinds import KINDS
from backuppc_register.diagnosis.finding import Answer, green, yellow
from backuppc_register.diagnosis.ldap_checks import likely_logons
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.protocol.errors import DirectoryUnavailable

# The checks import ldap3 late: if it is missing, all other checks still run.
if TYPE_CHECKING:
    from backuppc_register.network.directory_facts import Seen

_TIMEOUT = 5.0  # seconds for one server
_BIND = "Set [directory] bind_dn to an account that may read it: see docs/reference/directories.md."
_NAMES = {"openldap": "OpenLDAP", "ad": "Active Directory", "freeipa": "389 Directory Server or FreeIPA"}
_CLASS = re.compile(r"objectClass|objectCategory|sAMAccountType", re.IGNORECASE)


def directory_kind(facts: ServerFacts) -> Iterator[Answer]:
    """Look at each LDAP server, and at a person there."""
    from backuppc_register.network.directory_facts import look

    settings = facts.config.directory
    for url in settings.servers:
        try:
            seen = look(settings, url, likely_logons(facts), _TIMEOUT)
        except DirectoryUnavailable as error:
            what = f"cannot be compared with [directory] kind: {error.detail}"
            yield yellow(what, "See diagnose --only directory, and docs/reference/directories.md.")
            continue
        found = list(_findings(url, seen, settings))
        yield from found or [green(f"{url} is {_NAMES.get(seen.kind, 'a server of another kind')}")]


def _findings(url: str, seen: "Seen", settings: Directory) -> Iterator[Answer]:
    if seen.kind and seen.kind != settings.kind:
        what = f'{url} is {_NAMES[seen.kind]}, and [directory] kind is "{settings.kind}"'
        yield yellow(what, f'Set [directory] kind = "{seen.kind}": see docs/reference/directories.md.')
    if seen.kind == "ad" and not _CLASS.search(settings.filter):
        what = f"{url}: [directory] filter also finds groups and computers: {settings.filter}"
        advice = "Add (objectCategory=person)(objectClass=user) to it: see docs/reference/directories.md."
        yield yellow(what, advice)
    if not seen.identity:
        what = (
            f"{url} shows no lasting identity of {seen.logon}: a logon given to another person is not noticed"
        )
        yield yellow(what, _BIND)
    if not seen.locks:
        what = f"{url} does not show {KINDS[settings.kind].locked}: locked persons can register"
        yield yellow(what, _BIND)
