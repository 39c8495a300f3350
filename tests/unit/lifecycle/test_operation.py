"""Retire, purge and transfer on real files, killed at every step; BackupPC's jobs are given by the tests."""

import subprocess
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from subprocess import PIPE

import pytest
import verbs
from fakes import People
from interrupted import kill_everywhere
from server_folder import ADUPONT, ARCHIVE, CMARTIN, HEADER, NOW, Site

from backuppc_register.backuppc import retired_config
from backuppc_register.inventory import policy
from backuppc_register.lifecycle import (
    purge,
    purge_request,
    resume,
    retire,
    transfer,
    transfer_to_administrators,
)
from backuppc_register.lifecycle.operation import Refused, host_named
from backuppc_register.person import Person
from backuppc_register.protocol.errors import (
    BadUser,
    Busy,
    HostsFileError,
    NotRegistered,
    OtherOwner,
    StateError,
)
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.snapshot_file import HostsSnapshot


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture(params=["unmounted", "fresh"])
def away(site, request):
    """Give a site whose data disk is not mounted, with a backup made onto the mount point or without."""
    site.noted(place="" if request.param == "unmounted" else "1:2")
    (site.folder / "data").rename(site.folder / "disk")
    for name in ("pc", "pool", "cpool"):
        (site.folder / "data" / name).mkdir(parents=True)
    if request.param == "fresh":
        (site.folder / "data/pc/dormeur/0").mkdir(parents=True)
    return site


def mount(site):
    (site.folder / "data").rename(site.folder / "bare")
    (site.folder / "disk").rename(site.folder / "data")


def purged(record, days=1):
    return replace(record, purge=(NOW - timedelta(days=days)).isoformat())


# retire and resume


def test_retiring_stops_backups_and_puts_key_and_alias_away(site):
    done = verbs.retire("dormeur", site.custody())

    assert (done.person, len(done.steps)) == ("cmartin", 3)
    assert site.pl.read_bytes() == retired_config.text("dormeur")
    assert "dormeur.univ-brest.fr" not in site.pl.read_text()
    assert not (site.state / "key").exists()
    assert site.record().retired == NOW.isoformat()
    assert site.jobs.stopped == [("dormeur", "chef")]
    assert site.users() == {"dormeur": "cmartin"}
    assert site.readers() == {"cmartin"}


def test_retiring_twice_is_nothing_to_do(site):
    verbs.retire("dormeur", site.custody())
    before = site.texts()

    assert verbs.retire("dormeur", site.custody()).steps == ()
    assert site.texts() == before
    assert len(site.jobs.stopped) == 1


@pytest.mark.parametrize("verb", [retire, resume])
def test_a_plan_changes_nothing(site, verb):
    if verb is resume:
        verbs.retire("dormeur", site.custody())
    before = site.texts()

    assert verb.plan("dormeur", site.custody()).steps
    assert site.texts() == before


@pytest.mark.parametrize(
    ("verb", "before", "meanwhile"),
    [
        (retire, None, verbs.retire),
        (resume, verbs.retire, verbs.resume),
        (transfer_to_administrators, None, verbs.retire),
        (transfer_to_administrators, None, verbs.transfer_to_administrators),
    ],
)
def test_a_plan_that_another_administrator_has_made_out_of_date_is_refused(site, verb, before, meanwhile):
    if before:
        before("dormeur", site.custody())
    plan = verb.plan("dormeur", site.custody())
    assert verb.plan("dormeur", site.custody()) == plan
    meanwhile("dormeur", site.custody())
    left = site.texts()

    with pytest.raises(Refused, match=r"changed while you were asked|already"):
        verb.apply(plan, site.custody())

    assert site.texts() == left


@pytest.mark.parametrize("content", [None, b"# mine\n$Conf{X} = 1;\n", b"", b"\xff\0no newline"])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_config_comes_back_as_it_was(site, content, mode):
    if content is None:
        site.pl.unlink()
    else:
        site.pl.write_bytes(content)
        site.pl.chmod(mode)
    record = replace(site.record(), provisional=False)  # an administrator has decided about the host
    site.server().folders.put_record(record)
    before = site.texts()

    verbs.retire("dormeur", site.custody())
    done = verbs.resume("dormeur", site.custody())

    assert done.steps
    assert site.texts() == before
    if content is not None:
        assert site.pl.stat().st_mode & 0o777 == mode


