"""A registration looks up the last known owner of a host without a line."""

import pytest
from failing import failing
from server_folder import HEADER, Site

from backuppc_register.protocol.errors import Fault, OtherOwner
from backuppc_register.state.snapshot_file import HostsSnapshot


@pytest.fixture
def site(tmp_path):
    """Give a site on which dormeur is cmartin's, without backups; its line is noted."""
    return Site(tmp_path, data=False)


def lose(site):
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")


def noted(site):
    return HostsSnapshot(site.folder / "state").read()


@pytest.mark.parametrize("lost", ["old page", "cleaned by hand"])
def test_without_backups_the_next_person_has_the_host_and_it_is_said_whose_it_was(site, lost):
    lose(site)
    if lost == "cleaned by hand":
        site.pl.unlink()

    told = site.ask("adupont")

    assert told.status == "new"
    assert told.key != site.key
    assert "was cmartin's" in told.note
    assert site.users() == {"dormeur": "adupont"}
    assert noted(site)["dormeur"].taken_from == "cmartin"
    assert site.reconcile() == [("new-owner", "dormeur")]
    assert site.reconcile() == []


def test_a_check_says_it_too_and_changes_nothing(site):
    lose(site)
    before = site.texts()

    assert "was cmartin's" in site.ask("adupont", verb="check").note
    assert site.texts() == before


def test_the_same_person_gets_the_same_key_without_a_word(site):
    lose(site)

    told = site.ask()

    assert (told.key, "last seen" in told.note) == (site.key, False)
    assert site.reconcile() == []


def test_with_backups_the_host_stays_the_last_owners(site):
    site.add_data()
    site.reconcile()
    lose(site)

    with pytest.raises(OtherOwner):
        site.ask("adupont")


def test_a_record_does_not_beat_the_line_that_was_last_seen_if_there_are_backups(site):
    """An administrator put adupont into the line by hand; then the line was lost."""
    site.hosts.write_text(site.hosts.read_text().replace("cmartin", "adupont"))
    site.add_data()
    site.reconcile()
    lose(site)

    with pytest.raises(OtherOwner) as refusal:
        site.ask("cmartin")

    assert "adupont" in refusal.value.detail
    with failing(site.folder / "data/pc/dormeur", calls=("scandir",)), pytest.raises(Fault) as fault:
        site.ask("cmartin")
    assert fault.value.code == "could-not-register"


def test_a_snapshot_that_cannot_be_read_gives_no_host_away(site):
    lose(site)
    before = site.texts()

    with failing(site.folder / "state/ledger"), pytest.raises(Fault):
        site.ask("adupont")

    assert site.texts() == before


def test_an_old_page_does_not_give_the_new_owners_host_back(site):
    page = site.hosts.read_text()
    lose(site)
    site.ask("adupont")
    site.hosts.write_text(page)

    assert ("taken-back", "dormeur") in site.reconcile()
    assert site.users() == {"dormeur": "adupont"}


def test_a_new_owner_whose_line_could_not_be_noted_loses_the_host_to_nobody(site, monkeypatch):
    lose(site)
    monkeypatch.setattr(
        "backuppc_register.inventory.hosts_snapshot.note_added", lambda *_, **__: "the line was not noted"
    )
    assert "not noted" in site.ask("adupont").note
    monkeypatch.undo()
    lose(site)

    site.reconcile()

    assert site.users() in ({}, {"dormeur": "adupont"})
    assert site.ask("adupont").status == "new"


def test_a_line_without_an_owner_belonged_to_nobody(site):
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\ndormeur 0\n")
    site.reconcile()
    lose(site)

    assert "was nobody's" in site.ask("adupont").note
