"""Retire, resume, transfer and purge of hosts whose lines somebody made by hand, killed at every step."""

import os
from datetime import timedelta

import pytest
import verbs
from interrupted import kill_everywhere
from server_folder import ADUPONT, ARCHIVE, HEADER, LINE, MADE, NOW, ROW, ByHand

from backuppc_register.backuppc import retired_config
from backuppc_register.lifecycle import purge, retire, transfer
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.protocol.errors import OtherOwner
from backuppc_register.state.snapshot_file import HostsSnapshot
from backuppc_register.system import atomic_files


@pytest.fixture
def site(tmp_path):
    return ByHand(tmp_path)


@pytest.mark.parametrize("made", [MADE, None], ids=["settings", "none"])
def test_a_retired_host_comes_back_exactly_as_it_was_and_nothing_of_ours_stays_in_use(tmp_path, made):
    site = ByHand(tmp_path, made=made)
    before = site.texts()

    done = verbs.retire("dormeur", site.custody())

    assert (done.person, len(done.steps)) == ("cmartin", 2)
    assert site.pl.read_bytes() == retired_config.text("dormeur")
    assert site.hosts.read_text().endswith(f"{LINE}\n")
    assert site.jobs.stopped == [("dormeur", "chef")]
    assert verbs.retire("dormeur", site.custody()).steps == ()
    assert site.contradictions() == []

    assert "its settings back" in verbs.resume("dormeur", site.custody()).steps[0]

    state = site.folder / "state"
    assert {p: c for p, c in site.texts().items() if not p.is_relative_to(state)} == before
    assert not (state / "hosts/dormeur").exists()
    assert verbs.resume("dormeur", site.custody()).steps == ()
    assert site.contradictions() == []


def test_a_plan_writes_nothing(site):
    site.hosts.write_text(site.hosts.read_text() + "calmar 0 cmartin\n")
    before = site.texts()

    assert retire.plan("dormeur", site.custody()).steps
    assert transfer.plan("dormeur", ADUPONT, site.custody()).steps
    assert purge.plan("dormeur", 3, site.custody()).steps
    assert purge.plan("calmar", 3, site.custody()).steps
    assert site.texts() == before


def test_the_file_of_another_owner_comes_back_with_its_mode_and_its_lists(site):
    site.pl.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(site.pl, 33, 33)
    before = site.pl.stat()

    verbs.retire("dormeur", site.custody())
    closed = site.pl.stat()
    verbs.resume("dormeur", site.custody())

    assert (
        atomic_files.ownership(closed)
        == atomic_files.ownership(site.pl.stat())
        == atomic_files.ownership(before)
    )


def test_its_owner_who_registers_takes_it_over_retired_and_a_resume_brings_its_settings(site):
    verbs.retire("dormeur", site.custody())
    before = site.texts()

    assert site.ask(verb="check").status == "retired"
    assert site.texts() == before
    with pytest.raises(OtherOwner):
        site.ask("adupont")
    answer = site.ask()

    assert (answer.status, site.ask().status, site.ask().key) == ("retired", "retired", answer.key)
    assert site.pl.read_bytes() == retired_config.text("dormeur")
    assert not (site.state / "key").exists()
    verbs.resume("dormeur", site.custody())
    assert site.pl.read_bytes() == MADE
    record = site.record()
    assert (record.full_name, record.retired, record.config) == ("dormeur.univ-brest.fr", "", "")
    assert site.hosts.read_text().endswith(f"{LINE}\n")
    again = site.ask()
    assert (again.status, again.key) == ("unchanged", answer.key)


def test_whom_the_line_was_given_to_by_hand_meanwhile_gets_nothing_of_the_earlier_persons(site):
    verbs.retire("dormeur", site.custody())
    site.hosts.write_text(HEADER + "dormeur 0 adupont\n")

    answer = site.ask("adupont")

    assert answer.status == "new"
    assert b"cmartin" not in site.pl.read_bytes()
    assert b"dormeur.univ-brest.fr" in site.pl.read_bytes()
    assert ("retired.pl", MADE) in site.aside()


