"""Two letter cases, or two logons, of one person at two doors."""

from dataclasses import replace

import pytest
from fakes import People
from interrupted import kill_everywhere
from server_folder import ADUPONT, CMARTIN, HEADER, Server, Site

from backuppc_register import config
from backuppc_register.person import Person
from backuppc_register.protocol.errors import NotAllowed, OtherOwner
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.snapshot_file import HostsSnapshot

CAPITALS = Person("Cmartin", "Christophe Martin", "entryUUID:1")
BOTH = replace(CMARTIN, others=("claire.martin",))


class Entries(People):
    """A directory in which an entry is found by each of its logons."""

    def find(self, logon: str, timeout: float) -> Person:
        for person in self.people:
            if uid := person.spelling_of(logon):
                others = tuple(one for one in (person.uid, *person.others) if one != uid)
                return replace(person, uid=uid, others=others)
        return super().find(logon, timeout)


class Given(People):
    """A directory that answers each logon with the person given for it."""

    def __init__(self, answers: dict[str, Person]) -> None:
        super().__init__()
        self.answers = answers

    def find(self, logon: str, timeout: float) -> Person:
        return self.answers[logon.lower()]


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


def raw(server):
    """Return the hosts file without what the server began with."""
    return server.hosts.read_bytes().decode().removeprefix(HEADER + "localhost\t0\tbackuppc\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("dormeur 0 CMARTIN\n", "dormeur 0 cmartin\n"),
        (
            "DORMEUR\t0\t CMartin  adupont,CMARTIN # CMARTIN's\n",
            "DORMEUR\t0\t cmartin  adupont,CMARTIN # CMARTIN's\n",
        ),
        ("dormeur 0 Cmartin\r\n", "dormeur 0 cmartin\r\n"),
        ("dormeur 0 CMARTIN#no blank", "dormeur 0 cmartin#no blank"),
        ("dormeur 0 CMARTIN\ndormeur 0 cMartin x\n", "dormeur 0 cmartin\ndormeur 0 cmartin x\n"),
        ("cmartin 0 CMARTIN\ndormeur 0 CMARTIN\n", "cmartin 0 CMARTIN\ndormeur 0 cmartin\n"),
    ],
)
def test_the_directorys_spelling_is_put_into_the_line_and_no_other_byte_changes(server, before, after):
    server.hosts.write_bytes(server.hosts.read_bytes() + before.encode())

    answer = server.ask("CMartin")

    assert raw(server) == after
    assert answer.status == "new"
    assert "says cmartin now" in answer.note
    assert server.ask().status == "unchanged"


def test_the_columns_of_the_header_count(server):
    server.hosts.write_text("host user dhcp moreUsers\ndormeur CMARTIN 0 CMARTIN\n")

    server.ask()

    assert server.hosts.read_text() == "host user dhcp moreUsers\ndormeur cmartin 0 CMARTIN\n"


def test_a_line_that_cannot_be_changed_alone_stays_and_the_registration_succeeds(server):
    server.hosts.write_bytes(server.hosts.read_bytes() + b"dor\rmeur 0 CMARTIN\n")
    before = server.hosts.read_bytes()

    server.ask()

    assert server.hosts.read_bytes() == before


@pytest.mark.parametrize("flag", ["1", "2", "yes"])
@pytest.mark.parametrize("verb", ["register", "check"])
def test_a_line_with_the_dhcp_flag_is_reported_to_the_person_at_once(server, verb, flag):
    server.hosts.write_text(server.hosts.read_text() + f"dormeur {flag} cmartin\n")

    for _ in range(2):
        assert "begins no backup of dormeur, because the hosts file says dhcp" in server.ask(verb=verb).advice
    server.hosts.write_text(server.hosts.read_text().replace(f"dormeur {flag}", "dormeur 0"))
    assert server.ask(verb=verb).advice == ""


def test_a_check_changes_nothing(server):
    server.hosts.write_text(server.hosts.read_text() + "dormeur 0 CMARTIN\n")
    before = server.hosts.read_bytes()

    answer = server.ask(verb="check")

    assert answer.status == "new"
    assert "the line says CMARTIN, and the directory cmartin: a registration corrects it" in answer.note
    assert server.hosts.read_bytes() == before


def test_record_snapshot_and_reconcile_agree_with_a_new_spelling(tmp_path):
    site = Site(tmp_path)
    site.people = Given({"cmartin": CAPITALS})
    site.reconcile()

    assert site.ask().status == "new"

    assert site.lines() == ["dormeur\t0\tCmartin"]
    assert site.record().person == "Cmartin"
    assert HostsSnapshot(tmp_path / "state").read()["dormeur"].users == "Cmartin"
    assert site.ask().status == "unchanged"
    assert site.reconcile() == []
    assert site.contradictions() == []


