import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lab import Lab

from backuppc_register.backuppc.backups import Backup, backups, has_backups, has_full, hosts_with_folder
from backuppc_register.protocol.errors import HostsFileError

ROW = b"0\tfull\t1700000000\t1700000100\t510\t7800000\t0\t0\t0\t0\t0\t0\t0\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "pc").mkdir()
    return tmp_path


@pytest.fixture
def folder(top: Path) -> Path:
    folder = top / "pc" / "dormeur"
    folder.mkdir()
    return folder


def test_a_host_that_BackupPC_never_saw_has_none(top: Path) -> None:
    assert not has_backups(top, "dormeur")


def test_the_hosts_that_have_a_folder_are_those_that_a_hosts_line_can_name(top: Path) -> None:
    for name in ("dormeur", "lab_1.old", "~purged", "UPPER", "a:b"):
        (top / "pc" / name).mkdir()

    assert hosts_with_folder(top) == ("dormeur", "lab_1.old")


def test_folders_that_cannot_be_listed_are_a_fault(tmp_path: Path) -> None:
    with pytest.raises(HostsFileError):
        hosts_with_folder(tmp_path)


def test_a_folder_alone_is_no_data(top: Path, folder: Path) -> None:
    for name in ("LOCK", "LOG.112024", "refCnt", "backups.old"):
        (folder / name).write_bytes(ROW)
    (folder / "backups").touch()

    assert not has_backups(top, "dormeur")


@pytest.mark.parametrize("number", ["0", "7", "1234"])
def test_a_numbered_folder_is_data(top: Path, folder: Path, number: str) -> None:
    (folder / number).mkdir()

    assert has_backups(top, "dormeur")


@pytest.mark.parametrize("name", ["7.old", "x7", "٣", "-1", "1 "])
def test_only_a_whole_number_is_a_backups_folder(top: Path, folder: Path, name: str) -> None:
    (folder / name).mkdir()

    assert not has_backups(top, "dormeur")


@pytest.mark.parametrize("content", [ROW, b"3\tactive\t\n", b"\n\n" + ROW, ROW[:1], b"\0\0\0", b"damaged"])
def test_a_row_is_data_though_its_folder_is_gone_or_it_is_damaged(
    top: Path, folder: Path, content: bytes
) -> None:
    (folder / "backups").write_bytes(content)

    assert has_backups(top, "dormeur")


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n"])
def test_a_file_without_rows_is_none(top: Path, folder: Path, content: bytes) -> None:
    (folder / "backups").write_bytes(content)

    assert not has_backups(top, "dormeur")


def test_a_hosts_name_is_taken_whole(top: Path) -> None:
    for name in ("lab1", "lab1.univ-brest.fr", "LAB"):
        (top / "pc" / name / "0").mkdir(parents=True)

    assert has_backups(top, "lab1")
    assert not has_backups(top, "lab")
    assert not has_backups(top, "lab10")


def test_a_link_to_another_disk_is_followed(top: Path) -> None:
    (top / "disk/0").mkdir(parents=True)
    (top / "pc/dormeur").symlink_to(top / "disk")
    (top / "empty").mkdir()
    (top / "pc/simplet").symlink_to(top / "empty")

    assert has_backups(top, "dormeur")
    assert not has_backups(top, "simplet")


def test_a_disk_that_is_not_there_counts_as_data(top: Path) -> None:
    (top / "pc/dormeur").symlink_to(top / "not-mounted")

    assert has_backups(top, "dormeur")


def test_a_file_or_a_loop_in_the_folders_place_counts_as_data(top: Path) -> None:
    (top / "pc/dormeur").touch()
    (top / "pc/simplet").symlink_to("simplet")

    assert has_backups(top, "dormeur")
    assert has_backups(top, "simplet")


@pytest.mark.parametrize("what", ["folder", "pipe", "dangling link"])
def test_a_list_of_backups_that_is_no_file_counts_as_data(top: Path, folder: Path, what: str) -> None:
    match what:
        case "folder":
            (folder / "backups").mkdir()
        case "pipe":
            os.mkfifo(folder / "backups")
        case _:
            (folder / "backups").symlink_to("nowhere")

    assert has_backups(top, "dormeur")


