"""The verb `list`: the hosts, filtered."""

import shutil
import time

import pytest
from admin_door import admin_site
from services.slapd import Slapd

NOW = int(time.time())
DAY = 86400


@pytest.fixture(scope="module")
def site():
    with admin_site() as made:
        made.add_host("dormeur", verified="2026-03-01T10:05:00+00:00")
        made.add_host("mimosa", "adupont", os="mac", retired="2026-04-01T00:00:00+00:00")
        made.add_host("orphan", "cmartin", line=False)
        made.add_line("handmade 0 CMartin jdoe")
        made.add_line("UPPER 1 jdoe")
        made.add_backups("dormeur", ("full", NOW - 2 * DAY, 510, 0), ("partial", NOW - 60, 3, 9))
        made.add_backups("mimosa", ("full", NOW - 40 * DAY, 7, 2))
        yield made


def hosts(site, *arguments):
    return [one["host"] for one in site.told("list", *arguments)]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], ["dormeur", "handmade", "mimosa", "orphan", "upper"]),
        (["--person", "cmartin"], ["dormeur", "handmade", "orphan"]),
        (["--person", "CMARTIN", "--os", "linux"], ["dormeur", "orphan"]),
        (["--person", "cmar"], []),
        (["--os", "mac"], ["mimosa"]),
        (["--never-verified"], ["handmade", "orphan", "upper"]),
        (["--unverified"], ["orphan"]),
        (["--not-backed-up", "30"], ["handmade", "orphan", "upper"]),
        (["--not-backed-up", "1"], ["dormeur", "handmade", "orphan", "upper"]),
        (["--not-backed-up", "50"], ["handmade", "orphan", "upper"]),
        (["--key-without-host"], ["orphan"]),
        (["--host-without-key"], ["handmade", "upper"]),
        (["--host-without-key", "--person", "jdoe"], ["upper"]),
    ],
)
def test_hosts_are_listed_that_fit_every_filter(site, filters, found):
    assert hosts(site, *filters) == found


def test_the_table_has_a_line_for_each_host_and_says_what_is_unusual(site):
    header, *rows = site.run("list").stdout.splitlines()
    by_host = {row.split()[0]: row for row in rows}

    assert " ".join(header.split()) == "HOST PERSON OS REGISTERED VERIFIED LAST BACKUP FILES ERRORS NOTE"
    assert " 510 " in by_host["dormeur"]  # the partial one is no backup to rely on
    assert by_host["mimosa"].endswith("retired")
    assert by_host["orphan"].endswith("no hosts line")
    assert by_host["handmade"].endswith("manually added")


def test_a_wide_table_has_names_addresses_and_fingerprints(site):
    wide = site.run("list", "--wide").stdout

    assert "dormeur.univ-brest.fr  10.77.0.11  SHA256:" in wide


def test_json_has_everything(site):
    told = {one["host"]: one for one in site.told("list")}["dormeur"]

    assert told["record"]["full_name"] == "dormeur.univ-brest.fr"
    assert told["key"].startswith("SHA256:")
    assert [backup["kind"] for backup in told["backups"]] == ["full", "partial"]
    assert told["last_backup"]["files"] == 510


def test_when_the_next_backup_is_due_is_told_in_json_and_in_a_wide_table():
    with admin_site() as site:
        shutil.copy("/usr/share/backuppc/conf/config.pl", site.folder / "etc/config.pl")
        for host in ("dormeur", "mimosa", "sirene", "calmar"):
            site.add_host(host)
            site.add_backups(host, ("full", NOW - 2 * DAY, 510, 0), ("incr", NOW, 3, 9))
        site.add_host("orphan", line=False)
        site.add_host("congre", line=False)
        site.add_line("congre\t1\tcmartin")
        (site.folder / "etc/mimosa.pl").write_text("$Conf{BackupsDisable} = 1;")
        (site.folder / "etc/sirene.pl").write_text("$Conf{")
        (site.folder / "etc/calmar.pl").write_text("exit(0);")

        told = {one["host"]: one["next"] for one in site.told("list")}
        wide = site.run("list", "--wide").stdout.splitlines()
        table = site.run("list").stdout.splitlines()

    assert told["dormeur"].endswith(", or BackupPC's first wakeup after that")
    assert told["mimosa"] == "never: its backups are disabled"
    assert told["orphan"] == "never: no hosts line"
    assert told["congre"] == "never: the hosts file says dhcp"
    assert "the hosts file says dhcp" in next(row for row in table if row.startswith("congre"))
    assert "syntax error" in told["sirene"]
    assert "end the program that reads them" in told["calmar"]
    assert " NEXT " in wide[0]
    assert "disabled" in next(row for row in wide if row.startswith("mimosa"))


def test_nothing_is_changed(site):
    site.run("list")
    before = site.picture()

    site.run("list", "--wide")

    assert site.picture() == before


def test_one_host_that_cannot_be_read_does_not_hide_the_others():
    with admin_site() as site:
        site.add_host("dormeur")
        site.add_host("mimosa")
        (site.state / "hosts/dormeur/record.json").write_text("{")
        site.add_backups("mimosa", ("full", NOW, 1, 0))
        (site.folder / "data/pc/mimosa/backups").write_text("half a row")

        told = {one["host"]: one for one in site.told("list")}

        assert [len(one["problems"]) for one in told.values()] == [1, 1]
        assert "record.json" in site.run("list").stdout


def test_what_every_question_stumbles_over_is_told_once():
    with admin_site() as site:
        (site.state / "hosts").mkdir()
        (site.state / "hosts/stray").write_text("")

        (told,) = site.told("list")

        assert len(told["problems"]) == 1
        assert site.run("list").stdout.count("is not a folder") == 1


def test_a_hosts_file_that_cannot_be_read_is_a_fault_and_never_an_empty_list():
    with admin_site() as site:
        site.hosts.unlink()

        done = site.run("list")

        assert (done.returncode, done.stdout) == (1, "")
        assert "hosts" in done.stderr


def test_each_person_of_a_host_is_looked_for_but_not_backuppcs_account_or_who_left_what_is_retired():
    other = "entryUUID:11111111-2222-3333-4444-555555555555"
    with Slapd() as slapd, admin_site() as site:
        site.config.write_text(site.config.read_text().replace("ldap://127.0.0.1:1", slapd.ldap()))
        for line in ("localhost 0 backuppc", "doubled 0 adupont", "doubled 0 cmartin", "half 0 cmartin"):
            site.add_line(line)
        for line in ("half 0 gone", "nobody 0", "left 0 gone", "there 0 CMARTIN"):
            site.add_line(line)
        site.add_host("retired", "gone", retired="2026-04-01T00:00:00+00:00")
        site.add_host("again", entry=other)
        site.add_host("readable", entry=other, retired="2026-04-01T00:00:00+00:00")

        gone = {one["host"]: one["person_gone"] for one in site.told("list", "--person-gone")}

    assert gone == {
        "half": "gone: not in the directory, or disabled there",
        "nobody": "not in the directory, or disabled there",
        "left": "not in the directory, or disabled there",
        "again": "another person has the logon now",
        "readable": "another person has the logon now",
    }


def test_a_directory_that_does_not_answer_has_nobody_gone(site):
    done = site.run("list", "--person-gone")

    assert (done.returncode, done.stdout) == (1, "")
    assert "the directory did not answer" in done.stderr
