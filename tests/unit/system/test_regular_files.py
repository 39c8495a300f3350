"""Reading a regular file, and nothing else in its place."""

import os
from pathlib import Path

import pytest

from backuppc_register.system import regular_files


def test_content_and_status_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\0\r\n")

    content, status = regular_files.read(path)

    assert content == b"a\0\r\n"
    assert (status.st_ino, status.st_size) == (path.stat().st_ino, 4)


def test_a_missing_file_is_told_from_other_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        regular_files.read(tmp_path / "none")


@pytest.mark.parametrize("follow", [False, True])
def test_a_folder_and_a_named_pipe_are_errors_and_nothing_waits(tmp_path: Path, *, follow: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match="is not a regular file"):
            regular_files.read(path, follow=follow)

    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208


def test_a_link_is_read_only_if_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")

    assert regular_files.read(tmp_path / "link", follow=True)[0] == b"x"
    with pytest.raises(OSError, match="link is a symbolic link"):
        regular_files.read(tmp_path / "link")


def test_a_link_that_leads_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(OSError, match="symbolic link"):
        regular_files.read(tmp_path / "loop", follow=True)