def test_killed_anywhere_it_can_be_retired_and_resumed_and_registered(tmp_path):
    for number, site in enumerate(
        kill_everywhere(tmp_path, ByHand, lambda site: verbs.retire("dormeur", site.custody()))
    ):
        if number % 2:
            verbs.retire("dormeur", site.custody())
            assert site.pl.read_bytes() == retired_config.text("dormeur")
            verbs.resume("dormeur", site.custody())
        stopped = bool(site.record() and site.record().retired)
        answer = site.ask()
        assert answer.status == ("retired" if stopped else "new")
        verbs.resume("dormeur", site.custody())
        assert site.pl.read_bytes() == MADE
        assert (site.ask().status, site.ask().key) == ("unchanged", answer.key)
        assert site.contradictions() == []


def test_killed_anywhere_a_resumed_one_is_resumed_by_the_next_run(tmp_path):
    def prepared(folder):
        site = ByHand(folder)
        verbs.retire("dormeur", site.custody())
        return site

    for site in kill_everywhere(tmp_path, prepared, lambda site: verbs.resume("dormeur", site.custody())):
        verbs.resume("dormeur", site.custody())
        assert site.pl.read_bytes() == MADE
        assert not (site.folder / "state/hosts/dormeur").exists()


def test_the_new_person_gets_the_host_closed_until_it_registers_and_none_of_the_old_ones_files(site):
    done = verbs.transfer("dormeur", ADUPONT, site.custody())

    assert "1 backup, 4096 bytes of files of dormeur are cmartin's as dormeur_20261122" in done.steps[0]
    assert "not backed up for now" in done.steps[1]
    assert site.users() == {"dormeur": "adupont", ARCHIVE: "cmartin"}
    assert site.hosts.read_text().count("friend") == 0
    assert site.readers() == {"cmartin"}
    assert site.pl.read_bytes() == retired_config.text("dormeur")
    assert ("dormeur.pl", MADE) in site.aside()
    assert site.contradictions() == []
    with pytest.raises(OtherOwner):
        site.ask()
    answer = site.ask("adupont")
    assert (answer.status, site.ask("adupont").key) == ("retired", answer.key)
    assert site.contradictions() == []
    verbs.resume("dormeur", site.custody())
    assert site.ask("adupont").key == answer.key
    assert b"dormeur.univ-brest.fr" in site.pl.read_bytes()
    assert site.ask("adupont").status == "unchanged"
    assert site.contradictions() == []


def test_an_archive_of_it_is_an_archive_and_a_host_with_an_underscore_is_a_host(tmp_path):
    site = ByHand(tmp_path, line="lab_1 0 cmartin")
    site.add_data("lab_1")

    verbs.retire("lab_1", site.custody())
    verbs.resume("lab_1", site.custody())
    verbs.transfer("lab_1", ADUPONT, site.custody())

    assert site.users() == {"lab_1": "adupont", "lab_1_20261122": "cmartin"}
    with pytest.raises(Refused, match="stay with cmartin"):
        verbs.transfer("lab_1_20261122", ADUPONT, site.custody())
    with pytest.raises(Refused, match="nothing to resume"):
        verbs.resume("lab_1_20261122", site.custody())


def test_a_host_of_nobody_is_the_administrators_when_it_is_given_to_somebody(tmp_path):
    site = ByHand(tmp_path, line="dormeur 0")

    verbs.retire("dormeur", site.custody())
    assert site.record().person == ""
    assert site.contradictions() == []
    verbs.resume("dormeur", site.custody())
    verbs.transfer("dormeur", ADUPONT, site.custody())

    assert site.users() == {"dormeur": "adupont", ARCHIVE: "backuppc"}


def test_killed_anywhere_a_transfer_shows_nobody_what_is_not_theirs_and_the_next_run_finishes(tmp_path):
    for site in kill_everywhere(
        tmp_path, ByHand, lambda site: verbs.transfer("dormeur", ADUPONT, site.custody())
    ):
        assert site.readers() == {"cmartin"}
        if site.users()["dormeur"] == "cmartin":
            verbs.transfer("dormeur", ADUPONT, site.custody(now=NOW + timedelta(days=1)))
        assert site.readers() == {"cmartin"}
        assert ("dormeur.pl", MADE) in site.aside()
        assert site.ask("adupont").status == "retired"
        assert site.ask("adupont").status == "retired"
        assert site.contradictions() == []


