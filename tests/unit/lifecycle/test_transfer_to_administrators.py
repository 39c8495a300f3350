"""What is taken from everybody, what a hand has changed, and a transfer whose data does not move."""

import json
from datetime import timedelta

import pytest
import verbs
from fakes import Jobs, People
from interrupted import kill_everywhere
from server_folder import ADUPONT, ARCHIVE, CMARTIN, NOW, Site

from backuppc_register.backuppc import retired_config
from backuppc_register.lifecycle import transfer, transfer_to_administrators
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.person import Person
from backuppc_register.protocol.errors import HostsFileError, OtherOwner
from backuppc_register.reconciliation import inconsistencies
from backuppc_register.state.snapshot_file import HostsSnapshot

NEWCOMER = Person("cmartin", "Camille Martin", "entryUUID:9")
TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def archived_in(folder):
    """Give a site whose dormeur was cmartin's, whose backups are an archive, and is adupont's."""
    site = Site(folder)
    verbs.transfer("dormeur", ADUPONT, site.custody())
    site.reconcile()
    return site


@pytest.fixture
def archived(tmp_path):
    return archived_in(tmp_path)


def advice(site):
    """What is advised, by host."""
    from backuppc_register.backuppc import hosts  # the tests' own `hosts` is a path

    found = inconsistencies.find(hosts.read(site.hosts), site.server(), NOW)
    return {one.host: one.advice for one in found}


def change_line(site, host, old, new):
    text = site.hosts.read_text()
    assert f"{host}\t0\t{old}" in text
    site.hosts.write_text(text.replace(f"{host}\t0\t{old}", f"{host}\t0\t{new}"))


def settled(site):
    """Whether nothing is news, and nothing undecided."""
    return (site.reconcile(), site.contradictions()) == ([], [])


# taken from everybody


def test_archived_backups_are_taken_from_whoever_has_the_logon_now(archived):
    done = verbs.transfer_to_administrators(ARCHIVE, archived.custody())

    assert done.steps == (f"{ARCHIVE} is backuppc's: only administrators read its backups",)
    assert archived.readers() == {"backuppc"}
    assert archived.record(ARCHIVE).person == "backuppc"
    assert settled(archived)
    with pytest.raises(Refused, match="backuppc's already"):
        verbs.transfer_to_administrators(ARCHIVE, archived.custody())


def test_a_plan_of_it_changes_nothing(archived):
    before = archived.texts()

    assert transfer_to_administrators.plan(ARCHIVE, archived.custody()).steps

    assert archived.texts() == before


def test_a_purge_that_was_asked_stays_asked(archived):
    verbs.purge(ARCHIVE, 3, archived.custody())

    verbs.transfer_to_administrators(ARCHIVE, archived.custody())

    assert settled(archived)
    later = archived.custody(now=NOW + timedelta(days=4))
    verbs.purge_due(ARCHIVE, later)
    assert archived.users() == {"dormeur": "adupont"}


def test_killed_anywhere_it_is_finished_by_the_next_run(tmp_path):
    for site in kill_everywhere(
        tmp_path, archived_in, lambda site: verbs.transfer_to_administrators(ARCHIVE, site.custody())
    ):
        site.reconcile()
        if site.contradictions() or site.readers() != {"backuppc"}:
            verbs.transfer_to_administrators(ARCHIVE, site.custody())
        assert site.readers() == {"backuppc"}
        assert settled(site)


def test_an_archive_goes_back_to_the_person_whose_machine_it_is_of_and_to_nobody_else(archived):
    verbs.transfer_to_administrators(ARCHIVE, archived.custody())
    unmarked = Person("cmartin", "Somebody", "")
    for stranger in (NEWCOMER, ADUPONT, unmarked):
        with pytest.raises(Refused, match="not known to be"):
            verbs.transfer(ARCHIVE, stranger, archived.custody())

    done = verbs.transfer(ARCHIVE, CMARTIN, archived.custody())

    assert done.steps == (f"{ARCHIVE} is cmartin's again",)
    assert archived.readers() == {"cmartin"}
    assert settled(archived)


