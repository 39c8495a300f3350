"""What was purged is swept away, whoever else sweeps and whatever lies there besides."""

import fcntl
import os
import shutil
import threading
from datetime import UTC, datetime

import pytest

from backuppc_register.backuppc import data_folder
from backuppc_register.backuppc.data_folder import Swept
from backuppc_register.protocol.errors import HostsFileError
from backuppc_register.system import atomic_files

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def data(tmp_path):
    for host in ("dormeur", "loir"):
        (tmp_path / "pc" / host / "0").mkdir(parents=True)
        (tmp_path / "pc" / host / "0/secret").write_text("cmartin's")
    return tmp_path


def doomed(data):
    return sorted(place.name.partition(".")[0] for place in (data / "pc/~purged").iterdir())


def test_what_is_doomed_is_deleted_with_the_folder_around_it(data):
    data_folder.doom(data, "dormeur", NOW)

    assert doomed(data) == ["dormeur"]
    assert data_folder.sweep(data) == Swept(1)
    assert [place.name for place in (data / "pc").iterdir()] == ["loir"]
    assert data_folder.sweep(data) == Swept(0)


def test_where_somebody_sweeps_already_that_is_enough(data):
    data_folder.doom(data, "dormeur", NOW)
    other = os.open(data / "pc/~purged", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)

    try:
        assert data_folder.sweep(data) == Swept(0)
        assert doomed(data) == ["dormeur"]
    finally:
        os.close(other)
    assert data_folder.sweep(data) == Swept(1)


def test_a_sweep_that_ends_just_before_a_host_is_doomed_takes_nothing_from_under_it(data, mocker):
    free, sweeps = data_folder._free_place, []

    def swept_meanwhile(*place):
        if len(sweeps) < 3:
            sweeps.append(data_folder.sweep(data))
            assert not (data / "pc/~purged").exists()
        return free(*place)

    mocker.patch.object(data_folder, "_free_place", side_effect=swept_meanwhile)

    data_folder.doom(data, "dormeur", NOW)

    assert sweeps == [Swept(0)] * 3
    assert doomed(data) == ["dormeur"]
    assert data_folder.sweep(data) == Swept(1)


def test_a_host_that_is_swept_as_soon_as_it_is_doomed_is_doomed_all_the_same(data, mocker):
    synced, swept = atomic_files.sync_folder, []

    def swept_before(folder):
        swept.append(data_folder.sweep(data).deleted)
        synced(folder)

    mocker.patch.object(atomic_files, "sync_folder", side_effect=swept_before)

    data_folder.doom(data, "dormeur", NOW)

    assert swept[0] == 1
    assert [place.name for place in (data / "pc").iterdir()] == ["loir"]


def test_what_is_not_there_cannot_be_doomed(data):
    with pytest.raises(HostsFileError, match="No such file"):
        data_folder.doom(data, "unknown", NOW)


def test_a_second_host_can_be_doomed_while_the_first_is_swept(data, mocker):
    data_folder.doom(data, "dormeur", NOW)
    really, arrived = shutil.rmtree, threading.Event()

    def slowly(place):
        data_folder.doom(data, "loir", NOW)
        arrived.set()
        really(place)

    mocker.patch("shutil.rmtree", slowly)

    assert data_folder.sweep(data) == Swept(1)
    assert arrived.is_set()
    assert doomed(data) == ["loir"]


def test_what_an_administrator_deletes_meanwhile_is_no_failure(data, mocker):
    data_folder.doom(data, "dormeur", NOW)
    mocker.patch("shutil.rmtree", side_effect=FileNotFoundError(2, "gone"))

    assert data_folder.sweep(data).problems == ()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_hosts_folder_is_told_and_the_others_are_deleted(data, tmp_path, kind):
    data_folder.doom(data, "dormeur", NOW)
    stray = data / "pc/~purged/a-stray"  # comes first
    (tmp_path / "elsewhere").mkdir()
    stray.symlink_to(tmp_path / "elsewhere") if kind == "link" else stray.touch()

    swept = data_folder.sweep(data)

    assert swept.deleted == 1
    (problem,) = swept.problems
    assert str(stray) in problem
    assert (str(tmp_path / "elsewhere") in problem) == (kind == "link")
    assert doomed(data) == ["a-stray"]
    assert (tmp_path / "elsewhere").is_dir()


def test_a_folder_that_cannot_be_deleted_does_not_keep_the_others(data, mocker):
    really = shutil.rmtree
    for host in ("dormeur", "loir"):
        data_folder.doom(data, host, NOW)

    def failing(place):
        if place.name.startswith("dormeur"):
            raise PermissionError(13, "Permission denied")
        really(place)

    mocker.patch("shutil.rmtree", failing)

    swept = data_folder.sweep(data)

    assert (swept.deleted, len(swept.problems)) == (1, 1)
    assert "Permission denied" in swept.problems[0]


def test_a_file_in_the_place_of_the_doomed_is_a_fault(data):
    (data / "pc/~purged").touch()

    with pytest.raises(HostsFileError):
        data_folder.sweep(data)


def test_where_a_hosts_folder_leads(data, tmp_path):
    (data / "pc/lerot").symlink_to(tmp_path / "gone")

    assert data_folder.elsewhere(data, "lerot") == str(tmp_path / "gone")
    assert data_folder.elsewhere(data, "dormeur") == ""
    assert data_folder.elsewhere(data, "nobody") == ""
