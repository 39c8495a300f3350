"""Unverified registrations through the doors of list, show and reconcile."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from admin_door import AdminSite, admin_site

from backuppc_register.reconciliation import unverified

OLD = (datetime.now(UTC) - timedelta(days=15, minutes=5)).isoformat(timespec="seconds")
NEW = (datetime.now(UTC) - timedelta(days=3, minutes=5)).isoformat(timespec="seconds")


@pytest.fixture
def site() -> Iterator[AdminSite]:
    with admin_site() as made:
        made.add_host("dormeur", "adupont", provisional=True, registered=OLD)
        made.add_host("sirene", provisional=True, registered=NEW)
        made.add_host("orque", registered=OLD)  # by an earlier release
        made.add_host("mimosa", provisional=True, registered=OLD)
        made.add_backups("mimosa", ("full", 1700000000, 510, 0))
        yield made


def names(site: AdminSite) -> list[str]:
    return [line.split()[0] for line in site.hosts.read_text().splitlines()[1:]]


def test_they_are_listed_and_shown_with_their_age_and_their_release(site: AdminSite) -> None:
    rows = {row.split()[0]: row for row in site.run("list", "--unverified").stdout.splitlines()[1:]}

    assert {"dormeur", "orque", "sirene"} <= rows.keys()
    assert "mimosa" not in rows
    release = (datetime.fromisoformat(NEW) + timedelta(days=14)).isoformat(timespec="seconds")
    assert f"never verified for 3 days, released from {release[:10]}" in rows["sirene"]
    assert "never verified for 15 days, not released by itself" in rows["orque"]
    told = {one["host"]: one["unverified"] for one in site.told("list")}
    assert told["sirene"] == {"since": NEW, "days": 3, "released_from": release, "obstacle": None}
    assert told["orque"] == {"since": OLD, "days": 15, "released_from": None, "obstacle": None}
    assert told["mimosa"] is None
    assert [one["host"] for one in site.told("list", "--unverified")] == ["dormeur", "orque", "sirene"]
    assert f"released from {release[:10]}" in site.run("show", "sirene").stdout
    assert site.told("show", "sirene")["unverified"] == told["sirene"]
    assert "unverified" not in site.run("show", "mimosa").stdout


def another_line(site: AdminSite) -> None:
    site.hosts.write_text(site.hosts.read_text().replace("sirene\t0\tcmartin", "sirene\t0\tcmartin\tfriend"))


def in_doubt(site: AdminSite) -> None:
    (site.folder / "data/pc/sirene").symlink_to("nowhere")


def a_link(site: AdminSite) -> None:
    (site.folder / "etc/sirene.pl").symlink_to("other.pl")


def lost(site: AdminSite) -> None:
    site.run("reconcile", "--quiet")
    site.hosts.write_text(site.hosts.read_text().replace("sirene\t0\tcmartin\n", ""))


OBSTACLES = {
    another_line: "its hosts line was changed",
    in_doubt: "sirene",
    a_link: "sirene.pl is a link",
    lost: "its hosts line is lost",
}


@pytest.mark.parametrize(("change", "words"), OBSTACLES.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_what_would_not_be_released_as_it_is_now_is_told(
    site: AdminSite, change: Callable[[AdminSite], None], words: str
) -> None:
    change(site)

    told = site.told("show", "sirene")["unverified"]
    (row,) = (one for one in site.run("list", "--unverified").stdout.splitlines() if "sirene" in one)

    assert words in told["obstacle"]
    assert "but not as it is now: " in row
    assert "but not as it is now: " in site.run("show", "sirene").stdout


def test_reconcile_releases_what_is_due_and_leaves_one_line_in_the_log(site: AdminSite) -> None:
    before = site.picture()
    dry = site.run("reconcile", "--dry-run", "--quiet")
    assert (dry.returncode, "released dormeur" in dry.stdout) == (1, True)
    assert site.picture() == before
    assert site.logged() == []

    done = site.run("reconcile", "--quiet")

    assert "-> released dormeur (adupont)" in done.stdout
    assert names(site) == [
        "sirene",
        "orque",
        "mimosa",
    ]
    (logged,) = site.logged()
    assert "reconcile: released" in logged
    assert "host=dormeur user=adupont" in logged
    assert site.run("reconcile", "--quiet").stdout == ""


def test_many_at_once_wait_for_an_administrator(site: AdminSite) -> None:
    for number in range(unverified.MOST):
        site.add_host(f"lab{number}", provisional=True, registered=OLD)
    before = site.hosts.read_text()

    told = json.loads(site.run("reconcile", "--quiet", "--json").stdout)

    assert [(one["kind"], one["host"], one["loud"]) for one in told["news"]] == [
        ("many-unverified", "", True)
    ]
    assert site.hosts.read_text() == before
    site.run("reconcile", "--quiet", "--release-many")
    assert names(site) == [
        "sirene",
        "orque",
        "mimosa",
    ]
