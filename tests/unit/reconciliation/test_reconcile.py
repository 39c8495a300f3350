import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes import BackupPC
from interrupted import run_and_kill
from pytest_mock import MockerFixture

from backuppc_register import config
from backuppc_register.backuppc import hosts
from backuppc_register.inventory import hosts_snapshot
from backuppc_register.inventory import server as inventory
from backuppc_register.protocol.errors import HostsFileError, NotAllowed, StateError
from backuppc_register.reconciliation import forget, reconcile
from backuppc_register.reconciliation.forget import ForgetPlan
from backuppc_register.reconciliation.reconcile import Outcome, Plan
from backuppc_register.reconciliation.report import Item, Word
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record
from backuppc_register.state.snapshot_file import HostsSnapshot

HEADER = b"host\tdhcp\tuser\tmoreUsers\n"
NOW = datetime(2026, 11, 22, 21, 0, 0, tzinfo=UTC)
LINES = (
    b"dormeur\t0\tcmartin\n",
    b"LAB_1 0 adupont bdurand,cpetit  # in room 12\n",
    b"sirene 1 adupont\r\n",
    b"orque\t0\tcmartin\n",
)
ONE_RECORD = Record(
    "dormeur", "dormeur.univ-brest.fr", "cmartin", "", "linux", "192.0.2.1", "2026-01-01", "0" * 64
)


class Server:
    """BackupPC's files and our state in a temporary folder; dormeur and lab_1 have data."""

    def __init__(self, folder: Path) -> None:
        self.etc, self.top, self.state = (folder / name for name in ("etc", "top", "state"))
        for place in (self.etc, self.top, self.state, self.top / "pc"):
            place.mkdir()
        self.hosts = self.etc / "hosts"
        self.folders = HostFolders(self.state)
        self.ledger, self.former = HostsSnapshot(self.state), FormerOwners(self.state)
        self.daemon = BackupPC()
        places = {"hosts": str(self.hosts), "config_dir": str(self.etc), "data_dir": str(self.top)}
        self.config = config.check(
            {
                "server": {"url": "https://dugong/{host}"},
                "directory": {"servers": ["ldaps://ldap"], "base": "o=x"},
                "dns": {"domains": ["univ-brest.fr"]},
                "backuppc": places,
                "state": {"directory": str(self.state)},
            }
        )
        self.site = inventory.Server(self.config, "backuppc", self.folders)
        self.write(*LINES)
        for host in ("dormeur", "lab_1"):
            self.back_up(host)

    def write(self, *lines: bytes) -> None:
        self.hosts.write_bytes(HEADER + b"".join(lines))

    def back_up(self, host: str) -> None:
        (self.top / "pc" / host / "0").mkdir(parents=True)

    def clean(self, host: str) -> None:
        shutil.rmtree(self.top / "pc" / host)

    def register(self, host: str, person: str) -> None:
        record = replace(ONE_RECORD, host=host, full_name=f"{host}.univ-brest.fr", person=person)
        self.folders.create(record)
        (self.etc / f"{host}.pl").write_bytes(b"1;\n")

    def reconcile(self, *, later: float = 0) -> Outcome:
        return reconcile.reconcile(self.site, self.daemon, NOW + timedelta(hours=later))

    def plan(self) -> Plan:
        return reconcile.plan(self.site, NOW)

    def after(self, *lines: bytes) -> bytes:
        return HEADER + b"".join(lines)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.fixture
def noted(server: Server) -> Server:
    """Give a server whose lines have been noted once."""
    assert server.reconcile().report == ()
    return server


def was_on_disk(server: Server, host: str, place: str) -> None:
    """Have the ledger say that the data of `host` was there."""
    server.ledger.note(replace(server.ledger.read()[host], data=True, place=place))


def words(outcome: Outcome | Plan) -> list[tuple[str, str]]:
    return [(item.word.value, item.host) for item in outcome.report]


