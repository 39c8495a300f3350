"""A host's folder in the state: whole or not at all, whatever happens to who makes it."""

import errno
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from typing import Any

import pytest
from pytest_mock import MockerFixture

from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import Misconfigured, StateError
from backuppc_register.state import key_pairs
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
DORMEUR = Record(
    host="dormeur",
    full_name="dormeur.univ-brest.fr",
    person="cmartin",
    entry="0b5ac1a0-7f3a-103b-8f1c-3f0e2b8f5a11",
    os="mac",
    address="192.0.2.17",
    registered="2026-11-22T20:30:00+00:00",
    config="9f" * 32,
)
KEY, OTHER_KEY = (HostKey("ssh-ed25519", f"AAAAC3NzaC1lZDI1NTE5AAAAI{letter * 43}") for letter in ("A", "E"))
PARTS = {"key", "key.pub", "known_hosts", "ssh_config", "record.json"}
NO_HOST = ["", ".", "..", "../x", ".new", "-x", "a/b", "DORMEUR", "a b", "d\u00f6rmeur", "a\n", "a\0"]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give an empty state's folder."""
    state = tmp_path / "state"
    state.mkdir(0o750)
    return state


@pytest.fixture
def folders(state: Path) -> HostFolders:
    """Give the folders of an empty state."""
    return HostFolders(state)


@pytest.fixture
def dormeur(folders: HostFolders) -> Path:
    """Give dormeur's folder, just made."""
    folders.create(DORMEUR)
    return folders.path("dormeur")


def tree(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return everything below *folder*: content, mode, time of change."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes() if path.is_file() else b"",
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
        )
        for path in folder.rglob("*")
    }


# The ssh host key


def test_a_new_folder_knows_no_key_and_is_offered_none(folders: HostFolders, dormeur: Path) -> None:
    assert folders.known_keys("dormeur") == ()
    assert folders.offered_key("dormeur") is None
    assert folders.offered_key("simplet") is None


def test_a_pinned_key_is_the_only_one_and_ssh_is_strict(folders: HostFolders, dormeur: Path) -> None:
    (dormeur / "known_hosts").write_text(f"dormeur {OTHER_KEY}\n")

    assert folders.pin("dormeur", KEY)

    assert folders.known_keys("dormeur") == (KEY,)
    assert b"StrictHostKeyChecking yes\n" in (dormeur / "ssh_config").read_bytes()
    before = tree(dormeur)
    assert not folders.pin("dormeur", KEY)
    assert tree(dormeur) == before


def test_the_offered_key_is_the_last_one_and_nothing_follows_it(folders: HostFolders, dormeur: Path) -> None:
    before = tree(dormeur)
    folders.offer("dormeur", KEY)
    folders.offer("dormeur", OTHER_KEY)

    assert (dormeur / "offered_key").read_text() == f"{OTHER_KEY}\n"
    assert folders.offered_key("dormeur") == OTHER_KEY
    assert {name: what for name, what in tree(dormeur).items() if name != "offered_key"} == before


@pytest.mark.parametrize("content", ["", "nonsense", f"dormeur {'x' * 40}", "ssh-ed25519 AAAA\nssh-rsa B\n"])
def test_an_offered_key_that_cannot_be_read_is_a_fault(
    content: str, folders: HostFolders, dormeur: Path
) -> None:
    (dormeur / "offered_key").write_text(content)

    with pytest.raises(StateError):
        folders.offered_key("dormeur")


@pytest.mark.parametrize("name", ["known_hosts", "offered_key"])
def test_a_link_in_the_place_of_a_key_is_a_fault(name: str, folders: HostFolders, dormeur: Path) -> None:
    (dormeur / name).unlink(missing_ok=True)
    (dormeur / name).symlink_to("/etc/passwd")

    with pytest.raises(StateError):
        folders.offered_key("dormeur") if name == "offered_key" else folders.known_keys("dormeur")
    with pytest.raises(StateError):
        folders.offer("dormeur", KEY) if name == "offered_key" else folders.pin("dormeur", KEY)
    assert (dormeur / name).is_symlink()


# A new state


def test_an_empty_folder_is_a_new_state_and_asking_changes_nothing(state: Path, folders: HostFolders) -> None:
    folders.ready()

    assert not folders.exists("dormeur")
    assert folders.record("dormeur") is None
    assert folders.public_key("dormeur") is None
    assert not folders.is_whole("dormeur")
    assert tree(state) == {}


