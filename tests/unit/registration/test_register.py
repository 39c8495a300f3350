"""A registration on real files, with answers of the DNS, the directory and BackupPC given by the tests."""

import fcntl
import shutil
from dataclasses import replace
from datetime import datetime
from functools import partial

import pytest
import verbs
from fakes import Dns, People
from interrupted import run_and_kill, steps_of
from server_folder import ADUPONT, CMARTIN, HEADER, Server, Site

from backuppc_register import config
from backuppc_register.backuppc import retired_config
from backuppc_register.person import Person
from backuppc_register.protocol.errors import (
    BadUser,
    DirectoryUnavailable,
    HostsFileError,
    InvalidDnsName,
    NotAllowed,
    OtherOwner,
    StateError,
)
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.snapshot_file import HostsSnapshot


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.ask("adupont", name="sirene.univ-brest.fr")
    made.backuppc.told.clear()
    return made


def test_a_new_host_gets_key_record_config_and_line(server):
    answer = server.ask()

    assert (answer.host, answer.status, answer.person) == ("dormeur", "new", "Christophe Martin")
    assert answer.key == (server.state / "key.pub").read_text().strip()
    assert answer.key.endswith(" backuppc server to client dormeur ssh key")
    assert answer.url == "https://dugong.univ-brest.fr/?host=dormeur"
    assert answer.sources == ("192.0.2.3",)
    assert server.lines() == ["sirene\t0\tadupont", "dormeur\t0\tcmartin"]
    assert b"dormeur.univ-brest.fr" in server.pl.read_bytes()
    assert server.backuppc.told == ["dormeur"]


PASSED_OVER = "passed over ldaps://ldap1.univ-brest.fr: no answer within 5.0 s"


@pytest.mark.parametrize("verb", ["register", "check"])
def test_the_log_names_a_directory_server_that_was_passed_over(server, verb):
    server.people = People(replace(CMARTIN, note=PASSED_OVER))

    assert PASSED_OVER in server.ask(verb=verb).note


def test_the_log_names_it_of_a_refusal_too(server):
    server.ask()
    server.people = People(replace(ADUPONT, note=PASSED_OVER))

    with pytest.raises(OtherOwner) as refused:
        server.ask("adupont")

    assert refused.value.detail.endswith(f"; {PASSED_OVER}")


def test_a_new_line_is_noted_with_its_bytes_should_somebody_lose_it(server):
    server.ask()

    known = HostsSnapshot(server.folder / "state").read()
    assert [line.raw for line in known["dormeur"].lines] == [b"dormeur\t0\tcmartin"]
    assert known["dormeur"].data is False
    assert known["dormeur"].users == "cmartin"


def test_a_line_that_cannot_be_noted_stands_and_the_log_says_so(server, mocker):
    mocker.patch.object(HostsSnapshot, "write", side_effect=StateError(detail="No space left"))

    answer = server.ask()

    assert answer.status == "new"
    assert "not noted" in answer.note


def test_a_free_name_is_nobodys_while_it_cannot_be_told_whether_it_had_backups(server):
    (server.folder / "state/ledger").write_bytes(b"rubbish")
    before = server.bytes()

    with pytest.raises(StateError):
        server.ask()

    assert {path: was for path, was in server.bytes().items() if path.name != "LOCK"} == {
        path: was for path, was in before.items() if path.name != "LOCK"
    }


@pytest.mark.parametrize("verb", ["register", "check"])
@pytest.mark.parametrize("disk", ["unmounted", "another"])
def test_a_lost_line_is_nobody_elses_while_the_hosts_backups_are_missing(server, verb, disk):
    server.ask()
    server.add_backup()
    had_data(server, place="" if disk == "unmounted" else "1:2")
    server.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")
    (server.folder / "data/pc/dormeur").rename(server.folder / "away")
    before = HostsSnapshot(server.folder / "state").path.read_bytes()

    with pytest.raises(HostsFileError, match=r"dormeur had backups.*--forget dormeur"):
        server.ask("adupont", verb=verb)

    assert server.lines() == []
    assert HostsSnapshot(server.folder / "state").path.read_bytes() == before


def test_the_owner_whose_line_and_disk_are_gone_may_come_back_and_the_backups_stay_known(server):
    key = server.ask().key
    had_data(server, place="1:2")
    server.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")

    answer = server.ask()

    assert (answer.status, answer.key) == ("new", key)
    known = HostsSnapshot(server.folder / "state").read()["dormeur"]
    assert (known.data, known.place, known.users) == (True, "1:2", "cmartin")