def test_the_first_run_notes_every_line_whoever_it_is_of_and_changes_none(server: Server) -> None:
    before = server.hosts.stat()

    outcome = server.reconcile()

    assert outcome.report == ()
    assert server.hosts.stat() == before
    known = server.ledger.read()
    assert [*known] == ["dormeur", "lab_1", "sirene", "orque"]
    assert [host.data for host in known.values()] == [True, True, False, False]
    raws = [line.raw for host in known.values() for line in host.lines]
    assert raws == [line.removesuffix(b"\n") for line in LINES]
    assert known["lab_1"].lines[0].more_users == ("bdurand", "cpetit")
    assert server.daemon.told == []


@pytest.mark.parametrize("lost", range(len(LINES)))
def test_a_lost_line_is_back_with_its_very_bytes_with_data_or_without(noted: Server, lost: int) -> None:
    left = [line for number, line in enumerate(LINES) if number != lost]
    noted.write(*left)
    host = [*noted.ledger.read()][lost]

    outcome = noted.reconcile(later=1)

    assert words(outcome) == [("restored", host)]
    assert noted.hosts.read_bytes() == noted.after(*left, LINES[lost])
    assert outcome.hosts.lines_for(host)
    assert noted.daemon.told == [[host]]
    assert noted.reconcile(later=2).report == ()


def test_where_only_looking_is_asked_for_nothing_is_written_and_all_is_told(noted: Server) -> None:
    noted.register("dormeur", "cmartin")
    noted.clean("dormeur")
    noted.write(LINES[2], LINES[3])
    before = {path: path.read_bytes() for path in (noted.hosts, noted.ledger.path)}

    outcome = noted.plan()

    assert words(outcome) == [("restored", "lab_1"), ("cleaned", "dormeur")]
    assert {path: path.read_bytes() for path in before} == before
    assert noted.folders.exists("dormeur")
    assert noted.daemon.told == []


@pytest.mark.parametrize("kept", [b"", HEADER, b"# nothing\n", None], ids=repr)
def test_an_emptied_or_missing_file_is_whole_again_and_that_is_said_loudly(
    noted: Server, kept: bytes | None
) -> None:
    if kept is None:
        noted.hosts.unlink()
    else:
        noted.hosts.write_bytes(kept)

    outcome = noted.reconcile()

    assert [word for word, _ in words(outcome)] == ["mass-loss", *["restored"] * 4]
    assert outcome.report[0].urgent
    assert noted.hosts.read_bytes().endswith(b"".join(LINES))
    assert len(hosts.parse(noted.hosts.read_bytes()).lines) == 4
    noted.write(LINES[0])
    noted.reconcile()
    assert [*noted.ledger.read()] == ["dormeur", "lab_1", "sirene", "orque"]
    noted.write(*LINES[1:])
    noted.reconcile()
    assert [*noted.ledger.read()] == ["lab_1", "sirene", "orque", "dormeur"]  # as the file has them


def test_a_lost_header_is_put_back_and_the_host_that_was_taken_for_it_has_one_line(noted: Server) -> None:
    noted.hosts.write_bytes(b"".join(LINES[:3]))

    outcome = noted.reconcile()

    assert words(outcome) == [("header", ""), ("restored", "orque")]
    assert noted.hosts.read_bytes() == noted.after(*LINES)
    assert noted.reconcile().report == ()


def test_a_lost_header_is_only_told_of_where_nothing_may_change(noted: Server) -> None:
    noted.hosts.write_bytes(b"".join(LINES))

    assert words(noted.plan()) == [("header", "")]
    assert noted.hosts.read_bytes() == b"".join(LINES)


def test_more_lines_than_anybody_takes_out_by_hand_is_a_mass_loss(server: Server) -> None:
    many = [b"lab%d 0 a\n" % n for n in range(11)]
    server.write(*LINES, *many)
    server.reconcile()
    server.write(*LINES)

    assert words(server.reconcile())[0] == ("mass-loss", "")
    server.write(*LINES, many[0])
    assert ("mass-loss", "") not in words(server.reconcile())