def test_what_an_administrator_wrote_into_the_closed_config_is_kept_beside(site):
    first = site.pl.read_bytes()
    verbs.retire("dormeur", site.custody())
    site.pl.write_text("$Conf{BackupsDisable} = 0;\n")

    assert len(verbs.retire("dormeur", site.custody()).steps) == 1
    assert site.pl.read_bytes() == retired_config.text("dormeur")
    site.pl.write_text("$Conf{BackupsDisable} = 1;\n")
    verbs.resume("dormeur", site.custody())

    assert site.pl.read_bytes() == first
    assert (site.state / "edited.pl").read_text() == "$Conf{BackupsDisable} = 1;\n"


@pytest.mark.parametrize("final", [False, True])
def test_the_owner_who_registers_again_gets_a_fresh_key_and_the_host_stays_retired(site, final):
    verbs.retire("dormeur", site.custody(), final=final)
    before = site.texts()

    assert site.ask(verb="check").status == "retired"
    with pytest.raises(OtherOwner):
        site.ask("adupont")
    answer = site.ask()

    assert answer.status == "retired"
    assert answer.key != site.key
    assert ("for good" if final else "verify") in answer.advice
    assert site.ask().key == answer.key
    after, own = site.texts(), {site.state / name for name in ("fresh_key", "fresh_key.pub", "record.json")}
    assert {path: text for path, text in after.items() if path not in own} == {
        path: text for path, text in before.items() if path not in own
    }
    assert after.keys() - before.keys() <= own


def test_final_is_added_to_a_retirement_and_a_planned_purge_and_takes_nothing_from_them(site):
    verbs.purge("dormeur", 14, site.custody())
    before = site.record()

    (step,) = verbs.retire("dormeur", site.custody(), final=True).steps

    assert step == "only an administrator can resume dormeur, and not its machine"
    assert site.record() == replace(before, final=NOW.isoformat())
    assert verbs.retire("dormeur", site.custody(), final=True).steps == ()
    assert verbs.retire("dormeur", site.custody()).steps == ()
    assert purge.due(site.custody(now=NOW + timedelta(days=14)))[0] == ["dormeur"]


@pytest.mark.parametrize("verb", [verbs.resume, lambda *args: verbs.transfer(args[0], ADUPONT, args[1])])
def test_an_administrator_ends_a_final_retirement_and_the_next_one_is_not_final(site, verb):
    verbs.retire("dormeur", site.custody(), final=True)

    verb("dormeur", site.custody())

    assert (site.record().retired, site.record().final) == ("", "")
    verbs.retire("dormeur", site.custody())
    assert site.record().final == ""


def test_a_host_retired_for_good_stays_so_for_whom_its_line_was_given_to_by_hand(site):
    verbs.retire("dormeur", site.custody(), final=True)
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\ndormeur\t0\tadupont\n")

    answer = site.ask("adupont")

    assert (answer.status, answer.key != site.key) == ("retired", True)
    assert site.pl.read_bytes() == retired_config.text("dormeur")
    assert (site.record().person, site.record().final) == ("adupont", NOW.isoformat())
    assert not (site.state / "key").exists()
    again = site.ask("adupont")
    assert (again.status, again.key) == ("retired", answer.key)
    verbs.resume("dormeur", site.custody())
    assert site.ask("adupont").key == answer.key


def test_killed_anywhere_a_registration_starts_no_backups_of_a_host_retired_for_good(tmp_path):
    def prepared(folder):
        site = Site(folder)
        verbs.retire("dormeur", site.custody(), final=True)
        site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\ndormeur\t0\tadupont\n")
        return site

    for site in kill_everywhere(tmp_path, prepared, lambda site: site.ask("adupont")):
        assert (site.record().final, site.pl.read_bytes()) == (
            NOW.isoformat(),
            retired_config.text("dormeur"),
        )
        assert site.ask("adupont").status == "retired"
        assert site.ask("adupont").status == "retired"
        assert not (site.state / "key").exists()


def test_a_host_retired_for_good_without_line_and_data_is_nobodys_until_an_administrator_frees_it(tmp_path):
    site = Site(tmp_path, data=False)
    verbs.retire("dormeur", site.custody(), final=True)
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")

    with pytest.raises(OtherOwner) as refused:
        site.ask("adupont")

    assert "purge dormeur frees it" in refused.value.detail
    assert site.ask().status == "retired"
    verbs.purge("dormeur", None, site.custody())
    assert site.ask("adupont").status == "new"


