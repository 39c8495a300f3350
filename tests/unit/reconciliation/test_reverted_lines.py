"""Attacks on a host that a command gave away: old editor pages, and manual edits of its line."""

import json
import re
from datetime import timedelta

import pytest
import verbs
from fakes import BackupPC, Dns, People
from interrupted import kill_everywhere
from server_folder import ADUPONT, ARCHIVE, CMARTIN, NOW, PEER, Site

from backuppc_register.inventory import host_status
from backuppc_register.inventory.host_status import effective_owner
from backuppc_register.inventory.services import Services
from backuppc_register.lifecycle import purge
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.person import Person, same_logon
from backuppc_register.protocol.errors import BadUser, NotRegistered, OtherOwner
from backuppc_register.protocol.request import Request
from backuppc_register.reconciliation import reconcile
from backuppc_register.state.former_owners import FormerOwners, Owners
from backuppc_register.state.snapshot_file import SeenHost, SeenLine
from backuppc_register.system.deadline import Deadline
from backuppc_register.verification import verify

BDURAND = Person("bdurand", "Bernard Durand", "entryUUID:3")
TOMORROW = NOW + timedelta(days=1)


class Attacked(Site):
    """A site where cmartin's dormeur, which friend could read as well, becomes adupont's and is backed up."""

    def __init__(self, folder, *, data=True):
        super().__init__(folder)
        self.people = People(CMARTIN, ADUPONT, BDURAND)
        self.edit("\tcmartin", "\tcmartin\tfriend")
        self.reconcile()
        self.old_page = self.hosts.read_text()
        verbs.transfer("dormeur", ADUPONT, self.custody())
        self.ask("adupont")
        if data:
            self.add_data()
            (self.folder / "data/pc/dormeur/0/secret").write_text("adupont's")
        assert self.reconcile() == []

    def edit(self, old, new):
        """Change a line of the hosts file manually."""
        text = self.hosts.read_text()
        assert old in text
        self.hosts.write_text(text.replace(old, new))

    def set_line(self, line):
        """Replace the line of dormeur by `line` manually."""
        text, found = re.subn(r"(?m)^dormeur\t.*\n", line, self.hosts.read_text())
        assert found == 1
        self.hosts.write_text(text)

    def outcome(self):
        return reconcile.reconcile(self.server(), BackupPC(), NOW)

    def owner(self):
        """Return who owns dormeur for every command."""
        return host_status.read("dormeur", self.server()).owner

    def former(self):
        return FormerOwners(self.folder / "state")

    def who_reads(self, secret):
        """Return every user of a line, moreUsers included, who can read backups with `secret`."""
        found = set()
        for line in self.lines():
            host, _, *users = line.split()
            file = self.folder / "data/pc" / host.lower() / "0/secret"
            if file.exists() and file.read_text() == secret:
                found |= set(",".join(users).split(","))
        return found

    def verify(self, logon):
        """Ask for a verification; it fails before the machine would be reached."""
        services = Services(
            resolver=lambda: Dns("dormeur.univ-brest.fr"),
            directory=lambda: self.people,
            daemon=self.backuppc,
            deadline=Deadline(28),
        )
        request = Request("verify", "mac", logon)
        return verify.serve(request, PEER, self.server(), services)


def refused(site, *logons):
    """Tell whether none of these people can register or verify dormeur, and no file changes."""
    before = site.texts()
    for logon in logons:
        with pytest.raises((OtherOwner, BadUser)):
            site.ask(logon)
        with pytest.raises((OtherOwner, NotRegistered, BadUser)):
            site.verify(logon)
    return site.texts() == before