@pytest.mark.parametrize("closed", [{}, {"closed": "cmartin"}])
def test_an_archive_that_names_a_former_owner_goes_back_to_its_owner(archived, closed):
    rows = [{"format": 1}, {"host": ARCHIVE, "users": ["adupont"], **closed}]
    file = archived.folder / "state/former_owners"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    change_line(archived, ARCHIVE, "cmartin", "backuppc" if closed else "adupont")
    for stranger in (ADUPONT, NEWCOMER):
        with pytest.raises(Refused):
            verbs.transfer(ARCHIVE, stranger, archived.custody())

    assert archived.reconcile() == [("taken-back", ARCHIVE)]

    assert archived.readers() == {"cmartin"}
    assert settled(archived)


def test_killed_anywhere_an_archive_is_given_back_by_the_next_run(tmp_path):
    def prepared(folder):
        site = archived_in(folder)
        verbs.transfer_to_administrators(ARCHIVE, site.custody())
        return site

    for site in kill_everywhere(
        tmp_path, prepared, lambda site: verbs.transfer(ARCHIVE, CMARTIN, site.custody())
    ):
        if site.readers() != {"cmartin"}:
            verbs.transfer(ARCHIVE, CMARTIN, site.custody())
        assert site.readers() == {"cmartin"}
        assert settled(site)


def test_an_old_page_gives_nothing_back_of_it(archived):
    page = archived.hosts.read_text()
    verbs.transfer_to_administrators(ARCHIVE, archived.custody())
    archived.reconcile()

    archived.hosts.write_text(page)

    assert archived.reconcile() == [("taken-back", ARCHIVE)]
    assert archived.readers() == {"backuppc"}
    assert settled(archived)


def test_a_line_that_a_hand_gave_to_the_account_is_finished_by_the_verb_that_is_advised(archived):
    change_line(archived, ARCHIVE, "cmartin", "backuppc")

    assert f"transfer {ARCHIVE} backuppc" in advice(archived)[ARCHIVE]
    archived.reconcile()
    verbs.transfer_to_administrators(ARCHIVE, archived.custody())

    assert settled(archived)


def test_a_host_is_taken_from_everybody_and_not_backed_up_until_it_is_transferred(site):
    site.hosts.write_text(site.hosts.read_text().replace("\tcmartin", "\tcmartin\tfriend"))

    done = verbs.transfer_to_administrators("dormeur", site.custody())

    assert site.readers() == {"backuppc"}
    assert "friend" not in site.hosts.read_text()
    assert any("friend could read dormeur too" in step for step in done.steps)
    assert not (site.state / "key").exists()
    assert settled(site)
    with pytest.raises(OtherOwner):
        site.ask()
    verbs.transfer("dormeur", ADUPONT, site.custody())
    assert site.users() == {"dormeur": "adupont", ARCHIVE: "backuppc"}
    assert site.ask("adupont").key != site.key
    assert settled(site)


def test_killed_anywhere_nobody_registers_a_host_that_is_taken_from_them(tmp_path):
    for site in kill_everywhere(
        tmp_path, Site, lambda site: verbs.transfer_to_administrators("dormeur", site.custody())
    ):
        site.people = People(NEWCOMER)
        with pytest.raises(OtherOwner):
            site.ask()
        if site.contradictions() or site.users()["dormeur"] != "backuppc":
            verbs.transfer_to_administrators("dormeur", site.custody())
        assert site.readers() == {"backuppc"}
        site.reconcile()
        assert settled(site)


def test_a_host_that_was_made_by_hand_is_taken_and_resumed_as_the_accounts(site):
    site.hosts.write_text(site.hosts.read_text() + "labpc 0 bdurand friend\n")
    site.add_data("labpc")
    made = site.folder / "etc/labpc.pl"
    made.write_text("$Conf{XferMethod} = 'smb';\n")

    verbs.transfer_to_administrators("labpc", site.custody())

    assert site.users()["labpc"] == "backuppc"
    assert made.read_bytes() == retired_config.text("labpc")
    assert settled(site)
    verbs.resume("labpc", site.custody())
    assert made.read_text() == "$Conf{XferMethod} = 'smb';\n"
    assert site.users()["labpc"] == "backuppc"
    assert settled(site)


# a line that a hand has changed


