"""Tell from an entry of a directory whether it is a person who may log on."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

Values = Callable[[str], list[bytes]]
"""Returns the values of an attribute, in any letter case of its name; [] if it is absent or unreadable."""

_Texts = Callable[[str], list[str]]

ATTRIBUTES = (
    "objectClass",
    "objectSid",
    "userPrincipalName",
    "sAMAccountName",
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "nsAccountLock",
    "accountUnlockTime",
    "inetUserStatus",
    "krbPrincipalExpiration",
    "krbTicketFlags",
    "pwdAccountLockedTime",
    "pwdStartTime",
    "pwdEndTime",
    "shadowExpire",
    "sambaAcctFlags",
    "loginDisabled",
    "ds-pwp-account-disabled",
)
"""What `objection` looks at."""

_PERSONS = {"person", "nsperson", "posixaccount", "account", "user"}
# Computers and contacts have the class person, too, in Active Directory.
_NEVER_PERSONS = {"computer", "contact", "alias", "referral"}
_OTHERS = {
    "group",
    "groupofnames",
    "groupofuniquenames",
    "groupofentries",
    "groupofmembers",
    "groupofurls",
    "nisnetgroup",
    "organization",
    "room",
    "sudorole",
    "posixgroup",
    "sambagroupmapping",
    "ipausergroup",
    "device",
    "iphost",
    "ipahost",
    "ipaservice",
    "organizationalunit",
    "organizationalrole",
    "applicationprocess",
    "trusteddomain",
}
# MS-ADTS 2.2.16: the bits of userAccountControl.
_DISABLED, _LOCKED_OUT, _NORMAL_ACCOUNT = 0x2, 0x10, 0x200
_NO_TICKETS = 0x40  # MIT Kerberos, kdb.h: DISALLOW_ALL_TIX
_FIRST_RID_OF_PEOPLE = 1000  # MS-DTYP 2.4.2.4: smaller ones are built in, such as Administrator and krbtgt
_EPOCH, _WINDOWS_EPOCH = datetime(1970, 1, 1, tzinfo=UTC), datetime(1601, 1, 1, tzinfo=UTC)
# _EPOCH is the accountUnlockTime of an account that only an administrator unlocks (389 writes 0, too);
# MIT Kerberos writes it as the krbPrincipalExpiration of every principal that never expires.
_GENERALIZED = re.compile(r"(\d{10})(\d\d)?(\d\d)?(?:[.,]\d+)?(?:Z|([+-]\d\d)(\d\d)?)", re.ASCII)


def objection(values: Values, dn: str, bind_dn: str, now: datetime) -> str:
    """Return why the entry with these *values* is no person who may log on at *now*, or "".

    What cannot be read is no objection. Raises ValueError if a value cannot be understood.
    """
    texts = _texts_of(values)
    objections = (_of_active_directory(texts, now), _of_switches(texts), _of_dates(texts, now))
    return no_person(values, dn, bind_dn) or next((each for each in objections if each), "")


def no_person(values: Values, dn: str, bind_dn: str) -> str:
    """Return why the entry is no person's at all, or "": that of a disabled account is.

    Raises what `objection` does.
    """
    texts = _texts_of(values)
    objections = (_of_classes(texts), _of_reader(texts, dn, bind_dn), _of_sid(values), _of_control(texts))
    return next((each for each in objections if each), "")


def _texts_of(values: Values) -> _Texts:
    return lambda name: [value.decode("utf-8", errors="replace") for value in values(name)]


def _of_classes(values: _Texts) -> str:
    classes = {each.lower() for each in values("objectClass")}
    if kinds := sorted(classes & _NEVER_PERSONS):
        return f"it is no person (objectClass {kinds[0]})"
    other = sorted(classes & _OTHERS)
    return f"it is no person (objectClass {other[0]})" if other and not classes & _PERSONS else ""


def _of_reader(values: _Texts, dn: str, bind_dn: str) -> str:
    """Object to the account that we bind as, by its DN or by the short forms of Active Directory."""
    names = {normal(dn), *(normal(each) for each in values("userPrincipalName"))}
    user, at, _ = bind_dn.partition("@")  # NAME@DOMAIN
    _, backslash, after = bind_dn.rpartition("\\")  # DOMAIN\NAME
    short = normal(after if backslash else user if at and "=" not in user else "")
    short_names = {normal(each) for each in values("sAMAccountName")}
    if bind_dn and (normal(bind_dn) in names or (short and short in short_names)):
        return "it is the account of [directory] bind_dn"
    return ""


def _of_sid(values: Values) -> str:
    # The last four bytes are the relative identifier (MS-DTYP 2.4.2.2).
    rids = [int.from_bytes(sid[-4:], "little") for sid in values("objectSid")]
    built_in = [rid for rid in rids if rid < _FIRST_RID_OF_PEOPLE]
    return f"it is built in (objectSid ends with {built_in[0]})" if built_in else ""


def normal(dn: str) -> str:
    """Return *dn* in the spelling for comparisons: letter case and blanks around its signs do not count."""
    parts = (part.strip() for part in dn.lower().split(","))
    return ",".join("=".join(side.strip() for side in part.split("=")) for part in parts)


def _of_control(values: _Texts) -> str:
    control = _number(values("userAccountControl"))
    if control is None or control & _NORMAL_ACCOUNT:
        return ""
    return f"it is no account of a person (userAccountControl {control})"


def _of_active_directory(values: _Texts, now: datetime) -> str:
    control = _number(values("userAccountControl"))
    if control is not None and control & _DISABLED:
        return f"it is disabled (userAccountControl {control})"
    computed = _number(values("msDS-User-Account-Control-Computed"))
    if computed is not None and computed & _LOCKED_OUT:
        return "it is locked (msDS-User-Account-Control-Computed)"
    # Units of 100 ns (MS-DTYP 2.3.3). 0 and the largest number mean never.
    expires = (_number(values("accountExpires")) or 0) // 10
    if 0 < expires <= (now - _WINDOWS_EPOCH) // timedelta(microseconds=1):
        return f"it is expired (accountExpires {_WINDOWS_EPOCH + timedelta(microseconds=expires):%Y-%m-%d})"
    return ""


def _of_switches(values: _Texts) -> str:
    for name in ("nsAccountLock", "loginDisabled", "ds-pwp-account-disabled"):
        if "true" in map(str.lower, values(name)):
            return f"it is disabled ({name})"
    if (status := _first(values("inetUserStatus")).lower()) in ("inactive", "deleted"):
        return f"it is disabled (inetUserStatus {status})"
    if (_number(values("krbTicketFlags")) or 0) & _NO_TICKETS:
        return "it is disabled (krbTicketFlags)"
    flags = _first(values("sambaAcctFlags"))
    return f"it is disabled (sambaAcctFlags {flags})" if set(flags) & set("DL") else ""


def _of_dates(values: _Texts, now: datetime) -> str:
    if since := _first(values("pwdAccountLockedTime")):
        return f"it is locked (pwdAccountLockedTime {since})"
    for name, never in (("pwdEndTime", None), ("krbPrincipalExpiration", _EPOCH)):
        if (end := _first(values(name))) and never != (time := _generalized(end)) <= now:
            return f"it is expired ({name} {end})"
    if (start := _first(values("pwdStartTime"))) and _generalized(start) > now:
        return f"it is not valid yet (pwdStartTime {start})"
    until = _first(values("accountUnlockTime"))
    if until and ((time := _generalized(until)) == _EPOCH or time > now):
        return f"it is locked (accountUnlockTime {until})"
    day = _number(values("shadowExpire")) or 0  # shadow(5): days; 0 and less do not count
    if 0 < day <= (now - _EPOCH).days:
        return f"it is expired (shadowExpire {day})"
    return ""


def _first(values: Iterable[str]) -> str:
    return next(iter(values), "")


def _number(values: list[str]) -> int | None:
    return int(values[0]) if values else None


def _generalized(text: str) -> datetime:
    """Return the time of *text*, a GeneralizedTime (RFC 4517, 3.3.13) without its fraction."""
    if text == "0":
        return _EPOCH
    if not (found := _GENERALIZED.fullmatch(text)):
        raise ValueError(f"{text} is no time")
    hour, minute, second, zone_hours, zone_minutes = found.groups()
    full = f"{hour}{minute or '00'}{min(second or '00', '59')}"  # a leap second is 60
    return datetime.strptime(f"{full}{zone_hours or '+00'}{zone_minutes or '00'}", "%Y%m%d%H%M%S%z")
