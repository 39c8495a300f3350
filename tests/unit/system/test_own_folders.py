"""Folders in which nobody else can exchange what we write."""

import os

import pytest
from access_lists import ACL, DEFAULT_ACL, acl

from backuppc_register.system import atomic_files, own_folders

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "above/folder"
    made.mkdir(parents=True)
    made.chmod(0o755)
    made.parent.chmod(0o755)
    return made


def test_a_folder_of_ours_has_no_flaw(folder):
    assert own_folders.flaw(folder) == ""


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o733, 0o702, 0o1777])
def test_everybody_who_may_write_can_exchange_a_file(folder, mode):
    folder.chmod(mode)

    assert own_folders.flaw(folder) == f"others can change {folder}: its mode is {mode:04o}"


def test_whoever_can_rename_a_folder_above_can_exchange_all_below_it(folder):
    folder.parent.chmod(0o777)
    assert f"others can change {folder.parent}" in own_folders.flaw(folder)

    folder.parent.chmod(0o1777)  # as /tmp: the folders of others stay where they are
    assert own_folders.flaw(folder) == ""


@AS_ROOT
@pytest.mark.parametrize("which", ["folder", "above"])
def test_its_owner_can_change_a_folder_whatever_its_mode(folder, which):
    place = folder if which == "folder" else folder.parent
    os.chown(place, 33, 0)

    assert own_folders.flaw(folder) == f"others can change {place}: it is owned by www-data"


@AS_ROOT
def test_a_folder_of_an_account_without_a_name_in_a_sticky_one_is_theirs(folder):
    folder.parent.chmod(0o1777)
    os.chown(folder, 54321, 54321)

    assert own_folders.flaw(folder).endswith("it is owned by uid 54321")


@AS_ROOT
def test_a_group_counts_unless_it_is_roots(folder):
    folder.chmod(0o775)
    assert own_folders.flaw(folder) == ""

    os.chown(folder, 0, 33)
    assert "its mode is 0775" in own_folders.flaw(folder)


@AS_ROOT
def test_an_access_control_list_counts_by_its_mask(folder):
    os.setxattr(folder, ACL, acl(user=7, mask=7))
    assert "others can change" in own_folders.flaw(folder)

    os.setxattr(folder, ACL, acl(user=7, mask=5))
    assert own_folders.flaw(folder) == ""


def test_a_default_access_control_list_gives_nobody_the_new_file(folder):
    os.setxattr(folder, DEFAULT_ACL, acl(user=7, mask=7))

    assert own_folders.flaw(folder) == ""
    atomic_files.write(folder / "file", b"", 0o644)
    assert (folder / "file").stat().st_mode & 0o777 == 0o644  # the mask


def test_links_are_not_followed(folder):
    (folder.parent / "link").symlink_to(folder)

    assert "is a link" in own_folders.flaw(folder.parent / "link")
    assert "is a link" in own_folders.flaw(folder.parent / "link/../folder")


def test_what_is_not_there_is_no_flaw_but_an_error(folder):
    with pytest.raises(FileNotFoundError):
        own_folders.flaw(folder / "none")
