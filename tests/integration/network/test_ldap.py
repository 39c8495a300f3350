"""A real slapd finds a person or none; servers that fail in every way are never a "no"."""

import logging
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import MATCH_EQUAL, parse_filter
from ldap3.protocol.convert import prepare_filter_for_sending
from pytest_mock import MockerFixture
from services import slapd as openldap
from services.failing_ldap import (
    BIND,
    SEARCH,
    STARTTLS,
    Behaviour,
    Client,
    FailingLdap,
    ber,
    found,
    message,
    result,
)
from services.slapd import BASE, PEOPLE, SUFFIX, Authority, Slapd, person, unit
from slowness import within

from backuppc_register import config
from backuppc_register.inventory import policy
from backuppc_register.network import ldap
from backuppc_register.network.ldap import Ldap
from backuppc_register.network.ldap_connection import filter_for
from backuppc_register.person import Person
from backuppc_register.protocol.errors import BadUser, DirectoryUnavailable, Misconfigured, RegisterError

ROOT = Path(ldap.__file__).parents[2]
GUID = UUID("00112233-4455-6677-8899-aabbccddeeff")
ODD_PEOPLE = (
    PEOPLE
    + person("ykerjean", "Yann Kerjean", givenName=["first", "second"])
    + person("nnoname", "N N", objectGUID=b"\xff\xfe\x00 no text", mail="other@univ-brest.fr")
    + person("eve", "Eve\nsuccess\nkey: ssh-ed25519 AAAA")
    + person("\u212aevin", "The Kelvin Sign")
    + person("twice", "Spelled Twice", labeledURI=["casey", "CASEY"])
    + person("guid", "From Active Directory", objectGUID=GUID.bytes_le, ipaUniqueID="not this one")
    + person("shortguid", "A Broken One", objectGUID=b"\x01\x02")
    + person("ipa", "From FreeIPA", ipaUniqueID="2C5EA4C0-4067-11EA-8BAD-0000000000AA")
    + person("upper", "From Elsewhere", entryUUID="2C5EA4C0-4067-11EA-8BAD-0000000000BB")
    + person("old389", "From an Old 389", nsUniqueId="DBD2CA81-4E5C11EC-8BADF00D-00000001")
    + person("locked", "L L", pwdAccountLockedTime="000001010000Z")
    + person("disabled", "D D", nsAccountLock="TRUE")
    + person("gone", "G G", shadowExpire="15000")
    + person("odd", "O O", accountExpires="tomorrow")
    + person(["moved", "absent"], "M M")
    + person("absent", "A A", f"ou=staff,{BASE}", pwdAccountLockedTime="20261130120000Z")
    + person("twin", "T T", ipaUniqueID="twin-person")
    + person(
        "twin", "T T", f"ou=staff,{BASE}", objectClass=["alias", "extensibleObject"], aliasedObjectName=[BASE]
    )
    + person("both", "B B")
    + person("both", "B B", f"ou=staff,{BASE}")
    + person("three", "T T")
    + person("three", "T T", f"ou=staff,{BASE}", nsAccountLock="TRUE")
    + person("three", "T T", f"ou=students,{BASE}", nsAccountLock="TRUE")
    + person("neither", "N N", nsAccountLock="TRUE")
    + person("neither", "N N", f"ou=staff,{BASE}", nsAccountLock="TRUE")
    + person("robot", "R R", userPassword="Robot")
    + person("team", "T T", objectClass=["groupOfNames", "extensibleObject"], member=[BASE])
    + person("pc1", "P P", objectClass=["device", "extensibleObject"])
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Slapd]:
    certificate = authority.issue("localhost", "127.0.0.1", "::1")
    with Slapd(ODD_PEOPLE, certificate=certificate) as running:
        yield running


