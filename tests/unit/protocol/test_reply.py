"""A reply has exactly the lines of the protocol."""

import re

import pytest
from checkout import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register.protocol import errors, escaping, reply
from backuppc_register.protocol.errors import (
    BadUser,
    HostKeyChanged,
    Internal,
    InvalidDnsName,
    Misconfigured,
    NotReachable,
    OtherOwner,
)
from backuppc_register.protocol.unreachable import Cause, not_reachable

PROTOCOL = CHECKOUT / "docs" / "protocol.md"
CONNECTION = "82.254.212.144 49631 134.158.240.3 22"
KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1"
    " backuppc server to client dormeur ssh key"
)
FIRST = reply.Success(
    host="dormeur",
    person="Céline Martin",
    status="new",
    key=KEY,
    url="https://dugong.univ-brest.fr/backuppc/index.cgi?host=dormeur",
    sources=("134.158.240.3", "2001:660:7202::3"),
    user="cmartin",
    note="BackupPC is not running",
)

any_bytes = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def unescaped(text):
    """Return the bytes that an escaped text stands for."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode("ascii"))


def raw(text):
    return text.encode("utf-8", "surrogateescape")


# escapes


@pytest.mark.parametrize(
    ("text", "escaped", "in_a_field", "in_words"),
    [
        ("cmartin", "cmartin", "cmartin", "cmartin"),
        ("a b", "a b", r"a\x20b", "a b"),
        ("a=b", "a=b", r"a\x3db", r"a\x3db"),
        ("a\\b", r"a\x5cb", r"a\x5cb", r"a\x5cb"),
        ("\\x0a", r"\x5cx0a", r"\x5cx0a", r"\x5cx0a"),
        ("a\nb", r"a\x0ab", r"a\x0ab", r"a\x0ab"),
        ("\r\t\x00\x1b\x7f", r"\x0d\x09\x00\x1b\x7f", r"\x0d\x09\x00\x1b\x7f", r"\x0d\x09\x00\x1b\x7f"),
        ("é", r"\xc3\xa9", r"\xc3\xa9", r"\xc3\xa9"),
        ("\udcff", r"\xff", r"\xff", r"\xff"),
        ("\u2028", r"\xe2\x80\xa8", r"\xe2\x80\xa8", r"\xe2\x80\xa8"),
        ("!~\"'$`{}", "!~\"'$`{}", "!~\"'$`{}", "!~\"'$`{}"),
        ("", "", "", ""),
    ],
)
def test_escapes_are_to_the_letter(text, escaped, in_a_field, in_words):
    assert escaping.escape(text) == escaped
    assert escaping.escape_field(text) == in_a_field
    assert escaping.escape_text(text) == in_words


def test_every_byte_is_escaped_or_stands_for_itself():
    for value in range(256):
        text = bytes([value]).decode("utf-8", "surrogateescape")
        plain = 0x20 <= value <= 0x7E and value != 0x5C

        assert escaping.escape(text) == (chr(value) if plain else f"\\x{value:02x}")


@pytest.mark.parametrize("escape", [escaping.escape, escaping.escape_field, escaping.escape_text])
@given(any_bytes)
def test_an_escaped_text_is_one_printable_line_and_can_be_read_back(escape, text):
    escaped = escape(text)

    assert escaped.isascii()
    assert escaped.isprintable()
    assert unescaped(escaped) == raw(text)


# success


def test_a_registration_is_told_as_the_reference_shows_it():
    told = reply.success(FIRST, "48150970").decode("ascii")

    assert told == (
        "success\n"
        f"key: {KEY}\n"
        "url: https://dugong.univ-brest.fr/backuppc/index.cgi?host=dormeur\n"
        "host: dormeur\n"
        "person: C\\xc3\\xa9line Martin\n"
        "status: new\n"
        "from: 134.158.240.3,2001:660:7202::3\n"
        "request: 48150970\n"
    )
    assert in_the_reference(told)


def test_a_check_tells_no_key():
    told = reply.success(reply.Success("dormeur", "Martin", "unchanged", user="cmartin"), "1")

    assert told == b"success\nhost: dormeur\nperson: Martin\nstatus: unchanged\nrequest: 1\n"


def test_advice_goes_with_a_success_too():
    told = reply.success(reply.Success("dormeur", "", "unchanged", advice="Look at the file."), "1")

    assert b"\nadvice: Look at the file.\n" in told


def test_what_only_the_administrator_may_know_is_not_told():
    told = reply.success(FIRST, "1")

    assert b"cmartin" not in told
    assert b"running" not in told


@given(any_bytes, any_bytes, any_bytes, any_bytes, st.lists(any_bytes, max_size=2))
def test_no_value_makes_a_line_of_its_own_in_a_success(host, person, url, advice, sources):
    answer = reply.Success(host, person, "new", "key", url, tuple(sources), advice)

    told = reply.success(answer, "1")
    first, *lines, end = told.split(b"\n")

    assert (first, end) == (b"success", b"")
    values = dict(line.split(b": ", 1) for line in lines)
    assert len(values) == len(lines)
    assert values.keys() <= {b"key", b"url", b"host", b"person", b"status", b"from", b"advice", b"request"}
    assert unescaped(values.get(b"person", b"").decode("ascii")) == raw(person)


# failure


def test_a_refusal_is_told_as_the_reference_shows_it():
    told = errors.reply(InvalidDnsName(detail="no PTR"), "48150972", CONNECTION).decode("ascii")

    assert told == (
        "82.254.212.144 49631 134.158.240.3 22 invalid DNS name for this IP\n"
        "error:dns-name\n"
        "request:48150972\n"
        "advice:Connect to the site's own network, or ask the help desk to check this machine's DNS name.\n"
    )
    assert in_the_reference(told)


def test_the_other_refusal_of_the_reference_is_one():
    error = OtherOwner(host="dormeur", logon="adupont", detail="the hosts file says cmartin")

    assert in_the_reference(errors.reply(error, "48150973", CONNECTION).decode("ascii"))


def test_which_step_of_the_way_back_failed_stands_in_a_line_of_its_own():
    error = not_reachable(
        Cause.REFUSED, "dormeur", what="port 22 of dormeur.univ-brest.fr", detail="ECONNREFUSED"
    )

    told = errors.reply(error, "48150974", "82.254.212.144 49634 134.158.240.3 22").decode("ascii")

    assert told.split("\n")[-2:] == ["step:refused", ""]
    assert in_the_reference(told)


def test_the_key_that_was_met_stands_in_a_line_of_its_own_where_it_is_known():
    for values, last in (({"fingerprint": "SHA256:x\n"}, "fingerprint:SHA256:x\\x0a"), ({}, "advice:")):
        told = errors.reply(HostKeyChanged(host="dormeur", **values), "1", CONNECTION).decode("ascii")

        assert told.split("\n")[-2].startswith(last)


def test_a_verification_is_told_as_the_reference_shows_it():
    answer = reply.Success(
        "dormeur", "Céline Martin", "verified", backup="queued", port=22, shares=("/home", "/srv/lab data")
    )

    assert in_the_reference(reply.success(answer, "48150975").decode("ascii"))


def in_the_reference(told):
    block = "".join(f"    {line}\n" for line in told.removesuffix("\n").split("\n"))
    return f"\n\n{block}\n" in PROTOCOL.read_text("utf-8")


@pytest.mark.parametrize(
    ("error", "first"),
    [
        (BadUser(logon=""), "bad user request : "),
        (BadUser(logon="c martin=x"), "bad user request : c martin=x"),
        (BadUser(logon="c\nsuccess"), r"bad user request : c\x0asuccess"),
        (BadUser(logon="\\x0a\udce9"), r"bad user request : \x5cx0a\xe9"),
        (NotReachable(host="dormeur", reason="é"), r"could not connect back to dormeur : \xc3\xa9"),
    ],
)
def test_the_message_has_its_values_escaped(error, first):
    told = errors.reply(error, "1", CONNECTION).decode("ascii")

    assert told.split("\n")[0] == f"{CONNECTION} {first}"


def test_without_a_connection_the_first_line_is_the_message_alone():
    assert errors.reply(Internal(), "1", "").startswith(b"internal error\nerror:internal\nrequest:1\nadvice:")


def test_an_error_keeps_to_itself_what_is_for_the_administrator():
    told = errors.reply(Misconfigured(detail="[state] directory: is missing"), "1", CONNECTION)

    assert b"state" not in told
    assert told.count(b"\n") == 4


@given(any_bytes, any_bytes, any_bytes)
def test_no_value_makes_a_line_of_its_own_in_a_failure(host, logon, advice):
    error = OtherOwner(host=host, logon=logon, advice=advice)

    told = errors.reply(error, "1", CONNECTION)
    first, *lines, end = told.split(b"\n")

    assert first.startswith(CONNECTION.encode() + b" refusing to re-register client host with username : ")
    assert [line.partition(b":")[0] for line in lines] == [b"error", b"request", b"advice"]
    assert lines[0] == b"error:other-owner"
    assert end == b""
