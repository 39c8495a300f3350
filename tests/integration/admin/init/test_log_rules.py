"""The log does not fill the disk: logrotate itself reads what `init` writes."""

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backuppc_register import config
from backuppc_register.admin.init import log_rules, root_files
from backuppc_register.admin.init.step import packaged
from backuppc_register.system import log_daemons

OF_0_2 = """# backuppc-register: /etc/logrotate.d/backuppc-register
/var/log/backuppc-register.log {
    monthly
    rotate 12
    compress
    delaycompress
    missingok
    notifempty
    postrotate
        /usr/lib/rsyslog/rsyslog-rotate
    endscript
}
"""
MEGABYTE = 1 << 20


def rotated(folder: Path, size: int, text: str) -> list[str]:
    """Let logrotate rotate a log of *size* bytes by the rules of *text*; return its files."""
    log, rules = folder / "backuppc-register.log", folder / "rules"
    with log.open("wb") as file:
        file.truncate(size)
    # The folder is of the test's account, and rsyslog does not run here.
    here = text.replace("/var/log/backuppc-register.log", str(log))
    for program in ("/usr/lib/rsyslog/rsyslog-rotate", "/usr/sbin/syslog-ng-ctl"):
        here = here.replace(program, "/none")
    assert (here.count(str(folder)), here.count("/none")) == (1, 4)
    rules.write_text(here)
    rules.chmod(0o644)
    command = ["/usr/sbin/logrotate", "--state", str(folder / "status"), str(rules)]
    for _ in range(2):  # logrotate only notes the date of a log that it sees for the first time
        subprocess.run(command, check=True)
    return sorted(path.name for path in folder.glob("backuppc-register.log*"))


def test_a_flooded_log_is_rotated_before_the_month_is_over(tmp_path: Path) -> None:
    told = packaged("logrotate.conf")

    assert rotated(tmp_path, 51 * MEGABYTE, told) == ["backuppc-register.log.1"]


def test_an_ordinary_log_is_rotated_by_the_month(tmp_path: Path) -> None:
    assert rotated(tmp_path, 49 * MEGABYTE, packaged("logrotate.conf")) == ["backuppc-register.log"]


@pytest.mark.parametrize("change", ["", "# the site's own\n"])
@pytest.mark.parametrize("earlier", [OF_0_2, OF_0_2.replace("monthly\n", "monthly\n    maxsize 50M\n")])
def test_only_an_earlier_releases_rules_are_replaced(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch, earlier: str
) -> None:
    path = tmp_path / "backuppc-register"
    rule = replace(log_daemons.RSYSLOG, rule=tmp_path / "rsyslog.conf")
    monkeypatch.setattr(log_daemons, "DAEMONS", (rule,))
    monkeypatch.setattr(log_rules, "LOGROTATE", path)
    monkeypatch.setattr(root_files, "trusted", lambda folder: None)
    path.write_text(earlier + change)
    before = path.read_text()
    plan: Any = SimpleNamespace(settings=SimpleNamespace(syslog=config.Syslog()))
    _, step = log_rules.steps(plan)

    needed = step.missing()
    if needed:
        step.make()

    assert needed == ("" if change else "it is of an earlier release")
    assert path.read_text() == (before if change else packaged("logrotate.conf"))