def test_the_first_host_begins_the_state(state: Path, folders: HostFolders) -> None:
    folders.create(DORMEUR)

    folders.ready()
    assert (state / "FORMAT").read_text() == "1\n"
    assert {path.name for path in state.iterdir()} == {"FORMAT", "hosts", "limits"}


def test_a_state_in_which_only_requests_were_counted_is_still_new(state: Path, folders: HostFolders) -> None:
    (state / "limits").mkdir()

    folders.ready()
    folders.create(DORMEUR)

    assert folders.is_whole("dormeur")


def _no_state(state: Path) -> None:
    state.rmdir()


def _a_file(state: Path) -> None:
    state.rmdir()
    state.touch()


def _open_to_everybody(state: Path) -> None:
    state.chmod(0o777)


def _lost_format(state: Path) -> None:
    (state / "hosts").mkdir()


def _lost_format_beside_old_folders(state: Path) -> None:
    (state / "aside").mkdir()


def _later_format(state: Path) -> None:
    (state / "FORMAT").write_text("2\n")


def _no_number(state: Path) -> None:
    (state / "FORMAT").write_bytes(b"\xff")


def _empty_format(state: Path) -> None:
    (state / "FORMAT").touch()


def _format_a_link(state: Path) -> None:
    (state / "one").write_text("1\n")
    (state / "FORMAT").symlink_to("one")


def _hosts_a_link(state: Path) -> None:
    (state / "FORMAT").write_text("1\n")
    (state / "elsewhere").mkdir()
    (state / "hosts").symlink_to("elsewhere")


def _hosts_a_file(state: Path) -> None:
    (state / "FORMAT").write_text("1\n")
    (state / "hosts").touch()


NOT_READY = (
    _no_state,
    _a_file,
    _open_to_everybody,
    _lost_format,
    _lost_format_beside_old_folders,
    _later_format,
    _no_number,
    _empty_format,
    _format_a_link,
    _hosts_a_link,
    _hosts_a_file,
)


@pytest.mark.parametrize("spoil", NOT_READY, ids=lambda spoil: spoil.__name__)
def test_a_state_that_we_cannot_work_with_is_misconfigured_and_stays_as_it_is(
    spoil: Callable[[Path], None], state: Path, folders: HostFolders
) -> None:
    spoil(state)
    before = tree(state.parent)

    with pytest.raises(Misconfigured, match=r"\[state\] directory: "):
        folders.ready()
    with pytest.raises(Misconfigured):
        folders.create(DORMEUR)

    assert tree(state.parent) == before


@pytest.mark.parametrize("closed", [".", "hosts"])
def test_a_state_that_is_closed_to_us_is_misconfigured(closed: str, state: Path, dormeur: Path) -> None:
    (state / closed).chmod(0o550)

    def ready() -> None:
        if os.geteuid() == 0:
            os.chown(state.parent, 65534, -1)
            os.chown(state, 65534, -1)
            os.chown(state / "hosts", 65534, -1)
            os.setgroups([])
            os.setresuid(65534, 65534, 65534)
        HostFolders(state).ready()

    with reachable(state):
        outcome = in_a_child(ready)
    (state / closed).chmod(0o750)

    assert outcome == "Misconfigured"


# Names


@pytest.mark.parametrize("name", NO_HOST)
def test_what_is_no_host_has_no_path(name: str, folders: HostFolders) -> None:
    with pytest.raises(ValueError, match="not a host's name"):
        folders.path(name)
    with pytest.raises(ValueError, match="not a host's name"):
        folders.create(replace(DORMEUR, host=name))


def test_hosts_whose_names_begin_alike_have_nothing_in_common(folders: HostFolders) -> None:
    folders.create(replace(DORMEUR, host="lab10"))
    folders.create(replace(DORMEUR, host="lab1.sub.univ-brest.fr"))

    assert not folders.exists("lab1")
    assert folders.record("lab1") is None


# Making a folder