def had_data(server, *, place):
    """Note as `reconcile` does that there were backups of dormeur."""
    ledger = HostsSnapshot(server.folder / "state")
    ledger.note(replace(ledger.read()["dormeur"], data=True, place=place))


def test_the_same_again_is_unchanged_to_the_byte(server):
    first, before = server.ask(), server.bytes()

    again = server.ask("CMartin")

    assert again.status == "unchanged"
    assert again.key == first.key
    assert server.bytes() == before


def test_a_check_changes_no_byte_and_gives_no_key(server):
    before = server.bytes()

    fresh = server.ask(verb="check")

    assert (fresh.status, fresh.key, fresh.url) == ("new", "", "")
    assert {k: v for k, v in server.bytes().items() if k.name != "LOCK"} == {
        k: v for k, v in before.items() if k.name != "LOCK"
    }
    assert server.backuppc.told == []
    server.ask()
    assert server.ask(verb="check").status == "unchanged"


def test_each_step_of_a_check_is_traced_in_its_order(server):
    steps = []

    def trace(step, take, /):
        steps.append(step)
        return take()

    server.ask(verb="check", trace=trace)

    assert steps == ["name", "host", "person", "status"]


def test_another_person_is_refused_and_nothing_changes(server):
    server.ask()
    before = server.bytes()

    with pytest.raises(OtherOwner) as refusal:
        server.ask("adupont")

    assert refusal.value.values["logon"] == "adupont"
    assert "cmartin" not in refusal.value.message()
    assert server.bytes() == before


def test_the_second_machine_of_one_short_name_is_refused(server):
    server.ask()

    with pytest.raises(OtherOwner):
        server.ask(name="dormeur.iuem.fr")


def test_a_uid_that_was_given_out_again_is_another_person(server):
    server.ask()
    server.people = People(replace(CMARTIN, entry_id="entryUUID:9"))

    with pytest.raises(OtherOwner):
        server.ask()


def test_a_record_without_entry_still_is_the_same_person(server):
    server.people = People(replace(CMARTIN, entry_id=""))
    server.ask()
    server.people = People(CMARTIN)

    assert server.ask().status == "unchanged"


def test_backups_without_a_line_are_given_back_to_the_person_of_the_record_only(server):
    key = server.ask().key
    server.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")
    server.add_backup()

    with pytest.raises(OtherOwner):
        server.ask("adupont")
    with pytest.raises(OtherOwner):
        server.ask(name="dormeur.iuem.fr")
    back = server.ask()

    assert (back.status, back.key) == ("new", key)
    assert server.lines() == ["dormeur\t0\tcmartin"]


def test_backups_without_line_and_record_are_nobodys(server):
    server.add_backup()

    with pytest.raises(OtherOwner):
        server.ask()


def test_a_host_without_line_and_data_is_free_and_the_newcomer_gets_a_new_key(server):
    theirs = server.ask().key
    server.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")

    mine = server.ask("adupont")

    assert mine.status == "new"
    assert mine.key != theirs
    (aside,) = (server.folder / "state/aside").iterdir()
    assert theirs in (aside / "key.pub").read_text()
    assert (server.state / "known_hosts").read_bytes() == b""
    assert server.lines() == ["dormeur\t0\tadupont"]


def test_the_earlier_persons_config_goes_aside_though_they_had_changed_it(server):
    server.ask()
    server.pl.write_text("$Conf{RsyncShareName} = ['/their/own'];\n1;\n")
    server.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")

    server.ask("adupont")

    assert b"/their/own" not in server.pl.read_bytes()
    (aside,) = (server.folder / "state/aside").iterdir()
    assert any("/their/own" in path.read_text(errors="replace") for path in aside.iterdir())


def test_a_config_that_stands_for_no_host_reserves_its_name(server):
    server.pl.write_text("# an include file of the administrator\n")
    before = server.bytes()

    with pytest.raises(InvalidDnsName):
        server.ask()

    assert server.bytes() == before


def test_a_line_made_by_hand_is_taken_over_as_it_is(server):
    server.hosts.write_text(HEADER + "DORMEUR 0 cmartin adupont # by hand\n")

    answer = server.ask()

    assert answer.status == "new"
    assert server.hosts.read_text() == HEADER + "DORMEUR 0 cmartin adupont # by hand\n"
    assert server.pl.exists()
    assert server.ask().status == "unchanged"


