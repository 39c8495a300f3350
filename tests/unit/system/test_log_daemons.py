"""The syslog daemons that are installed."""

from pathlib import Path

import pytest

from backuppc_register.system import log_daemons


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ((), []),
        (("rsyslogd",), ["rsyslog"]),
        (("syslog-ng",), ["syslog-ng"]),
        (("rsyslogd", "syslog-ng"), ["rsyslog", "syslog-ng"]),
        (("syslogd",), []),
    ],
)
def test_a_daemon_is_there_if_its_program_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: tuple[str, ...], expected: list[str]
) -> None:
    monkeypatch.setattr(log_daemons, "_FOLDERS", (str(tmp_path / "none"), str(tmp_path)))
    for program in programs:
        (tmp_path / program).touch(0o755)
    (tmp_path / "rsyslog.d").mkdir()  # what a removed package leaves

    assert [one.name for one in log_daemons.installed()] == expected