def test_a_new_folder_is_whole_and_says_whose_it_is(folders: HostFolders, dormeur: Path) -> None:
    assert {path.name for path in dormeur.iterdir()} == PARTS
    assert folders.exists("dormeur")
    assert folders.is_whole("dormeur")
    assert folders.record("dormeur") == DORMEUR
    assert (folders.public_key("dormeur") or "").endswith(" backuppc server to client dormeur ssh key")
    assert (dormeur / "known_hosts").read_bytes() == b""
    assert f"IdentityFile {dormeur}/key\n" in (dormeur / "ssh_config").read_text()
    assert "StrictHostKeyChecking accept-new\n" in (dormeur / "ssh_config").read_text()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_the_modes_do_not_depend_on_the_umask(umask: int, state: Path, folders: HostFolders) -> None:
    before = os.umask(umask)
    try:
        folders.create(DORMEUR)
        folders.set_aside("dormeur", None, NOW)
        folders.create(DORMEUR)
    finally:
        os.umask(before)

    for path in state.rglob("*"):
        wanted = 0o750 if path.is_dir() else 0o600 if path.name == "key" else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_host_that_has_a_folder_gets_no_second_one(
    state: Path, folders: HostFolders, dormeur: Path
) -> None:
    before = tree(state)

    with pytest.raises(StateError, match="there already"):
        folders.create(replace(DORMEUR, person="intruder"))

    assert tree(state) == before


def test_on_a_full_disk_nothing_is_left_and_later_it_works(state: Path, folders: HostFolders) -> None:
    folders.create(replace(DORMEUR, host="grincheux"))
    before = {path.name for path in (state / "hosts").iterdir()}

    with a_full_disk(), pytest.raises(StateError):
        folders.create(DORMEUR)

    assert {path.name for path in (state / "hosts").iterdir()} == before
    folders.create(DORMEUR)
    assert folders.is_whole("dormeur")


@pytest.mark.parametrize("call", ["rename", "fsync", "mkdir", "chmod", "fchmod"])
def test_a_call_that_fails_is_a_fault_and_leaves_nothing_half(
    call: str, state: Path, folders: HostFolders, mocker: MockerFixture
) -> None:
    mocker.patch.object(os, call, side_effect=OSError(errno.EIO, "Input/output error"))

    with pytest.raises(StateError, match="Input/output error"):
        folders.create(DORMEUR)

    mocker.stopall()
    assert not folders.exists("dormeur")
    folders.create(DORMEUR)
    assert folders.is_whole("dormeur")


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("grincheux")])
def test_what_is_no_folder_in_a_folders_place_is_a_fault(
    make: Callable[[Path], None], state: Path, folders: HostFolders
) -> None:
    folders.create(replace(DORMEUR, host="grincheux"))
    make(state / "hosts/dormeur")
    before = tree(state)

    for act in (
        lambda: folders.exists("dormeur"),
        lambda: folders.record("dormeur"),
        lambda: folders.public_key("dormeur"),
        lambda: folders.is_whole("dormeur"),
        lambda: folders.create(DORMEUR),
        lambda: folders.complete(DORMEUR),
        lambda: folders.set_aside("dormeur", None, NOW),
    ):
        with pytest.raises(StateError):
            act()

    assert tree(state) == before


def test_a_folder_with_another_hosts_record_is_a_fault(
    state: Path, folders: HostFolders, dormeur: Path
) -> None:
    dormeur.rename(state / "hosts/grincheux")

    with pytest.raises(StateError, match="holds the record of dormeur"):
        folders.record("grincheux")


def test_a_folder_without_a_record_is_there_all_the_same(folders: HostFolders, dormeur: Path) -> None:
    (dormeur / "record.json").unlink()

    assert folders.exists("dormeur")
    assert folders.record("dormeur") is None
    assert not folders.is_whole("dormeur")


# Completing a folder


def test_completing_a_whole_folder_changes_no_byte(state: Path, folders: HostFolders, dormeur: Path) -> None:
    before = tree(state)

    assert folders.complete(DORMEUR) is False

    assert tree(state) == before


@pytest.mark.parametrize("missing", sorted(PARTS - {"key"}))
def test_what_is_missing_is_made_and_the_rest_stays(
    missing: str, folders: HostFolders, dormeur: Path
) -> None:
    key = folders.public_key("dormeur")
    (dormeur / "known_hosts").write_text("dormeur ssh-ed25519 AAAA\n")
    (dormeur / "ssh_config").write_text("# an administrator's own\n")
    before = tree(dormeur)
    (dormeur / missing).unlink()
    assert not folders.is_whole("dormeur")

    assert folders.complete(DORMEUR) is True

    after = tree(dormeur)
    assert before.keys() == after.keys()
    assert {name for name in after if after[name] != before[name]} == {missing}
    assert folders.public_key("dormeur") == key
    assert folders.is_whole("dormeur")


