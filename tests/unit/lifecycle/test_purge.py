"""Data is deleted only where a purge was wholly asked for, of what there is, and nothing is backed up."""

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
import verbs
from fakes import Jobs
from interrupted import STEPS, counted, kill_everywhere, run_and_kill
from server_folder import ADUPONT, ARCHIVE, HEADER, NOW, ROW, ByHand, Site

from backuppc_register.backuppc import retired_config
from backuppc_register.lifecycle import purge
from backuppc_register.lifecycle.operation import Refused
from backuppc_register.protocol.errors import NotRegistered, RegisterError
from backuppc_register.state.snapshot_file import HostsSnapshot
from backuppc_register.system import uptime
from backuppc_register.system.uptime import Uptime

LATER = NOW + timedelta(days=400)
NEXT = ROW.replace("0\tfull\t1", "1\tincr\t777")
GONE_ON = ROW.replace("0\tfull\t1", "0\tfull\t777")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def asked(site):
    verbs.purge("dormeur", 14, site.custody())
    return site


def fail_everywhere(tmp_path, prepare, work, *, for_good):
    """Yield a site for each step of `work` that a full disk makes fail: that one, or all from there on."""
    reference = prepare(tmp_path / "reference")
    steps = run_and_kill(lambda: work(reference), at=None)
    assert steps > 5
    for at in range(steps):
        site = prepare(tmp_path / str(at))
        run_on_a_full_disk(site, work, at=at, for_good=for_good)
        yield site


def run_on_a_full_disk(site, work, *, at, for_good):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    done = 0

    def step():
        nonlocal done
        done += 1
        if done - 1 == at or (for_good and done > at):
            raise OSError(errno.ENOSPC, "No space left on device")

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name), step))
    try:
        work(site)
    finally:
        os._exit(0)


def killed(tmp_path, prepare, work):
    return kill_everywhere(tmp_path, prepare, work)


def full_once(tmp_path, prepare, work):
    return fail_everywhere(tmp_path, prepare, work, for_good=False)


def full(tmp_path, prepare, work):
    return fail_everywhere(tmp_path, prepare, work, for_good=True)


interrupted = pytest.mark.parametrize("interrupt", [killed, full])
interrupted_in_any_way = pytest.mark.parametrize("interrupt", [killed, full_once, full])


def is_closed(site, host="dormeur"):
    closed = (site.folder / f"etc/{host}.pl").read_bytes() == retired_config.text(host)
    return closed and not (site.folder / f"state/hosts/{host}/key").exists()


def back_up(site, host="dormeur"):
    """What BackupPC does of itself to a host that is not closed."""
    with (site.folder / "data/pc" / host / "backups").open("a") as file:
        file.write(NEXT)
    (site.folder / "data/pc" / host / "1").mkdir(exist_ok=True)


def carry_out(site, now=LATER):
    """What `purge --due` does, of which the first refusal is given back."""
    refusals = []
    custody = site.custody(now=now)
    for host in purge.due(custody)[0]:
        try:
            verbs.purge_due(host, custody)
        except RegisterError as error:
            refusals.append(str(error))
    purge.sweep(custody.server)
    return "; ".join(refusals)


def has_data(site, host="dormeur"):
    return (site.folder / "data/pc" / host / "0/secret").exists()


# asked for half


def retired(folder):
    site = Site(folder)
    verbs.retire("dormeur", site.custody())
    return site


def purged_before(folder):
    site = Site(folder)
    verbs.purge("dormeur", 99, site.custody())
    return site


@interrupted_in_any_way
@pytest.mark.parametrize("prepare", [Site, ByHand, retired, purged_before])
def test_a_purge_that_was_half_asked_for_deletes_nothing_and_is_told(tmp_path, prepare, interrupt):
    half = 0
    for site in interrupt(tmp_path, prepare, lambda site: verbs.purge("dormeur", 0, site.custody())):
        record = site.record()
        if not is_closed(site):
            half += 1
            told = [what for host, what in site.contradictions() if host == "dormeur"]
            assert bool(told) == bool(record and record.retired)
            assert not (record and record.purge)
            back_up(site)
            assert carry_out(site) == ""
            assert has_data(site)
        elif record.purge:
            assert site.contradictions() == []
            assert carry_out(site) == ""
            assert not has_data(site)
            continue
        verbs.purge("dormeur", 0, site.custody())
        assert is_closed(site)
        assert carry_out(site) == ""
        assert (has_data(site), site.users()) == (False, {})
    assert half or prepare in (retired, purged_before)