@contextmanager
def done_within(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer: what protects a waiting person."""
    began = time.monotonic()
    yield
    assert within(time.monotonic() - began, seconds)


def settings(*servers: str, **more: Any) -> config.Directory:
    return config.Directory(servers=servers, **{"base": BASE, "timeout": 3, **more})


def find(logon: str, *servers: str, within: float = 20, **more: Any) -> Person:
    return Ldap(settings(*servers, **more)).find(logon, within)


def as_reader(password: str = openldap.READER_PASSWORD) -> dict[str, Any]:
    return {"bind_dn": openldap.READER, "password": config.Secret(password)}


def dead() -> str:
    """Give the URL of a port where no server listens."""
    return f"ldap://127.0.0.1:{openldap.free_port()}"


def why(*servers: str, logon: str = "cmartin", **more: Any) -> str:
    """Ask, and give the reason for which the directory counts as unavailable."""
    with pytest.raises(DirectoryUnavailable) as unavailable:
        find(logon, *servers, **more)
    return unavailable.value.detail


@contextmanager
def history(server: Slapd) -> Iterator[list[str]]:
    """Give what the server logs for the block, after the block."""
    before = server.history()
    asked: list[str] = []
    yield asked
    asked.append(server.history().removeprefix(before))


# A person is found


@pytest.mark.parametrize(
    ("asked", "uid"),
    [
        ("cmartin", "cmartin"),
        ("CMARTIN", "cmartin"),
        ("jdupond", "JDupond"),
        ("JDupond", "JDupond"),
        ("mcorre", "mcorre"),
        ("MARIE.corre", "Marie.Corre"),
    ],
)
def test_the_logon_is_spelled_as_the_directory_spells_it(server: Slapd, asked: str, uid: str) -> None:
    assert find(asked, server.ldap()).uid == uid


def test_a_person_has_a_name_and_a_lasting_identity(server: Slapd) -> None:
    assert find("elebris", server.ldap()) == Person(
        uid="elebris", name="Éloïse Le Bris", entry_id="entryUUID:2c5ea4c0-4067-11ea-8bad-000000000004"
    )


@pytest.mark.parametrize(
    ("logon", "attribute", "name"),
    [
        ("ykerjean", "givenName", "first"),
        ("ykerjean", "GIVENNAME", "first"),
        ("cmartin", "displayName", ""),
        ("cmartin", "", ""),
        ("nnoname", "objectGUID", "\ufffd\ufffd\0 no text"),
        ("eve", "cn", "Eve\nsuccess\nkey: ssh-ed25519 AAAA"),
    ],
)
def test_the_name_is_the_first_value_of_its_attribute(
    server: Slapd, logon: str, attribute: str, name: str
) -> None:
    assert find(logon, server.ldap(), name_attribute=attribute).name == name


def test_filter_and_logon_attribute_are_the_sites_own(server: Slapd) -> None:
    wanted = "(&(objectClass=inetOrgPerson)(|(uid={logon})(mail={logon}@univ-brest.fr)))"

    assert find("adupont", server.ldap(), filter=wanted, logon_attribute="UID").uid == "adupont"


def test_the_identity_is_what_can_be_read() -> None:
    hidden = "access to attrs=entryUUID by * none\n" + openldap.EVERYONE_READS

    with Slapd(ODD_PEOPLE, access=hidden) as server:
        entries = {
            logon: find(logon, server.ldap()).entry_id
            for logon in ("guid", "shortguid", "ipa", "old389", "cmartin")
        }

    assert entries == {
        "guid": f"objectGUID:{GUID} ipaUniqueID:not_this_one",
        "shortguid": "objectGUID:0102",
        "ipa": "ipaUniqueID:2c5ea4c0-4067-11ea-8bad-0000000000aa",
        "old389": "nsUniqueId:dbd2ca81-4e5c11ec-8badf00d-00000001",
        "cmartin": "",
    }


def test_the_identity_reads_the_same_from_every_server(server: Slapd) -> None:
    assert find("upper", server.ldap()).entry_id == "entryUUID:2c5ea4c0-4067-11ea-8bad-0000000000bb"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize("how", ["ldap", "ldaps", "starttls"])
@pytest.mark.parametrize("bind", [{}, as_reader()], ids=["anonymous", "bound"])
def test_every_way_to_a_server_works(
    server: Slapd, authority: Authority, host: str, how: str, bind: dict[str, Any]
) -> None:
    url = server.ldaps(host) if how == "ldaps" else server.ldap(host)
    tls: dict[str, Any] = {"start_tls": how == "starttls", "ca_file": str(authority.file)}

    with history(server) as asked:
        assert find("cmartin", url, **tls, **bind).uid == "cmartin"

    assert ("TLS established" in asked[0]) == (how != "ldap")
    assert (openldap.READER in asked[0]) == bool(bind)


def test_start_tls_concerns_ldap_alone(server: Slapd, authority: Authority) -> None:
    assert find("cmartin", server.ldaps(), start_tls=True, ca_file=str(authority.file)).uid == "cmartin"


def test_without_a_ca_file_the_systems_authorities_are_trusted(
    server: Slapd, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    assert find("cmartin", server.ldaps()).uid == "cmartin"


def test_one_question_is_one_connection_and_one_search(server: Slapd) -> None:
    with history(server) as asked:
        find("cmartin", server.ldap())

    assert asked[0].count(" ACCEPT from ") == 1
    assert asked[0].count(" SRCH base=") == 1


# No such person


@pytest.mark.parametrize("logon", ["nobody", "plegall", "kevin", "ou", "reader"])
def test_what_is_not_exactly_one_entry_of_that_logon_is_nobody(server: Slapd, logon: str) -> None:
    with pytest.raises(BadUser) as refused:
        find(logon, server.ldap())

    assert refused.value.message() == f"bad user request : {logon}"


def test_two_entries_are_named_to_the_administrator_alone(server: Slapd) -> None:
    with pytest.raises(BadUser) as refused:
        find("plegall", server.ldap())

    assert "ou=staff" in refused.value.detail
    assert "ou=students" in refused.value.detail
    assert "ou=" not in refused.value.message()


def test_a_wild_filter_does_not_fetch_the_directory(server: Slapd) -> None:
    with history(server) as asked, pytest.raises(BadUser):
        find("cmartin", server.ldap(), filter="(|(uid={logon})(uid=*))")

    assert " nentries=2 " in asked[0]


@pytest.mark.parametrize(
    "how",
    [
        {"filter": "(cn=Anne Dupont)"},
        {"logon_attribute": "sn"},
        {"logon_attribute": "telephoneNumber"},
        {"filter": "(mail=other@{logon})"},
    ],
)
def test_an_entry_that_does_not_bear_the_logon_is_nobodys(server: Slapd, how: dict[str, Any]) -> None:
    with pytest.raises(BadUser):
        find("cmartin", server.ldap(), **how)


def test_two_spellings_of_one_logon_are_nobodys(server: Slapd) -> None:
    with pytest.raises(BadUser):
        find("casey", server.ldap(), logon_attribute="labeledURI", filter="(labeledURI={logon})")


ATTACKS = [
    "*",
    "cm*",
    "cmartin)(uid=*",
    "*)(uid=*))(|(uid=*",
    "cmartin)(objectClass=*",
    "(cmartin)",
    "cmartin\\2a",
    "\\63martin",
    "cmartin\0",
    "\0",
    "cmartin\n",
    " cmartin",
    "",
    "é",
    "\uff43martin",
    "cm\u0131rtin",
    "{logon}",
    "x" * 65,
    "-cmartin",
]


@pytest.mark.parametrize("logon", ATTACKS)
def test_an_impossible_logon_is_never_asked_for(server: Slapd, logon: str) -> None:
    with history(server) as asked, pytest.raises(BadUser):
        find(logon, server.ldap())

    assert asked == [""]


@pytest.mark.parametrize("logon", ATTACKS)
def test_an_impossible_logon_is_a_literal_value_even_if_asked_for(
    server: Slapd, logon: str, mocker: MockerFixture
) -> None:
    mocker.patch.object(ldap, "possible_logon", return_value=True)

    # slapd itself ignores blanks around a value, and knows the full-width letter as the plain one.
    with history(server) as asked, pytest.raises(BadUser):
        find(logon, server.ldap(), base=SUFFIX)

    assert asked[0].count('filter="(uid=') + asked[0].count('filter="(?uid=') == 1
    assert " nentries=2 " not in asked[0]


@given(st.text(st.characters(codec="utf-8")))
def test_no_text_leaves_its_place_in_a_filter(text: str) -> None:
    written = filter_for("(&(a=b)(uid={logon}))", text)

    tree = parse_filter(written, None, True, True, None, False)

    first, second = tree.elements[0].elements
    assert first.assertion == {"attr": "a", "value": b"b"}
    assert (second.tag, second.assertion) == (MATCH_EQUAL, {"attr": "uid", "value": ANY})
    sent = prepare_filter_for_sending(second.assertion["value"])
    assert sent == text.strip().encode()


# Persons who have left


def test_an_entry_that_is_no_person_does_not_count_beside_a_person(server: Slapd) -> None:
    assert find("twin", server.ldap()).entry_id.endswith("-person")


@pytest.mark.parametrize("logon", ["both", "absent", "three", "neither"])
def test_of_two_accounts_none_counts_also_if_one_is_disabled(server: Slapd, logon: str) -> None:
    with pytest.raises(BadUser, match="more than one entry"):
        find(logon, server.ldap())


def test_the_logon_of_a_locked_person_is_not_that_of_whoever_adds_it_to_an_entry(server: Slapd) -> None:
    person = policy.find_person("moved", lambda one: find(one, server.ldap()), "backuppc")

    assert (person.uid, person.others) == ("moved", ())


HIDDEN_LOCKS = "access to attrs=pwdAccountLockedTime,nsAccountLock by * none\n" + openldap.EVERYONE_READS


@pytest.mark.parametrize("more", [{}, {"filter": "(|(uid={logon})(mail={logon}))"}, {"kind": "freeipa"}])
@pytest.mark.parametrize("logon", ["locked", "disabled", "gone", "team", "pc1"])
def test_who_has_left_and_what_is_no_person_is_nobody_whatever_the_filter(
    server: Slapd, logon: str, more: dict[str, Any]
) -> None:
    with pytest.raises(BadUser) as refused:
        find(logon, server.ldap(), **more)

    assert refused.value.message() == f"bad user request : {logon}"
    if more.get("kind") != "freeipa":
        assert f"uid={logon},{BASE}: it is " in refused.value.detail


def test_who_may_not_see_a_lock_finds_the_person() -> None:
    with Slapd(ODD_PEOPLE, access=HIDDEN_LOCKS) as server:
        assert find("locked", server.ldap()).uid == "locked"
        with pytest.raises(BadUser):
            find("gone", server.ldap())


def test_an_active_directory_that_hides_whether_people_are_disabled_is_a_doubt(server: Slapd) -> None:
    ours: dict[str, Any] = {"kind": "ad", "filter": "(uid={logon})", "logon_attribute": "uid"}

    assert "userAccountControl cannot be read" in why(server.ldap(), logon="cmartin", **ours)
    with pytest.raises(BadUser):
        find("team", server.ldap(), **ours)


def test_the_account_that_we_bind_as_is_no_person(server: Slapd, authority: Authority) -> None:
    own: dict[str, Any] = {"bind_dn": f"UID=robot, {BASE}", "password": config.Secret("Robot")}
    with pytest.raises(BadUser) as refused:
        find("robot", server.ldaps(), ca_file=str(authority.file), **own)

    assert "account of [directory] bind_dn" in refused.value.detail
    assert find("robot", server.ldap()).uid == "robot"


def test_a_state_that_cannot_be_understood_is_a_doubt(server: Slapd) -> None:
    assert "ValueError" in why(server.ldap(), logon="odd")


# Several servers


def test_the_next_server_is_asked_when_one_is_dead(server: Slapd) -> None:
    assert find("cmartin", dead(), dead(), server.ldap()).uid == "cmartin"


def test_servers_that_were_passed_over_are_named_with_their_reasons_though_a_later_one_knows(
    server: Slapd,
) -> None:
    with FailingLdap(saying(bound, lambda number: message(number, result(SEARCH, 51, "too busy")))) as busy:
        first = dead()

        person = find("cmartin", first, busy.url, server.ldap())

        assert person.note.startswith(f"passed over {first}: ")
        assert "refused" in person.note
        assert f"; {busy.url}: " in person.note
        assert "too busy" in person.note
        assert person == find("cmartin", server.ldap())
        assert find("cmartin", server.ldap()).note == ""


def test_they_are_named_too_where_the_later_one_knows_nobody_or_our_setting_is_no_good(server: Slapd) -> None:
    first = dead()

    with pytest.raises(BadUser) as nobody:
        find("nobody", first, server.ldap())
    with pytest.raises(Misconfigured) as wrong:
        find("cmartin", first, server.ldap(), filter="(((uid={logon}")

    for error in (nobody.value, wrong.value):
        assert f"; passed over {first}: " in error.detail
        assert str(error).endswith(f"({error.detail})")
        assert first not in error.message()


def test_the_password_is_not_in_what_is_told_of_a_server_that_was_passed_over(server: Slapd) -> None:
    said_back = saying(lambda number: message(number, result(BIND, 51, openldap.READER_PASSWORD)))
    with FailingLdap(said_back) as first:
        found = find("cmartin", first.url, server.ldap(), **as_reader()).note

    assert first.url in found
    assert openldap.READER_PASSWORD not in found


def test_no_such_person_is_final(server: Slapd) -> None:
    with FailingLdap(lambda client: None) as second:
        with pytest.raises(BadUser):
            find("nobody", server.ldap(), second.url)

        assert second.connections == 0


def test_all_that_failed_are_named_with_their_reasons(authority: Authority) -> None:
    with Slapd(certificate=authority.issue("elsewhere.univ-brest.fr")) as server:
        urls = (dead(), server.ldaps())

        detail = why(*urls, ca_file=str(authority.file))

    assert all(url in detail for url in urls)
    assert "refused" in detail
    assert "CERTIFICATE_VERIFY_FAILED" in detail


def test_a_server_that_never_answers_costs_one_timeout(server: Slapd) -> None:
    with FailingLdap(hold) as silent, done_within(3):
        assert find("cmartin", silent.url, server.ldap(), timeout=1).uid == "cmartin"


def test_later_servers_keep_their_share_of_a_short_time(server: Slapd) -> None:
    with FailingLdap(hold) as one, FailingLdap(hold) as other, done_within(3):
        assert find("cmartin", one.url, other.url, server.ldap(), timeout=60, within=3).uid == "cmartin"


def test_time_that_a_server_did_not_use_is_the_next_ones() -> None:
    with FailingLdap(hold) as silent:
        began = time.monotonic()
        why(dead(), silent.url, timeout=2, within=2)
        assert time.monotonic() - began > 1.5


def test_without_any_time_nobody_is_found_and_nobody_denied(server: Slapd) -> None:
    with done_within(1):
        why(server.ldap(), within=0)


# TLS is always verified


def test_an_authority_that_we_do_not_trust_is_refused(
    server: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(Authority(tmp_path / "other").file)

    for trust in ({"ca_file": other}, {"ca_file": ""}):
        assert "CERTIFICATE_VERIFY_FAILED" in why(server.ldaps(), **trust)
        assert "CERTIFICATE_VERIFY_FAILED" in why(server.ldap(), start_tls=True, **trust)


@pytest.mark.parametrize(
    ("names", "days", "host", "reason"),
    [
        (["localhost", "127.0.0.1"], -1, "localhost", "expired"),
        (["localhost", "127.0.0.1"], -1, "127.0.0.1", "expired"),
        (["elsewhere.univ-brest.fr", "127.0.0.1"], 7, "localhost", "mismatch"),
        (["localhost", "127.0.0.2"], 7, "127.0.0.1", "mismatch"),
    ],
)
def test_a_certificate_that_is_not_this_servers_or_expired_is_refused(
    authority: Authority, names: list[str], days: int, host: str, reason: str
) -> None:
    trust = {"ca_file": str(authority.file), **as_reader()}
    with Slapd(certificate=authority.issue(*names, days=days)) as server:
        assert reason in why(server.ldaps(host), **trust)
        assert reason in why(server.ldap(host), start_tls=True, **trust)

        assert " BIND " not in server.history()


def test_a_server_without_starttls_is_not_asked_in_the_clear(authority: Authority) -> None:
    with Slapd() as server:
        reason = why(server.ldap(), start_tls=True, ca_file=str(authority.file), **as_reader())

        assert "protocolError" in reason
        assert " BIND " not in server.history()
        assert " SRCH " not in server.history()


UNBIND_REQUEST = b"\x42\0"  # [APPLICATION 2] NULL (RFC 4511)


def test_a_refused_starttls_is_not_gone_round() -> None:
    later: list[bytes] = []
    gone = threading.Event()

    def refuse(client: Client) -> None:
        client.answer(STARTTLS, 53)
        try:
            while True:
                request = client.request()[1]
                later.append(request[4 + request[3] :])  # without its head and its number
        finally:
            gone.set()

    with FailingLdap(refuse) as server:
        assert "unwillingToPerform" in why(server.url, start_tls=True, **as_reader())
        assert gone.wait(5)

    # A good-bye that carries nothing is all that may still go out in the clear.
    assert later in ([], [UNBIND_REQUEST])


def test_ldaps_to_a_port_that_speaks_plain_ldap_fails(server: Slapd, authority: Authority) -> None:
    why(server.ldap().replace("ldap:", "ldaps:"), ca_file=str(authority.file))


def test_a_server_silent_in_the_handshake_costs_one_timeout(server: Slapd, authority: Authority) -> None:
    with FailingLdap(hold) as silent, done_within(3):
        first = silent.url.replace("ldap:", "ldaps:")
        assert find("cmartin", first, server.ldaps(), timeout=1, ca_file=str(authority.file)).uid == "cmartin"


@pytest.mark.parametrize("content", [None, "no certificate\n", ""])
def test_a_ca_file_that_is_none_is_our_own_fault(server: Slapd, tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)

    with pytest.raises(Misconfigured) as fault:
        find("cmartin", server.ldaps(), ca_file=str(ca_file))

    assert "[directory] ca_file" in fault.value.detail


# A doubt is a fault


@pytest.mark.parametrize(
    "code",
    [1, 2, 3, 4, 7, 8, 10, 11, 12, 13, 14, 18, 32, 48, 49, 50, 51, 52, 53, 54, 80, 100, 118],
)
@pytest.mark.parametrize("stage", ["bind", "search", "search after an entry"])
def test_an_error_is_never_a_no(code: int, stage: str) -> None:
    def fail(client: Client) -> None:
        if stage != "bind":
            client.accept_bind()
        number, _ = client.request()
        if stage == "search after an entry":
            client.send(message(number, CMARTIN))
        client.send(message(number, result(BIND if stage == "bind" else SEARCH, code)))
        # Who asks on all the same would read this as "no such person".
        client.answer(SEARCH)

    with FailingLdap(fail) as server:
        assert "ldap" in why(server.url)


CMARTIN = found(f"uid=cmartin,{BASE}", {"uid": [b"cmartin"], "cn": [b"Christophe Martin"]})


def hold(client: Client) -> None:
    """Take everything and say nothing, until the other side goes."""
    while client.connection.recv(4096):
        pass


def saying(*answers: Callable[[int], bytes]) -> Behaviour:
    """Answer one request after the other with what is made of its number, then nothing more."""

    def behave(client: Client) -> None:
        for answer in answers:
            number, _ = client.request()
            client.send(answer(number))
        hold(client)

    return behave


def hang_up(client: Client) -> None:
    client.accept_bind()
    client.request()


def bound(number: int) -> bytes:
    return message(number, result(BIND))


NOTICE = result(STARTTLS, 52, "", ber(0x8A, b"1.3.6.1.4.1.1466.20036"))
NONSENSE: dict[str, Behaviour] = {
    "closes at once": lambda client: None,
    "closes after the bind": hang_up,
    "web server": saying(lambda number: b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "ssh server": saying(lambda number: b"SSH-2.0-OpenSSH_9.2\r\n"),
    "zeros": saying(lambda number: bytes(64)),
    "ones": saying(lambda number: b"\xff" * 64),
    "half a message": lambda client: client.send(bound(client.request()[0])[:7]),
    "half an answer": saying(bound, lambda number: message(number, CMARTIN)[:30]),
    "empty message": saying(lambda number: ber(0x30)),
    "no result": saying(lambda number: message(number, ber(BIND))),
    "no operation": saying(lambda number: ber(0x30, ber(2, number.to_bytes(4)))),
    "code unknown to all": saying(bound, lambda number: message(number, result(SEARCH, 127))),
    "somebody else's answer": saying(bound, lambda number: message(number + 1, result(SEARCH))),
    "bind where a search was asked": saying(bound, bound),
    "extended where a search was asked": saying(bound, lambda number: message(number, result(STARTTLS))),
    "search where a bind was asked": saying(lambda number: message(number, result(SEARCH))),
    "intermediate where a search was asked": saying(bound, lambda number: message(number, ber(0x79))),
    "operation that there is none": saying(bound, lambda number: message(number, ber(0x7E, ber(4)))),
    "notice of disconnection": saying(bound, lambda number: message(0, NOTICE)),
    "unsolicited nonsense": saying(bound, lambda number: message(0, result(SEARCH))),
    "entry without attributes": saying(
        bound, lambda number: message(number, ber(0x64, ber(4, b"dc=x"))) + message(number, result(SEARCH))
    ),
    "attributes that are none": saying(
        bound,
        lambda number: (
            message(number, ber(0x64, ber(4, b"dc=x"), ber(0x30, ber(4, b"uid"), ber(2, b"1"))))
            + message(number, result(SEARCH))
        ),
    ),
    "answer after the end": saying(
        bound, lambda number: message(number, result(SEARCH)) + message(number, CMARTIN)
    ),
    "nested without end": saying(bound, lambda number: message(number, ber(0x65, b"\x30\x80" * 3000))),
}


@pytest.mark.parametrize("behaviour", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_no_answer_and_the_next_server_is_asked(server: Slapd, behaviour: Behaviour) -> None:
    with FailingLdap(behaviour) as first, done_within(3):
        assert find("cmartin", first.url, server.ldap(), timeout=1).uid == "cmartin"
        assert first.connections == 1


def test_an_entry_without_a_logon_is_nobodys() -> None:
    entry = found("dc=x", {"UID": [], "cn": [b"x"]})
    behaviour = saying(bound, lambda number: message(number, entry) + message(number, result(SEARCH)))

    with FailingLdap(behaviour) as server, pytest.raises(BadUser):
        find("cmartin", server.url)


def test_a_server_is_told_how_much_and_how_long_to_search() -> None:
    requests = []

    def note(client: Client) -> None:
        client.accept_bind()
        requests.append(client.answer(SEARCH))

    with FailingLdap(note) as server, pytest.raises(BadUser):
        find("cmartin", server.url, timeout=3)

    # RFC 4511, 4.5.1: sizeLimit 2, timeLimit 3, typesOnly false.
    assert b"\x02\x01\x02\x02\x01\x03\x01\x01\x00" in requests[0]


def test_an_attribute_in_ranges_is_not_asked_for_again() -> None:
    entry = found("dc=x", {"uid;range=0-1": [b"cmartin"]})
    behaviour = saying(bound, lambda number: message(number, entry) + message(number, result(SEARCH)))

    with FailingLdap(behaviour) as server, pytest.raises(BadUser):
        find("cmartin", server.url)


def test_an_answer_in_many_pieces_is_an_answer() -> None:
    def dribble(client: Client) -> None:
        client.accept_bind()
        number, _ = client.request()
        for byte in message(number, CMARTIN) + message(number, result(SEARCH)):
            client.send(bytes([byte]))
            time.sleep(0.001)

    with FailingLdap(dribble) as server:
        assert find("cmartin", server.url).name == "Christophe Martin"


def test_a_byte_a_second_does_not_stretch_the_timeout() -> None:
    def drip(client: Client) -> None:
        client.accept_bind()
        number, _ = client.request()
        for byte in message(number, CMARTIN):
            client.send(bytes([byte]))
            time.sleep(0.5)

    with FailingLdap(drip) as server, done_within(4):
        why(server.url, timeout=2)


@pytest.mark.parametrize("stage", ["bind", "search"])
@pytest.mark.parametrize("what", ["entries", "one huge value", "one huge number"])
def test_an_endless_answer_is_cut_at_its_size(stage: str, what: str) -> None:
    sent = 0

    def flood(client: Client) -> None:
        nonlocal sent
        if stage == "search":
            client.accept_bind()
        number, _ = client.request()
        piece = message(number, CMARTIN) if what == "entries" else b"\x01" * 65536
        if what == "one huge value":
            client.send(
                b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01\x64\x84\x7f\xff\xff\xf0\x04\x84\x7f\xff\xff\xe0"
            )
        elif what == "one huge number":
            client.send(b"\x30\xfe" + b"\xff" * 126)
        while True:
            client.send(piece)
            sent += len(piece)

    with FailingLdap(flood) as server, done_within(10):
        reason = why(server.url, timeout=8)

    assert "1048576 bytes" in reason
    assert sent < 32 << 20


def test_a_name_lookup_that_hangs_costs_one_timeout(server: Slapd, mocker: MockerFixture) -> None:
    really = socket.getaddrinfo
    over = threading.Event()

    def hang(host: str, *more: Any) -> Any:
        if host == "dead-resolver.univ-brest.fr":
            over.wait(20)
        return really(host, *more)

    mocker.patch("socket.getaddrinfo", hang)
    with done_within(3):
        assert (
            find("cmartin", "ldap://dead-resolver.univ-brest.fr", server.ldap(), timeout=1).uid == "cmartin"
        )
    over.set()


def test_a_name_without_an_address_is_a_doubt(mocker: MockerFixture) -> None:
    mocker.patch("socket.getaddrinfo", side_effect=socket.gaierror(-2, "Name or service not known"))

    assert "no address" in why("ldap://ldap1.univ-brest.fr")


def test_dead_addresses_of_a_name_leave_time_for_its_good_one(server: Slapd, mocker: MockerFixture) -> None:
    with full_queue() as black_hole:
        ports = (black_hole, black_hole, server.port)
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
        mocker.patch("socket.getaddrinfo", return_value=addresses)

        with done_within(4):
            assert find("cmartin", "ldap://ldap1.univ-brest.fr", timeout=3).uid == "cmartin"


def test_a_name_with_dead_addresses_only_costs_one_timeout(mocker: MockerFixture) -> None:
    with full_queue() as black_hole:
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", black_hole))
        mocker.patch("socket.getaddrinfo", return_value=[address] * 5)

        with done_within(3):
            why("ldap://ldap1.univ-brest.fr", timeout=1)


@contextmanager
def full_queue() -> Iterator[int]:
    """Give a port where a connection hangs, as behind a firewall: its queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


def test_no_thread_left_is_a_doubt(server: Slapd, mocker: MockerFixture) -> None:
    mocker.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread"))

    assert "thread" in why(server.ldap())


def test_who_was_given_up_ends_soon_and_takes_its_connection_along() -> None:
    def drip(client: Client) -> None:
        client.request()
        while True:
            client.send(b"0")
            time.sleep(0.05)

    with FailingLdap(drip) as server:
        before = threading.active_count()
        why(server.url, timeout=1)
        time.sleep(1)

        # The server's own thread is gone too: nobody takes its bytes any more.
        assert threading.active_count() <= before


LONELY = """
import socket, sys, time
socket.getaddrinfo = lambda *_: time.sleep(60)
from backuppc_register import config
from backuppc_register.protocol import errors
from backuppc_register.network.ldap import Ldap
server = config.Directory(servers=(sys.argv[1],), base="dc=x", timeout=1)
try:
    Ldap(server).find("cmartin", 10)
except errors.DirectoryUnavailable:
    print("unavailable")
"""


def test_a_process_does_not_wait_for_a_lookup_that_hangs_and_prints_nothing() -> None:
    with done_within(8):
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "ignore", "-c", LONELY, "ldap://dead-resolver.univ-brest.fr"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stdout, done.stderr) == (0, "unavailable\n", "")