def test_killed_anywhere_a_retired_host_can_be_retired_resumed_and_registered(tmp_path):
    def prepared(folder):
        site = Site(folder)
        site.pl.write_text("# mine\n1;\n")
        return site

    def work(site):
        verbs.retire("dormeur", site.custody())

    for number, site in enumerate(kill_everywhere(tmp_path, prepared, work)):
        untouched = not site.record().retired
        if number % 3 == 0:
            verbs.retire("dormeur", site.custody())
            assert site.pl.read_bytes() == retired_config.text("dormeur")
            assert not (site.state / "key").exists()
        elif number % 3 == 1:
            assert bool(verbs.resume("dormeur", site.custody()).steps) == (not untouched)
        stopped = bool(site.record().retired)
        answers = [site.ask() for _ in range(2)]
        assert {answer.status for answer in answers} == {"retired" if stopped else "unchanged"}
        assert [answer.key == site.key for answer in answers] == [not stopped] * 2
        assert answers[0].key == answers[1].key
        verbs.resume("dormeur", site.custody())
        assert site.pl.read_text() == "# mine\n1;\n"
        assert not (site.state / "retired.pl").exists()
        assert (site.ask().key, site.ask().status) == (site.key, "unchanged")


def test_killed_anywhere_a_resumed_host_is_resumed_by_the_next_run(tmp_path):
    def prepared(folder):
        site = Site(folder)
        site.pl.write_text("# mine\n1;\n")
        verbs.retire("dormeur", site.custody())
        return site

    for site in kill_everywhere(tmp_path, prepared, lambda site: verbs.resume("dormeur", site.custody())):
        again = site.ask()
        assert (again.key != site.key) == (again.status == "retired")
        verbs.resume("dormeur", site.custody())
        assert site.pl.read_text() == "# mine\n1;\n"
        assert (site.ask().status, site.ask().key) == ("unchanged", site.key)


def test_an_archive_a_stranger_and_what_is_no_host_are_refused(site):
    before = site.texts()

    with pytest.raises(NotRegistered):
        verbs.retire("unknown", site.custody())
    for name in ("../etc", "", ".", "a b", "*", "dorm*", "d\u00f6rmeur", "dormeur\n"):
        with pytest.raises(NotRegistered):
            host_named(name)
    assert host_named("DORMEUR") == "dormeur"
    assert site.texts() == before


def test_several_lines_or_settings_among_the_backups_are_left_to_the_administrator(site):
    (site.folder / "data/pc/dormeur/config.pl").write_text("1;\n")
    with pytest.raises(Refused, match=r"config\.pl"):
        verbs.retire("dormeur", site.custody())
    (site.folder / "data/pc/dormeur/config.pl").unlink()
    site.hosts.write_text(site.hosts.read_text() + "Dormeur 0 cmartin\n")
    with pytest.raises(Refused, match="2 lines"):
        verbs.retire("dormeur", site.custody())


def test_a_config_that_is_a_link_is_refused_before_anything_is_written(site):
    site.pl.rename(site.folder / "elsewhere.pl")
    site.pl.symlink_to(site.folder / "elsewhere.pl")
    before = site.texts()

    with pytest.raises(Refused, match="link"):
        verbs.retire("dormeur", site.custody())

    assert site.texts() == before


def test_two_different_keys_are_never_made_one(site):
    verbs.retire("dormeur", site.custody())
    (site.state / "key").write_text("another\n")

    with pytest.raises(StateError, match="two different keys"):
        verbs.resume("dormeur", site.custody())

    assert (site.state / "key").read_text() == "another\n"


def test_a_job_that_cannot_be_stopped_is_told_and_the_host_is_retired(site, mocker):
    mocker.patch.object(site.jobs, "stop", side_effect=Busy(host="dormeur", detail="it hung up"))

    plan = retire.plan("dormeur", site.custody())

    assert "not stopped" in retire.apply(plan, site.custody())
    assert site.record().retired


def test_a_newcomer_on_a_retired_hosts_free_name_gets_settings_that_work(site):
    verbs.retire("dormeur", site.custody())
    site.hosts.write_text(HEADER + "dormeur\t0\tadupont\n")  # an administrator gave it away by hand

    answer = site.ask("adupont")

    assert answer.key != site.key
    assert b"dormeur.univ-brest.fr" in site.pl.read_bytes()