ATTACKS = {
    "the whole old page": None,
    "its line alone": "dormeur\t0\tcmartin\n",
    "its line with readers": "dormeur\t0\tcmartin\tfriend,other\n",
    "other letter case": "DORMEUR 0 CMartin\n",
    "a former reader as owner": "dormeur\t0\tfriend\n",
    "a third person": "dormeur\t0\tbdurand\n",
    "a third person with a former owner": "dormeur\t0\tbdurand\tcmartin\n",
    "the former owner as a reader": "dormeur\t0\tadupont\tother,CMARTIN\n",
    "a former reader as a reader": "dormeur\t0\tadupont\tfriend\n",
    "no owner": "dormeur\t0\n",
    "BackupPC's account": "dormeur\t0\tbackuppc\n",
    "removed": "",
}


def attack(site, name):
    line = ATTACKS[name]
    if line is None:
        site.hosts.write_text(site.old_page)
    else:
        site.set_line(line)


@pytest.mark.parametrize(
    ("name", "data"),
    [(name, True) for name in ATTACKS] + [(name, False) for name in ("the whole old page", "removed")],
)
def test_after_a_transfer_no_change_of_the_line_gives_the_host_to_anyone_else(tmp_path, name, data):
    site = Attacked(tmp_path, data=data)
    attack(site, name)

    assert site.owner() == "adupont"
    assert refused(site, "cmartin", "bdurand", "friend")
    reported = site.reconcile()

    assert ("restored" if name == "removed" else "taken-back", "dormeur") in reported
    assert site.users() == {"dormeur": "adupont", ARCHIVE: "cmartin"}
    assert site.who_reads("adupont's") == ({"adupont"} if data else set())
    assert site.who_reads("cmartin's") == {"cmartin"}
    assert site.reconcile() == []
    assert site.contradictions() == []
    assert site.ask("adupont").status == "unchanged"


@pytest.mark.parametrize("name", ["the whole old page", "its line alone", "a third person"])
def test_a_host_restricted_to_administrators_stays_theirs(tmp_path, name):
    site = Attacked(tmp_path)
    verbs.transfer_to_administrators("dormeur", site.custody())
    attack(site, name)

    assert site.owner() == "backuppc"
    assert refused(site, "cmartin", "adupont", "bdurand", "friend")
    assert ("taken-back", "dormeur") in site.reconcile()

    assert site.who_reads("adupont's") == {"backuppc"}
    assert (site.reconcile(), site.contradictions()) == ([], [])


@pytest.mark.parametrize("person", [BDURAND, CMARTIN], ids=["to a third person", "and back"])
def test_after_two_transfers_neither_old_page_gives_newer_backups_away(tmp_path, person):
    site = Attacked(tmp_path)
    second_page = site.hosts.read_text()
    verbs.transfer("dormeur", person, site.custody(now=TOMORROW))
    site.ask(person.uid)
    site.add_data()
    (site.folder / "data/pc/dormeur/0/secret").write_text("new")
    assert site.reconcile() == []

    for page in (site.old_page, second_page, site.old_page):
        site.hosts.write_text(page)

        assert site.owner() == person.uid
        assert refused(site, *{"cmartin", "adupont", "friend"} - {person.uid})
        assert ("taken-back", "dormeur") in site.reconcile()
        assert site.who_reads("new") == {person.uid}
        assert site.who_reads("adupont's") == {"adupont"}
        assert site.who_reads("cmartin's") == {"cmartin"}
        assert (site.reconcile(), site.contradictions()) == ([], [])


def test_the_report_names_the_page_to_reload_and_the_command_for_a_change_on_purpose(tmp_path):
    site = Attacked(tmp_path)
    site.set_line("dormeur\t0\tcmartin\n")

    (item,) = site.outcome().report

    assert "names a former owner" in item.what
    assert "0 adupont became 0 cmartin" in item.what
    assert "cmartin could read" in item.what
    assert "Reload" in item.advice
    assert "backuppc-register-admin transfer dormeur cmartin" in item.advice
    assert (item.person, item.urgent) == ("adupont", True)

    site.set_line("dormeur\t0\tbdurand\n")
    (item,) = site.outcome().report

    assert "names a former owner" not in item.what
    assert "backuppc-register-admin transfer dormeur bdurand" in item.advice


