"""The errors have the codes, messages, exit statuses and syslog levels of the design and the reference."""

import re

import pytest
from checkout import CHECKOUT

from backuppc_register.protocol import errors

PROTOCOL = CHECKOUT / "docs" / "protocol.md"

# As the design fixes them: clients and administrators' scripts rely on every one.
DESIGN = [
    ("no-command", "no command given", 64, "notice"),
    ("ostype-unknown", "ostype is unknown", 64, "notice"),
    ("bad-user", "bad user request : LOGON", 67, "notice"),
    ("dns-name", "invalid DNS name for this IP", 77, "warning"),
    ("other-owner", "refusing to re-register client host with username : HOST LOGON", 77, "warning"),
    ("host-key-changed", "the ssh host key of HOST has changed", 77, "warning"),
    ("not-registered", "HOST is not registered", 69, "notice"),
    ("not-allowed", "refused by this site : REASON", 77, "warning"),
    ("not-reachable", "could not connect back to HOST : REASON", 69, "notice"),
    ("too-many-requests", "too many requests", 75, "warning"),
    ("directory-unavailable", "the directory did not answer", 75, "err"),
    ("dns-unavailable", "the DNS did not answer", 75, "err"),
    ("could-not-register", "Could not register", 73, "err"),
    ("no-config-file", "could not generate config file.", 73, "err"),
    ("misconfigured", "the server is misconfigured", 78, "err"),
    ("internal", "internal error", 70, "err"),
]
VALUES = {"host": "HOST", "logon": "LOGON", "reason": "REASON"}

every_error = pytest.mark.parametrize("kind", list(errors.table()), ids=lambda kind: kind.code)


def as_row(kind):
    return kind.code, kind(**VALUES).message(), kind.exit_status, kind.level


def test_the_classes_are_the_table_of_the_design():
    assert [as_row(kind) for kind in errors.table()] == DESIGN


def test_the_reference_has_the_same_table():
    rows = re.findall(
        r"(?m)^\| `([a-z-]+)` \| `([^`]*)` \| ([0-9]+) \| ([a-z]+) \|", PROTOCOL.read_text("utf-8")
    )

    assert [(code, message, int(status), level) for code, message, status, level in rows] == DESIGN


@every_error
def test_every_error_says_what_to_do_in_one_sentence(kind):
    advice = kind(**VALUES).advice

    assert re.fullmatch(r"[A-Z][ -~]{10,}\.", advice)
    assert len(advice) < 120


@every_error
def test_what_only_the_administrator_may_know_is_not_in_the_message(kind):
    error = kind(detail="the secret place", **VALUES)

    assert "secret" not in error.message()
    assert "secret" not in error.advice
    assert "secret" in str(error)


def test_a_refusal_is_no_fault_and_a_fault_no_refusal():
    assert all(issubclass(kind, errors.Refusal) != issubclass(kind, errors.Fault) for kind in errors.table())


def test_every_value_in_a_message_goes_through_the_escape_and_the_rest_does_not():
    error = errors.OtherOwner(host="dor{meur}", logon="%s {logon} x")

    assert error.message(str.upper) == (
        "refusing to re-register client host with username : DOR{MEUR} %S {LOGON} X"
    )


def test_an_error_may_replace_the_advice_of_its_class():
    special = errors.BadUser(logon="x", advice="Ask Fred.")

    assert special.advice == "Ask Fred."
    assert errors.BadUser(logon="x").advice == errors.BadUser.advice != "Ask Fred."


def test_values_that_are_added_later_do_not_replace_those_of_the_error():
    error = errors.BadUser(logon="cmartin")
    error.add_values(host="dormeur", logon="somebody else")

    assert error.values == {"host": "dormeur", "logon": "cmartin"}
    assert error.message() == "bad user request : cmartin"


def test_a_fault_of_the_moment_is_its_row_of_the_table_but_may_be_tried_again():
    error = errors.TryAgain(detail="the lock")

    assert (error.code, error.message(), error.level) == ("could-not-register", "Could not register", "err")
    assert error.exit_status == errors.DnsUnavailable.exit_status == 75
    assert error.advice == errors.DnsUnavailable.advice


@pytest.mark.parametrize("kind", [errors.NoSpace, errors.Busy])
def test_a_special_fault_looks_like_its_row_of_the_table_to_a_client(kind):
    error = kind(host="dormeur")

    assert (error.code, error.exit_status, error.level) == ("could-not-register", 73, "err")
    assert error.advice == errors.HostsFileError.advice
