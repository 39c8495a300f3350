"""Whether a hosts file can be replaced: tried as far as the rename, and nothing stays."""

import errno
import os
from pathlib import Path

import pytest
from broken_server import bad, facts_of
from pytest_mock import MockerFixture

from backuppc_register.diagnosis import replace_checks
from backuppc_register.diagnosis.finding import Level
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.system import atomic_files


@pytest.fixture
def facts(tmp_path: Path) -> ServerFacts:
    return facts_of(tmp_path)


def picture(facts: ServerFacts) -> dict[str, tuple[int, int, bytes]]:
    folder = facts.config.backuppc.config_dir
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.iterdir()
    }


def test_an_ordinary_file_is_fine_and_nothing_is_left_or_changed(facts: ServerFacts) -> None:
    before = picture(facts)

    assert bad(replace_checks.replaceable, facts) == []
    assert picture(facts) == before


def test_it_is_tried_under_backuppcs_lock_where_there_is_one(facts: ServerFacts) -> None:
    (facts.config.backuppc.config_dir / "LOCK").touch()
    with facts.server.locked():
        waited = bad(replace_checks.replaceable, facts)

    assert [level for level, _ in waited] == [Level.RED]
    assert bad(replace_checks.replaceable, facts) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_new_file_that_cannot_be_made_is_red_with_the_kernels_words(
    facts: ServerFacts, mocker: MockerFixture, code: int
) -> None:
    before = picture(facts)
    mocker.patch.object(os, "fsync", side_effect=OSError(code, os.strerror(code)))

    (found,) = bad(replace_checks.replaceable, facts)

    assert found[0] is Level.RED
    assert os.strerror(code) in found[1]
    assert picture(facts) == before


@pytest.mark.parametrize("call", ["fchown", "fchmod"])
def test_an_owner_that_cannot_be_kept_is_red(facts: ServerFacts, mocker: MockerFixture, call: str) -> None:
    mocker.patch.object(os, call, side_effect=PermissionError(1, "Operation not permitted"))

    (found,) = bad(replace_checks.replaceable, facts)

    assert found[0] is Level.RED
    assert "Operation not permitted" in found[1]


def test_an_access_control_list_that_cannot_be_kept_is_red(facts: ServerFacts, mocker: MockerFixture) -> None:
    mocker.patch.object(atomic_files, "_acl", return_value=b"an acl")
    mocker.patch.object(os, "setxattr", side_effect=OSError(errno.EOPNOTSUPP, "Operation not supported"))

    assert [level for level, _ in bad(replace_checks.replaceable, facts)] == [Level.RED]


def test_a_link_is_red_with_its_cure(facts: ServerFacts) -> None:
    path = facts.config.backuppc.hosts
    path.rename(path.with_name("real"))
    path.symlink_to("real")

    (found,) = bad(replace_checks.replaceable, facts)

    assert found[0] is Level.RED
    assert "symbolic link to real" in found[1]


def test_a_folder_in_the_place_of_the_new_file_is_red(facts: ServerFacts) -> None:
    (facts.config.backuppc.config_dir / ".hosts.backuppc-register").mkdir()

    assert [level for level, _ in bad(replace_checks.replaceable, facts)] == [Level.RED]


def test_a_hosts_file_that_is_not_there_is_another_checks(facts: ServerFacts) -> None:
    facts.config.backuppc.hosts.unlink()

    assert bad(replace_checks.replaceable, facts) == []


def test_a_folder_of_the_hosts_settings_that_cannot_be_written_is_red(
    facts: ServerFacts, mocker: MockerFixture
) -> None:
    folder = facts.config.backuppc.config_dir / "pc"
    folder.mkdir()
    really = os.access
    mocker.patch.object(os, "access", lambda path, mode: path != folder and really(path, mode))

    found = bad(replace_checks.replaceable, facts)

    assert [level for level, what in found if f"the settings of hosts in {folder}" in what] == [Level.RED]