def test_a_file_that_is_missing_before_anything_was_noted_is_a_fault(server: Server) -> None:
    server.hosts.unlink()

    with pytest.raises(HostsFileError):
        server.reconcile()

    assert not server.hosts.exists()


def test_a_dangling_link_in_the_files_place_is_a_fault(noted: Server) -> None:
    noted.hosts.unlink()
    noted.hosts.symlink_to("nowhere")

    with pytest.raises(HostsFileError):
        noted.reconcile()

    assert noted.hosts.is_symlink()


def test_an_unreadable_file_is_a_fault_and_nothing_is_forgotten(noted: Server, mocker: MockerFixture) -> None:
    before = noted.ledger.path.read_bytes()
    mocker.patch.object(hosts, "read", side_effect=HostsFileError(detail="closed"))

    with pytest.raises(HostsFileError):
        noted.reconcile()

    assert noted.ledger.path.read_bytes() == before


class TestCleaned:
    def test_line_and_data_gone_is_an_administrators_work_and_is_not_undone(self, noted: Server) -> None:
        noted.register("dormeur", "cmartin")
        noted.write(*LINES[1:])
        noted.clean("dormeur")

        outcome = noted.reconcile()

        assert words(outcome) == [("cleaned", "dormeur")]
        assert not noted.folders.exists("dormeur")
        assert not (noted.etc / "dormeur.pl").exists()
        (aside,) = (noted.state / "aside").iterdir()
        assert {"key", "record.json", "dormeur.pl"} <= {path.name for path in aside.iterdir()}
        assert noted.hosts.read_bytes() == noted.after(*LINES[1:])
        assert noted.reconcile().report == ()

    def test_cleaned_in_two_steps_it_is_the_same(self, noted: Server) -> None:
        noted.clean("dormeur")
        assert noted.reconcile().report == ()
        noted.write(*LINES[1:])

        assert words(noted.reconcile()) == [("cleaned", "dormeur")]

    def test_a_record_of_somebody_who_came_later_stays(self, noted: Server) -> None:
        noted.write(*LINES[1:])
        noted.clean("dormeur")
        noted.register("dormeur", "newcomer")

        outcome = noted.reconcile()

        assert words(outcome) == [("cleaned", "dormeur")]
        assert noted.folders.exists("dormeur")

    def test_a_host_that_never_was_ours_is_only_told_of(self, noted: Server) -> None:
        noted.write(LINES[0], *LINES[2:])
        noted.clean("lab_1")

        assert words(noted.reconcile()) == [("cleaned", "lab_1")]

    @pytest.mark.parametrize("gone", ["unmounted", "unreadable"])
    def test_a_disk_that_is_not_there_is_no_cleaning(self, noted: Server, gone: str) -> None:
        noted.register("dormeur", "cmartin")
        noted.write(*LINES[1:])
        shutil.rmtree(noted.top / "pc")
        if gone == "unmounted":
            (noted.top / "pc").mkdir()

        outcome = noted.reconcile()

        assert ("restored", "dormeur") in words(outcome)
        assert noted.folders.exists("dormeur")
        assert (("data-missing", "") in words(outcome)) == (gone == "unmounted")

    @pytest.mark.parametrize("remains", ["", "lab_1"])
    def test_one_host_with_data_is_not_cleaned_by_an_empty_mount_point(
        self, server: Server, remains: str
    ) -> None:
        server.clean("lab_1")
        server.reconcile()
        server.register("dormeur", "cmartin")
        server.write(*LINES[1:])
        server.clean("dormeur")
        if remains:
            (server.top / "pc" / remains).mkdir()  # of a backup that BackupPC tried

        outcome = server.reconcile()

        assert words(outcome) == [("data-missing", ""), ("restored", "dormeur")]
        assert outcome.report[0].urgent
        assert server.folders.exists("dormeur")
        assert server.ledger.read()["dormeur"].data

    @pytest.mark.parametrize("now", ["gone", "empty", "fresh"])
    def test_a_hosts_own_disk_that_is_not_mounted_is_no_cleaning(self, noted: Server, now: str) -> None:
        was_on_disk(noted, "dormeur", "1:2")
        noted.register("dormeur", "cmartin")
        noted.write(*LINES[1:])
        noted.clean("dormeur")
        if now != "gone":
            (noted.top / "pc/dormeur").mkdir()
        if now == "fresh":
            noted.back_up("lab_2")
            (noted.top / "pc/dormeur/0").mkdir()

        outcome = noted.reconcile()

        assert words(outcome) == [("data-missing", ""), ("restored", "dormeur")]
        assert "not the disk that had the backups of dormeur" in outcome.report[0].what
        assert noted.folders.exists("dormeur")
        known = noted.ledger.read()["dormeur"]
        assert (known.data, known.place) == (True, "1:2")
        assert words(noted.reconcile()) == [("data-missing", "")]

    def test_a_backup_made_onto_the_bare_mount_point_makes_no_cleaning_of_the_others(
        self, noted: Server
    ) -> None:
        for host in ("dormeur", "lab_1"):
            was_on_disk(noted, host, "1:2")
        noted.write(*LINES[1:])
        noted.clean("dormeur")  # and lab_1 has a fresh one

        assert words(noted.reconcile()) == [("data-missing", ""), ("restored", "dormeur")]

    def test_a_disk_that_has_another_number_after_a_restart_is_the_same(self, noted: Server) -> None:
        place = noted.ledger.read()["dormeur"].place
        was_on_disk(noted, "dormeur", "1:" + place.partition(":")[2])

        assert noted.reconcile().report == ()
        assert noted.ledger.read()["dormeur"].place == place

    def test_backups_that_came_before_the_line_was_lost_count_though_never_noted(self, noted: Server) -> None:
        noted.back_up("orque")
        noted.write(*LINES[:3])
        noted.reconcile()
        noted.clean("orque")
        noted.write(*LINES[:3])

        assert words(noted.reconcile()) == [("cleaned", "orque")]


