"""Registrations that were never verified are released after some days, and nothing else ever is."""

import os
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import verbs
from fakes import Jobs
from interrupted import kill_everywhere
from server_folder import ADUPONT, HEADER, ROW, ByHand, Site

from backuppc_register import config
from backuppc_register.backuppc import hosts
from backuppc_register.inventory import host_status
from backuppc_register.lifecycle.operation import Operation
from backuppc_register.protocol.errors import OtherOwner
from backuppc_register.reconciliation import reconcile, unverified
from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.state.former_owners import FormerOwners


class Unverified(Site):
    """A server on which dormeur was registered as cmartin's and neither verified nor backed up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, data=False)

    @property
    def since(self) -> datetime:
        return datetime.fromisoformat(self.record().registered)

    def find(self, days: float = 14) -> list[unverified.Release]:  # type: ignore[override]
        return unverified.find(hosts.read(self.hosts), self.server(), self.since + timedelta(days=days))

    def release(self, days: float = 14) -> list[Item]:
        now = self.since + timedelta(days=days)
        jobs = cast(Any, self.jobs)
        return [item for one in self.find(days) for item in unverified.release(one, self.server(), jobs, now)]

    def change(self, **fields: Any) -> None:
        self.server().folders.put_record(replace(self.record(), **fields))

    def aside(self) -> set[str]:
        return {path.name for path in (self.folder / "state/aside").glob("*/*")}


@pytest.fixture
def site(tmp_path: Path) -> Unverified:
    return Unverified(tmp_path)


def test_a_registration_that_was_never_verified_is_released_and_its_files_are_kept_aside(
    site: Unverified,
) -> None:
    assert site.find(13.99) == []
    before = site.texts()
    (planned,) = site.find()
    assert site.texts() == before

    (item,) = site.release()

    assert (item.word, item.host, item.person) == (Word.RELEASED, "dormeur", "cmartin")
    assert item == planned.item()
    assert site.hosts.read_text() == HEADER + "localhost\t0\tbackuppc\n"
    assert site.record() is None
    assert not site.pl.exists()
    assert {"dormeur.pl", "key", "key.pub", "record.json"} <= site.aside()
    assert site.jobs.kept.told == [((), ("dormeur",))]
    assert FormerOwners(site.folder / "state").of("dormeur").former == ("cmartin",)
    assert site.reconcile() == []
    assert site.contradictions() == []
    assert site.ask("adupont").status == "new"
    assert site.reconcile() == []


def test_its_own_person_may_register_it_again_and_the_days_begin_anew(site: Unverified) -> None:
    site.release()

    assert site.ask().status == "new"
    assert site.reconcile() == []
    assert site.find(13) == []


def test_asking_again_and_again_under_any_word_does_not_keep_it_alive(site: Unverified) -> None:
    site.change(registered="2026-01-01T00:00:00+00:00")
    for word in ("linux", "mac", "windows", "mac"):
        site.ask(os=word)
        site.ask(os=word, verb="check")
        with pytest.raises(OtherOwner):
            site.ask("adupont", os=word)

    assert site.since == datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    assert [one.host for one in site.find()] == ["dormeur"]


@pytest.mark.parametrize(
    "fields",
    [
        {"verified": "2026-11-22T10:00:00+00:00"},
        {"retired": "2026-11-22T10:00:00+00:00"},
        {"purge": "2026-11-22T10:00:00+00:00"},
        {"retired": "2026-11-22T10:00:00+00:00", "final": "2026-11-22T10:00:00+00:00"},
        {"provisional": False},
        {"archive_of": "orque"},
        {"person": "adupont"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_host_that_is_more_than_registered_stays(site: Unverified, fields: dict[str, Any]) -> None:
    site.change(**fields)

    assert site.release(9999) == []
    assert site.users() == {"dormeur": "cmartin"}


@pytest.mark.parametrize("registered", ["soon", "2026-01-01T00:00:00", "9999-12-31T00:00:00+00:00"])
def test_a_registration_at_no_time_or_in_the_future_stays(site: Unverified, registered: str) -> None:
    now = site.since + timedelta(days=99)
    site.change(registered=registered)

    assert unverified.find(hosts.read(site.hosts), site.server(), now) == []


def test_a_record_of_an_earlier_release_is_read_and_stays(site: Unverified) -> None:
    path = site.state / "record.json"
    path.write_text(path.read_text().replace(' "provisional": true', ' "unknown": 1'))

    assert site.record().provisional is False
    assert site.find(9999) == []


@pytest.mark.parametrize(
    "line",
    [
        "dormeur\t0\tadupont",
        "dormeur\t0\tcmartin\tadupont",
        "dormeur\t1\tcmartin",
        "dormeur\t0",
        "dormeur\t0\tcmartin\ndormeur\t0\tcmartin",
    ],
)
def test_a_line_that_an_administrator_has_touched_stays(site: Unverified, line: str) -> None:
    site.hosts.write_text(f"{HEADER}{line}\n")

    assert site.find(99) == []


def test_a_manual_line_that_was_taken_over_stays(tmp_path: Path) -> None:
    site = ByHand(tmp_path, line="dormeur 0 cmartin", made=None, data=False)
    assert site.ask().status == "new"
    now = datetime.fromisoformat(site.record().registered) + timedelta(days=99)

    assert unverified.find(hosts.read(site.hosts), site.server(), now) == []


@pytest.mark.parametrize("decide", ["resume", "transfer", "give back"])
def test_a_host_that_an_administrator_has_decided_about_stays(site: Unverified, decide: str) -> None:
    custody = site.custody()
    if decide == "resume":
        verbs.retire("dormeur", custody)
        verbs.resume("dormeur", custody)
    elif decide == "give back":
        former = FormerOwners(site.folder / "state")
        former.take("dormeur", ["adupont"], person="cmartin")
    else:
        verbs.transfer("dormeur", ADUPONT, custody)

    assert site.find(99) == []


def numbered(site: Unverified) -> None:
    site.add_backup()


def listed(site: Unverified) -> None:
    (site.folder / "data/pc/dormeur").mkdir()
    (site.folder / "data/pc/dormeur/backups").write_text(ROW)


def being_made(site: Unverified) -> None:
    """BackupPC makes the numbered folder first, and the list of backups at the end."""
    (site.folder / "data/pc/dormeur/0/f%2fhome").mkdir(parents=True)


def linked(site: Unverified) -> None:
    (site.folder / "data/pc/dormeur").symlink_to(site.folder / "missing-disk")


def no_folder(site: Unverified) -> None:
    shutil.rmtree(site.folder / "data/pc")


def seen_before(site: Unverified) -> None:
    site.noted()


def other_disk(site: Unverified) -> None:
    """Another host's data is gone, and no host has any: the disk may not be mounted."""
    site.ask("adupont", name="sirene.univ-brest.fr")
    site.add_data("sirene")
    site.reconcile()
    shutil.rmtree(site.folder / "data/pc/sirene")