@interrupted
def test_what_was_half_asked_for_is_not_ended_by_the_owner_and_by_a_resume(tmp_path, interrupt):
    for site in interrupt(tmp_path, Site, lambda site: verbs.purge("dormeur", 0, site.custody())):
        retired, purge_from = site.record().retired, site.record().purge
        assert site.ask().status == ("retired" if retired else "unchanged")
        assert (site.record().retired, site.record().purge) == (retired, purge_from)
        verbs.resume("dormeur", site.custody())
        assert site.ask().status == "unchanged"
        assert carry_out(site) == ""
        assert has_data(site)
        assert site.contradictions() == []


# carried out half


@pytest.mark.parametrize("interrupt", [full_once, full])
def test_a_purge_that_a_full_disk_ends_half_way_is_finished_by_the_next_run(tmp_path, interrupt):
    def prepared(folder):
        site = Site(folder)
        site.ask("adupont", name="sirene.univ-brest.fr")
        site.add_data("sirene")
        verbs.purge("dormeur", 0, site.custody())
        return site

    def work(site):
        verbs.purge_due("dormeur", site.custody())
        purge.sweep(site.server())

    for site in interrupt(tmp_path, prepared, work):
        assert not has_data(site) or "dormeur" in site.users()

        assert carry_out(site) == ""

        assert site.users() == {"sirene": "adupont"}
        assert has_data(site, "sirene")
        assert site.record() is None
        assert [path.name for path in (site.folder / "data/pc").iterdir()] == ["sirene"]
        assert site.ask("adupont").status == "new"


@interrupted
def test_what_was_half_carried_out_is_given_back_to_its_owner_with_what_is_left(tmp_path, interrupt):
    def prepared(folder):
        site = Site(folder)
        verbs.purge("dormeur", 0, site.custody())
        return site.noted()

    for site in interrupt(tmp_path, prepared, lambda site: verbs.purge_due("dormeur", site.custody())):
        left = has_data(site)
        resumed = "dormeur" in site.users()
        if resumed:
            kept = verbs.resume("dormeur", site.custody()).steps[-1]
            assert ("is not deleted" in kept) == left
        else:
            assert not left
        assert site.ask().key
        verbs.resume("dormeur", site.custody())
        back_up(site) if left else site.add_data()

        assert carry_out(site) == ""
        assert has_data(site)
        assert site.contradictions() == []


# cancelled half


@interrupted
@pytest.mark.parametrize(
    ("prepare", "work"),
    [
        (Site, lambda site: verbs.resume("dormeur", site.custody())),
        (ByHand, lambda site: verbs.resume("dormeur", site.custody())),
    ],
)
def test_a_cancelled_purge_stays_cancelled_however_far_that_came(tmp_path, prepare, work, interrupt):
    def prepared(folder):
        site = prepare(folder)
        verbs.purge("dormeur", 14, site.custody())
        return site

    begun = 0
    for site in interrupt(tmp_path, prepared, work):
        record = site.record()
        if record and record.purge:  # nothing at all was done
            assert is_closed(site)
            continue
        begun += 1
        if record and record.retired:
            verbs.retire("dormeur", site.custody())
        assert carry_out(site) == ""
        assert has_data(site)
    assert begun


# transferred half


@interrupted
def test_a_transfer_that_ends_half_way_lets_nothing_be_purged(tmp_path, interrupt):
    def work(site):
        verbs.transfer("dormeur", ADUPONT, site.custody(), purge_in=0)

    for site in interrupt(tmp_path, Site, work):
        if site.users()["dormeur"] == "adupont":
            continue
        assert carry_out(site) == ""
        assert site.readers() == {"cmartin"}


