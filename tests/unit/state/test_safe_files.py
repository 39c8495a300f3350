"""Access to the files of a host's folder."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(b"hers")
    path.symlink_to("elsewhere")


NO_FILE: tuple[Callable[[Path], None], ...] = (Path.mkdir, os.mkfifo, _socket, _link)


def test_what_a_file_holds_is_read_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_bytes(b"")

    assert safe_files.content(tmp_path / "known_hosts") == b""
    assert safe_files.content(tmp_path / "key") is None


@pytest.mark.parametrize("make", NO_FILE)
def test_what_is_no_regular_file_is_a_fault(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "known_hosts")

    with pytest.raises(StateError, match="known_hosts"):
        safe_files.content(tmp_path / "known_hosts")


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    safe_files.remove_folder(tmp_path / ".new")


def test_a_folder_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / ".new/.new-key").mkdir(parents=True)
    (tmp_path / ".new/.new-key/key").touch()

    safe_files.remove_folder(tmp_path / ".new")

    assert list(tmp_path.iterdir()) == []


def test_what_a_link_points_at_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".new").symlink_to("elsewhere")

    with pytest.raises(StateError, match="not a folder"):
        safe_files.remove_folder(tmp_path / ".new")

    assert (tmp_path / "elsewhere").is_dir()