def test_who_has_a_line_again_since_an_old_page_alone_gets_neither_the_host_nor_its_key(server):
    taken_from_cmartin(server)
    before = server.bytes()

    for verb in ("register", "check"):
        with pytest.raises(OtherOwner) as refused:
            server.ask(verb=verb)
        assert "the owner is adupont" in refused.value.detail
        assert "adupont" not in refused.value.message()

    assert server.bytes() == before


def test_in_doubt_from_whom_a_host_was_taken_nobody_gets_it(server):
    taken_from_cmartin(server)
    (server.folder / "state/former_owners").write_text("rubbish")
    before = server.bytes()

    with pytest.raises(StateError):
        server.ask()

    assert server.bytes() == before


@pytest.mark.parametrize("given_to", ["", "adupont"])
def test_a_line_that_reconcile_has_seen_is_its_users_unless_a_command_gave_the_host_to_another(
    server, given_to
):
    known = taken_from_cmartin(server)
    FormerOwners(server.folder / "state").take("dormeur", ["cmartin"], person=given_to)
    ledger = HostsSnapshot(server.folder / "state")
    ledger.note(replace(known, lines=(replace(known.lines[0], user="cmartin"),)))

    if given_to:
        with pytest.raises(OtherOwner):
            server.ask()
    else:
        assert server.ask().status == "new"


def test_a_host_that_lost_its_line_stays_with_its_owner_by_a_command(server):
    server.ask("adupont")
    FormerOwners(server.folder / "state").take("dormeur", ["cmartin"], person="adupont")
    server.hosts.write_text(HEADER)
    before = server.bytes()

    with pytest.raises(OtherOwner):
        server.ask()

    assert server.bytes() == before
    assert server.ask("adupont").status == "new"


def taken_from_cmartin(server):
    """Let dormeur, adupont's since a transfer, have cmartin's line again; return what the ledger knows."""
    server.ask("adupont")
    known = HostsSnapshot(server.folder / "state").read()["dormeur"]
    FormerOwners(server.folder / "state").take("dormeur", ["cmartin"], person="adupont")
    server.hosts.write_text(server.hosts.read_text().replace("dormeur\t0\tadupont", "dormeur\t0\tcmartin"))
    return known


def test_a_host_made_by_hand_that_is_backed_up_keeps_its_way(server):
    server.hosts.write_text(HEADER + "dormeur 0 cmartin\n")
    server.add_backup()

    assert server.ask().status == "new"

    assert not server.pl.exists()
    assert server.ask().status == "unchanged"
    assert not server.pl.exists()


def test_a_config_made_by_hand_is_never_overwritten(server):
    server.hosts.write_text(HEADER + "dormeur 0 cmartin\n")
    server.pl.write_text("# mine\n1;\n")

    server.ask()
    server.ask(os="linux")

    assert server.pl.read_text() == "# mine\n1;\n"


def test_a_line_that_an_administrator_gave_to_somebody_else_beats_the_record(server):
    theirs = server.ask().key
    server.hosts.write_text(HEADER + "dormeur\t0\tadupont\n")

    with pytest.raises(OtherOwner):
        server.ask()
    mine = server.ask("adupont")

    assert (mine.status, mine.key != theirs) == ("new", True)
    assert server.ask("adupont").status == "unchanged"


def test_another_os_word_renews_a_config_that_nobody_touched(server):
    server.ask(os="mac")
    before = server.pl.read_bytes()

    answer = server.ask(os="linux")

    assert (answer.status, answer.advice) == ("new", "")
    assert server.pl.read_bytes() != before
    assert server.ask(os="linux").status == "unchanged"


def test_another_os_word_leaves_a_config_that_people_changed_and_says_so(server):
    server.ask(os="mac")
    server.pl.write_text("# mine\n1;\n")

    answer = server.ask(os="linux")

    assert "mac" in answer.advice
    assert server.pl.read_text() == "# mine\n1;\n"
    assert server.ask(os="linux").status == "unchanged"


@pytest.mark.parametrize("word", ["windows", "linux"])
def test_another_os_word_ends_no_backups_that_work(server, word):
    # Anybody who uses the machine can send it, the register-key being as good as public.
    server.ask(os="mac")
    server.add_backup()
    before = server.bytes()

    answer = server.ask(os=word)

    assert (answer.status, "for mac, because backups work" in answer.advice) == ("unchanged", True)
    assert server.bytes() == before


