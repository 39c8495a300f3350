"""Owners put their backups off on BackupPC's page: real daemon, real CGI, and who sees it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lab import Lab, Result, Server

pytestmark = pytest.mark.lab

ADMIN = ["python3", "-I", "/opt/backuppc-register/bin/backuppc-register-admin"]
HOSTS = ("dormeur", "simplet", "joyeux", "timide", "prof")
SLOW = "#!/bin/sh\nuntil [ -e /run/go ]; do sleep 0.1; done\n"


class Site:
    """A backup server with some hosts that cmartin owns."""

    def __init__(self, lab: Lab) -> None:
        self.dugong: Server = lab.server("dugong.univ-brest.fr")
        lines = "".join(f"{host}\t0\tcmartin\t\n" for host in HOSTS)
        # Another time of change, because BackupPC compares whole seconds.
        command = "cat >> /etc/backuppc/hosts; touch -d '1 hour ago' /etc/backuppc/hosts"
        self.dugong.run(command, input=lines, check=True)
        self.dugong.message("server reload")

    def admin(self, *words: str) -> Result:
        return self.dugong.run([*ADMIN, *words])

    def pause(self, host: str, hours: str) -> str:
        """Open the page's address as the owner does."""
        query = f"action=Stop_Dequeue_Backup&host={host}&doit=1&backoff={hours}"
        return self.dugong.cgi(query, "cmartin")

    def told(self, *words: str) -> Any:
        return json.loads(self.admin(*words, "--json").stdout)

    def ends(self) -> dict[str, Any]:
        return {one["host"]: one["paused"] for one in self.told("list") if one["host"] in HOSTS}

    def diagnosed(self) -> str:
        return self.admin("diagnose", "--only", "paused").stdout


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        yield Site(lab)


def test_a_pause_of_a_century_is_seen_and_lifted_by_reconcile(site):
    assert "no backup was pending" in site.pause("dormeur", "876000")
    assert "no backup was pending" in site.pause("simplet", "1e400")
    site.pause("joyeux", "719")  # within what the site allows

    shown = site.admin("show", "dormeur").stdout
    (until,) = re.findall(
        r"^paused: +until (2126-\S+) .*Stop/Dequeue Backup on BackupPC's page$", shown, re.M
    )
    assert re.search(rf"^next: +{until} .*when its pause ends", shown, re.M)
    ends = site.ends()
    assert ends["dormeur"].startswith(until)
    assert ends["simplet"].startswith("9999-01-01")
    assert (ends["timide"], site.told("show", "simplet")["paused"][:4]) == ("", "9999")
    listed = site.admin("list").stdout
    assert re.search(rf"^dormeur .*paused until {until}", listed, re.M)
    assert "not known" not in listed
    assert re.search(r"^yellow +paused +.*: simplet until 9999-01-01, dormeur until 2126", site.diagnosed())
    assert "joyeux until" in site.diagnosed()

    planned = site.admin("reconcile", "--dry-run").stdout
    assert f"-> pause-lifted dormeur (cmartin): its backups were paused until {until}" in planned
    assert site.ends() == ends
    done = site.admin("reconcile", "--quiet")

    assert (done.status, done.stdout.count("pause-lifted")) == (1, 2)
    assert sorted(host for host, end in site.ends().items() if end) == ["joyeux"]
    assert "paused" not in site.admin("show", "dormeur").stdout
    (line,) = [line for line in site.dugong.syslog() if "host=dormeur" in line and "pause-lifted" in line]
    assert "user=cmartin" in line
    assert site.admin("reconcile", "--quiet").stdout == ""


@pytest.mark.parametrize("hours", ["-5", "0", "abc", "nan", "0x10", ""])
def test_what_is_no_pause_for_backuppc_is_none_for_us(site, hours):
    site.pause("timide", "1")
    assert site.ends()["timide"]

    site.pause("timide", hours)

    # An empty number of hours changes nothing.
    assert bool(site.ends()["timide"]) == (hours == "")
    site.pause("timide", "0")


def test_a_short_pause_is_shown_and_worries_nobody(site):
    site.pause("joyeux", "0")
    site.pause("timide", "47")

    assert "green" in site.diagnosed()
    assert "timide" not in site.diagnosed()
    assert "paused until" in site.admin("list").stdout
    site.pause("timide", "0")


def test_a_backup_that_runs_is_not_cancelled_and_the_pause_goes_later(site):
    dugong = site.dugong
    dugong.write("/usr/local/bin/slow", SLOW, mode=0o755)
    dugong.write("/etc/backuppc/prof.pl", "$Conf{PingCmd} = '/usr/local/bin/slow';\n", owner="backuppc")
    site.pause("prof", "876000")
    dugong.message("backup prof prof cmartin doFull")
    dugong.wait_for(lambda: '"prof"' in dugong.message("status jobs"), "a job")

    done = site.admin("reconcile", "--quiet")

    assert "pause-not-lifted prof (cmartin)" in done.stdout
    assert '"prof"' in dugong.message("status jobs")
    dugong.write("/run/go", "")
    dugong.wait_for(lambda: '"prof"' not in dugong.message("status jobs"), "idle")
    assert "pause-lifted prof" in site.admin("reconcile", "--quiet").stdout


def test_the_bound_is_the_sites_and_0_is_none(site):
    site.pause("dormeur", "25")
    site.dugong.configure("[state]", "[limits]\nlongest_pause_days = 1\n[state]")
    assert "pause-lifted dormeur" in site.admin("reconcile", "--quiet").stdout

    site.pause("dormeur", "876000")
    site.dugong.configure("longest_pause_days = 1", "longest_pause_days = 0")
    assert site.admin("reconcile", "--quiet").stdout == ""
    assert site.ends()["dormeur"].startswith("2126")
    site.dugong.configure("[limits]\nlongest_pause_days = 0\n[state]", "[state]")


def test_a_retired_host_is_left_alone(site):
    assert site.admin("retire", "simplet").status == 0
    site.pause("simplet", "876000")
    site.pause("dormeur", "0")

    assert site.admin("reconcile", "--quiet").stdout == ""
    assert "simplet" not in site.diagnosed()
    assert "never: its backups are disabled" in site.admin("show", "simplet").stdout


def test_a_daemon_that_does_not_run_is_a_doubt_and_no_answer(site):
    site.pause("dormeur", "876000")
    site.dugong.daemon.stop()

    assert re.search(
        r"^paused: +not known: BackupPC is not running", site.admin("show", "dormeur").stdout, re.M
    )
    assert site.ends()["dormeur"] is None
    assert "It is not known whether backups are paused: BackupPC is not" in site.admin("list").stdout
    assert re.search(r"^yellow +paused +it is not known whether .*dormeur, ", site.diagnosed())
    assert "pause" not in site.admin("reconcile", "--quiet").stdout

    site.dugong.daemon.start()  # BackupPC has written the pause down
    assert "pause-lifted dormeur" in site.admin("reconcile", "--quiet").stdout