def test_a_lost_private_key_means_a_new_pair(folders: HostFolders, dormeur: Path) -> None:
    key = folders.public_key("dormeur")
    (dormeur / "key").unlink()

    assert folders.complete(DORMEUR) is True

    assert folders.public_key("dormeur") not in (None, key)
    assert folders.is_whole("dormeur")


def test_an_empty_folder_is_filled(folders: HostFolders, dormeur: Path) -> None:
    for path in dormeur.iterdir():
        path.unlink()

    assert folders.complete(DORMEUR) is True

    assert folders.is_whole("dormeur")


def test_a_lost_ssh_config_is_strict_where_the_machine_is_known(folders: HostFolders, dormeur: Path) -> None:
    (dormeur / "known_hosts").write_text("dormeur ssh-ed25519 AAAA\n")
    (dormeur / "ssh_config").unlink()

    folders.complete(DORMEUR)

    assert "StrictHostKeyChecking yes\n" in (dormeur / "ssh_config").read_text()


def test_a_record_that_differs_is_put_down_and_nothing_else(folders: HostFolders, dormeur: Path) -> None:
    before = tree(dormeur)
    linux = replace(DORMEUR, os="linux")

    assert folders.complete(linux) is True

    after = tree(dormeur)
    assert {name for name in after if after[name] != before[name]} == {"record.json"}
    assert folders.record("dormeur") == linux


def test_a_record_that_cannot_be_read_is_never_overwritten(folders: HostFolders, dormeur: Path) -> None:
    (dormeur / "record.json").write_text('{"format": 2, "host": "dormeur"}')
    before = tree(dormeur)

    with pytest.raises(StateError):
        folders.complete(DORMEUR)

    assert tree(dormeur) == before


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_link_in_a_files_place_is_a_fault(part: str, folders: HostFolders, dormeur: Path) -> None:
    (dormeur / part).rename(dormeur.parent / "elsewhere")
    (dormeur / part).symlink_to("../elsewhere")

    with pytest.raises(StateError):
        folders.complete(DORMEUR)
    with pytest.raises(StateError):
        folders.is_whole("dormeur")


def test_a_folder_that_is_not_there_is_not_completed(state: Path, folders: HostFolders) -> None:
    with pytest.raises(StateError, match="is not there"):
        folders.complete(DORMEUR)

    assert tree(state) == {}