def test_another_os_word_changes_no_machine_that_was_verified(server):
    server.ask(os="mac")
    folders = HostFolders(server.folder / "state")
    folders.complete(replace(folders.record("dormeur"), verified="2026-11-22T12:00:00+00:00"))
    before = server.bytes()

    assert server.ask(os="linux").status == "unchanged"
    assert server.bytes() == before


def test_a_host_whose_config_was_taken_away_gets_that_of_the_new_os_word(server):
    server.ask(os="mac")
    server.add_backup()
    server.pl.unlink()

    assert server.ask(os="linux").status == "new"
    assert b"/home" in server.pl.read_bytes()


def test_a_template_that_is_no_good_concerns_its_own_os_word_alone(server):
    server.ask(os="linux")
    server.pl.write_bytes(server.pl.read_bytes() + b"# mine\n")
    (server.folder / "templates/mac.pl").write_text("$Conf{X} = @NOTHING@;\n")

    assert server.ask(os="linux").status == "unchanged"


def test_settings_of_a_host_made_by_hand_are_not_said_to_be_changed(server):
    server.hosts.write_text(HEADER + "dormeur 0 cmartin\n")
    server.add_backup()
    server.ask(os="linux")

    assert "were not made by this program" in server.ask(os="mac").advice


def test_our_config_stays_ours_when_an_administrator_gives_the_line_to_somebody(server):
    server.ask(os="mac")
    server.hosts.write_text(HEADER + "dormeur\t0\tadupont\n")

    server.ask("adupont", os="linux")

    assert b"/home" in server.pl.read_bytes()
    server.pl.write_text("$Conf{RsyncShareName} = ['/home/adupont-secret'];\n")
    server.hosts.write_text(HEADER)
    server.ask("cmartin", os="linux")
    assert b"adupont-secret" not in server.pl.read_bytes()


def test_the_first_line_of_a_file_without_a_header_is_somebodys(server):
    server.hosts.write_text("dormeur 0 cmartin\nx 0 adupont\n")
    before = server.bytes()

    for verb in ("check", "register"):
        with pytest.raises(OtherOwner):
            server.ask("adupont", verb=verb)

    assert server.bytes() == before
    assert server.ask("cmartin").status == "new"
    assert server.hosts.read_text() == "dormeur 0 cmartin\nx 0 adupont\n"


@pytest.mark.parametrize("text", ["host user dhcp moreUsers\n", "host dhcp\n"])
@pytest.mark.parametrize("verb", ["check", "register"])
def test_a_hosts_file_that_we_cannot_add_to_is_told_before_the_first_byte(server, text, verb):
    server.hosts.write_text(text)
    before = server.bytes()

    with pytest.raises(HostsFileError):
        server.ask(verb=verb)

    assert server.bytes() == before


def test_what_only_one_of_two_answers_of_the_directory_tells_makes_no_other_person(server):
    server.people = People(replace(CMARTIN, entry_id="ipaUniqueID:7"))
    server.ask()
    server.people = People(replace(CMARTIN, entry_id="entryUUID:1"))
    assert server.ask().status == "unchanged"
    server.people = People(replace(CMARTIN, entry_id="entryUUID:1 ipaUniqueID:8"))

    with pytest.raises(OtherOwner):
        server.ask()


def test_a_config_in_the_old_place_which_would_override_ours_reserves_the_name(server):
    server.ask()
    server.hosts.write_text(HEADER)
    old = server.folder / "data/pc/dormeur/config.pl"
    old.parent.mkdir()
    old.write_text("1;\n")
    before = server.bytes()

    with pytest.raises(InvalidDnsName):
        server.ask("adupont")

    assert server.bytes() == before


def test_the_log_says_where_an_earlier_key_is(server):
    server.ask()
    (server.state / "record.json").unlink()

    answer = server.ask()

    (aside,) = (server.folder / "state/aside").iterdir()
    assert str(aside) in answer.note


def test_the_directory_is_asked_nothing_about_a_machine_without_a_name(server, mocker):
    mocker.patch.object(Dns, "name_of", side_effect=InvalidDnsName)
    server.people.asked.clear()

    with pytest.raises(InvalidDnsName):
        server.ask("nobody-here")
    mocker.patch.object(Dns, "name_of", return_value="localhost.univ-brest.fr")
    with pytest.raises(InvalidDnsName):
        server.ask("nobody-here")

    assert server.people.asked == []


