"""What keeps a file from being replaced, although its folder can be written."""

import fcntl
import os
import subprocess
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from backuppc_register.system import rename_obstacles
from backuppc_register.system.rename_obstacles import obstacles

FLAGS = [(0x10, "is immutable", "chattr -i"), (0x20, "is append-only", "chattr -a"), (0x80000, "", "")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "hosts").write_text("host dhcp user\n")
    return tmp_path / "hosts"


def test_an_ordinary_file_can_be_replaced(path: Path) -> None:
    assert list(obstacles(path)) == []


def test_a_link_would_be_replaced_instead_of_its_file(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)

    (found,) = obstacles(link)

    assert found == (f"{link} is a symbolic link to {path}", f"Put the file itself there: mv {path} {link}")


@pytest.mark.parametrize(("flag", "words", "cure"), FLAGS)
def test_attributes_that_forbid_it(
    path: Path, mocker: MockerFixture, flag: int, words: str, cure: str
) -> None:
    def ioctl(_descriptor: int, _request: int, flags: "array[int]") -> None:
        flags[0] = flag

    mocker.patch.object(fcntl, "ioctl", side_effect=ioctl)

    found = list(obstacles(path))

    assert [words in what and cure in advice for what, advice in found] == ([True, True] if words else [])
    assert [what.split()[0] for what, _ in found] == ([str(path), str(path.parent)] if words else [])


@pytest.fixture
def immutable(path: Path) -> Iterator[Path]:
    """Give a file that chattr made immutable, or an ordinary one where there is no such attribute."""
    done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False)
    yield path
    if not done.returncode:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_the_kernel_agrees_about_a_file_that_chattr_has_closed(immutable: Path) -> None:
    other = immutable.with_name("new")
    other.touch()
    found = list(obstacles(immutable))

    try:
        other.rename(immutable)
    except PermissionError:
        assert [what for what, _ in found] == [f"{immutable} is immutable"]
    else:
        assert found == []


@pytest.mark.parametrize("name", ["hosts", "ho sts", "ho\\134sts"])
def test_a_mount_of_the_single_file(tmp_path: Path, mocker: MockerFixture, name: str) -> None:
    path = tmp_path / name
    path.touch()
    written = str(path).replace("\\", r"\134").replace(" ", r"\040")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"29 1 0:26 / / rw - tmpfs x rw\n36 29 98:0 /a {written} rw,noatime - ext3 /dev/x rw\n")
    mocker.patch.object(rename_obstacles, "_MOUNTS", mounts)

    (found,) = obstacles(path)

    assert found[0] == f"{path} is a mount of its own"
    assert f"mount the folder {tmp_path}" in found[1]


def test_a_mount_of_the_folder_is_no_obstacle(path: Path, tmp_path: Path, mocker: MockerFixture) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 29 98:0 /a {path.parent} rw - ext3 /dev/x rw\n")
    mocker.patch.object(rename_obstacles, "_MOUNTS", mounts)

    assert list(obstacles(path)) == []


def test_a_sticky_folder_keeps_the_files_of_others(path: Path, mocker: MockerFixture) -> None:
    path.parent.chmod(0o1777)
    mocker.patch.object(os, "geteuid", return_value=os.getuid() + 1)

    (found,) = obstacles(path)

    assert "sticky bit" in found[0]


def test_what_is_not_there_is_a_doubt(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(obstacles(tmp_path / "away"))