def pl_is_a_link(site: Unverified) -> None:
    site.pl.rename(site.folder / "common.pl")
    site.pl.symlink_to(site.folder / "common.pl")


def old_place(site: Unverified) -> None:
    (site.folder / "data/pc/dormeur").mkdir()
    (site.folder / "data/pc/dormeur/config.pl").write_text("1;\n")


@pytest.mark.parametrize(
    "doubt",
    [
        numbered,
        listed,
        being_made,
        linked,
        no_folder,
        seen_before,
        other_disk,
        pl_is_a_link,
        old_place,
    ],
)
def test_backups_and_every_doubt_about_them_release_nothing(site: Unverified, doubt: Any) -> None:
    (planned,) = site.find()
    doubt(site)
    before = site.hosts.read_bytes()

    assert site.find() == []
    if doubt is not other_disk:  # found before, by a run that was slow
        now, jobs = site.since + timedelta(days=15), cast(Any, site.jobs)
        items = list(unverified.release(planned, site.server(), jobs, now))
        assert [item.word for item in items] in ([], [Word.NOT_RELEASED])
    assert site.hosts.read_bytes() == before
    assert site.record().provisional


@pytest.mark.parametrize("name", ["pc", "pc/dormeur"])
def test_a_data_folder_that_cannot_be_read_releases_nothing(
    site: Unverified, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (site.folder / "data/pc/dormeur").mkdir()
    assert site.find()
    closed, scandir = site.folder / "data" / name, os.scandir

    def refusing(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)

    assert site.find() == []


def test_logs_of_failed_attempts_are_no_backups(site: Unverified) -> None:
    (site.folder / "data/pc/dormeur").mkdir()
    (site.folder / "data/pc/dormeur/LOG.112026").write_text("no ping response\n")

    assert [item.word for item in site.release()] == [Word.RELEASED]


def test_a_backuppc_that_is_busy_with_it_keeps_it_for_the_next_run(site: Unverified) -> None:
    site.jobs = Jobs(busy=True)
    before = site.texts()

    (item,) = site.release()

    assert (item.word, item.urgent) == (Word.NOT_RELEASED, False)
    assert site.texts() == before
    site.jobs.busy = False
    assert [item.word for item in site.release()] == [Word.RELEASED]


@pytest.mark.parametrize("meanwhile", ["verified", "transfer", "purge", "register"])
def test_what_happens_between_plan_and_release_counts(site: Unverified, meanwhile: str) -> None:
    (planned,) = site.find()
    later = site.since + timedelta(days=14)
    operation = Operation(site.server(), cast(Any, site.jobs), "chef", later)
    if meanwhile == "verified":
        site.change(verified=later.isoformat())
    elif meanwhile == "transfer":
        verbs.transfer("dormeur", ADUPONT, operation)
    else:
        verbs.purge("dormeur", None, operation)
        if meanwhile == "register":
            site.ask("adupont")
    before = site.texts()

    assert list(unverified.release(planned, site.server(), cast(Any, site.jobs), later)) == []

    assert site.texts() == before


def test_killed_anywhere_the_next_run_releases_it_or_its_person_finishes_it(tmp_path: Path) -> None:
    for number, site in enumerate(kill_everywhere(tmp_path, Unverified, Unverified.release)):
        if site.record() is None:
            continue
        if number % 2:
            assert site.ask().key == site.key
            assert site.users() == {"dormeur": "cmartin"}
            continue
        site.release()
        assert (site.record(), site.users(), site.pl.exists()) == (None, {}, False)


def test_an_unfinished_registration_is_released_too_and_a_lost_line_is_none(site: Unverified) -> None:
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")
    assert site.find() == []  # the snapshot has the line: reconcile restores it

    assert site.reconcile() == [("restored", "dormeur")]
    assert [item.word for item in site.release()] == [Word.RELEASED]
    site.ask()
    site.server().snapshot.forget("dormeur")
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")
    (item,) = site.release()

    assert "hosts line" not in item.what
    assert (site.record(), site.jobs.kept.told[-1]) == (None, ((), ()))


def test_zero_days_are_never_and_other_numbers_count(site: Unverified) -> None:
    site.limits = config.Limits(unverified_days=0)
    assert site.find(99999) == []
    site.limits = config.Limits(unverified_days=30)
    assert (site.find(29), len(site.find(30))) == ([], 1)


def test_more_than_a_few_at_once_need_an_administrator(site: Unverified) -> None:
    for number in range(unverified.MOST):
        site.ask(name=f"lab{number}.univ-brest.fr")
    due = site.find(15)

    released, (item,) = unverified.held_back(due, site.server(), None, site.since)

    assert released == []
    assert (len(due), item.word, item.host, item.urgent) == (11, Word.MANY_UNVERIFIED, "", True)
    assert "--release-many" in item.advice
    assert unverified.held_back(due[1:], site.server(), None, site.since) == (due[1:], [])


@pytest.mark.parametrize("days", [31, 3650, -31, -365])
def test_a_clock_that_jumps_releases_nothing_in_the_first_run(site: Unverified, days: int) -> None:
    due, now = site.find(15), site.since + timedelta(days=15)
    last_run = now - timedelta(days=days)

    released, (item,) = unverified.held_back(due, site.server(), last_run, now)

    assert (released, item.word, item.host) == ([], Word.NOT_RELEASED, "dormeur")
    assert last_run.isoformat(timespec="seconds") in item.what
    assert "next run" in item.advice


@pytest.mark.parametrize("minutes", [0, 15, 60 * 24 * 29])
def test_what_is_late_for_months_is_released_if_reconcile_runs_as_usual(
    site: Unverified, minutes: int
) -> None:
    due, now = site.find(300), site.since + timedelta(days=300)

    assert unverified.held_back(due, site.server(), now - timedelta(minutes=minutes), now) == (due, [])


def test_whoever_is_refused_meanwhile_learns_nothing_and_the_help_desk_all(site: Unverified) -> None:
    with pytest.raises(OtherOwner) as refused:
        site.ask("adupont")

    error = refused.value
    assert error.message() == "refusing to re-register client host with username : dormeur adupont"
    assert error.advice == OtherOwner.advice
    assert f"never verified since {site.record().registered}, and without backups" in error.detail
    assert "backuppc-register-admin transfer dormeur adupont gives it to adupont" in error.detail
    assert "purge dormeur frees it" in error.detail
    site.add_backup()
    with pytest.raises(OtherOwner) as refused:
        site.ask("adupont")
    assert "never verified" not in refused.value.detail


def test_the_help_desk_is_told_no_command_that_does_nothing(site: Unverified) -> None:
    with pytest.raises(OtherOwner) as refused:
        site.ask(name="dormeur.iuem.fr")

    assert "never verified" in refused.value.detail
    assert "transfer" not in refused.value.detail
    assert "backuppc-register-admin purge dormeur frees it" in refused.value.detail


def test_the_help_desk_is_not_told_that_a_line_of_an_administrators_waits(site: Unverified) -> None:
    site.hosts.write_text(site.hosts.read_text().replace("cmartin", "adupont"))

    with pytest.raises(OtherOwner) as refused:
        site.ask()

    assert refused.value.detail == "the hosts file says adupont"


def test_a_release_leaves_every_other_line_as_it_is(site: Unverified) -> None:
    others = "# labs\norque 1 bdurand x,y # room\r\n\nDORMEUR2 0 cmartin\n"
    site.hosts.write_text(site.hosts.read_text() + others)

    site.release()

    assert site.hosts.read_bytes() == (HEADER + "localhost\t0\tbackuppc\n" + others).encode()
    assert host_status.read("dormeur", site.server()).record is None
    assert reconcile.plan(site.server(), site.custody().now).report == ()
