"""What sshd has logged of logins as one account: by file or journal, without the lines of others."""

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from backuppc_register.admin import sshd_log
from backuppc_register.admin.sshd_log import SshdLog
from backuppc_register.system import processes
from backuppc_register.system.processes import ProgramResult

BEFORE = "Nov 30 08:00:00 dugong sshd[1]: User backuppc from 10.0.0.9 not allowed because of yesterday\n"
REFUSED = (
    "2026-11-30T08:00:01.5+00:00 dugong sshd[17]: Authentication refused: bad ownership for directory /srv\n"
    "Nov 30 08:00:01 dugong sshd[18]: Invalid user admin from 203.0.113.9\n"
    "Nov 30 08:00:01 dugong sshd[17]: Connection closed by authenticating user backuppc 10.0.0.7 port 1\n"
    "Nov 30 08:00:01 dugong sshd-session[19]: User backuppc from 10.0.0.7 not allowed because not listed\n"
    "Nov 30 08:00:01 dugong sshd[20]: User backuppc2 from 10.0.0.7 not allowed because of its name\n"
)
SAID = (
    "Authentication refused: bad ownership for directory /srv;"
    " User backuppc from 10.0.0.7 not allowed because not listed"
)


@pytest.fixture
def log(tmp_path: Path, mocker: MockerFixture) -> Path:
    path = tmp_path / "auth.log"
    path.write_text(BEFORE)
    mocker.patch.object(sshd_log, "LOGS", (tmp_path / "away", path))
    mocker.patch.object(sshd_log, "_ARRIVAL", 0.2)
    mocker.patch.object(processes, "run", side_effect=OSError(2, "No such file or directory"))
    return path


def test_new_lines_of_the_connections_of_that_account_are_told(log: Path) -> None:
    sshd = SshdLog()
    with log.open("a") as file:
        file.write(REFUSED)

    assert sshd.words("backuppc") == SAID


def test_a_log_without_such_a_line_says_nothing(log: Path) -> None:
    sshd = SshdLog()
    with log.open("a") as file:
        file.write("Nov 30 08:00:01 dugong sshd[18]: Invalid user admin from 203.0.113.9\n")

    assert sshd.words("backuppc") == ""


def test_without_a_file_the_journal_is_asked(log: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(sshd_log, "LOGS", ())
    mocker.patch.object(processes, "run", return_value=ProgramResult(0, REFUSED.encode(), b""))

    assert SshdLog().words("backuppc") == SAID


def test_long_lines_and_many_lines_are_cut(log: Path) -> None:
    sshd = SshdLog()
    with log.open("a") as file:
        file.writelines(f"x sshd[{n}]: User backuppc {n} {'x' * 1000}\n" for n in range(9))

    assert len(sshd.words("backuppc")) <= 3 * 202
