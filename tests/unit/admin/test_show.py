"""The verb `show`: all that is known of one host."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from admin_door import admin_site

from backuppc_register.admin.next_backup import due_at
from backuppc_register.backuppc.backups import Backup
from backuppc_register.backuppc.settings import Settings

NOW = int(time.time())


@pytest.fixture
def site():
    with admin_site() as made:
        made.add_host("dormeur", verified="2026-03-01T10:05:00+00:00", entry="2c5ea4c0")
        yield made


def test_all_that_is_known_is_shown(site):
    site.add_backups("dormeur", ("full", NOW - 86400, 510, 2))

    shown = site.run("show", "DORMEUR")

    assert shown.returncode == 0
    facts = dict(line.split(":", 1) for line in shown.stdout.split("\n\n")[0].splitlines())
    assert facts["person"].strip() == "cmartin"
    assert facts["hosts line"].strip() == "dormeur 0 cmartin"
    assert facts["record"].strip() == "of cmartin, entry 2c5ea4c0"
    assert facts["name"].strip() == "dormeur.univ-brest.fr"
    assert facts["key"].strip().startswith("SHA256:")
    assert facts["ssh host key"].strip() == "not known yet"
    assert facts["verified"].strip().startswith("2026-03-01")
    assert "510 files, 2 errors" in facts["last backup"]
    assert shown.stdout.splitlines()[-1].split()[:2] == ["0", "full"]


def test_json_has_it_too(site):
    told = site.told("show", "dormeur")

    assert told["record"]["person"] == "cmartin"
    assert told["backuppc"] == {}
    assert isinstance(told["next"], str)


def test_a_host_that_nobody_knows_is_a_no(site):
    done = site.run("show", "dorm")

    assert done.returncode == 1
    assert "neither a hosts line nor a folder" in done.stdout


def test_a_host_that_nobody_knows_is_a_no_in_json_too(site):
    told = site.told("show", "dorm")

    assert (told["host"], "neither a hosts line nor a folder" in told["error"]) == ("dorm", True)


@pytest.mark.parametrize("name", ["../etc", "", "a b", "é"])
def test_what_no_host_is_called_is_a_no(site, name):
    assert site.run("show", name).returncode == 1


def test_a_hosts_line_of_a_name_that_is_none_of_ours_is_shown_all_the_same(site):
    site.add_line("lab_1 0 cmartin")

    done = site.run("show", "lab_1")

    assert (done.returncode, done.stderr) == (0, "")
    assert "lab_1 0 cmartin" in done.stdout


def backup(kind, days_ago):
    return Backup(0, kind, datetime.now(UTC) - timedelta(days=days_ago), None, 1, 1, 0)


@pytest.mark.parametrize(
    ("known", "days"),
    [
        ([], None),
        ([("partial", 1)], None),
        ([("incr", 0.5)], None),
        ([("full", 2)], -1.03),
        ([("full", 2), ("incr", 0.5)], 0.47),
        ([("full", 6.9), ("incr", 0.1)], 0.07),
    ],
)
def test_the_next_backup_is_due_by_backuppcs_own_rule(known, days):
    settings = Settings("rsync", False, (), "", None, (), (), full_period=6.97, incr_period=0.97)

    due = due_at(tuple(backup(*one) for one in known), settings)

    if days is None:
        assert due is None
    else:
        assert due is not None
        assert (due - datetime.now(UTC)).total_seconds() / 86400 == pytest.approx(days, abs=0.01)