class TestChanged:
    def test_another_user_is_news_once_and_stays(self, noted: Server) -> None:
        theirs = b"dormeur\t0\tadupont\n"
        noted.write(theirs, *LINES[1:])

        first, second = noted.reconcile(), noted.reconcile()

        assert words(first) == [("changed", "dormeur")]
        assert "0 cmartin became 0 adupont" in first.report[0].what
        assert first.report[0].person == "adupont"
        assert second.report == ()
        noted.write(*LINES[1:])
        noted.reconcile()
        assert noted.hosts.read_bytes() == noted.after(*LINES[1:], theirs)

    def test_the_web_editors_spelling_is_noted_and_no_news(self, noted: Server) -> None:
        again = b"lab_1\t0\tadupont\tbdurand,cpetit\n"
        noted.write(LINES[0], again, *LINES[2:])

        assert noted.reconcile().report == ()
        assert noted.ledger.read()["lab_1"].lines[0].raw + b"\n" == again

    def test_one_of_two_lines_of_a_host_is_a_change_and_no_loss(self, noted: Server) -> None:
        noted.write(*LINES, b"dormeur 0 bdurand\n")
        noted.reconcile()
        noted.write(*LINES)

        assert words(noted.reconcile()) == [("changed", "dormeur")]
        assert noted.hosts.read_bytes() == noted.after(*LINES)

    def test_both_lines_of_a_host_come_back(self, noted: Server) -> None:
        noted.write(*LINES, b"dormeur 0 bdurand\n")
        noted.reconcile()
        noted.write(*LINES[1:])

        noted.reconcile()

        assert noted.hosts.read_bytes() == noted.after(*LINES[1:], LINES[0], b"dormeur 0 bdurand\n")


ARCHIVE = b"dormeur_20261101\t0\tcmartin\n"
THEIRS = b"dormeur\t0\tadupont\thelper\n"


