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
