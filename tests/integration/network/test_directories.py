"""Each recipe of docs/reference/directories.md against such a server: OpenLDAP, Samba, 389."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from checkout import CHECKOUT
from pytest_mock import MockerFixture
from services import active_directory, directory389, slapd
from services.active_directory import DOMAIN, STAFF, ActiveDirectory, changed, user
from services.directory389 import USERS, Directory389
from services.slapd import Authority, Slapd, entry

from backuppc_register import config
from backuppc_register.config.directory_kinds import KINDS
from backuppc_register.network.directory_facts import Seen, look
from backuppc_register.network.ldap import Ldap
from backuppc_register.person import Person
from backuppc_register.protocol.errors import BadUser, DirectoryUnavailable

pytestmark = pytest.mark.lab

DOCUMENT = (CHECKOUT / "docs/reference/directories.md").read_text("utf-8")
PASSWORD = slapd.READER_PASSWORD
READER_OF_IPA, LOCK = directory389.READER, "pwdAccountLockedTime"
PASSED = "131696064000000000"  # accountExpires: 1 May 2018


def recipes(title: str) -> list[dict[str, Any]]:
    """Give the configurations of the section *title* of the document, without the line of the section."""
    section = re.split(r"\n## ", DOCUMENT.partition(f"\n## {title}\n")[2])[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    found = [tomllib.loads(re.sub(r"(?m)^    ", "", block)) for block in blocks if "[directory]" in block]
    return [each["directory"] for each in found]


OPENLDAP, AD, IPA = (
    recipes(title) for title in ("OpenLDAP", "Active Directory", "FreeIPA and 389 Directory Server")
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "ldap-password"
    path.touch(0o600)
    path.write_text(f"{PASSWORD}\n")
    return path


GROUP = f"cn=backup-users,ou=groups,{slapd.SUFFIX}"
MEMBER_OF = """\
attributetype ( 1.2.840.113556.1.2.102 NAME 'memberOf'
    EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
"""


@pytest.fixture(scope="module")
def openldap(authority: Authority) -> Iterator[Slapd]:
    people = (
        slapd.PEOPLE
        + slapd.person("member", "A Member", memberOf=[GROUP])
        + slapd.person("left", "L L", pwdAccountLockedTime="000001010000Z", memberOf=[GROUP])
        + slapd.person("team", "T T", objectClass=["posixGroup", "extensibleObject"], gidNumber="7")
        + slapd.entry(
            f"uid=copy,{slapd.BASE}",
            {
                "objectClass": ["alias", "extensibleObject"],
                "uid": ["copy"],
                "aliasedObjectName": [slapd.BASE],
            },
        )
    )
    with Slapd(people, certificate=authority.issue("127.0.0.1"), options=MEMBER_OF) as server:
        yield server


@pytest.fixture(scope="module")
def samba(authority: Authority) -> Iterator[ActiveDirectory]:
    with ActiveDirectory(authority.issue("127.0.0.1"), authority.file) as server:
        server.change(changed(DOMAIN, lockoutThreshold="1"))
        server.add(people_of_the_domain())
        server.fails_to_log_on("lockedout")
        yield server


def people_of_the_domain() -> str:
    """Give what the tests look for in Active Directory, as LDIF."""
    group, inner = f"cn=backup-users,cn=Users,{DOMAIN}", f"cn=inner,cn=Users,{DOMAIN}"
    secret = active_directory.password(PASSWORD)
    return (
        entry(STAFF, {"objectClass": ["organizationalUnit"], "ou": ["Staff"]})
        + user("lookup", f"cn=Users,{DOMAIN}", userAccountControl="512", unicodePwd=secret)
        + user("cmartin")
        + user("Adupont")
        + user("member")
        + user("card", userAccountControl="262688")
        + user("left", userAccountControl="546")
        + user("gone", accountExpires=PASSED)
        + user("lockedout", userAccountControl="512", unicodePwd=secret)
        + entry(f"cn=visitor,{STAFF}", {"objectClass": ["contact"], "displayName": ["visitor"]})
        + entry(
            f"cn=pc1,{STAFF}",
            {"objectClass": ["computer"], "sAMAccountName": ["pc1"], "userAccountControl": ["4128"]},
        )
        + entry(
            inner, {"objectClass": ["group"], "sAMAccountName": ["inner"], "member": [f"cn=member,{STAFF}"]}
        )
        + entry(group, {"objectClass": ["group"], "sAMAccountName": ["backup-users"], "member": [inner]})
    )


@pytest.fixture(scope="module")
def dirsrv(authority: Authority) -> Iterator[Directory389]:
    group, person = f"cn=backup-users,cn=groups,cn=accounts,{slapd.SUFFIX}", directory389.person
    removed = f"cn=deleted users,cn=provisioning,{slapd.SUFFIX}"
    compat = {"objectClass": ["posixAccount", "extensibleObject"], "uid": ["cmartin"], "cn": ["Christophe"]}
    compat |= {"uidNumber": ["1"], "gidNumber": ["1"], "homeDirectory": ["/home/cmartin"]}
    reader = {"objectClass": ["applicationProcess", "simpleSecurityObject"], "cn": ["reader"]}
    people = (
        directory389.top()
        + person("cmartin", ipaUniqueID="2c5ea4c0-4067-11ea-8bad-0000000000aa")
        + person("member", memberOf=group)
        + person("left", nsAccountLock="TRUE", memberOf=group)
        + person("gone", krbPrincipalExpiration="20250630000000Z")
        + person("removed", removed)
        + entry(f"uid=cmartin,cn=users,cn=compat,{slapd.SUFFIX}", compat)
        + entry(slapd.READER, reader | {"userPassword": [PASSWORD]})
        + slapd.unit(slapd.BASE)
        + person("adupont", slapd.BASE)
        + entry(
            f"uid=plain,{slapd.BASE}",
            {
                "objectClass": ["nsPerson", "nsAccount", "nsOrgPerson"],
                "uid": ["plain"],
                "cn": ["P"],
                "displayName": ["P"],
            },
        )
    )
    with Directory389(people, authority.issue("127.0.0.1")) as server:
        yield server


def settings(recipe: dict[str, Any], server: Any, authority: Authority, secret: Path) -> config.Directory:
    """Give *recipe* for our *server*: only its address and the places of the two files are others."""
    url = urlsplit(recipe["servers"][0])
    if isinstance(server, ActiveDirectory):
        ours = f"{url.scheme}://127.0.0.1" + (f":{url.port}" if url.port else "")
    else:
        ours = server.ldaps() if url.scheme == "ldaps" else server.ldap()
    table = recipe | {"servers": [ours], "ca_file": str(authority.file), "timeout": 20}
    if "bind_password_file" in recipe:
        table["bind_password_file"] = str(secret)
    rest: dict[str, Any] = {"server": {"url": "https://x/{host}"}, "dns": {"domains": ["univ-brest.fr"]}}
    rest |= {"backuppc": {"hosts": "/h", "config_dir": "/c"}, "state": {"directory": "/s"}}
    return config.check(rest | {"directory": table}).directory


def find(logon: str, asked: config.Directory, server: Any) -> Person:
    with server.inside() if isinstance(server, ActiveDirectory) else nullcontext():
        return Ldap(asked).find(logon, 60)


def refused(logons: Sequence[str], asked: config.Directory, server: Any) -> dict[str, str]:
    """Give why each of *logons* is no person."""
    details = {}
    for logon in logons:
        with pytest.raises(BadUser) as error:
            find(logon, asked, server)
        details[logon] = error.value.detail
    return details


@pytest.mark.parametrize("recipe", OPENLDAP, ids="-".join)
def test_every_recipe_for_openldap_works(
    openldap: Slapd, authority: Authority, secret: Path, recipe: dict[str, Any]
) -> None:
    asked = settings(recipe, openldap, authority, secret)

    assert find("MEMBER", asked, openldap).uid == "member"
    details = refused(["left", "team", "copy", "reader", "cmartn"], asked, openldap)
    assert "locked" in details["left"]
    assert details["cmartn"] == "no entry"
    if "memberOf" in asked.filter:
        refused(["cmartin"], asked, openldap)
    else:
        assert find("cmartin", asked, openldap).entry_id.startswith("entryUUID:")


@pytest.mark.parametrize("recipe", AD, ids="-".join)
def test_every_recipe_for_active_directory_works(
    samba: ActiveDirectory, authority: Authority, secret: Path, recipe: dict[str, Any]
) -> None:
    asked = settings(recipe, samba, authority, secret)

    found = find("MEMBER", asked, samba)
    assert (found.uid, found.name) == ("member", "member of Active Directory")
    assert found.entry_id.startswith("objectGUID:")
    outside = ["left", "lookup", "backup-users", "pc1", "visitor", "cmartn"]
    outside += ["Administrator", "Guest", "krbtgt", "dc1"]
    details = refused(outside, asked, samba)
    assert details["cmartn"] == "no entry"
    if "memberOf" in asked.filter:
        refused(["cmartin"], asked, samba)
    else:
        assert "disabled" in details["left"]
        assert find("adupont", asked, samba).uid == "Adupont"
        assert find("card", asked, samba).uid == "card"
    if "3269" not in asked.servers[0]:
        refused(["gone", "lockedout"], asked, samba)


def test_what_is_no_person_in_active_directory_is_none_by_the_shortest_filter_either(
    samba: ActiveDirectory, authority: Authority, secret: Path
) -> None:
    asked = replace(settings(AD[0], samba, authority, secret), filter="(sAMAccountName={logon})")
    names = ["left", "gone", "lockedout", "lookup", "backup-users", "pc1", "Administrator", "Guest", "krbtgt"]

    details = refused(names, asked, samba)

    words = [
        "disabled",
        "expired",
        "locked",
        "bind_dn",
        "group",
        "computer",
        "built in",
        "built in",
        "built in",
    ]
    assert [word in details[name] for name, word in zip(names, words, strict=True)] == [True] * len(names), (
        details
    )


def test_without_its_kind_the_domain_of_an_active_directory_is_a_doubt(
    samba: ActiveDirectory, authority: Authority, secret: Path
) -> None:
    asked = replace(settings(AD[0], samba, authority, secret), kind="openldap")

    with pytest.raises(DirectoryUnavailable, match="refers to other servers"):
        find("cmartn", asked, samba)


@pytest.mark.parametrize("recipe", IPA, ids="-".join)
def test_every_recipe_for_389_directory_server_works(
    dirsrv: Directory389, authority: Authority, secret: Path, recipe: dict[str, Any]
) -> None:
    asked = settings(recipe, dirsrv, authority, secret)

    if asked.base == slapd.BASE:
        assert find("adupont", asked, dirsrv).entry_id.startswith("nsUniqueId:")
        assert find("plain", asked, dirsrv).uid == "plain"
        return
    assert asked.base == USERS
    assert find("MEMBER", asked, dirsrv).uid == "member"
    details = refused(["left", "removed", "lookup", "cmartn"], asked, dirsrv)
    assert "disabled (nsAccountLock)" in details["left"]
    if "memberOf" in asked.filter:
        refused(["cmartin"], asked, dirsrv)
    else:
        assert "ipaUniqueID:2c5ea4c0-4067-11ea-8bad-0000000000aa" in find("cmartin", asked, dirsrv).entry_id
        assert "expired" in refused(["gone"], asked, dirsrv)["gone"]


def test_an_anonymous_reader_of_a_freeipa_finds_the_person_and_no_lasting_identity(
    dirsrv: Directory389, authority: Authority, secret: Path
) -> None:
    asked = settings(
        {"kind": "freeipa", "servers": ["ldaps://x"], "base": slapd.SUFFIX}, dirsrv, authority, secret
    )

    assert find("cmartin", asked, dirsrv) == Person("cmartin", "cmartin of FreeIPA")
    assert find("left", asked, dirsrv).uid == "left"


def seen(server: Any, asked: config.Directory, *logons: str) -> Seen:
    with server.inside() if isinstance(server, ActiveDirectory) else nullcontext():
        return look(asked, asked.servers[0], logons, 30)


@pytest.mark.parametrize("more", [{}, {"bind_dn": READER_OF_IPA}], ids=["anonymous", "bound"])
def test_what_a_freeipa_hides_from_an_anonymous_reader_is_seen(
    dirsrv: Directory389, authority: Authority, secret: Path, more: dict[str, str]
) -> None:
    recipe = {"kind": "freeipa", "servers": ["ldaps://x"], "base": slapd.SUFFIX, **more}
    asked = settings(recipe | ({"bind_password_file": "x"} if more else {}), dirsrv, authority, secret)
    bound = bool(more)

    assert seen(dirsrv, asked, "nobody", "cmartin") == Seen("freeipa", "cmartin", bound, bound)
    assert seen(dirsrv, asked, "nobody") == Seen("freeipa")


def test_an_active_directory_is_known_before_anyone_is_bound(
    samba: ActiveDirectory, authority: Authority, secret: Path
) -> None:
    asked = settings(AD[0], samba, authority, secret)

    assert seen(samba, asked, "cmartin") == Seen("ad", "cmartin")
    assert seen(samba, replace(asked, bind_dn="", password=config.Secret(""))) == Seen("ad")


@pytest.mark.parametrize(("hidden", "identity", "locks"), [("entryUUID", False, True), (LOCK, True, False)])
def test_what_an_openldap_hides_is_seen(
    hidden: str, identity: bool, locks: bool, mocker: MockerFixture
) -> None:
    with Slapd(access=f"access to attrs={hidden} by * none\n" + slapd.EVERYONE_READS) as server:
        asked = config.Directory(servers=(server.ldap(),), base=slapd.BASE)

        assert seen(server, asked, "cmartin") == Seen("openldap", "cmartin", identity, locks)
        # An attribute that the server does not know is in no entry.
        mocker.patch.dict(KINDS, openldap=replace(KINDS["openldap"], locked="noSuchLock"))
        assert seen(server, asked, "plegall", "adupont") == Seen("openldap", "adupont", identity)


def test_a_server_that_does_not_answer_shows_nothing() -> None:
    asked = config.Directory(servers=(f"ldap://127.0.0.1:{slapd.free_port()}",), base=slapd.BASE)

    with pytest.raises(DirectoryUnavailable, match="refused"):
        seen(None, asked, "cmartin")


def test_the_whole_domain_of_a_freeipa_has_people_twice_without_its_kind(
    dirsrv: Directory389, authority: Authority, secret: Path
) -> None:
    asked = settings({"servers": ["ldaps://x"], "base": slapd.SUFFIX}, dirsrv, authority, secret)

    assert "more than one entry" in refused(["cmartin"], asked, dirsrv)["cmartin"]