class TestReverted:
    """dormeur was cmartin's and is adupont's since a transfer; its line is changed afterwards."""

    @pytest.fixture
    def transferred(self, server: Server) -> Server:
        server.folders.put_record(replace(ONE_RECORD, person="adupont"))
        server.back_up("dormeur_20261101")
        server.former.take("dormeur", ["cmartin", "friend"], person="adupont")
        server.write(THEIRS, *LINES[1:], ARCHIVE)
        assert server.reconcile().report == ()
        return server

    def test_an_old_page_is_undone_for_the_host_and_its_earlier_backups(self, transferred: Server) -> None:
        transferred.write(*LINES)

        planned, again = transferred.plan(), transferred.hosts.read_bytes()
        outcome = transferred.reconcile()

        assert again == transferred.after(*LINES)
        told = [("taken-back", "dormeur"), ("restored", "dormeur_20261101")]
        assert words(outcome) == told
        assert planned.report == outcome.report
        assert transferred.hosts.read_bytes() == transferred.after(THEIRS, *LINES[1:], ARCHIVE)
        assert planned.after == outcome.hosts == hosts.read(transferred.hosts)
        assert "Until now cmartin could read" in outcome.report[0].what
        assert transferred.daemon.told == [["dormeur_20261101", "dormeur"]]
        assert transferred.reconcile().report == ()

    @pytest.mark.parametrize("user", [b"cmartin", b"CMartin", b"friend", b"bdurand", b"backuppc"])
    def test_a_line_with_another_user_is_restored_byte_for_byte(
        self, transferred: Server, user: bytes
    ) -> None:
        changed = b"dormeur 0 " + user + b" other  # mine\n"
        for _ in range(2):
            transferred.write(*LINES[1:], ARCHIVE, changed)

            assert words(transferred.reconcile()) == [("taken-back", "dormeur")]

            assert transferred.hosts.read_bytes() == transferred.after(*LINES[1:], ARCHIVE, THEIRS)
            assert transferred.reconcile().report == ()

    @pytest.mark.parametrize("record", [None, "cmartin"])
    def test_our_record_does_not_count_against_a_command(
        self, transferred: Server, record: str | None
    ) -> None:
        if record is None:
            shutil.rmtree(transferred.folders.path("dormeur"))
        else:
            transferred.folders.put_record(replace(ONE_RECORD, person=record))
        transferred.write(*LINES)

        assert words(transferred.reconcile()) == [("taken-back", "dormeur"), ("restored", "dormeur_20261101")]
        assert THEIRS in transferred.hosts.read_bytes()

    def test_without_a_snapshot_of_the_owners_line_the_owner_alone_is_in_the_line(
        self, transferred: Server
    ) -> None:
        transferred.ledger.forget("dormeur")
        transferred.write(b"DORMEUR 1 cmartin helper  # mine\n", *LINES[1:], ARCHIVE)

        assert words(transferred.reconcile()) == [("taken-back", "dormeur")]

        line = b"DORMEUR\t1\tadupont  # mine\n"
        assert transferred.hosts.read_bytes() == transferred.after(line, *LINES[1:], ARCHIVE)
        assert transferred.reconcile().report == ()
        transferred.write(*LINES[1:], ARCHIVE)
        transferred.reconcile()
        assert transferred.hosts.read_bytes() == transferred.after(*LINES[1:], ARCHIVE, line)

    def test_a_lost_line_comes_back_as_the_owners_also_from_an_older_snapshot(
        self, transferred: Server
    ) -> None:
        transferred.former.take("dormeur", ["adupont", "helper"], person="bdurand")
        transferred.write(*LINES[1:], ARCHIVE)

        assert words(transferred.reconcile()) == [("taken-back", "dormeur"), ("restored", "dormeur")]

        assert b"dormeur\t0\tbdurand\n" in transferred.hosts.read_bytes()
        assert transferred.reconcile().report == ()

    def test_another_reader_is_a_change_that_stays(self, transferred: Server) -> None:
        transferred.write(b"dormeur\t0\tadupont\tbdurand\n", *LINES[1:], ARCHIVE)

        assert words(transferred.reconcile()) == [("changed", "dormeur")]

    def test_whom_it_is_transferred_to_again_is_no_former_owner(self, transferred: Server) -> None:
        transferred.former.take("dormeur", ["adupont"], person="CMARTIN")
        transferred.write(*LINES, ARCHIVE)

        assert words(transferred.reconcile()) == [("changed", "dormeur")]

    def test_what_cannot_be_restored_is_told_at_every_run(self, transferred: Server) -> None:
        transferred.write(*LINES, LINES[0], ARCHIVE)

        for _ in range(2):
            outcome = transferred.reconcile()
            assert words(outcome) == [("given-back", "dormeur")]
            assert "cmartin can read" in outcome.report[0].advice

    def test_a_file_that_cannot_be_written_is_told_and_the_next_run_restores_it(
        self, transferred: Server, mocker: MockerFixture
    ) -> None:
        transferred.write(*LINES)
        mocker.patch("os.fchown", side_effect=PermissionError(1, "Operation not permitted"))

        outcome = transferred.reconcile()

        assert words(outcome) == [("given-back", "dormeur"), ("not-restored", "")]
        assert transferred.daemon.told == []
        mocker.stopall()
        assert words(transferred.reconcile()) == [("taken-back", "dormeur"), ("restored", "dormeur_20261101")]

    def test_a_purged_host_that_has_its_line_again_is_told(self, noted: Server) -> None:
        noted.former.take("calmar", ["cmartin"])
        noted.write(*LINES, b"calmar 0 cmartin\n")

        outcome = noted.reconcile()

        assert words(outcome) == [("changed", "calmar")]
        assert "purge calmar" in outcome.report[0].advice
        assert noted.reconcile().report == ()

    def test_an_old_page_gives_nobody_a_host_that_was_cleaned_up_and_is_somebody_elses_since(
        self, noted: Server
    ) -> None:
        noted.write(*LINES[1:])
        noted.clean("dormeur")
        assert words(noted.reconcile()) == [("cleaned", "dormeur")]
        noted.write(THEIRS, *LINES[1:])
        noted.back_up("dormeur")
        assert noted.reconcile().report == ()

        noted.write(*LINES)

        assert words(noted.reconcile()) == [("taken-back", "dormeur")]
        assert noted.hosts.read_bytes() == noted.after(THEIRS, *LINES[1:])

    def test_a_dry_run_notes_nobody_as_a_former_owner(self, noted: Server) -> None:
        noted.write(*LINES[1:])
        noted.clean("dormeur")

        assert words(noted.plan()) == [("cleaned", "dormeur")]

        assert noted.former.read() == {}

    @pytest.mark.parametrize("lines", [LINES, (*LINES, ARCHIVE)], ids=["old page", "line alone"])
    def test_killed_anywhere_the_next_run_ends_where_it_would_have(
        self, tmp_path: Path, lines: Sequence[bytes]
    ) -> None:
        def prepared(folder: Path) -> Server:
            folder.mkdir()
            server: Server = TestReverted.transferred.__wrapped__(self, Server(folder))  # type: ignore[attr-defined]
            server.write(*lines)
            return server

        reference = prepared(tmp_path / "reference")
        steps = run_and_kill(reference.reconcile, at=None)
        assert steps > 5
        for at in range(steps):
            server = prepared(tmp_path / str(at))
            run_and_kill(server.reconcile, at=at)
            server.reconcile()

            assert sorted(server.hosts.read_bytes().split(b"\n")) == sorted(
                reference.hosts.read_bytes().split(b"\n")
            )
            assert server.former.read() == reference.former.read()
            assert server.reconcile().report == ()

    def test_a_list_that_cannot_be_read_stops_the_run_before_anything_is_written(
        self, transferred: Server
    ) -> None:
        transferred.former.path.write_bytes(b"rubbish")
        transferred.write(*LINES)

        with pytest.raises(StateError):
            transferred.reconcile()

        assert transferred.hosts.read_bytes() == transferred.after(*LINES)


