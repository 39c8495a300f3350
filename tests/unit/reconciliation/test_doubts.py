"""What cannot be read for a moment is never noted as known, and nothing is decided by it."""

import errno
import json

import pytest
from failing import failing
from server_folder import Site

from backuppc_register.protocol.errors import Fault, OtherOwner
from backuppc_register.state.snapshot_file import HostsSnapshot

CODES = (errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE)
PLACES = ("data/pc", "data/pc/dormeur", "data/pc/orque", "data/pc/orque/backups")


@pytest.fixture
def site(tmp_path):
    """Give dormeur without backups, and orque with backups; both noted."""
    site = Site(tmp_path, data=False)
    site.ask("adupont", name="orque.univ-brest.fr")
    site.add_data("orque")
    (site.folder / "data/pc/orque/0/secret").unlink()
    (site.folder / "data/pc/orque/0").rmdir()
    site.reconcile()
    return site


def noted(site):
    return {host: seen.data for host, seen in HostsSnapshot(site.folder / "state").read().items()}


def lose(site, host):
    lines = site.hosts.read_text().splitlines(keepends=True)
    site.hosts.write_text("".join(line for line in lines if not line.startswith(host)))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("place", PLACES)
def test_a_doubt_is_not_noted_and_a_lost_line_comes_back_afterwards(site, place, code):
    before = noted(site)
    with failing(site.folder / place, code):
        assert site.reconcile() == []

    assert noted(site) == before == {"localhost": False, "dormeur": False, "orque": True}
    lose(site, "dormeur")
    lose(site, "orque")
    assert site.reconcile() == [("restored", "dormeur"), ("restored", "orque")]
    assert site.state.exists()


@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("place", PLACES)
def test_one_failed_call_in_the_run_that_finds_the_loss_cleans_nothing(site, place, at):
    lose(site, "dormeur")
    lose(site, "orque")

    with failing(site.folder / place, at=at):
        told = site.reconcile()

    assert told == [("restored", "dormeur"), ("restored", "orque")]
    assert noted(site) == {"localhost": False, "dormeur": False, "orque": True}


def test_deleted_backups_are_not_certain_while_no_other_data_can_be_seen(site):
    site.add_data()
    site.reconcile()
    lose(site, "dormeur")
    (site.folder / "data/pc/dormeur").rename(site.folder / "elsewhere")

    with failing(site.folder / "data/pc/orque"):
        assert site.reconcile() == [("restored", "dormeur")]


def test_a_disk_that_is_mounted_late_changes_no_note(site):
    late = site.folder / "data/late"
    (site.folder / "data/pc").rename(late)
    (site.folder / "data/pc").mkdir()
    site.reconcile()
    (site.folder / "data/pc").rmdir()
    late.rename(site.folder / "data/pc")

    lose(site, "dormeur")
    assert site.reconcile() == [("restored", "dormeur")]
    assert noted(site) == {"localhost": False, "dormeur": False, "orque": True}


def wrong_note(site, *hosts):
    """Note as a release before 0.3.0 did in doubt: data without a place."""
    path = site.folder / "state/ledger"
    head, *rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row | {"data": True} if row["host"] in hosts else row for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, *rows)))


def test_a_wrong_note_of_an_earlier_release_is_dropped(site):
    wrong_note(site, "dormeur", "localhost")

    assert site.reconcile() == []

    assert noted(site) == {"localhost": False, "dormeur": False, "orque": True}


def test_a_wrong_note_does_not_clean_a_host_that_lost_its_line_already(site):
    wrong_note(site, "dormeur")
    lose(site, "dormeur")

    assert site.reconcile() == [("restored", "dormeur")]


def test_where_no_host_has_backups_wrong_notes_do_not_alarm_for_ever(tmp_path):
    site = Site(tmp_path, data=False)
    site.reconcile()
    wrong_note(site, "dormeur", "localhost")

    assert site.reconcile() == []
    assert noted(site) == {"localhost": False, "dormeur": False}


@pytest.mark.parametrize("trouble", ["unmounted", "unreadable"])
def test_a_note_without_a_place_stays_while_a_disk_may_be_missing(site, trouble):
    wrong_note(site, "dormeur")
    if trouble == "unmounted":
        (site.folder / "data/pc").rename(site.folder / "data/late")
        (site.folder / "data/pc").mkdir()
        site.reconcile()
    else:
        with failing(site.folder / "data/pc/orque"):
            site.reconcile()

    assert noted(site)["dormeur"]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("place", ["data/pc", "data/pc/mimosa", "data/pc/mimosa/backups"])
def test_a_newcomer_is_told_a_fault_and_its_cause_is_in_the_log(site, place, code):
    (site.folder / "data/pc/mimosa").mkdir()
    (site.folder / "data/pc/mimosa/backups").write_text("")
    before = site.texts()

    with failing(site.folder / place, code), pytest.raises(Fault) as fault:
        site.ask(name="mimosa.univ-brest.fr")

    assert f"[Errno {code}]" in fault.value.detail
    assert fault.value.code in ("could-not-register", "no-config-file")
    assert site.texts() == before
    assert site.ask(name="mimosa.univ-brest.fr").status == "new"


def test_what_can_be_read_and_is_anothers_stays_a_refusal(site):
    lose(site, "orque")

    with pytest.raises(OtherOwner):
        site.ask(name="orque.univ-brest.fr")


def test_the_owner_keeps_the_host_although_its_backups_cannot_be_read(site):
    with failing(site.folder / "data/pc/orque", calls=("scandir",)):
        assert site.ask("adupont", name="orque.univ-brest.fr").status == "unchanged"


def test_one_failed_look_at_the_disk_gives_no_host_with_missing_backups_away(site):
    """Its line is gone, its disk is not mounted, and the disk in its place fails once."""
    lose(site, "orque")
    (site.folder / "data/pc/orque").rename(site.folder / "elsewhere")
    (site.folder / "state/hosts/orque").rename(site.folder / "state/hosts/elsewhere")
    (site.folder / "etc/orque.pl").unlink()

    for at in range(1, 8):
        with failing(site.folder / "data/pc/orque", at=at), pytest.raises(Fault):
            site.ask(name="orque.univ-brest.fr")