# purge


def test_a_purge_waits_with_line_and_data_in_place(site):
    done = verbs.purge("dormeur", 14, site.custody())

    assert "1 backup, 4096 bytes of files" in done.steps[-1]
    assert site.record().purge == (NOW + timedelta(days=14)).isoformat()
    assert site.record().retired
    assert site.users() == {"dormeur": "cmartin"}
    assert site.readers() == {"cmartin"}
    assert purge.due(site.custody(now=NOW + timedelta(days=13)))[0] == []
    with pytest.raises(Refused, match="not to be deleted yet"):
        verbs.purge_due("dormeur", site.custody(now=NOW + timedelta(days=13)))


def test_what_is_due_is_deleted_the_line_goes_and_the_name_is_free(site):
    verbs.purge("dormeur", 14, site.custody())
    later = site.custody(now=NOW + timedelta(days=14))
    site.jobs.stopped.clear()

    assert purge.due(later)[0] == ["dormeur"]
    before = site.texts()
    assert purge.plan_due("dormeur", later).steps
    assert site.texts() == before
    verbs.purge_due("dormeur", later)
    assert purge.sweep(later.server).deleted == 1

    assert site.users() == {}
    assert list((site.folder / "data/pc").iterdir()) == []
    assert not site.pl.exists()
    assert site.record() is None
    assert site.jobs.kept.told == [((), ("dormeur",))]
    assert purge.due(later)[0] == []
    assert site.ask("adupont").status == "new"


def test_registering_again_cancels_no_purge(site):
    verbs.purge("dormeur", 1, site.custody())
    before = site.texts()

    assert site.ask().status == "retired"

    after = site.texts()
    assert before.keys() <= after.keys()
    changed = {path.name for path, text in after.items() if before.get(path) != text}
    assert changed == {"record.json", "fresh_key", "fresh_key.pub"}
    assert purge.due(site.custody(now=NOW + timedelta(days=1)))[0] == ["dormeur"]
    verbs.resume("dormeur", site.custody())
    with pytest.raises(Refused):
        verbs.purge_due("dormeur", site.custody(now=NOW + timedelta(days=99)))
    assert site.readers() == {"cmartin"}


def test_a_host_without_backups_is_forgotten_at_once(tmp_path):
    site = Site(tmp_path, data=False)

    verbs.purge("dormeur", 14, site.custody())

    assert site.users() == {}
    assert site.record() is None
    assert site.ask("adupont").status == "new"


def test_killed_anywhere_a_purge_is_finished_by_the_next_and_never_leaves_data_without_a_line(tmp_path):
    def prepared(folder):
        site = Site(folder)
        site.ask("adupont", name="sirene.univ-brest.fr")
        site.add_data("sirene")
        verbs.purge("dormeur", 0, site.custody())
        return site.noted()

    def work(site):
        verbs.purge_due("dormeur", site.custody())
        purge.sweep(site.server())

    for site in kill_everywhere(tmp_path, prepared, work):
        data = (site.folder / "data/pc/dormeur").exists()
        assert not data or "dormeur" in site.users()

        for host in purge.due(site.custody())[0]:
            verbs.purge_due(host, site.custody())
        purge.sweep(site.server())

        assert site.users() == {"sirene": "adupont"}
        assert [path.name for path in (site.folder / "data/pc").iterdir()] == ["sirene"]
        assert (site.folder / "data/pc/sirene/0/secret").exists()
        assert site.record() is None


def test_a_lost_line_is_put_back_before_anything_is_purged(site):
    site.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")

    with pytest.raises(Refused, match="reconcile"):
        verbs.purge("dormeur", 14, site.custody())


@pytest.mark.parametrize("when", ["", "soon", "2026-13-01", "2020-01-01T00:00:00"])
def test_what_is_no_moment_never_comes(site, when):
    assert not purge_request.is_due(replace(site.record(), purge=when), NOW)


def test_nothing_is_purged_while_a_job_runs(site):
    verbs.purge("dormeur", 0, site.custody())
    site.jobs.busy = True
    before = site.texts()

    with pytest.raises(Busy):
        verbs.purge_due("dormeur", site.custody())

    assert site.texts() == before