@pytest.mark.parametrize("data", [True, False], ids=["lost", "cleaned"])
def test_killed_anywhere_the_next_run_puts_lost_lines_back_and_sets_cleaned_hosts_aside(
    tmp_path: Path, *, data: bool
) -> None:
    def prepared(folder: Path) -> Server:
        folder.mkdir()
        server = Server(folder)
        server.register("dormeur", "cmartin")
        server.reconcile()
        server.write(*LINES[2:])
        if not data:
            server.clean("dormeur")
        return server

    reference = prepared(tmp_path / "reference")
    steps = run_and_kill(reference.reconcile, at=None)
    assert steps > 5
    for at in range(steps):
        server = prepared(tmp_path / str(at))
        run_and_kill(server.reconcile, at=at)
        server.reconcile()

        assert server.hosts.read_bytes() == reference.hosts.read_bytes()
        assert server.folders.exists("dormeur") == (server.etc / "dormeur.pl").exists() == data
        assert server.reconcile().report == ()


def test_what_backuppc_skips_is_no_line_and_stays_as_it_is(server: Server) -> None:
    skipped = (b" leading 0 a\n", b"a/b 0 c\n", b"# comment\n", b"\n", b"alone\n")
    server.write(*skipped, *LINES)
    server.reconcile()
    server.write(*skipped, *LINES[1:])

    server.reconcile()

    assert server.hosts.read_bytes() == server.after(*skipped, *LINES[1:], LINES[0])