@pytest.mark.parametrize("broken", ["base", "filter", "bind_dn"])
def test_a_malformed_setting_is_our_own_fault(server: Slapd, broken: str) -> None:
    values: dict[str, dict[str, Any]] = {
        "base": {"base": "univ-brest.fr"},
        "filter": {"filter": "(&(uid={logon})(cn))"},
        "bind_dn": {"bind_dn": "reader", "password": config.Secret("x")},
    }

    with pytest.raises(Misconfigured) as fault:
        find("cmartin", server.ldap(), **values[broken])

    assert broken in fault.value.detail


def test_a_base_that_does_not_exist_is_a_doubt(server: Slapd) -> None:
    assert "noSuchObject" in why(server.ldap(), base=f"ou=peuple,{SUFFIX}")


# Who we are to the directory


def test_a_refused_bind_is_a_doubt(server: Slapd) -> None:
    assert "invalidCredentials" in why(server.ldap(), **as_reader("wrong"))


def test_a_refused_anonymous_bind_is_a_doubt() -> None:
    with Slapd(options="disallow bind_anon") as server:
        assert "inappropriateAuthentication" in why(server.ldap())
        assert find("cmartin", server.ldap(), **as_reader()).uid == "cmartin"


def test_people_that_only_the_bound_may_see_are_seen_bound() -> None:
    access = (
        f'access to attrs=userPassword by anonymous auth\naccess to * by dn.exact="{openldap.READER}" read\n'
    )

    with Slapd(access=access) as server:
        assert find("cmartin", server.ldap(), **as_reader()).uid == "cmartin"
        why(server.ldap())


