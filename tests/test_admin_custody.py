"""The verbs that change a registration, as an administrator types them."""

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