def test_a_forgotten_host_does_not_come_back(noted: Server) -> None:
    noted.ledger.forget("dormeur")
    noted.write(*LINES[1:])

    assert noted.reconcile().report == ()
    assert noted.hosts.read_bytes() == noted.after(*LINES[1:])


def test_a_new_registrations_line_is_known_before_the_next_run(noted: Server) -> None:
    file = hosts.parse(HEADER + b"calmar\t0\tbdurand\n")

    assert hosts_snapshot.note_added("calmar", file, noted.config) == ""

    assert words(noted.reconcile()) == [("restored", "calmar")]
    assert noted.hosts.read_bytes() == noted.after(*LINES, b"calmar\t0\tbdurand\n")


def test_where_the_line_cannot_be_put_back_that_is_said_loudly_and_it_stays_known(
    noted: Server, mocker: MockerFixture
) -> None:
    noted.write(*LINES[1:])
    mocker.patch("os.fchown", side_effect=PermissionError(1, "Operation not permitted"))

    outcome = noted.reconcile()

    assert words(outcome) == [("not-restored", "")]
    assert outcome.report[0].urgent
    mocker.stopall()
    assert words(noted.reconcile()) == [("restored", "dormeur")]


def test_a_line_that_would_mean_something_else_now_is_told_and_the_others_come_back(noted: Server) -> None:
    noted.hosts.write_bytes(b"host dhcp user\n")

    outcome = noted.reconcile()

    assert ("not-restored", "lab_1") in words(outcome)
    assert ("restored", "dormeur") in words(outcome)


def test_a_damaged_ledger_stops_the_run_before_anything_is_written(noted: Server) -> None:
    noted.ledger.path.write_bytes(b"rubbish")
    noted.write()
    before = noted.hosts.read_bytes()

    with pytest.raises(StateError):
        noted.reconcile()

    assert noted.hosts.read_bytes() == before
    assert noted.ledger.path.read_bytes() == b"rubbish"


def test_a_ledger_that_cannot_be_written_is_told_beside_what_was_done(
    noted: Server, mocker: MockerFixture
) -> None:
    noted.write(*LINES[1:])
    mocker.patch.object(HostsSnapshot, "write", side_effect=StateError(detail="No space left"))

    assert words(noted.reconcile()) == [("restored", "dormeur"), ("not-noted", "")]
    assert noted.hosts.read_bytes() == noted.after(*LINES[1:], LINES[0])