PASSWORD = "Fest-Noz; 56%d {logon}"


def shouted_back(client: Client) -> None:
    """Refuse the bind and tell the world its password."""
    client.answer(BIND, 49, f"no such password: {PASSWORD}")


@pytest.mark.parametrize(
    ("behaviour", "more"),
    [
        (shouted_back, {}),
        (hold, {}),
        (saying(lambda number: b"\xff" * 64), {}),
        (saying(bound, lambda number: message(number, result(SEARCH, 51, PASSWORD))), {}),
        (saying(lambda number: message(number, result(BIND, 34, PASSWORD))), {}),
        (saying(bound, lambda number: b""), {"filter": "(((uid={logon}"}),
    ],
)
def test_the_password_is_in_no_error(behaviour: Behaviour, more: dict[str, str]) -> None:
    asked = settings("ldap://127.0.0.1:1", bind_dn=openldap.READER, password=config.Secret(PASSWORD), **more)

    with FailingLdap(behaviour) as server, pytest.raises(RegisterError) as caught:
        Ldap(replace(asked, servers=(server.url,), timeout=1)).find("cmartin", 5)

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.detail
    assert PASSWORD not in shown
    assert PASSWORD not in repr(asked)


# Referrals


@contextmanager
def with_referrals(*to: str) -> Iterator[Slapd]:
    """Give a server where a branch of the people lives elsewhere."""
    hospital = {"objectClass": ["referral", "extensibleObject"], "ou": ["hospital"], "ref": to}
    team = person("team", "T T", objectClass=["groupOfNames", "extensibleObject"], member=[BASE])
    with Slapd(PEOPLE + team + openldap.entry(f"ou=hospital,{BASE}", hospital)) as server:
        yield server