def test_no_waiting_period_is_skipped_because_the_disk_is_not_mounted(away):
    before = away.texts()

    with pytest.raises(Refused, match="dormeur had backups") as refused:
        verbs.purge("dormeur", 14, away.custody())

    assert "reconcile --forget dormeur" in refused.value.advice
    assert away.texts() == before
    mount(away)
    assert away.readers() == {"cmartin"}


def test_what_is_due_stays_due_until_its_disk_is_mounted(site):
    verbs.purge("dormeur", 0, site.custody())
    site.noted()
    data, disk = site.folder / "data/pc/dormeur", site.folder / "disk"
    data.rename(disk)

    with pytest.raises(Refused, match="missing"):
        verbs.purge_due("dormeur", site.custody())
    assert site.users() == {"dormeur": "cmartin"}

    disk.rename(data)
    verbs.purge_due("dormeur", site.custody())
    assert site.users() == {}


def test_a_purged_line_is_forgotten_by_the_ledger_too(site):
    verbs.purge("dormeur", 0, site.custody())
    verbs.purge_due("dormeur", site.custody())

    assert "dormeur" not in HostsSnapshot(site.folder / "state").read()


# transfer


def test_the_new_person_gets_the_host_and_the_old_one_keeps_the_backups(site):
    site.pl.write_text("# mine\n1;\n")

    done = verbs.transfer("dormeur", ADUPONT, site.custody())

    assert "1 backup, 4096 bytes of files of dormeur are cmartin's as dormeur_20261122" in done.steps[0]
    assert site.users() == {"dormeur": "adupont", ARCHIVE: "cmartin"}
    assert site.readers() == {"cmartin"}
    archive = site.record(ARCHIVE)
    assert (archive.person, archive.retired, archive.purge) == ("cmartin", NOW.isoformat(), "")
    assert sorted(p.name for p in (site.folder / "state/hosts" / ARCHIVE).iterdir()) == ["record.json"]
    assert (site.folder / f"etc/{ARCHIVE}.pl").read_bytes() == retired_config.text(ARCHIVE)
    record = site.record()
    assert (record.person, record.entry, record.retired) == ("adupont", ADUPONT.entry_id, "")
    (aside,) = (site.folder / "state/aside").iterdir()
    assert {p.name for p in aside.iterdir()} == {"key", "key.pub", "dormeur.pl"}
    assert (aside / "dormeur.pl").read_text() == "# mine\n1;\n"
    assert b"# mine" not in site.pl.read_bytes()
    assert site.jobs.kept.told == [(("dormeur", ARCHIVE), ())]
    with pytest.raises(OtherOwner):
        site.ask()
    answer = site.ask("adupont")
    assert (answer.status, answer.key != site.key) == ("unchanged", True)


def test_a_dry_transfer_changes_nothing(site):
    before = site.texts()

    assert len(transfer.plan("dormeur", ADUPONT, site.custody()).steps) == 3
    assert site.texts() == before


def test_a_host_without_backups_changes_hands_at_once_and_its_log_goes(tmp_path):
    site = Site(tmp_path, data=False)
    (site.folder / "data/pc/dormeur").mkdir()
    (site.folder / "data/pc/dormeur/LOG.112026").write_text("cmartin's")

    verbs.transfer("dormeur", ADUPONT, site.custody())
    purge.sweep(site.server())

    assert site.users() == {"dormeur": "adupont"}
    assert list((site.folder / "data/pc").iterdir()) == []
    assert site.ask("adupont").status == "unchanged"


def test_others_who_could_read_the_host_cannot_read_the_new_persons(site):
    site.hosts.write_text(HEADER + "localhost 0 backuppc\nDORMEUR 0 cmartin friend # note\n")

    verbs.transfer("dormeur", ADUPONT, site.custody())

    assert "DORMEUR\t0\tadupont # note\n" in site.hosts.read_text()


def test_a_retired_host_changes_hands_and_its_purge_goes_with_the_backups(site):
    verbs.purge("dormeur", 14, site.custody())

    verbs.transfer("dormeur", ADUPONT, site.custody())

    assert site.record(ARCHIVE).purge == (NOW + timedelta(days=14)).isoformat()
    assert (site.record().purge, site.record().retired) == ("", "")
    assert site.ask("adupont").status == "unchanged"
    assert b"dormeur.univ-brest.fr" in site.pl.read_bytes()


