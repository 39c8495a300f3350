"""A Monday morning: 200 newcomers at once, 40 at a time, while BackupPC takes its lock too; not timed."""

import fcntl
import multiprocessing
import random
import time
from pathlib import Path

from server_folder import Server

from backuppc_register.protocol.errors import TryAgain
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.snapshot_file import HostsSnapshot

FORK = multiprocessing.get_context("fork")
NEWCOMERS, AT_ONCE, TRIES = 200, 40, 5


def register(server: Server, number: int) -> tuple[str, str | None]:
    """Register as the setup does: wait and try again if the server says so."""
    for left in reversed(range(TRIES)):
        try:
            told = server.ask(name=f"poste{number}.univ-brest.fr")
            return told.status, told.key
        except TryAgain:
            if not left:
                raise
            time.sleep(random.uniform(0.5, 1))
    raise AssertionError


def hold(folder: Path) -> None:
    """Take BackupPC's lock again and again, as its daemon and its web pages do."""
    while True:
        with (folder / "LOCK").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            time.sleep(0.01)
        time.sleep(0.05)


def test_all_succeed_each_with_its_own_key_and_line(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.ask()
    backuppc = FORK.Process(target=hold, args=(tmp_path / "etc",))
    backuppc.start()
    try:
        with FORK.Pool(AT_ONCE) as pool:
            told = pool.starmap(register, [(server, number) for number in range(NEWCOMERS)], chunksize=1)
    finally:
        backuppc.kill()
        backuppc.join()

    folders = HostFolders(tmp_path / "state")
    assert {status for status, _ in told} == {"new"}
    assert len({key for _, key in told}) == NEWCOMERS
    assert [folders.public_key(f"poste{number}") for number in range(NEWCOMERS)] == [key for _, key in told]
    every = {"dormeur", *(f"poste{number}" for number in range(NEWCOMERS))}
    assert {line.split()[0] for line in server.lines()} == every
    assert HostsSnapshot(tmp_path / "state").read().keys() == every
    assert not list((tmp_path / "state").glob("backuppc-register-*"))