def test_a_backuppc_that_does_not_see_the_hosts_is_told(noted: Server, mocker: MockerFixture) -> None:
    noted.write(*LINES[1:])
    mocker.patch.object(BackupPC, "reread", return_value="BackupPC is not running")

    assert words(noted.reconcile()) == [("restored", "dormeur"), ("backuppc", "")]


@pytest.mark.parametrize("word", Word)
def test_what_somebody_has_to_look_at_at_once_is_loud(word: Word) -> None:
    quiet = {Word.RESTORED, Word.CLEANED, Word.CHANGED, Word.NEW_OWNER, Word.HEADER, Word.BACKUPPC}
    quiet |= {Word.PAUSE_LIFTED, Word.PAUSE_NOT_LIFTED, Word.RELEASED, Word.NOT_RELEASED}

    assert Item(word, "x").urgent == (word not in quiet)


def forgotten(server: Server, host: str) -> bool:
    """Forget a host as a command does; tell whether it was known."""
    plan = forget.plan(host, server.site)
    if plan is not None:
        forget.apply(plan, server.site)
    return plan is not None


class TestForget:
    def test_a_line_that_was_taken_out_on_purpose_does_not_come_back(self, noted: Server) -> None:
        noted.write(*LINES[1:])

        assert forgotten(noted, "dormeur")

        assert noted.reconcile().report == ()
        assert not forgotten(noted, "dormeur")

    def test_what_has_a_line_is_not_forgotten(self, noted: Server) -> None:
        with pytest.raises(NotAllowed):
            forget.plan("dormeur", noted.site)

        assert "dormeur" in noted.ledger.read()

    def test_data_that_was_deleted_on_purpose_is_forgotten_though_there_is_a_line(
        self, noted: Server
    ) -> None:
        noted.clean("dormeur")

        assert forget.plan("dormeur", noted.site) == ForgetPlan("dormeur", data=True)
        assert noted.ledger.read()["dormeur"].data
        assert forgotten(noted, "dormeur")

        assert not noted.ledger.read()["dormeur"].data
        with pytest.raises(NotAllowed):
            forget.plan("dormeur", noted.site)
        noted.write(*LINES[1:])
        assert words(noted.reconcile()) == [("restored", "dormeur")]

    def test_data_that_was_moved_to_another_disk_is_noted_there(self, noted: Server) -> None:
        place = noted.ledger.read()["dormeur"].place
        was_on_disk(noted, "dormeur", "1:2")

        assert forgotten(noted, "dormeur")

        known = noted.ledger.read()["dormeur"]
        assert (known.data, known.place) == (True, place)
        assert noted.reconcile().report == ()

    def test_a_plan_forgets_nothing(self, noted: Server) -> None:
        noted.write(*LINES[1:])

        assert forget.plan("dormeur", noted.site) == ForgetPlan("dormeur", data=False)

        assert "dormeur" in noted.ledger.read()

    def test_a_host_that_changed_since_it_was_confirmed_is_not_forgotten(self, noted: Server) -> None:
        noted.write(*LINES[1:])
        plan = forget.plan("dormeur", noted.site)
        assert plan is not None
        noted.write(*LINES)
        noted.clean("dormeur")

        with pytest.raises(NotAllowed, match="has changed while you were asked"):
            forget.apply(plan, noted.site)

        assert noted.ledger.read()["dormeur"].data

    def test_a_forgotten_host_has_no_owner_by_a_command_but_a_former_one(self, noted: Server) -> None:
        noted.former.take("dormeur", ["adupont"], person="cmartin")
        noted.write(*LINES[1:])

        assert forgotten(noted, "dormeur")

        owners = noted.former.of("dormeur")
        assert (owners.owner, owners.former) == ("", ("adupont", "cmartin"))
        noted.write(b"dormeur 0 bdurand\n", *LINES[1:])
        assert noted.reconcile().report == ()
        noted.write(b"dormeur 0 cmartin\n", *LINES[1:])
        assert words(noted.reconcile()) == [("taken-back", "dormeur")]
