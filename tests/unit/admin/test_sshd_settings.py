"""sshd's own words about its settings, and what is made of an sshd that has none."""

from typing import Any

import pytest
from pytest_mock import MockerFixture

from backuppc_register.admin import sshd_settings
from backuppc_register.admin.sshd_settings import Refused
from backuppc_register.system import processes
from backuppc_register.system.processes import ProgramResult


def test_an_option_with_several_lines_has_all_its_values_but_only_one_port(mocker: MockerFixture) -> None:
    told = b"port 22\nport 2222\nallowusers root\nallowusers backuppc\nusepam yes\n"
    mocker.patch.object(processes, "run", return_value=ProgramResult(0, told, b""))

    found = sshd_settings.effective("backuppc")

    assert found == {"port": "22", "allowusers": "root backuppc", "usepam": "yes"}


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ({"side_effect": FileNotFoundError(2, "No such file or directory", "sshd")}, "No such file"),
        ({"side_effect": processes.TimedOut("sshd", b"")}, "too long"),
        ({"return_value": ProgramResult(255, b"usepam yes\n", b"line 3: Bad option")}, "line 3"),
        ({"return_value": ProgramResult(-9, b"", b"")}, "status -9"),
    ],
)
def test_an_sshd_that_says_no_or_nothing_is_no_answer(
    mocker: MockerFixture, outcome: dict[str, Any], reason: str
) -> None:
    mocker.patch.object(processes, "run", **outcome)

    with pytest.raises(Refused, match=reason):
        sshd_settings.effective("backuppc")
