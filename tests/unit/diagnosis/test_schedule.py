"""What starts `reconcile`: a timer of systemd, a cron that reads our file, or what cannot be told."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from backuppc_register.diagnosis import schedule
from backuppc_register.system import processes
from backuppc_register.system.processes import ProgramResult

LINE = "*/15 * * * *  backuppc  backuppc-register-admin reconcile --quiet\n"


class Machine:
    """A machine with or without systemd, cron's file and a cron; *answers* are systemctl's."""

    def __init__(self, folder: Path, mocker: MockerFixture) -> None:
        self.systemd, self.cron = folder / "system", folder / "backuppc-register"
        self.processes = folder / "proc"
        self.answers: dict[str, ProgramResult | OSError] = {}
        mocker.patch.object(schedule, "SYSTEMD_RUNS", self.systemd)
        mocker.patch.object(schedule, "CRON", self.cron)
        mocker.patch.object(schedule, "_PROCESSES", self.processes)
        mocker.patch.object(schedule, "_ROOT", os.getuid())
        mocker.patch.object(processes, "run", side_effect=self._answer)
        self.runs("1", "systemd")

    def runs(self, number: str, name: str) -> None:
        (self.processes / number).mkdir(parents=True)
        (self.processes / number / "comm").write_text(f"{name}\n")

    def has_timer(self, enabled: str, active: str) -> None:
        self.systemd.mkdir()
        self.answers = {
            "is-enabled": ProgramResult(0, enabled.encode(), b""),
            "is-active": ProgramResult(0, active.encode(), b""),
        }

    def has_file(self, text: str = LINE, mode: int = 0o644) -> None:
        self.cron.write_text(text)
        self.cron.chmod(mode)

    def _answer(self, command: list[str], _timeout: float) -> ProgramResult:
        answer = self.answers[command[1]]
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def machine(tmp_path: Path, mocker: MockerFixture) -> Machine:
    return Machine(tmp_path, mocker)


@pytest.mark.parametrize(
    ("enabled", "active", "starts"),
    [
        ("enabled\n", "active\n", True),
        ("static\n", "active\n", True),
        ("disabled\n", "inactive\n", False),
        ("disabled\n", "active\n", False),  # it is gone after the next boot
        ("enabled-runtime\n", "active\n", False),
        ("linked\n", "active\n", False),
        ("enabled\n", "inactive\n", False),
        ("enabled\n", "failed\n", False),
        ("masked\n", "inactive\n", False),
        ("", "inactive\n", None),
        ("enabled\n", "", None),
    ],
)
def test_a_timer_must_be_enabled_and_active(
    machine: Machine, enabled: str, active: str, starts: bool | None
) -> None:
    machine.has_timer(enabled, active)

    found = schedule.find()

    assert found.starts is starts
    assert schedule.TIMER in found.what


def test_a_timer_that_does_not_exist_starts_nothing(machine: Machine) -> None:
    machine.has_timer("", "inactive\n")
    says = b"Failed to get unit file state for x.timer: No such file or directory"
    machine.answers["is-enabled"] = ProgramResult(1, b"", says)

    assert schedule.find().starts is False


def test_a_systemctl_that_cannot_be_started_is_no_answer(machine: Machine) -> None:
    machine.has_timer("enabled", "active")
    machine.answers["is-active"] = OSError(2, "No such file or directory")

    assert schedule.find().starts is None


def test_a_cron_that_runs_and_reads_our_file_starts_it(machine: Machine) -> None:
    machine.has_file()
    assert schedule.find().starts is False
    machine.runs("77", "cron")

    assert schedule.find().starts is True


@pytest.mark.parametrize(
    ("mends", "words"),
    [
        (lambda machine: machine.cron.chmod(0o664), "ignores"),
        (lambda machine: machine.cron.write_text(f"# {LINE}"), "does not start reconcile"),
        (lambda machine: machine.cron.write_text(""), "does not start reconcile"),
    ],
)
def test_a_file_that_cron_does_not_take_starts_nothing(
    machine: Machine, mends: Callable[[Machine], None], words: str
) -> None:
    machine.has_file()
    machine.runs("77", "crond")
    mends(machine)

    found = schedule.find()

    assert found.starts is False
    assert words in found.what


def test_a_file_of_another_account_starts_nothing(machine: Machine, mocker: MockerFixture) -> None:
    machine.has_file()
    machine.runs("77", "cron")
    mocker.patch.object(schedule, "_ROOT", os.getuid() + 1)

    assert schedule.find().starts is False


def test_cron_is_enough_where_the_timer_is_off(machine: Machine) -> None:
    machine.has_timer("disabled", "inactive")
    machine.has_file()
    machine.runs("77", "cron")

    assert schedule.find().starts is True


def test_processes_that_cannot_be_seen_are_no_answer(machine: Machine) -> None:
    machine.has_file()
    (machine.processes / "1/comm").unlink()
    (machine.processes / "1").rmdir()

    assert schedule.find().starts is None


def test_with_neither_it_is_said_that_it_cannot_be_told(machine: Machine) -> None:
    found = schedule.find()

    assert found.starts is None
    assert "cannot be told" in found.what