@interrupted
def test_a_purge_that_was_asked_goes_with_the_backups_and_with_nothing_else(tmp_path, interrupt):
    def work(site):
        verbs.transfer("dormeur", ADUPONT, site.custody())

    for site in interrupt(tmp_path, purged_before, work):
        if site.users()["dormeur"] == "cmartin":
            with suppress(Refused):
                work(site)
        assert site.ask("adupont").key
        (site.folder / "data/pc/dormeur/0").mkdir(parents=True)
        (site.folder / "data/pc/dormeur/0/secret").write_text("adupont's")
        (site.folder / "data/pc/dormeur/backups").write_text(ROW)

        assert carry_out(site) == ""

        assert (site.folder / "data/pc/dormeur/0/secret").read_text() == "adupont's"
        assert site.users()["dormeur"] == "adupont"


# asked of something else


def test_a_host_that_was_transferred_since_it_was_found_due_stays_the_new_persons(asked):
    custody = asked.custody(now=LATER)
    assert purge.due(custody)[0] == ["dormeur"]
    verbs.transfer("dormeur", ADUPONT, custody)
    before = asked.texts()

    with pytest.raises(Refused, match="not to be deleted yet"):
        verbs.purge_due("dormeur", custody)

    assert asked.texts() == before
    assert asked.ask("adupont").status == "unchanged"


def test_a_host_that_was_resumed_and_retired_again_keeps_its_data(asked):
    verbs.resume("dormeur", asked.custody())
    verbs.retire("dormeur", asked.custody())

    assert carry_out(asked) == ""
    assert has_data(asked)


def open_config(site):
    site.pl.write_text("# the one of before\n1;\n")


def key_in_use(site):
    (site.state / "key").write_bytes((site.state / "retired_key").read_bytes())
    (site.state / "key").chmod(0o600)


def config_gone(site):
    site.pl.unlink()


@pytest.mark.parametrize("undo", [open_config, key_in_use, config_gone])
def test_what_somebody_opened_again_is_not_purged_and_told_until_an_administrator_decides(asked, undo):
    undo(asked)

    assert "is not disabled" in carry_out(asked)
    assert has_data(asked)
    ((host, what),) = asked.contradictions()
    assert (host, "may be backed up" in what) == ("dormeur", True)
    done = verbs.retire("dormeur", asked.custody())
    assert "is cancelled" in done.steps[-1]
    assert asked.contradictions() == []
    assert carry_out(asked) == ""
    assert has_data(asked)


@pytest.mark.parametrize("row", [NEXT, GONE_ON], ids=["another", "a partial one that went on"])
def test_a_backup_made_since_is_not_what_was_asked_for(asked, row):
    (asked.folder / "data/pc/dormeur/backups").write_text(row)

    assert "did not have when its purge was planned" in carry_out(asked)
    assert has_data(asked)
    ((host, what),) = asked.contradictions()
    assert (host, "will not be carried out" in what) == ("dormeur", True)
    verbs.purge("dormeur", 0, asked.custody())
    assert asked.contradictions() == []
    assert carry_out(asked) == ""
    assert not has_data(asked)


def test_a_backup_that_was_deleted_since_is_no_reason_to_keep_the_others(site):
    back_up(site)
    verbs.purge("dormeur", 0, site.custody())
    (site.folder / "data/pc/dormeur/backups").write_text(ROW)

    assert carry_out(site) == ""
    assert not has_data(site)


@pytest.mark.parametrize("user", ["adupont", ""])
def test_a_host_whose_line_is_somebody_elses_by_now_is_not_purged(asked, user):
    asked.hosts.write_text(f"{HEADER}localhost\t0\tbackuppc\ndormeur\t0\t{user}\n")

    assert "when its purge was planned, the owner was cmartin" in carry_out(asked)
    assert has_data(asked)
    assert any(host == "dormeur" for host, _ in asked.contradictions())