def test_a_former_owner_is_no_reason_to_keep_the_spelling(tmp_path):
    site = Site(tmp_path)
    FormerOwners(tmp_path / "state").take("dormeur", ["adupont"], person="CMARTIN")
    site.hosts.write_text(site.hosts.read_text().replace("\tcmartin", "\tCMARTIN"))

    site.ask()

    assert FormerOwners(tmp_path / "state").of("dormeur").owner == "cmartin"
    assert site.reconcile() == []


def test_a_command_that_was_interrupted_is_not_undone(tmp_path):
    site = Site(tmp_path)
    FormerOwners(tmp_path / "state").take("dormeur", ["cmartin"], person="backuppc")
    site.hosts.write_text(site.hosts.read_text().replace("\tcmartin", "\tCMARTIN"))

    site.ask()

    assert FormerOwners(tmp_path / "state").of("dormeur").owner == "backuppc"


def test_interrupted_anywhere_the_next_run_finishes_and_reconcile_reports_no_change(tmp_path):
    def with_capitals(folder):
        folder.mkdir()
        site = Site(folder)
        site.reconcile()
        site.hosts.write_text(site.hosts.read_text().replace("\tcmartin", "\tCMARTIN"))
        return site

    for site in kill_everywhere(tmp_path, with_capitals, lambda site: site.ask()):
        assert site.reconcile() == []
        site.ask()
        assert (site.lines(), site.record().person) == (["dormeur\t0\tcmartin"], "cmartin")
        assert site.reconcile() == []


class LowerCase(Site):
    """A site with a web server that writes logons in lower case."""

    lower = True

    def config(self):
        known = super().config()
        return replace(known, server=replace(known.server, lower_case_logons=self.lower))


def test_a_site_can_have_logons_in_lower_case_and_switch_to_that_later(tmp_path):
    LowerCase.lower = False
    site = LowerCase(tmp_path)
    site.people = Given({"cmartin": CAPITALS})
    site.ask()
    site.hosts.write_text(site.hosts.read_text().replace("Cmartin", "Cmartin\tAdupont"))
    site.reconcile()
    before = site.hosts.read_text()
    assert site.ask().status == "unchanged"
    assert site.hosts.read_text() == before
    LowerCase.lower = True

    answer = site.ask("CMARTIN")

    assert (answer.user, site.lines()) == ("cmartin", ["dormeur\t0\tcmartin\tAdupont"])
    assert site.record().person == "cmartin"
    assert site.ask().status == "unchanged"
    assert site.reconcile() == []


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.people = Entries(BOTH, ADUPONT)
    return site


def test_another_logon_of_the_same_entry_has_the_same_hosts(site):
    before = site.texts()

    answer = site.ask("Claire.Martin")

    assert (answer.status, answer.key) == ("unchanged", site.key)
    assert site.texts() == before
    with pytest.raises(OtherOwner):
        site.ask("adupont")


def test_a_lost_line_comes_back_for_the_logon_that_had_it(site):
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")

    site.ask("claire.martin")

    assert site.users() == {"dormeur": "cmartin"}


@pytest.mark.parametrize("second", ["cmartin", "claire.martin"])
def test_the_quota_is_of_the_entry(site, second):
    site.limits = config.Limits(hosts_per_person=1)

    with pytest.raises(NotAllowed):
        site.ask(second, name="veilleur.univ-brest.fr")


def test_the_quota_is_of_the_entry_however_many_logons_it_has(site):
    many = tuple(f"c{n}" for n in range(12))
    site.people = Entries(replace(CMARTIN, others=many))
    site.limits = config.Limits(hosts_per_person=2)

    site.ask("c11", name="veilleur.univ-brest.fr")

    for logon in ("c10", "c0", "cmartin"):
        with pytest.raises(NotAllowed):
            site.ask(logon, name="lecteur.univ-brest.fr")


def test_a_line_for_another_logon_of_the_entry_keeps_that_logon_and_the_key(site):
    site.hosts.write_text(site.hosts.read_text().replace("\tcmartin", "\tClaire.Martin"))

    answer = site.ask()

    assert (site.users(), answer.key) == ({"dormeur": "claire.martin"}, site.key)
    assert site.record().person == "claire.martin"
    assert site.contradictions() == []


def test_a_logon_that_another_entry_has_too_gives_nothing(site):
    site.people = Given({"adupont": replace(ADUPONT, others=("cmartin",)), "cmartin": CMARTIN})

    with pytest.raises(OtherOwner):
        site.ask("adupont")


def test_a_new_entry_with_both_logons_is_another_person(site):
    site.people = Entries(replace(BOTH, entry_id="entryUUID:9"))

    for logon in ("cmartin", "claire.martin"):
        with pytest.raises(OtherOwner):
            site.ask(logon)


def test_an_earlier_logon_of_the_same_entry_is_explained_to_the_help_desk(site):
    site.people = Entries(replace(CMARTIN, uid="claire.durand"))

    with pytest.raises(OtherOwner) as refused:
        site.ask("claire.durand")

    assert "transfer dormeur claire.durand gives it the host with its backups" in refused.value.detail
