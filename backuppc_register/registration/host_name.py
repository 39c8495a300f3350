"""The name under which a machine is registered, by its full name in the DNS, and the names that none gets."""

import re
from fnmatch import fnmatchcase

from backuppc_register.config import Dns
from backuppc_register.protocol.errors import InvalidDnsName

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FULL_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)

# What inet_aton(3) takes for an address, and the numbers that it finds too large or misspelt (08, 0x):
# ssh and BackupPC would go to that address, or fail, and never to the machine. `cafe` is no number.
_DIGITS = r"(?:[0-9]+|0x[0-9a-f]*)"
_NUMBER = re.compile(rf"{_DIGITS}(?:\.{_DIGITS})*", re.ASCII)

# BackupPC's settings of a host are HOST.pl in its config folder. Everything else there (`hosts`, `LOCK`,
# `htpasswd`, the link `pc`) does not end in .pl, and pool, cpool and log are not in pc/ where the hosts'
# folders are: a machine may be called `pc`, `pool` or `log`.
_BACKUPPCS_OWN = {
    "config": "config.pl is BackupPC's own configuration",
    "localconfig": "localconfig.pl is read for every host (Storage/Text.pm, ConfigDataRead)",
    "host": "a hosts file begins with a line of that name: its header",
}
# Debian's and RHEL's /etc/hosts: whoever connects to one of these connects to the backup server itself.
_THE_SERVER_ITSELF = frozenset(
    (
        "localhost",
        "localhost4",
        "localhost6",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-allnodes",
        "ip6-allrouters",
    )
)
_LONGEST = 200  # characters: with `.pl.old` or a temporary file's ending it is still a file name (255 bytes)


def host_of(full_name: str, settings: Dns) -> str:
    """Return the name under which the machine *full_name* is registered, in lower case.

    With ``host_name = "short"`` that is the first label where the full name is one label below a domain, the
    longest that fits, else the full name: a deeper sub-domain never meets the short names above it.

    Both forms must be fit to be registered, whichever is used: people type the short one to ssh all the same.

    Raises InvalidDnsName.
    """
    name = full_name.lower() if full_name.isascii() else ""
    if not _FULL_NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InvalidDnsName(detail=f"{full_name[:_LONGEST]} is not the name of a host")
    short, _, parent = name.partition(".")
    for form in (short, name):
        if reason := _why_never(form):
            raise InvalidDnsName(detail=f"{name} is never registered: {reason}")
        if pattern := _refusing_pattern(form, settings):
            raise InvalidDnsName(detail=f"{name} is refused by [dns] refuse: {pattern}")
    domain = _domain_of(name, settings)
    return short if settings.host_name == "short" and parent == domain else name


def _domain_of(name: str, settings: Dns) -> str:
    """Return the longest domain that *name* is below; a domain itself is no host."""
    domains = [domain.lower() for domain in settings.domains]
    fitting = [domain for domain in domains if name.endswith("." + domain)]
    if not fitting or name in domains:
        raise InvalidDnsName(detail=f"{name} is not below a domain of ours")
    return max(fitting, key=len)


def _why_never(name: str) -> str:
    if _NUMBER.fullmatch(name):
        return f"{name} reads as a number or an address"
    if name in _THE_SERVER_ITSELF:
        return f"{name} is the backup server itself"
    return _BACKUPPCS_OWN.get(name, "")


def _refusing_pattern(name: str, settings: Dns) -> str:
    return next((p for p in settings.refuse if fnmatchcase(name, p.lower())), "")
