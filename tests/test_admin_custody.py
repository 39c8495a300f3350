"""The verbs that change a registration, as an administrator types them."""

import re

import pytest
from admin_door import admin_site


@pytest.fixture
def site():
    with admin_site() as made:
        yield made


def test_a_purge_that_leaves_a_stray_thing_behind_is_told_and_logged_as_done(site):
    site.add_host("dormeur")
    doomed = site.folder / "data/pc/~purged"
    doomed.mkdir()
    (doomed / "stray").touch()

    done = site.run("purge", "dormeur", "--yes", "dormeur")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"note: {doomed}/stray" in done.stdout
    assert any(" purge request=" in line and "host=dormeur" in line for line in site.logged())


def test_the_daily_sweep_ends_with_1_where_something_stays(site):
    assert site.run("purge", "--due").returncode == 0
    doomed = site.folder / "data/pc/~purged"
    doomed.mkdir()
    (doomed / "stray").touch()

    done = site.run("purge", "--due")

    assert done.returncode == 1
    assert f"{doomed}/stray" in done.stdout


def test_a_host_that_was_made_by_hand_is_retired_shown_resumed_and_purged(site):
    made = "$Conf{XferMethod} = 'smb';\n"
    (site.folder / "etc/labpc.pl").write_text(made)
    site.add_line("labpc 0 jdoe friend")
    site.add_backups("labpc", ("full", 1, 5, 0))

    assert "record: none: made by hand" in re.sub(" +", " ", site.run("show", "labpc").stdout)
    done = site.run("retire", "LABPC")
    assert (done.returncode, done.stderr) == (0, "")
    assert "BackupsDisable" in (site.folder / "etc/labpc.pl").read_text()
    assert re.search("labpc +jdoe .*made by hand, retired", site.run("list").stdout)
    assert "record: of jdoe: made by hand" in re.sub(" +", " ", site.run("show", "labpc").stdout)
    assert site.run("retire", "labpc").stdout == "labpc is retired already.\n"
    assert site.run("reconcile").returncode == 0

    assert site.run("resume", "labpc").returncode == 0
    assert (site.folder / "etc/labpc.pl").read_text() == made
    assert site.run("resume", "labpc").stdout == "labpc is not retired.\n"

    assert site.run("purge", "labpc", "--days", "0", "--yes", "labpc").returncode == 0
    assert site.run("purge", "--due").returncode == 0
    assert "labpc" not in site.hosts.read_text()
    assert not (site.folder / "data/pc/labpc").exists()
    assert site.run("reconcile").returncode == 0


def test_a_host_that_nobody_knows_is_told_as_such(site):
    for verb in (["retire"], ["resume"], ["purge"], ["show"]):
        done = site.run(*verb, "nobody")

        assert done.returncode == 1
        assert "nobody" in done.stdout + done.stderr