def test_a_purge_waits_and_its_owner_who_registers_does_not_cancel_it(site):
    asked = verbs.purge("dormeur", 14, site.custody())

    assert "1 backup, 4096 bytes of files of dormeur may be deleted" in asked.steps[-1]
    assert purge.due(site.custody(now=NOW + timedelta(days=13)))[0] == []
    assert purge.due(site.custody(now=NOW + timedelta(days=14)))[0] == ["dormeur"]
    assert site.ask().status == "retired"
    assert purge.due(site.custody(now=NOW + timedelta(days=14)))[0] == ["dormeur"]
    verbs.resume("dormeur", site.custody())
    assert purge.due(site.custody(now=NOW + timedelta(days=99)))[0] == []
    assert (site.readers(), site.pl.read_bytes()) == ({"cmartin"}, MADE)


@pytest.mark.parametrize("data", [True, False])
def test_killed_anywhere_a_purge_is_finished_by_the_next_and_keeps_the_settings_aside(tmp_path, data):
    def prepared(folder):
        site = ByHand(folder, data=data)
        if data:
            verbs.purge("dormeur", 0, site.custody())
            ledger = HostsSnapshot(site.folder / "state")
            assert not ledger.read()
        return site

    def work(site):
        if data:
            verbs.purge_due("dormeur", site.custody())
        else:
            verbs.purge("dormeur", 14, site.custody())
        purge.sweep(site.server())

    for site in kill_everywhere(tmp_path, prepared, work):
        assert not (site.folder / "data/pc/dormeur").exists() or "dormeur" in site.users()
        if "dormeur" in site.users() or site.record():
            work(site)
        purge.sweep(site.server())

        assert site.users() == {}
        assert not site.pl.exists()
        assert site.record() is None
        assert MADE in [content for _, content in site.aside()]
        assert list((site.folder / "data/pc").iterdir()) == []
        assert site.ask("adupont").status == "new"


@pytest.mark.parametrize(
    "work",
    [
        lambda custody: retire.plan("dormeur", custody),
        lambda custody: transfer.plan("dormeur", ADUPONT, custody),
        lambda custody: purge.plan("dormeur", 14, custody),
    ],
    ids=["retire", "transfer", "purge"],
)
@pytest.mark.parametrize("where", ["link", "among its backups", "pc"])
def test_settings_that_are_not_in_the_hosts_own_file_are_left_to_the_administrator(site, work, where):
    if where == "link":
        site.pl.rename(site.folder / "etc/all-labs.pl.inc")
        site.pl.symlink_to("all-labs.pl.inc")
    elif where == "pc":
        (site.folder / "etc/pc").mkdir()  # from now on, this is the folder of the hosts' own files
    else:
        (site.folder / "data/pc/dormeur/config.pl").write_bytes(MADE)
    before = site.texts()

    with pytest.raises(Refused, match=r"link|BackupPC reads .* move it away"):
        work(site.custody())

    assert site.texts() == before


def test_what_has_changed_since_the_administrator_said_yes_is_not_done(site):
    custody = site.custody()
    confirmed = purge.plan("dormeur", 3, custody)
    with (site.folder / "data/pc/dormeur/backups").open("a") as file:
        file.write(ROW.replace("0", "1", 1))
    before = site.texts()

    with pytest.raises(Refused, match="changed while you were asked"):
        purge.apply(confirmed, custody)
    planned = transfer.plan("dormeur", ADUPONT, custody)
    site.hosts.write_text(site.hosts.read_text().replace("cmartin", "bdurand"))
    with pytest.raises(Refused, match="changed while you were asked"):
        transfer.apply(planned, custody)

    site.hosts.write_text(site.hosts.read_text().replace("bdurand", "cmartin"))
    assert site.texts() == before
    transfer.apply(planned, custody)
    assert site.users()["dormeur"] == "adupont"