def test_the_backups_are_purged_on_request_and_only_they(site):
    verbs.transfer("dormeur", ADUPONT, site.custody(), purge_in=3)
    later = site.custody(now=NOW + timedelta(days=3))

    assert purge.due(later)[0] == [ARCHIVE]
    verbs.purge_due(ARCHIVE, later)
    purge.sweep(later.server)

    assert site.users() == {"dormeur": "adupont"}
    assert not (site.folder / f"etc/{ARCHIVE}.pl").exists()
    assert site.ask("adupont").status == "unchanged"


def test_a_purge_of_archived_backups_can_be_taken_back(site):
    verbs.transfer("dormeur", ADUPONT, site.custody(), purge_in=3)

    assert resume.plan(ARCHIVE, site.custody()).steps
    assert site.record(ARCHIVE).purge
    verbs.resume(ARCHIVE, site.custody())

    assert (site.record(ARCHIVE).purge, site.record(ARCHIVE).retired) == ("", NOW.isoformat())
    assert (site.folder / f"etc/{ARCHIVE}.pl").read_bytes() == retired_config.text(ARCHIVE)
    assert purge.due(site.custody(now=NOW + timedelta(days=9)))[0] == []


def test_under_a_uid_that_was_given_out_again_the_backups_are_the_administrators(site):
    second = Person("cmartin", "Camille Martin", CMARTIN.entry_id + "9")

    verbs.transfer("dormeur", second, site.custody())

    assert site.users() == {"dormeur": "cmartin", ARCHIVE: "backuppc"}
    site.people = People(second)
    assert site.ask().status == "unchanged"


def test_who_has_the_host_already_and_archives_are_refused(site):
    with pytest.raises(Refused, match="already"):
        verbs.transfer("dormeur", CMARTIN, site.custody())
    verbs.transfer("dormeur", ADUPONT, site.custody())
    with pytest.raises(Refused, match="stay with cmartin"):
        verbs.transfer(ARCHIVE, ADUPONT, site.custody())
    with pytest.raises(Refused, match="nothing to resume"):
        verbs.resume(ARCHIVE, site.custody())


@pytest.mark.parametrize(
    "work",
    [
        lambda custody: verbs.transfer("dormeur", ADUPONT, custody),
        lambda custody: verbs.purge("dormeur", 14, custody),
    ],
)
def test_data_that_is_behind_a_link_is_not_moved_and_it_is_told_where_it_is(site, work):
    pc, disk = site.folder / "data/pc", site.folder / "other-disk"
    (pc / "dormeur").rename(disk)
    (pc / "dormeur").symlink_to(disk)
    before = site.texts()

    with pytest.raises(Refused, match=f"is a link to {disk}"):
        work(site.custody())

    assert site.texts() == before
    assert (pc / "dormeur").is_symlink()


def test_a_second_archive_of_the_same_day_has_a_name_of_its_own(site):
    verbs.transfer("dormeur", ADUPONT, site.custody())
    site.add_data()

    verbs.transfer("dormeur", CMARTIN, site.custody())

    assert site.users() == {"dormeur": "cmartin", ARCHIVE: "cmartin", f"{ARCHIVE}-2": "adupont"}


def test_a_person_is_checked_as_at_a_registration(site):
    assert policy.find_person("ADupont", site.find, "backuppc") == ADUPONT
    for logon in ("nobody", "backuppc", "a*", "", "../x"):
        with pytest.raises(BadUser):
            policy.find_person(logon, site.find, "backuppc")


def test_nothing_changes_hands_while_a_job_runs(site):
    before = site.texts()
    site.jobs.busy = True

    with pytest.raises(Busy):
        verbs.transfer("dormeur", ADUPONT, site.custody())

    assert site.texts() == before


def test_nothing_changes_hands_while_a_backup_uses_the_data_unknown_to_the_daemon(site):
    lock = site.folder / "data/pc/dormeur/refCnt/LOCK"
    lock.parent.mkdir()
    lock.touch()
    with held_as_by_backuppc(lock):
        with pytest.raises(HostsFileError, match="a backup uses"):
            verbs.transfer("dormeur", ADUPONT, site.custody())
        assert site.users()["dormeur"] == "cmartin"
        assert site.readers() == {"cmartin"}

    verbs.transfer("dormeur", ADUPONT, site.custody())

    assert site.readers() == {"cmartin"}