def test_what_a_wrong_hand_edit_put_in_doubt_is_nobodys_but_the_administrators(site):
    change_line(site, "dormeur", "cmartin", "adupont")
    site.reconcile()

    done = verbs.transfer("dormeur", CMARTIN, site.custody())

    assert site.users() == {"dormeur": "cmartin", ARCHIVE: "backuppc"}
    assert any("may be cmartin's or adupont's" in step for step in done.steps)
    assert settled(site)
    verbs.transfer(ARCHIVE, CMARTIN, site.custody())
    assert site.readers() == {"cmartin"}
    assert settled(site)


def test_the_verb_that_is_advised_keeps_the_backups_from_whom_a_hand_has_put_into_the_line(site):
    change_line(site, "dormeur", "cmartin", "adupont")

    told = advice(site)["dormeur"]

    assert "transfer dormeur adupont, and the backups stay cmartin's" in told
    assert "put cmartin into the line again" in told
    assert "register" not in told.replace("backuppc-register-admin", "")
    verbs.transfer("dormeur", ADUPONT, site.custody())
    assert site.readers() == {"cmartin"}
    assert site.record(ARCHIVE).entry == CMARTIN.entry_id
    assert settled(site)


def test_an_archive_is_not_recorded_as_of_another_entry_than_its_owners(site):
    change_line(site, "dormeur", "cmartin", "adupont")
    third = Person("bdurand", "Bernard Durand", "entryUUID:3")

    verbs.transfer("dormeur", third, site.custody())

    assert (site.record(ARCHIVE).person, site.record(ARCHIVE).entry) == ("adupont", "")


def test_a_line_that_names_a_former_owner_once_more_is_still_its_owners(archived):
    archived.add_data()
    (archived.folder / "data/pc/dormeur/0/secret").write_text("adupont's")
    archived.ask("adupont")
    archived.reconcile()
    for _ in range(2):
        text = archived.hosts.read_text()
        archived.hosts.write_text(text.replace("dormeur\t0\tadupont", "dormeur\t0\tcmartin"))
        assert archived.reconcile() == [("taken-back", "dormeur")]

        assert archived.readers_of("adupont") == {"adupont"}


def test_who_could_read_the_host_besides_is_told_when_the_line_loses_them(site):
    site.hosts.write_text(site.hosts.read_text().replace("\tcmartin", "\tcmartin\tfriend,other"))

    planned = transfer.plan("dormeur", ADUPONT, site.custody())

    assert "friend, other could read dormeur too, and cannot any more" in planned.steps


def test_a_purge_that_is_asked_of_a_host_without_backups_is_told_to_be_none(tmp_path):
    site = Site(tmp_path, data=False)

    done = verbs.transfer("dormeur", ADUPONT, site.custody(), purge_in=0)

    assert "dormeur has no backups, so there is nothing to purge" in done.steps
    assert site.record().purge == ""


# data that does not move


@pytest.fixture
def failed(site, mocker):
    site.noted()
    fails = mocker.patch(
        "backuppc_register.backuppc.data_folder.archive", side_effect=HostsFileError(detail="read-only")
    )
    with pytest.raises(HostsFileError):
        verbs.transfer("dormeur", ADUPONT, site.custody())
    mocker.stop(fails)
    return site


def test_a_transfer_whose_data_does_not_move_leaves_nothing_that_alarms(failed):
    assert failed.readers() == {"cmartin"}
    assert settled(failed)
    assert HostsSnapshot(failed.folder / "state").read()[ARCHIVE].data is False


def test_the_archive_that_never_was_can_be_purged(failed):
    verbs.purge(ARCHIVE, None, failed.custody())

    assert failed.users() == {"dormeur": "cmartin"}
    assert failed.readers() == {"cmartin"}
    assert settled(failed)


def test_the_same_transfer_again_finishes_it(failed):
    verbs.transfer("dormeur", ADUPONT, failed.custody(now=TOMORROW))

    assert failed.users() == {"dormeur": "adupont", ARCHIVE: "cmartin"}
    assert failed.readers() == {"cmartin"}
    assert HostsSnapshot(failed.folder / "state").read()[ARCHIVE].data is True
    assert settled(failed)


def test_a_job_that_runs_is_stopped_and_keeps_nobody_from_taking_a_host(site):
    site.jobs = Jobs(busy=True)

    verbs.transfer_to_administrators("dormeur", site.custody())

    assert site.jobs.stopped == [("dormeur", "chef")]
