"""Work that a child does as BackupPC's account, while the program stays who it was."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.protocol.errors import Internal, OtherOwner, StateError
from backuppc_register.system.account import WrongAccount

NOBODY = 65534


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def test_the_work_is_done_as_the_owner_and_we_stay_who_we_are(folder):
    before = os.getresuid(), os.getresgid(), os.getgroups()

    uids, gids = run_as_owner(folder, lambda: (os.getresuid(), os.getresgid()))

    owner = folder.stat()
    assert (uids, gids) == ([owner.st_uid] * 3, [owner.st_gid] * 3)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


def test_a_long_answer_arrives_whole(folder):
    assert run_as_owner(folder, lambda: "x" * 1_000_000) == "x" * 1_000_000


def test_an_error_of_ours_comes_out_as_it_was(folder):
    def work():
        raise OtherOwner(host="dormeur", logon="adupont", detail="the hosts file says cmartin")

    with pytest.raises(OtherOwner) as error:
        run_as_owner(folder, work)

    assert error.value.values == {"host": "dormeur", "logon": "adupont"}
    assert error.value.detail == "the hosts file says cmartin"


def test_a_bug_is_told_with_its_traceback(folder):
    with pytest.raises(Internal, match="ZeroDivisionError"):
        run_as_owner(folder, lambda: 1 / 0)


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "died by signal 9"),
        (lambda: os.kill(os.getpid(), signal.SIGXCPU), "died by signal 24"),
        (lambda: os._exit(0), "died with exit status 0"),
        (lambda: os._exit(7), "died with exit status 7"),
    ],
)
def test_a_child_that_dies_is_a_fault_and_says_how(folder, end, how):
    with pytest.raises(Internal, match=how):
        run_as_owner(folder, end)


def test_a_child_that_leaves_like_a_program_is_a_fault(folder):
    def leave():
        raise SystemExit(0)

    with pytest.raises(Internal):
        run_as_owner(folder, leave)


@pytest.mark.lab
def test_the_owner_cannot_do_what_root_could(folder):
    def work():
        try:
            Path("/etc/shadow").read_bytes()
        except PermissionError as error:
            raise StateError(detail="closed") from error

    with pytest.raises(StateError, match="closed"):
        run_as_owner(folder, work)


@pytest.mark.lab
def test_a_third_account_is_refused_in_the_child_too(folder, mocker):
    mocker.patch("os.geteuid", return_value=12345)

    with pytest.raises(WrongAccount):
        run_as_owner(folder, lambda: "done")
