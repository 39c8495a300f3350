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
_NETWORK = re.compile(r"[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?", re.ASCII)

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
