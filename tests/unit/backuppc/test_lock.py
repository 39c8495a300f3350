import fcntl
import multiprocessing
import os
import subprocess
import time
from pathlib import Path

import pytest
from slowness import within

from backuppc_register.backuppc.lock import locked
from backuppc_register.protocol.errors import HostsFileError, TryAgain

FORK = multiprocessing.get_context("fork")


def could_lock(folder: Path) -> bool:
    """Ask as another program does: flock(1)."""
    return subprocess.run(["flock", "-n", folder / "LOCK", "true"], check=False).returncode == 0


def test_others_wait_while_it_is_held(tmp_path: Path) -> None:
    with locked(tmp_path, 1):
        held = not could_lock(tmp_path)

    assert held
    assert could_lock(tmp_path)


@pytest.mark.parametrize("mode", [None, 0o640, 0o666, 0o600])
def test_no_other_account_can_hold_it(tmp_path: Path, mode: int | None) -> None:
    if mode is not None:
        (tmp_path / "LOCK").touch()
        (tmp_path / "LOCK").chmod(mode)

    with locked(tmp_path, 1):
        pass

    assert (tmp_path / "LOCK").stat().st_mode & 0o777 == 0o600


def test_it_is_let_go_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path, 1):
        raise ZeroDivisionError

    assert could_lock(tmp_path)


def test_BackupPCs_own_code_waits_until_we_let_go(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"host dhcp user\na 0 b\n")
    script = (
        "use lib '/usr/share/backuppc/lib'; use BackupPC::Storage::Text; $| = 1; print qq(now\\n);"
        "BackupPC::Storage::Text->new({}, {ConfDir => $ARGV[0]})->HostInfoRead(); print qq(read\\n);"
    )

    with locked(tmp_path, 1):
        perl = subprocess.Popen(["perl", "-e", script, tmp_path], stdout=subprocess.PIPE)
        assert perl.stdout
        before = perl.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            perl.wait(0.3)
    after, _ = perl.communicate(timeout=10)

    assert (before, after) == (b"now\n", b"read\n")


def test_it_is_waited_for_no_longer_than_patience_says(tmp_path: Path) -> None:
    start = time.monotonic()

    with locked(tmp_path, 1), pytest.raises(HostsFileError, match="held"), locked(tmp_path, 0.2):
        pytest.fail("two hold it")

    took = time.monotonic() - start
    assert took >= 0.2
    assert within(took, 1)


def test_without_patience_a_free_lock_is_had_all_the_same(tmp_path: Path) -> None:
    with locked(tmp_path, 0):
        assert not could_lock(tmp_path)


def test_it_is_had_as_soon_as_it_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(["flock", tmp_path / "LOCK", "sleep", "0.3"])
    while could_lock(tmp_path) and holder.poll() is None:
        time.sleep(0.01)

    with locked(tmp_path, 5):
        ended = holder.wait()

    assert ended == 0


def test_what_it_makes_is_BackupPCs_and_what_was_there_is_not_emptied(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with locked(tmp_path, 1):
            pass
    finally:
        os.umask(old)
    lock = tmp_path / "LOCK"
    mode = lock.stat().st_mode & 0o777
    lock.write_text("somebody's note")

    with locked(tmp_path, 1):
        pass

    assert (mode, lock.read_text()) == (0o600, "somebody's note")


def test_a_link_is_refused_and_its_target_left_alone(tmp_path: Path) -> None:
    (tmp_path / "LOCK").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(HostsFileError), locked(tmp_path, 1):
        pytest.fail("locked a link")

    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("what", ["folder", "pipe", "pipe with a reader"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    lock = tmp_path / "LOCK"
    if what == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    reader = os.open(lock, os.O_RDONLY | os.O_NONBLOCK) if what == "pipe with a reader" else None

    with pytest.raises(HostsFileError), locked(tmp_path, 1):
        pytest.fail("locked no file")

    if reader is not None:
        os.close(reader)


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(HostsFileError), locked(tmp_path / "nowhere", 1):
        pytest.fail("locked nothing")


def test_a_lock_that_was_replaced_while_we_waited_guards_nothing_and_is_refused(tmp_path: Path) -> None:
    holder = subprocess.Popen(["flock", tmp_path / "LOCK", "sleep", "0.4"])
    while could_lock(tmp_path) and holder.poll() is None:
        time.sleep(0.01)

    def replace() -> None:
        time.sleep(0.1)
        (tmp_path / "LOCK").unlink()
        (tmp_path / "LOCK").touch()

    replacing = FORK.Process(target=replace)
    replacing.start()

    with pytest.raises(HostsFileError, match="replaced"), locked(tmp_path, 5):
        pytest.fail("guards nothing")

    replacing.join()
    holder.wait()


def test_a_program_that_we_start_does_not_keep_it(tmp_path: Path) -> None:
    with locked(tmp_path, 1):
        child = subprocess.Popen(["sleep", "5"], close_fds=False)

    free = could_lock(tmp_path)

    child.kill()
    child.wait()
    assert free


def _count_up(folder: Path, times: int) -> None:
    for _ in range(times):
        with locked(folder, 30):
            number = int((folder / "number").read_text())
            (folder / "number").write_text(str(number + 1))


def test_no_two_processes_hold_it_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    counters = [FORK.Process(target=_count_up, args=(tmp_path, 10)) for _ in range(10)]

    for counter in counters:
        counter.start()
    for counter in counters:
        counter.join()

    assert (tmp_path / "number").read_text() == "100"


def test_who_has_waited_longest_asks_most_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    moment = [0.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        moment[0] += seconds

    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    monkeypatch.setattr("time.sleep", sleep)
    with (tmp_path / "LOCK").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TryAgain), locked(tmp_path, 10):
            pytest.fail("two hold it")

    assert pauses == sorted(pauses, reverse=True)
    assert pauses[0] > 10 * pauses[-1]
    assert pauses[-1] >= 0.001
    assert 10 <= sum(pauses) < 10.1