def test_a_person_who_is_here_is_found_whatever_lives_elsewhere() -> None:
    with FailingLdap(hold) as elsewhere, with_referrals(f"{elsewhere.url}/ou=hospital,{BASE}") as server:
        assert find("cmartin", server.ldap()).uid == "cmartin"
        assert elsewhere.connections == 0


@pytest.mark.parametrize("base", [BASE, f"ou=hospital,{BASE}", f"ou=ward,ou=hospital,{BASE}"])
def test_a_person_who_may_be_elsewhere_is_a_doubt(base: str) -> None:
    with FailingLdap(hold) as elsewhere, with_referrals(f"{elsewhere.url}/ou=hospital,{BASE}") as server:
        assert "refer" in why(server.ldap(), logon="nobody", base=base)
        assert elsewhere.connections == 0


def test_beside_a_group_a_person_may_be_elsewhere_too() -> None:
    with with_referrals(f"ldap://127.0.0.1:9/ou=hospital,{BASE}") as server:
        assert "refer" in why(server.ldap(), logon="team")


PARTITIONS = (
    "ldap://ad.univ-brest.fr/CN=Configuration,{base}",
    "ldap://DomainDnsZones.ad.univ-brest.fr/dc=domaindnszones,{base}",
    "ldap://ForestDnsZones.ad.univ-brest.fr/DC=ForestDnsZones,%20{base}",
)