def test_until_reconcile_has_run_the_line_is_reported_as_not_the_owners(tmp_path):
    site = Attacked(tmp_path)
    site.set_line("dormeur\t0\tbdurand\n")

    ((host, what),) = site.contradictions()

    assert host == "dormeur"
    assert "names bdurand" in what
    assert "gave the host to adupont" in what


def test_the_owner_may_be_spelled_otherwise_and_have_new_readers(tmp_path):
    site = Attacked(tmp_path)
    site.set_line("dormeur\t0\tADupont\tother\n")

    assert site.reconcile() == [("changed", "dormeur")]

    assert "dormeur\t0\tADupont\tother" in site.lines()


@pytest.mark.parametrize("person", [CMARTIN, BDURAND])
def test_another_transfer_is_the_way_to_give_it_away_and_each_keeps_their_backups(tmp_path, person):
    site = Attacked(tmp_path)
    site.set_line(f"dormeur\t0\t{person.uid}\n")

    verbs.transfer("dormeur", person, site.custody(now=TOMORROW))

    assert site.users()["dormeur"] == person.uid
    assert site.who_reads("adupont's") == {"adupont"}
    assert site.who_reads("cmartin's") == {"cmartin"}
    assert (site.reconcile(), site.contradictions()) == ([], [])


def test_two_lines_of_the_host_are_reported_at_every_run_until_one_is_left(tmp_path):
    site = Attacked(tmp_path)
    site.set_line("dormeur\t0\tadupont\ndormeur\t0\tcmartin\n")

    for _ in range(2):
        (item,) = site.outcome().report
        assert item.word.value == "given-back"
        assert "cmartin" in item.advice
    site.edit("dormeur\t0\tcmartin\n", "")
    assert site.reconcile() == []


def test_a_transfer_that_was_interrupted_before_its_line_is_finished_by_reconcile(tmp_path):
    def work(site):
        verbs.transfer("dormeur", BDURAND, site.custody(now=TOMORROW))

    for site in kill_everywhere(tmp_path, Attacked, work):
        site.reconcile()
        owner = site.users()["dormeur"]
        assert owner in ("adupont", "bdurand")
        assert site.owner() == owner
        assert site.who_reads("adupont's") == {"adupont"}
        assert site.who_reads("cmartin's") == {"cmartin"}
        if owner != "bdurand":
            work(site)
        assert (site.reconcile(), site.contradictions()) == ([], [])
        site.hosts.write_text(site.old_page)
        site.reconcile()
        assert site.users()["dormeur"] == "bdurand"


@pytest.mark.parametrize("name", ["the whole old page", "its line alone", "a third person"])
def test_interrupted_anywhere_the_next_run_of_reconcile_ends_where_it_would_have(tmp_path, name):
    def prepared(folder):
        site = Attacked(folder)
        attack(site, name)
        return site

    for site in kill_everywhere(tmp_path, prepared, lambda site: site.reconcile()):
        site.reconcile()
        assert site.users() == {"dormeur": "adupont", ARCHIVE: "cmartin"}
        assert (site.reconcile(), site.contradictions()) == ([], [])


# released hosts, whose names are free again


def test_a_purged_host_is_nobodys_and_an_old_line_of_it_is_reported(tmp_path):
    site = Attacked(tmp_path)
    page = site.hosts.read_text()
    verbs.purge("dormeur", 0, site.custody())
    verbs.purge_due("dormeur", site.custody())
    assert site.former().of("dormeur").owner == ""

    site.hosts.write_text(page)

    assert site.reconcile() == [("changed", "dormeur")]


def test_a_newcomer_keeps_a_host_that_was_purged_whatever_an_old_page_says(tmp_path):
    site = Attacked(tmp_path)
    page = site.hosts.read_text()
    verbs.purge("dormeur", 0, site.custody())
    verbs.purge_due("dormeur", site.custody())
    purge.sweep(site.server())
    site.ask("bdurand")
    assert site.reconcile() == []

    for old in (page, site.old_page):
        site.hosts.write_text(old)
        assert site.owner() == "bdurand"
        assert refused(site, "cmartin", "adupont")
        assert ("taken-back", "dormeur") in site.reconcile()
        assert site.users()["dormeur"] == "bdurand"