# Setting aside


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Give dormeur's .pl among BackupPC's files."""
    (tmp_path / "backuppc").mkdir()
    config = tmp_path / "backuppc/dormeur.pl"
    config.write_text("$Conf{XferMethod} = 'rsync';\n")
    return config


def test_what_is_set_aside_is_kept_as_one(
    state: Path, folders: HostFolders, dormeur: Path, config: Path
) -> None:
    before = {name: content for name, (content, _, _) in tree(dormeur).items()}

    place = folders.set_aside("dormeur", config, NOW)

    assert place == state / "aside/dormeur.20261122T203000Z"
    after = {name: content for name, (content, _, _) in tree(place).items()}
    assert after == before | {"dormeur.pl": b"$Conf{XferMethod} = 'rsync';\n"}
    assert not config.exists()
    assert not folders.exists("dormeur")


def test_without_a_config_of_ours_no_config_is_touched(
    folders: HostFolders, dormeur: Path, config: Path
) -> None:
    place = folders.set_aside("dormeur", None, NOW)

    assert config.exists()
    assert {path.name for path in place.iterdir()} == PARTS


def test_a_config_that_is_gone_already_stops_nothing(
    folders: HostFolders, dormeur: Path, config: Path
) -> None:
    config.unlink()

    assert {path.name for path in folders.set_aside("dormeur", config, NOW).iterdir()} == PARTS


def test_the_newcomer_gets_another_key(folders: HostFolders, dormeur: Path) -> None:
    before = folders.public_key("dormeur")
    folders.set_aside("dormeur", None, NOW)

    folders.create(replace(DORMEUR, person="jdupond"))

    assert folders.public_key("dormeur") not in (None, before)


def test_several_in_one_second_do_not_meet(state: Path, folders: HostFolders) -> None:
    places = []
    for _ in range(3):
        folders.create(DORMEUR)
        places.append(folders.set_aside("dormeur", None, NOW))
        for path in places[0].iterdir():  # a rename would replace an empty folder
            path.unlink()

    first = "dormeur.20261122T203000Z"
    assert [place.name for place in places] == [first, f"{first}-2", f"{first}-3"]
    assert {place.name for place in (state / "aside").iterdir()} == {place.name for place in places}


def test_the_date_is_in_utc(folders: HostFolders, dormeur: Path) -> None:
    summer_in_brest = NOW.astimezone(timezone(timedelta(hours=2)))

    assert folders.set_aside("dormeur", None, summer_in_brest).name == "dormeur.20261122T203000Z"


def test_what_is_not_there_cannot_be_set_aside(folders: HostFolders, config: Path) -> None:
    with pytest.raises(StateError, match="is not there"):
        folders.set_aside("dormeur", config, NOW)

    assert config.exists()


def test_a_config_that_is_a_link_is_not_followed(folders: HostFolders, dormeur: Path, config: Path) -> None:
    config.rename(config.with_name("site.pl"))
    config.symlink_to("site.pl")
    before = tree(dormeur)

    with pytest.raises(StateError):
        folders.set_aside("dormeur", config, NOW)

    assert tree(dormeur) == before
    assert config.is_symlink()


def test_a_full_disk_takes_nobodys_config_away(folders: HostFolders, dormeur: Path, config: Path) -> None:
    before = config.read_bytes()

    with a_full_disk(), pytest.raises(StateError):
        folders.set_aside("dormeur", config, NOW)

    assert config.read_bytes() == before
    assert folders.is_whole("dormeur")


# Killed anywhere

STEPS = ("open", "mkdir", "rename", "unlink", "rmdir", "chmod", "fchmod", "fsync")


def in_a_child(act: Callable[[], Any]) -> str:
    """Run *act* in a process of its own; return "", the name of what it raised, or "killed"."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            act()
        except BaseException as error:
            os.write(write, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(write)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as file:
        said = file.read().decode()
    return "killed" if os.WIFSIGNALED(status) else said


def killed_at(step: int, act: Callable[[], Any]) -> str:
    """Run *act* in a process that kills itself just before its *step*-th call that changes a file system."""
    left = step

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **keywords)

        return counting

    def doomed() -> None:
        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        act()

    return in_a_child(doomed)


def every_kill(act: Callable[[], Any], prepare: Callable[[], Any]) -> Iterator[int]:
    """Run *act* again and again, killed one step later each time, until it ends by itself."""
    for step in range(1, 500):
        prepare()
        outcome = killed_at(step, act)
        yield step
        if outcome != "killed":
            assert outcome == ""
            assert step > 5
            return
    raise AssertionError("it never ended")


@contextmanager
def a_full_disk() -> Iterator[None]:
    """Let no byte be written, by us or a program of ours."""
    soft, hard = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))


@contextmanager
def reachable(path: Path) -> Iterator[None]:
    """Let any account walk down to *path*."""
    modes = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in path.parents}
    for folder, mode in modes.items():
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
    try:
        yield
    finally:
        for folder, mode in modes.items():
            if stat.S_IMODE(folder.stat().st_mode) != mode:
                folder.chmod(mode)


def numbered(tmp_path: Path) -> Callable[[], HostFolders]:
    """Return what gives a new state at each call."""
    count = 0

    def fresh() -> HostFolders:
        nonlocal count
        count += 1
        (tmp_path / f"state{count}").mkdir(0o750)
        return HostFolders(tmp_path / f"state{count}")

    return fresh


def test_killed_anywhere_a_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    fresh, folders = numbered(tmp_path), HostFolders(tmp_path)

    def prepare() -> None:
        nonlocal folders
        folders = fresh()

    for _ in every_kill(lambda: folders.create(DORMEUR), prepare):
        folders.ready()
        made = folders.exists("dormeur")
        assert folders.is_whole("dormeur") == made
        key = folders.public_key("dormeur")

        if made:
            assert folders.complete(DORMEUR) is False
        else:
            folders.create(DORMEUR)

        assert folders.is_whole("dormeur")
        assert folders.record("dormeur") == DORMEUR
        if made:
            assert folders.public_key("dormeur") == key
        assert {path.name for path in folders.path("dormeur").parent.iterdir()} == {"dormeur"}
        assert {path.name for path in folders.path("dormeur").iterdir()} == PARTS