def referring(*to: str) -> Behaviour:
    """Answer a search with nobody and with referrals to other servers."""

    def behave(client: Client) -> None:
        client.accept_bind()
        number, _ = client.request()
        for url in to:
            client.send(message(number, ber(0x73, ber(4, url.format(base=BASE).encode()))))
        client.send(message(number, result(SEARCH)))

    return behave


def test_the_own_partitions_of_an_active_directory_are_no_doubt() -> None:
    with FailingLdap(referring(*PARTITIONS)) as server, pytest.raises(BadUser) as nobody:
        find("nobody", server.url, kind="ad")

    assert nobody.value.detail == "no entry"


@pytest.mark.parametrize("kind", ["ad", "openldap", "freeipa"])
@pytest.mark.parametrize(
    "url",
    [
        "ldap://child.ad.univ-brest.fr/DC=child,{base}",
        "ldap://ad.univ-brest.fr/CN=Configuration,dc=other,dc=fr",
        "ldap://ad.univ-brest.fr/OU=x,CN=Configuration,{base}",
        "ldap://ad.univ-brest.fr/OU=Configuration,{base}",
        "ldap://ad.univ-brest.fr/{base}",
        "ldap://ad.univ-brest.fr",
        "ldap://[ad/CN=Configuration,{base}",
    ],
)
def test_every_other_referral_is_a_doubt(kind: str, url: str) -> None:
    with FailingLdap(referring(*PARTITIONS, url)) as server:
        why(server.url, logon="nobody", kind=kind)


