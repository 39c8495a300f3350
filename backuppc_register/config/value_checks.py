"""Check single values of the configuration: each check returns what is wrong with a value, or ""."""

import ipaddress
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._:-]+", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_PATTERN = re.compile(r"[A-Za-z0-9.*?-]+", re.ASCII)
_SAFE_PATH = re.compile(r"(?:/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+", re.ASCII)
_URL = re.compile(r"https?://[!-\[\]-~]+", re.ASCII)
# urlsplit() drops blanks and newlines and lower-cases the scheme: it reads other URLs than the file has.
_LDAP_URL = re.compile(r"ldaps?://[!-~]+", re.ASCII)
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]+(?:%[0-9A-Za-z._-]+)?", re.ASCII)
_NETWORK = re.compile(r"[0-9A-Fa-f.:]+(?:/(?:0|[1-9][0-9]{0,2}))?", re.ASCII)

# Limits of what laptops let in, by IP version; the same as in address_list of clients/setup.d/30-server.sh.
_WIDEST = {4: 8, 6: 32}
_MOST_NETWORKS, _MOST_SOURCES = 16, 64
_NO_HOSTS = tuple(map(ipaddress.IPv4Network, ("0.0.0.0/8", "240.0.0.0/4")))
# IPv4-mapped and the like; NAT64 (RFC 6052); Teredo (RFC 4380).
_EVERY_IPV4 = tuple(map(ipaddress.IPv6Network, ("::/32", "64:ff9b::/32", "2001::/32")))

Check = Callable[[Any], str]


def anything(value: object) -> str:
    """Accept every value."""
    return ""


def filled(value: str) -> str:
    """Refuse an empty text."""
    return "" if value.strip() else "must not be empty"


def matches(pattern: re.Pattern[str], what: str) -> Check:
    """Return a check that the whole text matches *pattern*."""
    return lambda value: "" if pattern.fullmatch(value) else f"is not {what}"


def each(check: Check, *, least: int = 0) -> Check:
    """Return a check of every item of a list of *least* items or more."""

    def all_of(values: tuple[str, ...]) -> str:
        if len(values) < least:
            return "must not be empty"
        wrong = (f"{value!r} {check(value)}" for value in values if check(value))
        return "; ".join(wrong)

    return all_of


def or_empty(check: Check) -> Check:
    """Return *check* for a text that may be empty."""
    return lambda value: check(value) if value else ""


def between(low: int, high: int) -> Check:
    """Return a check that a number is from *low* to *high*, both included."""
    return lambda value: "" if low <= value <= high else f"is not between {low} and {high}"


def one_of(*words: str) -> Check:
    """Return a check that a text is one of *words*."""
    return lambda value: "" if value in words else f"is none of {', '.join(words)}"


def url(value: str) -> str:
    """Check the URL of a web page that contains a place for the host."""
    try:
        whole = _URL.fullmatch(value) and urlsplit(value).hostname
    except ValueError:
        whole = None
    if not whole:
        return "is not a http or https URL in printable ASCII"
    return "" if "{host}" in value else "does not contain {host}"


def address(value: str) -> str:
    """Check a literal IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "is not a literal IP address"
    return "" if _ADDRESS.fullmatch(value) else "is not a literal IP address"


def network(value: str) -> str:
    """Check a literal IP address or network, in a notation that sshd's ``from=`` accepts too."""
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        return f"is not an address or a network ({error})"
    return "" if _NETWORK.fullmatch(value) else "is not ADDRESS or ADDRESS/BITS"


def source(value: str) -> str:
    """Check an address or network that laptops let in: neither half of the Internet nor an alias of it.

    A laptop opens its sshd for it, and clients/setup.sh applies the same limits.
    """
    if wrong := network(value):
        return wrong
    net = ipaddress.ip_network(value)
    single = net.prefixlen == net.max_prefixlen
    widest = _WIDEST[net.version]
    if net.prefixlen < widest:
        return f"is wider than /{widest}, and laptops would open their ssh server for all of it"
    if net.is_multicast or (single and net.is_unspecified) or any(net.overlaps(bad) for bad in _NO_HOSTS):
        return "is no address of a backup server"
    # These IPv6 networks contain all IPv4 addresses.
    if not single and net.version == 6 and any(net.subnet_of(every) for every in _EVERY_IPV4):
        return "is a network with IPv4 addresses inside IPv6 ones: write the IPv4 network"
    return ""


def sources(values: tuple[str, ...]) -> str:
    """Check the list of what laptops let in. Many networks together could be everything."""
    if wrong := each(source)(values):
        return wrong
    networks = sum(ipaddress.ip_network(value).num_addresses > 1 for value in values)
    if networks > _MOST_NETWORKS or len(values) > _MOST_SOURCES:
        return f"has more than {_MOST_NETWORKS} networks, or more than {_MOST_SOURCES} entries"
    return ""


def ldap_url(value: str) -> str:
    """Check the URL of an LDAP server: only scheme, host and port."""
    try:
        parts = urlsplit(value)
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        return "is not an LDAP URL"
    if not _LDAP_URL.fullmatch(value) or not port_is_number:
        return "is not ldap://HOST[:PORT] or ldaps://HOST[:PORT]"
    if not _HOST.fullmatch(parts.hostname or "") or "@" in parts.netloc:
        return "has no host name"
    return "" if parts.path in ("", "/") and not parts.query + parts.fragment else "must end after the host"


def ldap_filter(value: str) -> str:
    """Check an LDAP filter that contains a place for the logon."""
    if "{logon}" not in value:
        return "does not contain {logon}"
    depths = list(accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in value))
    # One pair of parentheses encloses everything: the depth is 0 at the end and not before.
    whole = value.startswith("(") and depths[-1] == 0 and 0 not in depths[:-1]
    return "" if whole else "is not a filter in parentheses (RFC 4515)"


path = matches(re.compile(r"/[^\x00-\x1f\x7f]+"), "an absolute path")
# These paths get into the configuration of ssh and of BackupPC, which quote differently.
safe_path = matches(_SAFE_PATH, "an absolute path of letters, digits and . _ + -")
domain = matches(_DOMAIN, "a domain name")
attribute = matches(_ATTRIBUTE, "an attribute's name")
word = matches(_WORD, "a lower-case word")
pattern = matches(_PATTERN, "a pattern of a name")
