"""Temporary folders are ours alone and are deleted; files in memory are on no disk."""

import os
import tempfile
from pathlib import Path

import pytest

from backuppc_register.host_key import HostKey
from backuppc_register.network import rsync_handshake
from backuppc_register.protocol.errors import NoSpace
from backuppc_register.system import temporary


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def test_the_folder_is_ours_alone_and_goes_away_with_all_that_is_in_it(room: Path) -> None:
    with temporary.folder() as folder:
        (folder / "a").mkdir()
        (folder / "a/b").write_text("c")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent == room

    assert list(room.iterdir()) == []


def test_no_space_for_a_folder_is_a_fault(room: Path) -> None:
    room.rmdir()

    with pytest.raises(NoSpace) as caught, temporary.folder():
        pass

    assert "temporary folder" in caught.value.detail


def test_an_error_inside_the_folder_is_raised_unchanged(room: Path) -> None:
    with pytest.raises(FileNotFoundError), temporary.folder() as folder:
        (folder / "nothing").read_text()

    assert list(room.iterdir()) == []


def test_no_space_for_the_known_hosts_of_a_handshake_is_a_fault(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backuppc_register.system.atomic_files.write", full)
    with pytest.raises(NoSpace) as caught:
        rsync_handshake.read_greeting("dormeur", HostKey("ssh-ed25519", "AAAA"), ["ssh"], None, 1.0)

    assert "No space left" in caught.value.detail
    assert list(room.iterdir()) == []


def test_the_file_is_read_from_its_beginning_and_is_on_no_disk(room: Path) -> None:
    with temporary.file(b"abc") as number:
        assert os.read(number, 10) == b"abc"
        assert Path(f"/dev/fd/{number}").read_bytes() == b"abc"
        assert list(room.iterdir()) == []

    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)