def test_an_unknown_person_is_told_before_the_owner_and_the_owner_before_the_quota(server):
    server.ask("adupont")
    server.limits = config.Limits(hosts_per_person=1)

    with pytest.raises(BadUser):
        server.ask("nobody-here")
    with pytest.raises(OtherOwner):
        server.ask("cmartin")


def test_backuppcs_lock_is_free_while_others_are_asked(server, mocker):
    seen = []

    def free(answer):
        with (server.folder / "etc/LOCK").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(answer)
        return answer

    mocker.patch.object(Dns, "name_of", side_effect=lambda *_: free("dormeur.univ-brest.fr"))
    mocker.patch.object(server.people, "find", side_effect=lambda *_: free(CMARTIN))
    mocker.patch.object(server.backuppc, "announce", side_effect=lambda *_: free(""))

    server.ask()

    assert seen == ["dormeur.univ-brest.fr", CMARTIN, ""]


@pytest.mark.parametrize("lost", ["key", "key.pub", "known_hosts", "ssh_config"])
def test_what_is_missing_is_made_again(server, lost):
    server.ask()
    (server.state / lost).unlink()

    assert server.ask(verb="check").status == "new"
    assert server.ask().status == "new"
    assert (server.state / lost).exists()
    assert server.ask().status == "unchanged"


def test_a_config_of_ours_that_was_lost_is_made_again(server):
    server.ask()
    before = server.pl.read_bytes()
    server.pl.unlink()

    assert server.ask().status == "new"
    assert server.pl.read_bytes() == before


def test_a_broken_record_is_a_fault_and_never_no_record(server):
    server.ask()
    server.hosts.write_text(HEADER)
    (server.state / "record.json").write_text("{")

    with pytest.raises(StateError):
        server.ask("adupont")


def test_a_missing_hosts_file_or_data_folder_is_a_fault(server):
    server.hosts.rename(server.folder / "hosts.elsewhere")
    with pytest.raises(HostsFileError):
        server.ask()
    (server.folder / "hosts.elsewhere").rename(server.hosts)
    (server.folder / "data/pc").rmdir()
    with pytest.raises(HostsFileError):
        server.ask()


def test_the_quota_counts_where_a_line_is_to_be_written_only(server):
    server.ask()
    server.limits = config.Limits(hosts_per_person=1)

    assert server.ask().status == "unchanged"
    with pytest.raises(NotAllowed):
        server.ask(name="autre.univ-brest.fr")


def test_a_line_that_no_machine_could_have_counts_in_the_quota_like_any_other(server):
    server.hosts.write_text(server.hosts.read_text() + "old\\ laptop\t0\tcmartin\n")
    server.limits = config.Limits(hosts_per_person=1)
    before = server.bytes()

    with pytest.raises(NotAllowed):
        server.ask()

    assert server.bytes() == before


def test_a_retired_host_leaves_room_for_another_one_and_takes_none_when_it_is_registered(server):
    server.ask()
    server.limits = config.Limits(hosts_per_person=1)
    folders = HostFolders(server.folder / "state")
    folders.put_record(replace(folders.record("dormeur"), retired="2026-11-22T10:00:00+00:00"))

    assert server.ask(name="autre.univ-brest.fr").status == "new"
    assert server.ask().status == "retired"
    with pytest.raises(NotAllowed):
        server.ask(name="troisieme.univ-brest.fr")


@pytest.mark.parametrize("data", [False, True], ids=["without backups", "with backups"])
@pytest.mark.parametrize("final", [False, True], ids=["", "for good"])
def test_a_retired_host_stays_retired_if_our_state_is_lost(tmp_path, data, final):
    site = Site(tmp_path, data=data)
    verbs.retire("dormeur", site.custody(), final=final)
    shutil.rmtree(site.folder / "state")
    (site.folder / "state").mkdir()

    assert site.ask(verb="check").status == "retired"
    answer = site.ask()

    assert (answer.status, site.ask().status) == ("retired", "retired")
    assert "for good" in answer.advice
    assert site.pl.read_bytes() == retired_config.text("dormeur")
    assert not (site.state / "key").exists()
    with pytest.raises(OtherOwner):
        site.ask("adupont")
    verbs.resume("dormeur", site.custody())
    assert site.ask().status == "unchanged"
    assert b"dormeur.univ-brest.fr" in site.pl.read_bytes()


