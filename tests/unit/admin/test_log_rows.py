"""The lines of requests, read back from a log."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register import syslog_line
from backuppc_register.admin import log_rows

CONNECTION = "82.254.212.144 49631 134.158.240.3 22"
REFUSED = syslog_line.Entry(
    connection=CONNECTION,
    outcome="refusing to re-register client host with username : dormeur adupont",
    level="warning",
    request="48150973",
    code="other-owner",
    host="dormeur",
    user="adupont",
    os="mac",
    register_key="2026",
    ms=95,
    detail="the hosts file says cmartin",
)

any_bytes = st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
an_outcome = st.sampled_from(["success", "internal error", "refusing to x : a b", "ostype is unknown"])
a_connection = st.sampled_from(
    [
        CONNECTION,
        "",
        "2001:db8::7 1 ::1 22",
        "fe80::1%eth0 50000 fe80::2%eth0 22",
        "fe80::1%[wl+p0] 1 fe80::2 22",
    ]
)
a_value = any_bytes.filter(lambda value: value != "-" and len(value) < 60)


@given(
    st.builds(
        syslog_line.Entry,
        connection=a_connection,
        outcome=an_outcome,
        level=st.just(""),
        **dict.fromkeys((*syslog_line.FIELDS, "detail"), a_value),
        ms=st.integers(0, 10**6),
    )
)
def test_a_line_is_read_back_as_it_was_written(entry):
    assert log_rows.parse(syslog_line.line(entry)) == entry


@given(any_bytes | st.text())
def test_what_is_no_line_is_none_and_never_an_error(text):
    assert log_rows.parse(text) is None
    assert log_rows.parse_row(text, datetime.now(UTC)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "success",
        "success request=1 host=x",
        syslog_line.line(REFUSED).replace("code=", "kode="),
        syslog_line.line(REFUSED).replace("ms=95", "ms=soon"),
        f"{syslog_line.line(REFUSED)}\n",
    ],
)
def test_a_line_that_is_not_whole_is_none(text):
    assert log_rows.parse(text) is None


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "when"),
    [
        ("2026-02-28T10:11:12.345678+01:00", datetime(2026, 2, 28, 9, 11, 12, 345678, UTC)),
        ("2026-02-28T10:11:12+0100", datetime(2026, 2, 28, 9, 11, 12, tzinfo=UTC)),
        ("2026-02-28T10:11:12Z", datetime(2026, 2, 28, 10, 11, 12, tzinfo=UTC)),
    ],
)
def test_a_row_has_the_time_of_syslog_or_of_the_journal(stamp, when):
    row = f"{stamp} dugong backuppc-register[42]: {syslog_line.line(REFUSED)}"

    assert log_rows.parse_row(row, NOW) == log_rows.Logged(when, replace(REFUSED, level=""))


@pytest.mark.parametrize(
    ("stamp", "date"),
    [
        ("Feb 28 10:11:12", (2026, 2, 28)),
        ("Mar  1 09:00:00", (2026, 3, 1)),
        ("Dec 31 23:59:59", (2025, 12, 31)),
        ("Feb 29 10:11:12", (2024, 2, 29)),
    ],
)
def test_a_time_without_a_year_is_the_last_such_time(stamp, date):
    logged = log_rows.parse_row(f"{stamp} dugong backuppc-register[42]: {syslog_line.line(REFUSED)}", NOW)

    assert logged
    assert (logged.when.year, logged.when.month, logged.when.day) == date


@pytest.mark.parametrize(
    "row",
    [
        f"2026-02-28T10:11:12Z dugong sshd[42]: {syslog_line.line(REFUSED)}",
        f"2026-02-28T10:11:12Z dugong backuppc-register[42]: x {syslog_line.line(REFUSED)} y=z",
        f"2026-02-31T10:11:12Z dugong backuppc-register[42]: {syslog_line.line(REFUSED)}",
        f"Foo 28 10:11:12 dugong backuppc-register[42]: {syslog_line.line(REFUSED)}",
        syslog_line.line(REFUSED),
    ],
)
def test_a_row_of_another_program_or_time_is_none(row):
    assert log_rows.parse_row(row, NOW) is None