@pytest.mark.parametrize("kind", ["openldap", "freeipa"])
def test_such_partitions_are_those_of_an_active_directory_alone(kind: str) -> None:
    with FailingLdap(referring(PARTITIONS[0])) as server:
        assert "refers to other servers" in why(server.url, logon="nobody", kind=kind)


def test_people_outside_the_base_are_nobody_whatever_alias_leads_to_them() -> None:
    robots = f"ou=robots,{SUFFIX}"
    alias = {"objectClass": ["alias", "extensibleObject"], "ou": ["robots"], "aliasedObjectName": [robots]}
    people = (
        PEOPLE
        + unit(robots)
        + person("robot", "A Robot", robots)
        + openldap.entry(f"ou=robots,{BASE}", alias)
    )

    with Slapd(people) as server, pytest.raises(BadUser):
        find("robot", server.ldap())


# Silence


def test_the_library_logs_nothing(
    server: Slapd, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    find("cmartin", server.ldap())
    with FailingLdap(shouted_back) as failing:
        why(failing.url, dead(), **as_reader())

    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_nothing_is_left_open(server: Slapd) -> None:
    def open_files() -> list[Path]:
        return list(Path("/proc/self/fd").iterdir())

    find("cmartin", server.ldap())
    before = len(open_files())

    for _ in range(5):
        find("cmartin", server.ldap())
        why(server.ldap(), base="dc=elsewhere")
    time.sleep(0.2)

    assert len(open_files()) <= before
