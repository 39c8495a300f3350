"""Whether `reconcile` itself ran, whatever a registration writes to the snapshot."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from broken_server import bad, facts_of
from pytest_mock import MockerFixture

from backuppc_register.diagnosis import reconcile_checks, schedule
from backuppc_register.diagnosis.finding import Check, Level, examine
from backuppc_register.diagnosis.schedule import Schedule
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.state import reconcile_stamp

UNKNOWN = Schedule(None, "cannot be told")
STARTS = Schedule(True, "the timer is active")
OFF = Schedule(False, "the timer is off", f"systemctl enable --now {schedule.TIMER}")


@pytest.fixture
def facts(tmp_path: Path, mocker: MockerFixture) -> ServerFacts:
    mocker.patch.object(schedule, "find", return_value=UNKNOWN)
    found = facts_of(tmp_path)
    (found.config.state.directory / "FORMAT").write_text("1\n")
    return found


def note(facts: ServerFacts, host: str = "dormeur") -> None:
    """Note *host* as a registration does, just now."""
    seen = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"host": host, "data": True, "seen": seen, "lines": [[f"{host} 0 a", "0", "a"]]}
    facts.server.snapshot.path.write_text(f'{{"format": 1}}\n{json.dumps(row)}\n')


def ran(facts: ServerFacts, ago: timedelta) -> None:
    reconcile_stamp.write(facts.config.state.directory, datetime.now(UTC) - ago)


def test_a_registration_is_no_run_of_reconcile(facts: ServerFacts) -> None:
    note(facts)

    (found,) = bad(reconcile_checks.reconcile, facts)

    assert found[0] is Level.YELLOW
    assert "never ran" in found[1]


@pytest.mark.parametrize(
    ("ago", "level"),
    [
        (timedelta(), None),
        (timedelta(minutes=119), None),
        (timedelta(hours=3), Level.YELLOW),
        (timedelta(hours=23), Level.YELLOW),
        (timedelta(hours=25), Level.RED),
        (timedelta(days=900), Level.RED),
        (-timedelta(minutes=4), None),
        (-timedelta(minutes=6), Level.YELLOW),
        (-timedelta(days=40), Level.YELLOW),
    ],
)
def test_the_age_of_the_last_run(facts: ServerFacts, ago: timedelta, level: Level | None) -> None:
    note(facts)
    ran(facts, ago)

    assert [one for one, _ in bad(reconcile_checks.reconcile, facts)] == ([level] if level else [])


def test_a_run_of_just_now_does_not_hide_that_the_timer_is_off(
    facts: ServerFacts, mocker: MockerFixture
) -> None:
    note(facts)
    ran(facts, timedelta())
    mocker.patch.object(schedule, "find", return_value=OFF)

    assert bad(reconcile_checks.reconcile, facts) == [(Level.YELLOW, "the timer is off")]


def test_where_it_cannot_be_told_what_starts_it_a_fresh_run_is_green_and_says_so(facts: ServerFacts) -> None:
    note(facts)
    ran(facts, timedelta())

    (found,) = examine(Check("x", reconcile_checks.reconcile, "chmod it"), facts)

    assert found.level is Level.GREEN
    assert "last ran at" in found.what
    assert "cannot be told" in found.what


def test_a_server_of_yesterday_where_it_never_ran_is_red_but_not_where_a_timer_will_start_it(
    facts: ServerFacts, mocker: MockerFixture
) -> None:
    old = datetime.now().timestamp() - 90000
    os.utime(facts.config.state.directory / "FORMAT", (old, old))
    unknown = bad(reconcile_checks.reconcile, facts)
    mocker.patch.object(schedule, "find", return_value=STARTS)
    upgraded = bad(reconcile_checks.reconcile, facts)

    assert [level for level, _ in unknown] == [Level.RED]
    assert [level for level, _ in upgraded] == [Level.YELLOW]


def test_a_snapshot_that_is_gone_is_not_made_good_by_the_stamp(facts: ServerFacts) -> None:
    ran(facts, timedelta())

    (found,) = bad(reconcile_checks.reconcile, facts)

    assert found[0] is Level.YELLOW
    assert "never ran since its snapshot" in found[1]


def test_a_stamp_that_cannot_be_read_is_red(facts: ServerFacts) -> None:
    note(facts)
    (facts.config.state.directory / "reconciled").write_text("half")

    assert [level for level, _ in bad(reconcile_checks.reconcile, facts)] == [Level.RED]


def test_hosts_of_the_snapshot_without_lines_are_an_alarm(facts: ServerFacts) -> None:
    note(facts, "calmar")
    ran(facts, timedelta())

    (found,) = bad(reconcile_checks.reconcile, facts)

    assert found[0] is Level.RED
    assert "calmar" in found[1]