@contextmanager
def held_as_by_backuppc(lock):
    """Hold the lock as BackupPC_dump does, by BackupPC's own library."""
    code = (
        "use BackupPC::XS; $| = 1; BackupPC::XS::DirOps::lockRangeFile($ARGV[0], 0, 1, 1) >= 0 or die;"
        "print qq{held\\n}; <STDIN>;"
    )
    holder = subprocess.Popen(["perl", "-e", code, str(lock)], stdin=PIPE, stdout=PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        yield
    finally:
        holder.communicate()


def test_killed_anywhere_nobody_reads_what_is_not_theirs_and_the_next_run_finishes(tmp_path):
    def prepared(folder):
        return Site(folder).noted()

    for site in kill_everywhere(
        tmp_path, prepared, lambda site: verbs.transfer("dormeur", ADUPONT, site.custody())
    ):
        assert site.readers() == {"cmartin"}
        if site.users()["dormeur"] == "cmartin":
            with pytest.raises(OtherOwner):
                site.ask("adupont")
            tomorrow = site.custody(now=NOW + timedelta(days=1))
            verbs.transfer("dormeur", ADUPONT, tomorrow)

        assert site.readers() == {"cmartin"}
        users = site.users()
        assert users.pop("dormeur") == "adupont"
        assert list(users.values()) == ["cmartin"]
        answer = site.ask("adupont")
        assert (answer.status, answer.key != site.key) == ("unchanged", True)
        assert site.contradictions() == []


def test_killed_anywhere_the_old_person_may_still_register_and_is_given_what_works(tmp_path):
    for site in kill_everywhere(
        tmp_path, Site, lambda site: verbs.transfer("dormeur", ADUPONT, site.custody())
    ):
        if site.users()["dormeur"] != "cmartin":
            continue
        if FormerOwners(site.folder / "state").of("dormeur").owner:  # the command counts already
            with pytest.raises(OtherOwner):
                site.ask()
            site.reconcile()
            assert (site.users()["dormeur"], site.readers()) == ("adupont", {"cmartin"})
            assert site.ask("adupont").key != site.key
            continue
        answer = site.ask()
        assert answer.key
        assert site.readers() == {"cmartin"}
        assert b"dormeur.univ-brest.fr" in site.pl.read_bytes()
        assert site.ask().status == "unchanged"
        verbs.transfer("dormeur", ADUPONT, site.custody())
        assert site.readers() == {"cmartin"}
        assert site.ask("adupont").key not in (answer.key, site.key)


def test_nothing_changes_hands_while_the_disk_is_not_mounted(away):
    before = away.texts()

    with pytest.raises(Refused, match="dormeur had backups") as refused:
        transfer.plan("dormeur", ADUPONT, away.custody())

    assert "reconcile --forget dormeur" in refused.value.advice
    assert away.texts() == before
    mount(away)
    assert away.readers() == {"cmartin"}


@pytest.mark.parametrize("header", ["user\tdhcp\thost", "host\tuser\tdhcp", "host dhcp", "host dhcp user x"])
def test_what_the_hosts_file_cannot_take_is_told_before_anything_is_done(site, header):
    line = "dormeur\tcmartin\t0" if header == "host\tuser\tdhcp" else "dormeur\t0\tcmartin"
    site.hosts.write_text(f"{header}\n{line}\n")
    before = site.texts()
    if header == "host dhcp user x":
        assert transfer.plan("dormeur", ADUPONT, site.custody()).steps
        return

    with pytest.raises((HostsFileError, Refused)):
        transfer.plan("dormeur", ADUPONT, site.custody())

    assert site.texts() == before


def test_the_ledger_knows_the_new_owner(site):
    verbs.transfer("dormeur", ADUPONT, site.custody())

    known = HostsSnapshot(site.folder / "state").read()
    assert [line.user for line in known["dormeur"].lines] == ["adupont"]
    assert (known[ARCHIVE].data, known["dormeur"].data) == (True, False)


def test_a_data_folder_that_cannot_be_moved_leaves_everything_with_the_old_person(site, mocker):
    mocker.patch("pathlib.Path.rename", side_effect=OSError("read-only"))

    with pytest.raises((HostsFileError, StateError)):
        verbs.transfer("dormeur", ADUPONT, site.custody())

    assert site.users()["dormeur"] == "cmartin"
    assert site.readers() == {"cmartin"}


# a line that went back


@pytest.fixture
def gone_back(tmp_path):
    """Give a site whose host was transferred and backed up since, and whose line went back by an old page."""
    return gone_back_in(tmp_path)


def gone_back_in(folder):
    site = Site(folder)
    site.hosts.write_text(site.hosts.read_text() + "calmar 0 bdurand\n")
    verbs.transfer("dormeur", ADUPONT, site.custody())
    site.add_data()
    (site.folder / "data/pc/dormeur/0/secret").write_text("adupont's")
    site.key = site.ask("adupont").key
    site.reconcile()
    text = site.hosts.read_text()
    site.hosts.write_text(text.replace("dormeur\t0\tadupont", "dormeur\t0\tcmartin friend"))
    return site


def test_a_host_that_went_back_is_given_to_whose_it_was_again_with_key_backups_and_settings(gone_back):
    before = gone_back.pl.read_bytes()

    done = verbs.transfer("dormeur", ADUPONT, gone_back.custody())

    assert done.steps[0] == "dormeur is adupont's again, with its backups, key and settings"
    assert gone_back.users() == {"dormeur": "adupont", "calmar": "bdurand", ARCHIVE: "cmartin"}
    assert "friend" not in gone_back.hosts.read_text()
    assert (gone_back.readers_of("adupont"), gone_back.readers_of("cmartin")) == ({"adupont"}, {"cmartin"})
    assert gone_back.pl.read_bytes() == before
    answer = gone_back.ask("adupont")
    assert (answer.status, answer.key) == ("unchanged", gone_back.key)
    assert gone_back.reconcile() == []
    assert gone_back.contradictions() == []
    with pytest.raises(Refused, match="already"):
        verbs.transfer("dormeur", ADUPONT, gone_back.custody())


def test_a_host_that_went_back_on_purpose_is_transferred_and_nobody_reads_the_others_backups(gone_back):
    tomorrow = gone_back.custody(now=NOW + timedelta(days=1))

    verbs.transfer("dormeur", CMARTIN, tomorrow)

    archives = {ARCHIVE: "cmartin", "dormeur_20261123": "adupont"}
    assert gone_back.users() == {"dormeur": "cmartin", "calmar": "bdurand", **archives}
    assert (gone_back.readers_of("adupont"), gone_back.readers_of("cmartin")) == ({"adupont"}, {"cmartin"})
    assert gone_back.reconcile() == []
    assert gone_back.contradictions() == []
    assert gone_back.ask().key != gone_back.key


def test_a_host_that_went_back_and_goes_to_a_third_leaves_each_their_own_backups(gone_back):
    third = Person("bdurand", "Bernard Durand", "entryUUID:3")

    verbs.transfer("dormeur", third, gone_back.custody(now=NOW + timedelta(days=1)))

    assert gone_back.users()["dormeur"] == "bdurand"
    assert (gone_back.readers_of("adupont"), gone_back.readers_of("cmartin")) == ({"adupont"}, {"cmartin"})
    assert gone_back.reconcile() == []


def test_who_had_the_host_before_cannot_register_it_because_a_line_went_back(gone_back):
    before = gone_back.texts()

    for logon in ("cmartin", "friend", "adupont"):
        with pytest.raises((OtherOwner, BadUser)):
            gone_back.ask(logon)

    assert gone_back.texts() == before


def test_a_purge_of_a_host_that_went_back_is_of_whose_it_is(gone_back):
    verbs.purge("dormeur", 0, gone_back.custody())
    verbs.purge_due("dormeur", gone_back.custody())
    purge.sweep(gone_back.server())

    assert gone_back.users() == {"calmar": "bdurand", ARCHIVE: "cmartin"}
    assert gone_back.readers_of("adupont") == set()
    assert gone_back.reconcile() == []


@pytest.mark.parametrize("person", [ADUPONT, CMARTIN], ids=["again", "back"])
def test_killed_anywhere_it_is_decided_by_the_next_run(tmp_path, person):
    for site in kill_everywhere(
        tmp_path,
        gone_back_in,
        lambda site: verbs.transfer("dormeur", person, site.custody()),
    ):
        assert site.readers_of("cmartin") == {"cmartin"}
        site.reconcile()
        assert site.readers_of("adupont") == {"adupont"}
        if site.users()["dormeur"] != person.uid:
            verbs.transfer("dormeur", person, site.custody())
        assert (site.readers_of("adupont"), site.readers_of("cmartin")) == ({"adupont"}, {"cmartin"})
        assert site.users()["dormeur"] == person.uid
        assert site.reconcile() == []
        assert site.contradictions() == []
