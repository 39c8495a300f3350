"""Who is no person: disabled, locked, expired, built in, a group, a computer, the reader itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from backuppc_register.network.accounts import ATTRIBUTES, normal, objection

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DN = "uid=cmartin,ou=people,dc=univ-brest,dc=fr"
USER = {"objectClass": ["top", "person", "organizationalPerson", "user"], "userAccountControl": ["512"]}


def ticks(year: int, month: int, day: int) -> str:
    """Give a day as Active Directory counts: units of 100 ns since 1601."""
    passed = datetime(year, month, day, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)
    return str(int(passed.total_seconds()) * 10**7)


def sid(rid: int) -> bytes:
    """Give a domain's SID that ends with *rid*."""
    return b"\x01\x05\0\0\0\0\0\x05" + b"\x15\0\0\0" + bytes(12) + rid.to_bytes(4, "little")


def why(attributes: Mapping[str, Sequence[str | bytes]], bind_dn: str = "", dn: str = DN) -> str:
    """Give the objection to an entry with *attributes*."""
    values = {
        name.lower(): [value.encode() if isinstance(value, str) else value for value in found]
        for name, found in attributes.items()
    }
    assert {name.lower() for name in ATTRIBUTES} >= values.keys()
    return objection(lambda name: values.get(name.lower(), []), dn, bind_dn, NOW)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"objectClass": ["top", "inetOrgPerson", "organizationalPerson", "person"]},
        {"objectClass": ["top", "account", "posixAccount"]},
        {"objectClass": ["top", "nsPerson", "nsAccount", "posixAccount"]},
        {"objectClass": ["univBrestMember"]},
        {"objectClass": ["inetOrgPerson", "person", "posixGroup"]},
        USER,
        USER | {"userAccountControl": ["66048"]},  # the password does not expire
        USER | {"userAccountControl": ["262656"]},  # a smart card is required
        USER | {"userAccountControl": ["8389120"]},  # the password has expired
        USER | {"msDS-User-Account-Control-Computed": ["8388608"]},  # likewise
        USER | {"accountExpires": ["0"]},
        USER | {"accountExpires": ["9223372036854775807"]},
        USER | {"accountExpires": ["9223372032559808511"]},  # after the year 9999
        USER | {"accountExpires": [ticks(2026, 12, 1)]},
        USER | {"objectSid": [sid(1000)]},
        {"nsAccountLock": ["FALSE"]},
        {"inetUserStatus": ["Active"]},
        {"accountUnlockTime": ["20261130115959Z"]},
        {"accountUnlockTime": ["20261130125959+0100"]},
        {"accountUnlockTime": ["202611301159Z"]},
        {"accountUnlockTime": ["2026113011Z"]},
        {"accountUnlockTime": ["20261130115960Z"]},  # a leap second
        {"pwdEndTime": ["20261130080001-0400"]},
        {"pwdEndTime": ["202611301201Z"]},
        {"krbPrincipalExpiration": ["19700101010000+01"]},
        {"krbPrincipalExpiration": ["0"]},
        {"objectClass": ["inetOrgPerson", "person", "sudoRole"]},
        {"krbPrincipalExpiration": ["20261201000000Z"]},
        {"krbPrincipalExpiration": ["19700101000000Z"]},  # MIT Kerberos: never
        {"krbTicketFlags": ["128"]},  # pre-authentication is required
        {"pwdStartTime": ["20261130115959Z"]},
        {"pwdEndTime": ["20270101000000.5Z"]},
        {"shadowExpire": ["-1"]},
        {"shadowExpire": ["0"]},
        {"shadowExpire": ["30000"]},
        {"sambaAcctFlags": ["[UX         ]"]},
        {"loginDisabled": ["FALSE"]},
    ],
)
def test_a_person_is_a_person(attributes):
    assert why(attributes) == ""


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        (USER | {"userAccountControl": ["514"]}, "disabled"),
        (USER | {"userAccountControl": ["66050"]}, "disabled"),
        (USER | {"USERACCOUNTCONTROL": ["546"]}, "disabled"),
        (USER | {"userAccountControl": ["2080"]}, "no account of a person"),  # a trust
        (USER | {"userAccountControl": ["4096"]}, "no account of a person"),  # a workstation
        (USER | {"msDS-User-Account-Control-Computed": ["16"]}, "locked"),
        (USER | {"accountExpires": [ticks(2026, 11, 30)]}, "expired (accountExpires 2026-11-30)"),
        (USER | {"objectSid": [sid(500)]}, "built in"),
        (USER | {"objectSid": [sid(502)]}, "built in"),
        (USER | {"objectClass": ["top", "person", "user", "computer"]}, "objectClass computer"),
        (
            USER | {"objectClass": ["user", "computer", "msDS-GroupManagedServiceAccount"]},
            "objectClass computer",
        ),
        ({"objectClass": ["top", "group"]}, "objectClass group"),
        ({"objectClass": ["top", "GroupOfNames"]}, "objectClass groupofnames"),
        ({"objectClass": ["posixGroup"]}, "objectClass posixgroup"),
        ({"objectClass": ["device", "ipHost"]}, "objectClass device"),
        ({"objectClass": ["applicationProcess", "simpleSecurityObject"]}, "applicationprocess"),
        ({"objectClass": ["top", "person", "organizationalPerson", "contact"]}, "objectClass contact"),
        ({"nsAccountLock": ["TRUE"]}, "disabled (nsAccountLock)"),
        ({"nsAccountLock": ["true"]}, "disabled (nsAccountLock)"),
        ({"loginDisabled": ["TRUE"]}, "disabled (loginDisabled)"),
        ({"inetUserStatus": ["Inactive"]}, "disabled (inetUserStatus inactive)"),
        ({"sambaAcctFlags": ["[DU         ]"]}, "disabled (sambaAcctFlags"),
        ({"pwdAccountLockedTime": ["000001010000Z"]}, "locked (pwdAccountLockedTime"),
        ({"pwdAccountLockedTime": ["20261130080000Z"]}, "locked (pwdAccountLockedTime"),
        ({"accountUnlockTime": ["19700101000000Z"]}, "locked (accountUnlockTime"),
        ({"accountUnlockTime": ["20261130121500Z"]}, "locked (accountUnlockTime"),
        ({"accountUnlockTime": ["0"]}, "locked (accountUnlockTime 0)"),
        ({"accountUnlockTime": ["19700101000000+0000"]}, "locked (accountUnlockTime"),
        ({"accountUnlockTime": ["20261130120001,5+0000"]}, "locked (accountUnlockTime"),
        ({"accountUnlockTime": ["20261130125959Z"]}, "locked (accountUnlockTime"),
        ({"pwdEndTime": ["202401011230Z"]}, "expired (pwdEndTime"),
        ({"pwdEndTime": ["20261130130000+0100"]}, "expired (pwdEndTime"),
        ({"pwdEndTime": ["2026113013+0100"]}, "expired (pwdEndTime"),
        *(
            ({"objectClass": ["top", one]}, f"objectClass {one.lower()}")
            for one in ("groupOfMembers", "groupOfURLs", "nisNetgroup", "organization", "room", "sudoRole")
        ),
        ({"krbPrincipalExpiration": ["20250630000000Z"]}, "expired (krbPrincipalExpiration"),
        ({"nsAccountLock": ["false", "true"]}, "disabled (nsAccountLock"),  # of two roles
        ({"krbTicketFlags": ["192"]}, "disabled (krbTicketFlags"),
        ({"pwdStartTime": ["20261130120001Z"]}, "not valid yet (pwdStartTime"),
        ({"pwdEndTime": ["20250630000000.123Z"]}, "expired (pwdEndTime"),
        ({"shadowExpire": ["20000"]}, "expired (shadowExpire 20000)"),
    ],
)
def test_who_has_left_and_what_is_no_person_is_told_by_its_attribute(attributes, word):
    assert word in why(attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {"userAccountControl": ["many"]},
        {"accountExpires": ["tomorrow"]},
        {"krbPrincipalExpiration": ["soon"]},
        {"pwdEndTime": ["20261130120000"]},
        {"pwdEndTime": ["20261330120000Z"]},
        {"pwdEndTime": ["20261130Z"]},
        {"shadowExpire": ["x"]},
    ],
)
def test_what_cannot_be_understood_is_a_doubt(attributes):
    with pytest.raises(ValueError):
        why(attributes)


@pytest.mark.parametrize(
    ("bind_dn", "same"),
    [
        (DN, True),
        ("UID=CMartin, OU=people, DC=univ-brest,DC=fr", True),
        ("cmartin@ad.univ-brest.fr", True),
        ("christophe.martin@univ-brest.fr", True),
        ("UBO\\CMARTIN", True),
        ("", False),
        ("uid=lookup,ou=people,dc=univ-brest,dc=fr", False),
        ("uid=cmartin,ou=others,dc=univ-brest,dc=fr", False),
        ("cn=a@b,dc=univ-brest,dc=fr", False),
        ("UBO\\lookup", False),
        ("lookup@ad.univ-brest.fr", False),
    ],
)
def test_the_account_that_we_read_with_is_no_person(bind_dn, same):
    entry = USER | {"sAMAccountName": ["cmartin"], "userPrincipalName": ["Christophe.Martin@univ-brest.fr"]}

    assert bool(why(entry, bind_dn)) == same


def test_letter_case_and_blanks_make_no_other_name():
    assert normal("CN=Configuration, DC = AD,DC=fr") == normal("cn=configuration,dc=ad,dc=FR")
    assert normal("cn=a,dc=fr") != normal("cn=a b,dc=fr")