# what earlier releases have left in the file


def old_file(site, **row):
    """Write the file as an earlier release did."""
    rows = [{"format": 1}, {"host": "dormeur", "users": ["cmartin", "friend"], **row}]
    site.former().path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("line", ["cmartin", "CMartin\tother", "friend"])
def test_a_row_without_an_owner_leaves_the_host_with_its_owner_in_the_snapshot(tmp_path, line):
    site = Attacked(tmp_path)
    old_file(site)
    site.set_line(f"dormeur\t0\t{line}\n")

    assert site.owner() == "adupont"
    assert refused(site, "cmartin", "friend")
    assert site.reconcile() == [("taken-back", "dormeur")]

    assert site.users()["dormeur"] == "adupont"
    assert site.who_reads("adupont's") == {"adupont"}


def test_a_row_without_an_owner_lets_an_edit_to_a_third_person_count_as_before(tmp_path):
    site = Attacked(tmp_path)
    old_file(site)
    site.set_line("dormeur\t0\tbdurand\n")

    assert site.reconcile() == [("changed", "dormeur")]


def test_a_host_that_an_earlier_release_had_disabled_in_doubt_goes_back_to_its_owner(tmp_path):
    site = Attacked(tmp_path)
    old_file(site, closed="adupont")
    site.set_line("dormeur\t0\tbackuppc\n")

    assert site.owner() == "adupont"
    assert site.reconcile() == [("taken-back", "dormeur")]

    assert site.who_reads("adupont's") == {"adupont"}
    assert (site.reconcile(), site.contradictions()) == ([], [])


def test_a_stale_mark_of_an_earlier_release_gives_nothing_back(tmp_path):
    site = Attacked(tmp_path)
    old_file(site, closed="CMARTIN")  # an interrupted transfer left it; cmartin lost the host since

    assert site.owner() == "adupont"
    assert site.reconcile() == []


# the rule itself


@pytest.mark.parametrize(
    ("line", "owner", "former", "snapshot", "expected"),
    [
        ("cmartin", "", (), None, "cmartin"),
        ("cmartin", "", (), "adupont", "cmartin"),  # no command, no former owner: the line counts
        ("cmartin", "adupont", (), None, "adupont"),  # a command beats the line
        ("", "adupont", ("cmartin",), None, "adupont"),
        ("bdurand", "adupont", ("cmartin",), "bdurand", "adupont"),
        ("cmartin", "backuppc", ("cmartin",), "cmartin", "backuppc"),
        ("CMartin", "", ("cmartin",), "adupont", "adupont"),
        ("cmartin", "", ("cmartin",), "cmartin", "cmartin"),
        ("cmartin", "", ("cmartin",), None, "cmartin"),
        ("bdurand", "", ("cmartin",), "adupont", "bdurand"),
    ],
)
def test_a_command_beats_the_line_and_the_line_beats_everything_else(line, owner, former, snapshot, expected):
    seen = None
    if snapshot:
        seen = SeenHost("dormeur", (SeenLine(b"", "0", snapshot, ()),), data=True, seen="")

    found = effective_owner(line, Owners("dormeur", former, owner), seen)

    assert found == expected or same_logon(found, expected)


def test_an_archive_of_administrators_cannot_be_taken_by_an_old_page_and_a_transfer(tmp_path):
    site = Attacked(tmp_path)
    page = site.hosts.read_text()
    verbs.transfer_to_administrators(ARCHIVE, site.custody())
    site.hosts.write_text(page)

    with pytest.raises(Refused):
        verbs.transfer(ARCHIVE, ADUPONT, site.custody())
    assert site.reconcile() == [("taken-back", ARCHIVE)]
    assert site.who_reads("cmartin's") == {"backuppc"}