def test_a_host_whose_record_cannot_be_read_counts(server):
    server.ask()
    server.limits = config.Limits(hosts_per_person=1)
    (server.state / "record.json").write_text("{")

    with pytest.raises(NotAllowed):
        server.ask(name="autre.univ-brest.fr")


def test_backuppcs_own_account_is_refused_before_the_directory_is_asked(server):
    server.people.asked.clear()

    with pytest.raises(BadUser):
        server.ask("BackupPC")

    assert server.people.asked == []


def test_a_person_whose_canonical_uid_is_backuppcs_account_is_refused(server, mocker):
    mocker.patch.object(server.people, "find", return_value=Person("BACKUPPC"))

    with pytest.raises(BadUser):
        server.ask("alias")


def test_a_directory_that_is_in_doubt_changes_nothing(server, mocker):
    before = server.bytes()
    mocker.patch.object(server.people, "find", side_effect=DirectoryUnavailable)

    with pytest.raises(DirectoryUnavailable) as fault:
        server.ask()

    assert fault.value.values["host"] == "dormeur"
    assert server.bytes() == before


def keys_given(server):
    return (server.state / "key.pub").read_text() if (server.state / "key.pub").exists() else None


def test_killed_anywhere_the_same_person_finishes_and_no_other_line_is_at_risk(tmp_path):
    reference = Server(tmp_path / "reference")
    steps = steps_of(reference.ask)
    assert steps > 10
    assert reference.lines() == ["dormeur\t0\tcmartin"]

    for at in range(steps):
        server = Server(tmp_path / str(at))
        run_and_kill(server.ask, at=at)
        key = keys_given(server)
        assert server.hosts.read_text().startswith(HEADER + "localhost\t0\tbackuppc\n")

        assert server.ask().key.strip() == (key or server.ask().key).strip()

        assert server.lines() == ["dormeur\t0\tcmartin"]
        assert server.ask().status == "unchanged"
        left = [path.name for path in server.folder.rglob("*.backuppc-register")]
        assert left in ([], [".ledger.backuppc-register"])  # the next writer of the ledger takes it away


def test_killed_anywhere_another_person_gets_a_key_of_their_own(tmp_path):
    reference = Server(tmp_path / "reference")
    steps = steps_of(reference.ask)

    for at in range(steps):
        server = Server(tmp_path / str(at))
        run_and_kill(server.ask, at=at)
        key = keys_given(server)
        if server.lines():
            continue  # the commit was done: the host is cmartin's

        mine = server.ask("adupont")

        assert mine.key.strip() != (key or "").strip()
        assert server.lines() == ["dormeur\t0\tadupont"]
        assert server.pl.read_bytes()
        assert server.ask("adupont").status == "unchanged"


def test_killed_while_a_host_changes_hands_nothing_of_the_first_person_is_left_in_use(tmp_path):
    def prepared(name):
        server = Server(tmp_path / name)
        server.ask()
        server.pl.write_text("# theirs\n1;\n")
        server.hosts.write_text(HEADER + "localhost\t0\tbackuppc\n")
        return server

    reference = prepared("reference")
    steps = steps_of(lambda: reference.ask("adupont"))

    for at in range(steps):
        server = prepared(str(at))
        theirs = keys_given(server)
        run_and_kill(partial(server.ask, "adupont"), at=at)

        mine = server.ask("adupont")

        assert mine.key.strip() != theirs.strip()
        assert b"theirs" not in server.pl.read_bytes()
        kept = [p.read_bytes() for p in (server.folder / "state/aside").rglob("*") if p.is_file()]
        assert b"# theirs\n1;\n" in kept


def test_killed_while_the_os_word_changes_the_config_follows_at_the_next_run(tmp_path):
    def prepared(name):
        server = Server(tmp_path / name)
        server.ask(os="mac")
        return server

    reference = prepared("reference")
    steps = steps_of(lambda: reference.ask(os="linux"))
    wanted = reference.pl.read_text()

    for at in range(steps):
        server = prepared(str(at))
        run_and_kill(partial(server.ask, os="linux"), at=at)

        server.ask(os="linux")

        assert server.pl.read_text() == wanted.replace(str(reference.folder), str(server.folder))
        assert server.ask(os="linux").status == "unchanged"


def test_the_record_says_when_in_universal_time(server):
    server.ask()

    record = HostFolders(server.folder / "state").record("dormeur")

    assert record is not None
    assert datetime.fromisoformat(record.registered).utcoffset().total_seconds() == 0
    assert record.address == "10.0.0.9"
