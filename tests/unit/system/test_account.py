"""A program becomes the owner of BackupPC's configuration folder, or ends."""

import json
import os
import pwd
import tempfile
import traceback
from pathlib import Path

import pytest

from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system.account import WrongAccount, become_owner

NOBODY = 65534
NO_ONES = 54321  # a uid without an account


@pytest.fixture
def folder():
    # Not tmp_path: its parents are closed to every account but the one that runs the tests.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def in_child(work):
    """Run *work* in a process of its own, which may become whom it likes; return what it returned."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            told = {"returned": work()}
        except BaseException:
            told = {"raised": traceback.format_exc()}
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = json.loads(pipe.read())
    os.waitpid(pid, 0)
    assert "raised" not in told, told["raised"]
    return told["returned"]


def become(uid, groups=()):
    os.setgroups(groups)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def who():
    """Return all that says which account this process is."""
    return {
        "uids": list(os.getresuid()),
        "gids": list(os.getresgid()),
        "groups": sorted(os.getgroups()),
        "capabilities": [
            line.split()[1]
            for line in Path("/proc/self/status").read_text().split("\n")
            if line.startswith("Cap")
        ][1:3],  # permitted, effective
    }


def told(error_of):
    """Return class, exit status, code and detail of what *error_of* raises."""
    try:
        error_of()
    except Misconfigured as error:
        return [type(error).__name__, error.exit_status, error.code, error.detail]
    return None


@pytest.mark.lab
def test_root_becomes_the_owner_with_all_groups_and_no_others(folder):
    owner = pwd.getpwnam("backuppc")
    os.chown(folder, owner.pw_uid, 0)

    def work():
        os.setgroups([0, 4, 27])
        return become_owner(folder), who()

    name, became = in_child(work)

    assert name == "backuppc"
    assert became == {
        "uids": [owner.pw_uid] * 3,
        "gids": [owner.pw_gid] * 3,
        "groups": sorted(set(os.getgrouplist("backuppc", owner.pw_gid))),
        "capabilities": ["0000000000000000"] * 2,
    }


@pytest.mark.lab
def test_there_is_no_way_back_to_root(folder):
    os.chown(folder, NOBODY, NOBODY)

    def work():
        become_owner(folder)
        refused = []
        for way in (
            lambda: os.setuid(0),
            lambda: os.seteuid(0),
            lambda: os.setresuid(-1, 0, -1),
            lambda: os.setgid(0),
            lambda: os.setgroups([0]),
        ):
            try:
                way()
            except PermissionError:
                refused.append(True)
        return refused, who()["uids"]

    assert in_child(work) == [[True] * 5, [NOBODY] * 3]


@pytest.mark.lab
def test_what_is_made_afterwards_is_the_owners(folder):
    os.chown(folder, NOBODY, NOBODY)

    def work():
        become_owner(folder)
        (folder / "hosts").touch()

    in_child(work)

    assert ((folder / "hosts").stat().st_uid, (folder / "hosts").stat().st_gid) == (NOBODY, NOBODY)


@pytest.mark.lab
def test_the_owner_stays_who_it_is(folder):
    os.chown(folder, NOBODY, NOBODY)

    def work():
        become(NOBODY, [NOBODY, 4])
        before = who()
        return become_owner(folder), before == who()

    assert in_child(work) == ["nobody", True]


@pytest.mark.lab
def test_a_third_account_sees_the_right_account_and_exits_2(folder):
    os.chown(folder, NOBODY, NOBODY)

    def work():
        become(1)
        before = who()
        return told(lambda: become_owner(folder)), before == who()

    assert in_child(work) == [
        ["WrongAccount", 2, "misconfigured", "started by uid 1, not by nobody"],
        True,
    ]


@pytest.mark.lab
def test_the_group_of_the_folder_makes_no_account_its_owner(folder):
    os.chown(folder, NOBODY, 1)
    folder.chmod(0o775)

    def work():
        become(1, [1, NOBODY])
        return told(lambda: become_owner(folder))[0]

    assert in_child(work) == "WrongAccount"


@pytest.mark.lab
def test_a_folder_of_roots_is_told_and_root_stays_root(folder):
    os.chown(folder, 0, NOBODY)

    def work():
        before = who()
        return told(lambda: become_owner(folder)), before == who()

    problem = f"[backuppc] config_dir: {folder} belongs to root, not to BackupPC"
    assert in_child(work) == [["Misconfigured", 78, "misconfigured", problem], True]


@pytest.mark.lab
def test_a_folder_of_no_account_is_told_and_root_stays_root(folder):
    os.chown(folder, NO_ONES, NO_ONES)

    def work():
        before = who()
        return told(lambda: become_owner(folder)), before == who()

    (kind, status, _, detail), unchanged = in_child(work)
    assert (kind, status, unchanged) == ("Misconfigured", 78, True)
    assert detail.startswith(f"[backuppc] config_dir: the owner of {folder} cannot be found: ")


@pytest.mark.lab
def test_the_owner_counts_of_what_a_link_leads_to(folder):
    (folder / "real").mkdir()
    os.chown(folder / "real", NOBODY, NOBODY)
    (folder / "link").symlink_to("real")

    assert in_child(lambda: become_owner(folder / "link")) == "nobody"


# what needs no root


@pytest.mark.parametrize("name", ["missing", "file/missing"])
def test_a_missing_folder_is_reported(folder, name):
    (folder / "file").touch()

    with pytest.raises(Misconfigured, match=r"config_dir: the owner of .*missing cannot be found: "):
        become_owner(folder / name)


def test_a_folder_that_root_owns_is_reported_to_every_account():
    with pytest.raises(Misconfigured, match="belongs to root") as raised:
        become_owner(Path("/"))

    assert not isinstance(raised.value, WrongAccount)


def test_a_third_accounts_error_is_misconfigured_with_a_status_and_advice_of_its_own():
    error = WrongAccount()

    assert (error.code, error.message(), error.level) == (
        "misconfigured",
        "the server is misconfigured",
        "err",
    )
    assert error.exit_status == 2
    assert "start it as that account" in error.advice
    assert Misconfigured.exit_status == 78
