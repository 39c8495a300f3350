"""Success means noted too, or the next unchanged run notes it; what was finished is never silently lost."""

import errno
import os

import pytest
from server_folder import HEADER, NOW, Site

from backuppc_register.state.snapshot_file import HostsSnapshot
from backuppc_register.system import atomic_files


@pytest.fixture
def site(tmp_path):
    """Give a site on which the line of dormeur could not be noted."""
    site = Site.__new__(Site)
    write = atomic_files.write

    def full(path, *given, **options):
        if path.name == "ledger":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, *given, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(atomic_files, "write", full)
        Site.__init__(site, tmp_path, data=False)
        assert "not noted" in site.ask().note
    return site


def lose(site):
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")


def test_the_next_unchanged_run_notes_the_line(site):
    told = site.ask()

    assert (told.status, told.note) == ("unchanged", "")
    lose(site)
    assert site.reconcile() == [("restored", "dormeur")]
    assert site.users() == {"dormeur": "cmartin"}


def test_what_is_noted_is_not_written_again(site):
    site.ask()
    before = site.bytes()

    assert site.ask().status == "unchanged"
    assert site.bytes() == before


def test_a_check_notes_nothing(site):
    site.ask(verb="check")

    assert not (site.folder / "state/ledger").exists()


@pytest.mark.parametrize("other", ["dormeur2", "x-dormeur", "dormeur-x"])
def test_another_hosts_note_is_not_this_ones(site, other):
    site.ask("adupont", name=f"{other}.univ-brest.fr")
    assert not HostsSnapshot(site.folder / "state").has("dormeur")

    site.ask()

    assert HostsSnapshot(site.folder / "state").has("dormeur")


def test_a_whole_registration_without_a_line_and_a_note_is_undecided_at_once(site):
    lose(site)
    site.reconcile()

    (one,) = site.contradictions()

    assert one[0] == "dormeur"
    assert "whole registration without a line" in one[1]


@pytest.mark.parametrize("missing", ["key", "settings"])
def test_a_part_of_a_registration_may_still_be_at_work(site, missing, monkeypatch):
    lose(site)
    (site.state / "key" if missing == "key" else site.pl).unlink()
    monkeypatch.setattr("server_folder.NOW", NOW.replace(year=2020))

    assert site.contradictions() == []


def test_while_a_registration_holds_the_lock_nothing_is_said_of_it(site, monkeypatch):
    monkeypatch.setattr("backuppc_register.reconciliation.inconsistencies._LOCK_TIMEOUT", 0.05)
    monkeypatch.setattr("server_folder.NOW", NOW.replace(year=2020))
    lose(site)

    with site.server().locked():
        assert site.contradictions() == []