@pytest.mark.parametrize("what", ["missing", "file", "dangling link"])
def test_a_data_dir_without_pc_is_a_fault_and_never_no_data(tmp_path: Path, what: str) -> None:
    match what:
        case "file":
            (tmp_path / "pc").touch()
        case "dangling link":
            (tmp_path / "pc").symlink_to("nowhere")

    with pytest.raises(HostsFileError):
        has_backups(tmp_path, "dormeur")


ASK = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from pathlib import Path
from backuppc_register.backuppc.backups import Backup, backups, has_backups, hosts_with_folder
from backuppc_register.protocol.errors import HostsFileError
try:
    print(has_backups(Path("/top"), "dormeur"))
except HostsFileError:
    print("fault")
"""


@pytest.mark.lab
@pytest.mark.parametrize(
    ("closed", "answer"),
    [
        ("0 /top/pc/dormeur", "True"),
        ("0 /top/pc/dormeur/backups", "True"),
        ("444 /top/pc", "True"),
        ("0 /top/pc", "fault"),
        ("0 /top", "fault"),
    ],
)
def test_what_is_closed_to_us_counts_as_data_and_a_closed_pc_is_a_fault(
    lab: Lab, closed: str, answer: str
) -> None:
    host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
    host.run(f"mkdir -p /top/pc/dormeur; touch /top/pc/dormeur/backups; chmod {closed}", check=True)

    result = host.run(["/usr/bin/python3", "-I", "-B", "-c", ASK], user="backuppc")

    assert result.stdout.strip() == answer


def test_the_list_of_backups_is_read_oldest_first(top: Path, folder: Path) -> None:
    later = b"1\tincr\t1700086400\t\t\t\t0\t0\t0\t0\t3\t0\t0\n"
    (folder / "backups").write_bytes(later + ROW)

    assert backups(top, "dormeur") == (
        Backup(
            number=0,
            kind="full",
            started=datetime.fromtimestamp(1700000000, UTC),
            ended=datetime.fromtimestamp(1700000100, UTC),
            files=510,
            size=7800000,
            errors=0,
        ),
        Backup(1, "incr", datetime.fromtimestamp(1700086400, UTC), None, 0, 0, 3),
    )


@pytest.mark.parametrize("content", [None, b"", b"\n"])
def test_without_a_row_there_is_no_backup(content: bytes | None, top: Path, folder: Path) -> None:
    if content is not None:
        (folder / "backups").write_bytes(content)

    assert backups(top, "dormeur") == ()
    assert backups(top, "mimosa") == ()


@pytest.mark.parametrize(
    "content", [b"0\tfull\n", ROW.replace(b"1700000000", b"soon"), b"\xff" + ROW, ROW + b"x"]
)
def test_a_damaged_list_is_a_fault_and_never_a_shorter_one(content: bytes, top: Path, folder: Path) -> None:
    (folder / "backups").write_bytes(content)

    with pytest.raises(HostsFileError, match="backups"):
        backups(top, "dormeur")


@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_a_list_that_is_no_file_is_a_fault(what: str, top: Path, folder: Path) -> None:
    path = folder / "backups"
    path.mkdir() if what == "folder" else os.mkfifo(path)

    with pytest.raises(HostsFileError):
        backups(top, "dormeur")


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([], False),
        ([b"full"], True),
        ([b"partial"], False),
        ([b"active"], False),
        ([b"active", b"full"], True),
        ([b"full", b"incr"], True),
        ([b"full\t1"], True),
    ],
)
def test_a_full_backup_is_one_that_was_finished(
    rows: list[bytes], answer: bool, top: Path, folder: Path
) -> None:
    (folder / "backups").write_bytes(b"".join(ROW.replace(b"full", kind) for kind in rows))

    assert has_full(top, "dormeur") is answer
    assert not has_full(top, "dormeu")


@pytest.mark.parametrize("content", [b"nonsense\n", b"\xff\n"])
def test_where_it_cannot_be_told_there_is_a_full_backup(content: bytes, top: Path, folder: Path) -> None:
    (folder / "backups").write_bytes(content)

    assert has_full(top, "dormeur")