@pytest.mark.parametrize("lost", [PARTS, {"key"}, {"key.pub", "ssh_config"}, {"known_hosts", "record.json"}])
def test_killed_anywhere_completing_is_finished_by_the_next_run(lost: set[str], tmp_path: Path) -> None:
    fresh, folders, key = numbered(tmp_path), HostFolders(tmp_path), ""

    def prepare() -> None:
        nonlocal folders, key
        folders = fresh()
        folders.create(DORMEUR)
        key = "" if "key" in lost else folders.public_key("dormeur") or ""
        for name in lost:
            (folders.path("dormeur") / name).unlink()

    for _ in every_kill(lambda: folders.complete(DORMEUR), prepare):
        now = folders.public_key("dormeur") or ""
        assert not key or now == key

        folders.complete(DORMEUR)

        assert folders.is_whole("dormeur")
        if now:
            assert folders.public_key("dormeur") == now
        assert folders.complete(DORMEUR) is False


def test_killed_anywhere_pinning_never_leaves_a_strict_ssh_that_knows_nobody(tmp_path: Path) -> None:
    fresh, folders = numbered(tmp_path), HostFolders(tmp_path)

    def prepare() -> None:
        nonlocal folders
        folders = fresh()
        folders.create(DORMEUR)
        folders.offer("dormeur", KEY)

    for _ in every_kill(lambda: folders.pin("dormeur", KEY), prepare):
        folder = folders.path("dormeur")
        strict = b"StrictHostKeyChecking yes" in (folder / "ssh_config").read_bytes()
        assert not strict or folders.known_keys("dormeur") == (KEY,)

        folders.pin("dormeur", KEY)

        assert folders.known_keys("dormeur") == (KEY,)
        assert folders.offered_key("dormeur") is None
        assert folders.pin("dormeur", KEY) is False
        assert {path.name for path in folder.iterdir()} == PARTS


def test_killed_anywhere_setting_aside_loses_nothing_and_is_finished_by_the_same_call(tmp_path: Path) -> None:
    fresh, folders, state = numbered(tmp_path), HostFolders(tmp_path), tmp_path
    config = tmp_path / "dormeur.pl"
    text = b"$Conf{XferMethod} = 'rsync';\n"

    def prepare() -> None:
        nonlocal folders, state
        folders = fresh()
        folders.create(DORMEUR)
        state = folders.path("dormeur").parent.parent
        config.write_bytes(text)

    for _ in every_kill(lambda: folders.set_aside("dormeur", config, NOW), prepare):
        gone = list((state / "aside").glob("*"))
        assert folders.exists("dormeur") != bool(gone)
        copies = [config, *state.glob("*/*/dormeur.pl")]
        assert any(path.exists() and path.read_bytes() == text for path in copies)

        if folders.exists("dormeur"):
            assert folders.is_whole("dormeur")
            folders.set_aside("dormeur", config, NOW)

        (place,) = (state / "aside").iterdir()
        assert {path.name for path in place.iterdir() if not path.name.startswith(".")} == PARTS | {
            "dormeur.pl"
        }
        assert (place / "dormeur.pl").read_bytes() == text
        assert not config.exists()
        folders.create(DORMEUR)


def test_an_ssh_keygen_that_outlives_its_killed_parent_disturbs_nobody(
    tmp_path: Path, folders: HostFolders, mocker: MockerFixture
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    slow = f'#!/bin/sh\ntouch {tmp_path}/begun\nsleep 0.5\n/usr/bin/ssh-keygen "$@"\ntouch {tmp_path}/ended\n'
    (tools / "ssh-keygen").write_text(slow)
    (tools / "ssh-keygen").chmod(0o755)
    ours = key_pairs._PATH
    mocker.patch.object(key_pairs, "_PATH", f"{tools}:{ours}")
    pid = os.fork()
    if pid == 0:
        folders.create(DORMEUR)
        os._exit(0)
    wait_for(tmp_path / "begun")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    mocker.patch.object(key_pairs, "_PATH", ours)

    folders.create(DORMEUR)
    key = folders.public_key("dormeur")
    wait_for(tmp_path / "ended")

    assert folders.public_key("dormeur") == key
    assert {path.name for path in folders.path("dormeur").iterdir()} == PARTS
    assert {path.name for path in folders.path("dormeur").parent.iterdir()} == {"dormeur"}


def wait_for(path: Path) -> None:
    """Wait until *path* is there."""
    for _ in range(500):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} never came")
