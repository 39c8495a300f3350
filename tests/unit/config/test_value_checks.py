"""Each check returns "" for a good value and otherwise says what is wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register.config import value_checks as must

TEXT_CHECKS = [
    must.filled,
    must.url,
    must.address,
    must.network,
    must.source,
    must.ldap_url,
    must.ldap_filter,
    must.path,
    must.safe_path,
    must.domain,
    must.attribute,
    must.word,
    must.pattern,
]
STRUCTURE = st.text(alphabet="ldaps:/.[]@%()#?0189{}logonhst\n \t\\é\u212a٣")


@given(st.sampled_from(TEXT_CHECKS), st.one_of(st.text(), STRUCTURE, STRUCTURE.map("ldap://".__add__)))
def test_every_check_answers_with_a_text_whatever_it_gets(check, value):
    assert isinstance(check(value), str)


@given(st.sampled_from([c for c in TEXT_CHECKS if c not in (must.filled, must.ldap_filter)]), STRUCTURE)
def test_no_control_character_passes_where_the_value_ends_up_in_other_programs_files(check, value):
    assert check(value + "\n")
    assert check("\x00" + value)
    assert check(value + "\x7f")


@pytest.mark.parametrize(("value", "good"), [(1, True), (60, True), (0, False), (61, False), (10**30, False)])
def test_both_ends_of_a_range_belong_to_it(value, good):
    assert (must.between(1, 60)(value) == "") is good


def test_what_is_none_of_the_words_is_told_the_words():
    assert must.one_of("short", "full")("short") == ""
    assert must.one_of("short", "full")("long") == "is none of short, full"


def test_a_list_is_told_each_item_that_is_wrong_and_no_other():
    check = must.each(must.address)

    assert check(["127.0.0.1"]) == ""
    assert check(["127.0.0.1", "a", "::1", "b"]) == (
        "'a' is not a literal IP address; 'b' is not a literal IP address"
    )


def test_a_list_may_be_empty_unless_it_must_have_items():
    assert must.each(must.address)([]) == ""
    assert must.each(must.address, least=1)([]) == "must not be empty"


def test_an_optional_text_may_be_empty_and_nothing_else_that_is_wrong():
    check = must.or_empty(must.path)

    assert check("") == ""
    assert check("/etc") == ""
    assert check(" ") == "is not an absolute path"


def test_a_pattern_must_fit_the_whole_value():
    check = must.matches(re.compile("a+"), "a row of a")

    assert check("aaa") == ""
    assert check("aaab") == check("aaa\n") == "is not a row of a"


@pytest.mark.parametrize(
    "value", ["({logon})", "(&(a={logon})(!(b=c)))", r"(cn=\28{logon}\29)", "(|(uid={logon})(uid={logon}@x))"]
)
def test_a_filter_is_one_group(value):
    assert must.ldap_filter(value) == ""


@pytest.mark.parametrize(
    "value", ["", "{logon}", "({logon}))", "(({logon})", ")({logon}()", "(a)({logon})", " ({logon})"]
)
def test_what_is_not_one_group_is_no_filter(value):
    assert must.ldap_filter(value)


# What laptops let in; tests/unit/clients/test_setup.py has the same of the setup.
LET_IN = ["10.77.0.1", "134.158.240.3", "127.0.0.1", "10.0.0.0/8", "192.0.2.0/24", "10.0.0.1/32", "fd77::1",
          "::1", "2001:db8::/32", "fd77::/48", "2001:db8::1/128", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::1",
          "2001:660::/32"]  # fmt: skip
KEPT_OUT = {
    "wider": ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "64.0.0.0/2", "10.0.0.0/7", "::/0", "2000::/3",
              "8000::/1", "fc00::/7", "2002::/16", "2001::/31", "0::/0"],
    "no address": ["0.0.0.0", "0.0.0.0/8", "0.1.2.3", "::", "224.0.0.0/8", "239.1.1.1", "255.255.255.255",
                   "240.0.0.0/8", "ff02::1", "ff00::/32"],
    "IPv4 addresses inside": ["::ffff:0:0/96", "::ffff:0.0.0.0/96", "::/32", "::/96", "::ffff:10.0.0.0/104",
                              "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2001:0:1::/48"],
    "not an address": ["010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0.1/8", "10.0.0.0/255.0.0.0",
                       "10/8", "::1%lo", "0x0a.0.0.1", "167772160", "2001:db8::1/32", ""],
}  # fmt: skip


@pytest.mark.parametrize("value", LET_IN)
def test_laptops_may_let_in_an_address_or_a_network_of_a_site(value):
    assert must.source(value) == ""


@pytest.mark.parametrize(("why", "value"), [(why, value) for why in KEPT_OUT for value in KEPT_OUT[why]])
def test_laptops_let_in_no_half_of_the_internet_under_any_name(value, why):
    said = must.source(value)

    assert why in said or (why == "not an address" and "is not ADDRESS" in said)


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ([f"{n}.0.0.0/8" for n in range(1, 17)], True),
        ([f"{n}.0.0.0/8" for n in range(1, 18)], False),
        ([f"{n}.{h}.0.0/9" for n in range(1, 10) for h in (0, 128)], False),
        ([f"2001:{n:x}::/32" for n in range(1, 18)], False),
        ([f"10.0.0.{n}" for n in range(64)], True),
        ([f"10.0.0.{n}" for n in range(65)], False),
        ([], True),
    ],
)
def test_many_networks_are_not_everything_together(values, good):
    assert (must.sources(tuple(values)) == "") is good


def test_each_source_that_is_wrong_is_named():
    assert must.sources(("10.0.0.1", "0.0.0.0/0")).startswith("'0.0.0.0/0' is wider than /8")