def test_a_host_is_purged_that_was_somebody_elses_by_hand_when_that_was_asked(site):
    site.hosts.write_text(f"{HEADER}localhost\t0\tbackuppc\ndormeur\t0\tbdurand\n")
    verbs.purge("dormeur", 0, site.custody())

    assert carry_out(site) == ""
    assert not has_data(site)


def test_a_record_with_a_date_alone_was_not_asked_of_anything(site):
    verbs.retire("dormeur", site.custody())
    record = replace(site.record(), purge=NOW.isoformat())
    site.server().folders.put_record(record)

    assert "when its purge was planned, the owner was nobody" in carry_out(site)
    assert has_data(site)


def test_an_archive_that_was_opened_again_is_not_purged(site):
    verbs.transfer("dormeur", ADUPONT, site.custody(), purge_in=3)
    config = site.folder / f"etc/{ARCHIVE}.pl"
    config.write_text("1;\n")

    assert "is not disabled" in carry_out(site)
    assert has_data(site, ARCHIVE)
    ((host, what),) = site.contradictions()
    assert (host, "may be backed up" in what) == (ARCHIVE, True)
    config.unlink()
    assert [host for host, _ in site.contradictions()] == [ARCHIVE]

    verbs.retire(ARCHIVE, site.custody())
    assert site.contradictions() == []
    verbs.purge(ARCHIVE, 3, site.custody())
    assert carry_out(site) == ""
    assert not has_data(site, ARCHIVE)


def test_a_purge_by_a_clock_that_was_put_back_waits(asked):
    assert carry_out(asked, NOW - timedelta(days=4000)) == ""
    assert has_data(asked)
    assert carry_out(asked, NOW + timedelta(days=13)) == ""
    assert has_data(asked)


HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize("work", [verbs.purge, "transfer"])
def test_a_clock_that_is_set_forward_shortens_no_wait(site, work):
    host = "dormeur" if work is verbs.purge else ARCHIVE
    custody = replace(site.custody(), uptime=Uptime("a", HOUR))
    if work is verbs.purge:
        verbs.purge("dormeur", 14, custody)
    else:
        verbs.transfer("dormeur", ADUPONT, custody, purge_in=14)
    jumped = replace(site.custody(now=LATER), uptime=Uptime("a", HOUR + 13 * DAY))

    assert purge.due(jumped)[0] == [host]
    with pytest.raises(Refused, match=r"waiting period of (dormeur|dormeur_20261122) is not over"):
        verbs.purge_due(host, jumped)
    assert has_data(site, host)

    verbs.purge_due(host, replace(jumped, uptime=Uptime("a", HOUR + 14 * DAY)))
    assert not has_data(site, host)


def test_a_wait_that_began_by_a_clock_of_long_ago_is_as_long(site):
    """A server whose battery is empty starts in 2000, and the network tells it the year a little later."""
    wrong = site.custody(now=NOW - timedelta(days=9000))
    verbs.purge("dormeur", 14, replace(wrong, uptime=Uptime("a", 5.0)))

    with pytest.raises(Refused, match=r"waiting period of (dormeur|dormeur_20261122) is not over"):
        verbs.purge_due("dormeur", replace(site.custody(), uptime=Uptime("a", DAY)))

    assert has_data(site)


def test_after_another_start_of_the_machine_the_date_counts(asked):
    custody = replace(asked.custody(now=LATER), uptime=Uptime("b", 1.0))
    asked.server().folders.put_record(replace(asked.record(), purge_wait=Uptime("a", 99999999)))

    verbs.purge_due("dormeur", custody)

    assert not has_data(asked)


def test_what_was_to_be_purged_at_once_can_be_at_once(site):
    custody = replace(site.custody(), uptime=Uptime("a", 5.9))

    verbs.purge("dormeur", 0, custody)
    verbs.purge_due("dormeur", custody)

    assert not has_data(site)


@pytest.mark.parametrize("moment", [None, Uptime("a", -9), Uptime("b", 9)])
def test_a_moment_that_says_nothing_of_this_start_holds_nothing_up(moment):
    assert not Uptime("a", 1.0).is_before(moment)
    assert Uptime("a", 1.0).is_before(Uptime("a", 9))


