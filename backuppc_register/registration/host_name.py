"""Choose the name of a host by its full DNS name, and refuse names that no host can have."""

import re
from fnmatch import fnmatchcase

from backuppc_register.config import Dns
from backuppc_register.protocol.errors import InvalidDnsName

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FULL_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)

# inet_aton(3) takes these for addresses, or for numbers that are too large or misspelt (08, 0x). ssh and
# BackupPC would go to that address, or fail, but never to the machine. `cafe` is not a number.
_DIGITS = r"(?:[0-9]+|0x[0-9a-f]*)"
_NUMBER = re.compile(rf"{_DIGITS}(?:\.{_DIGITS})*", re.ASCII)

# BackupPC's settings of a host are HOST.pl in its config folder. The other files there (`hosts`, `LOCK`,
# `htpasswd`, the link `pc`) do not end in .pl. The folders pool, cpool and log are not in pc/, which has the
# folders of the hosts. So a machine can be named `pc`, `pool` or `log`.
_BACKUPPCS_OWN = {
    "config": "config.pl is BackupPC's own configuration",
    "localconfig": "localconfig.pl is read for every host (Storage/Text.pm, ConfigDataRead)",
    "host": "the header line of a hosts file begins with that word",
}
# Names of the machine itself in /etc/hosts of Debian and RHEL: they lead to the backup server.
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
_LONGEST = 200  # characters; a file name has 255 bytes, and `.pl.old` or a temporary file's ending is added


def host_of(full_name: str, settings: Dns) -> str:
    """Return the host's name for the machine *full_name*, in lower case.

    With ``host_name = "short"`` that is the first label if the full name is one label below a domain, the
    longest that fits. Otherwise it is the full name, so that a deeper sub-domain never meets a short name.

    Both names must be allowed, whichever is used: people also type the short one to ssh.

    Raises InvalidDnsName.
    """
    name = full_name.lower() if full_name.isascii() else ""
    if not _FULL_NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InvalidDnsName(detail=f"{full_name[:_LONGEST]} is not a host name")
    short, _, parent = name.partition(".")
    for form in (short, name):
        if reason := _why_reserved(form):
            raise InvalidDnsName(detail=f"{name} is never registered: {reason}")
        if pattern := _pattern_that_refuses(form, settings):
            raise InvalidDnsName(detail=f"{name} is refused by [dns] refuse: {pattern}")
    domain = _domain_of(name, settings)
    return short if settings.host_name == "short" and parent == domain else name


def _domain_of(name: str, settings: Dns) -> str:
    """Return the longest domain that *name* is below; a domain itself is not a host."""
    domains = [domain.lower() for domain in settings.domains]
    fitting = [domain for domain in domains if name.endswith("." + domain)]
    if not fitting or name in domains:
        raise InvalidDnsName(detail=f"{name} is not below a configured domain")
    return max(fitting, key=len)


def _why_reserved(name: str) -> str:
    if _NUMBER.fullmatch(name):
        return f"{name} reads as a number or an address"
    if name in _THE_SERVER_ITSELF:
        return f"{name} is the backup server itself"
    return _BACKUPPCS_OWN.get(name, "")


def _pattern_that_refuses(name: str, settings: Dns) -> str:
    return next((p for p in settings.refuse if fnmatchcase(name, p.lower())), "")
