"""The form of a logon, and when two logons are the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register.person import different_entry, possible_logon, same_entry, same_logon


@pytest.mark.parametrize("logon", ["cmartin", "C.Martin", "_x", "0", "a-b_c.d", "a" * 64, "a.", "a-"])
def test_a_logon_is_ascii_letters_digits_and_three_signs(logon):
    assert possible_logon(logon)


@pytest.mark.parametrize(
    "logon",
    ["", ".a", "-a", "a" * 65, "a b", "a\n", "\na", "é", "a\u212a", "a\u0660", "a\x00", "a:b", "a/b", "*"],
)
def test_nothing_else_is_a_logon(logon):
    assert not possible_logon(logon)


@given(st.text())
def test_every_possible_logon_is_safe_in_a_line_of_the_hosts_file(text):
    if possible_logon(text):
        assert re.fullmatch(r"[\x21-\x7e]{1,64}", text)
        assert not set(text) & set("#\\,'\"")


@pytest.mark.parametrize(("one", "other"), [("cmartin", "CMartin"), ("A.b-C_1", "a.B-c_1"), ("", "")])
def test_letter_case_alone_makes_no_other_person(one, other):
    assert same_logon(one, other)
    assert same_logon(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cmartin", "cmartin2"),
        ("cmartin", "cmartin "),
        ("cmartin", ""),
        ("kim", "\u212aim"),
        ("straße", "strasse"),
        ("é", "é"),
        ("\u017fam", "sam"),
        ("\u0130", "i"),
    ],
)
def test_other_differences_count_and_a_logon_outside_ascii_is_never_the_same(one, other):
    assert not same_logon(one, other)
    assert not same_logon(other, one)


@pytest.mark.parametrize(
    ("one", "other", "same", "different"),
    [
        ("entryUUID:1", "entryUUID:1", True, False),
        ("entryUUID:1", "entryUUID:2", False, True),
        ("entryUUID:1 ipaUniqueID:7", "ipaUniqueID:7", True, False),
        ("entryUUID:1 nsUniqueId:5", "entryUUID:1 nsUniqueId:6", True, False),
        ("entryUUID:1 nsUniqueId:5", "entryUUID:2 nsUniqueId:6", False, True),
        ("entryUUID:1", "nsUniqueId:5", False, False),
        ("", "entryUUID:1", False, False),
        ("", "", False, False),
    ],
)
def test_one_lasting_identity_in_common_makes_the_same_entry(one, other, same, different):
    assert (same_entry(one, other), different_entry(one, other)) == (same, different)
    assert (same_entry(other, one), different_entry(other, one)) == (same, different)