def test_the_machine_tells_how_long_it_has_been_running():
    first, second = uptime.read(), uptime.read()

    assert first.boot == second.boot
    assert 0 < first.seconds <= second.seconds


def test_an_old_page_that_takes_the_line_out_does_not_hasten_a_purge(asked):
    asked.noted()
    asked.hosts.write_text(f"{HEADER}localhost\t0\tbackuppc\n")

    assert carry_out(asked, NOW + timedelta(days=13)) == ""
    assert has_data(asked)


def test_of_a_host_that_got_data_since_the_plan_nothing_is_forgotten(tmp_path):
    site = Site(tmp_path, data=False)
    custody = site.custody()

    class Meanwhile(Jobs):
        def kept_away(self, host):
            site.add_data()
            return super().kept_away(host)

    with pytest.raises(Refused):
        verbs.purge("dormeur", 0, replace(custody, jobs=cast(Any, Meanwhile())))

    assert site.users() == {"dormeur": "cmartin"}


def test_two_runs_at_once_purge_once(asked):
    custody = asked.custody(now=LATER)
    verbs.purge_due("dormeur", custody)

    with pytest.raises(NotRegistered):
        verbs.purge_due("dormeur", custody)


def test_a_doomed_folder_of_an_earlier_host_is_not_the_newcomers(asked):
    verbs.purge_due("dormeur", asked.custody(now=LATER))
    asked.ask("adupont")
    asked.add_data()

    assert purge.sweep(asked.server()).deleted == 1
    assert has_data(asked)


# two administrators


def test_a_second_purge_without_days_keeps_the_first_ones_date(site):
    verbs.purge("dormeur", 30, site.custody())
    date = (NOW + timedelta(days=30)).isoformat()

    done = verbs.purge("dormeur", None, site.custody(now=NOW + timedelta(days=1)))

    assert done.steps == (f"1 backup, 4096 bytes of files of dormeur may be deleted from {date}",)
    assert site.record().purge == date


def test_a_second_purge_with_days_says_which_date_it_replaces(site):
    verbs.purge("dormeur", 30, site.custody())

    (step,) = verbs.purge("dormeur", 3, site.custody()).steps

    new, old = ((NOW + timedelta(days=days)).isoformat() for days in (3, 30))
    assert step.endswith(f"from {new}, and not from {old} as was planned before")
    assert site.record().purge == new


def test_a_purge_of_what_was_opened_since_waits_anew(asked):
    open_config(asked)

    verbs.purge("dormeur", None, asked.custody(now=NOW + timedelta(days=10)))

    assert asked.record().purge == (NOW + timedelta(days=24)).isoformat()


def test_without_backups_there_is_nothing_to_wait_for_and_the_plan_says_so(tmp_path):
    site = Site(tmp_path, data=False)

    plan = purge.plan("dormeur", 30, site.custody())

    assert plan.steps[0] == "dormeur has no backups to wait for, and is forgotten at once"
    purge.apply(plan, site.custody())
    assert site.record() is None


# records that cannot be read


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_record_that_cannot_be_read_holds_up_no_other_purge(asked, content):
    asked.ask("adupont", name="calmar.univ-brest.fr")
    folder = asked.folder / "state/hosts/calmar"
    if content is None:
        shutil.rmtree(folder)
        folder.write_text("stray")
    else:
        (folder / "record.json").write_bytes(content)
    custody = asked.custody(now=LATER)

    assert purge.due(custody)[0] == ["dormeur"]
    ((host, why),) = purge.due(custody)[1].items()
    assert (host, bool(why)) == ("calmar", True)
    assert carry_out(asked) == ""
    assert not has_data(asked)


def test_the_ledger_of_a_purged_host_is_as_before_where_it_was_refused(asked):
    asked.noted()
    open_config(asked)
    before = HostsSnapshot(asked.folder / "state").read()

    carry_out(asked)

    assert HostsSnapshot(asked.folder / "state").read() == before
