"""A host's key pair, made by the real ssh-keygen."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pytest
from pytest_mock import MockerFixture

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import key_pairs
from backuppc_register.system.deadline import Deadline


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that holds the pair of dormeur."""
    key_pairs.generate(tmp_path, "dormeur")
    return tmp_path


@contextmanager
def a_full_disk() -> Iterator[None]:
    """Let no byte be written, by us or a program of ours."""
    soft, hard = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))


def test_the_public_key_is_the_line_that_clients_install(folder: Path) -> None:
    line = key_pairs.public_key(folder)

    assert line is not None
    kind, blob, comment = line.split(" ", 2)
    assert kind == "ssh-ed25519"
    assert blob.startswith("AAAA")
    assert comment == "backuppc server to client dormeur ssh key"
    assert (folder / "key.pub").read_text() == line + "\n"


def test_ssh_keygen_says_that_the_two_belong_together(folder: Path) -> None:
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", folder / "key"], capture_output=True, text=True, check=True
    ).stdout

    assert derived.removesuffix("\n") == key_pairs.public_key(folder)


def test_nobody_else_reads_the_private_key_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        key_pairs.generate(tmp_path, "dormeur")
    finally:
        os.umask(umask)

    assert (tmp_path / "key").stat().st_mode & 0o7777 == 0o600
    assert (tmp_path / "key.pub").stat().st_mode & 0o7777 == 0o640
    assert {path.name for path in tmp_path.iterdir()} == {"key", "key.pub"}


def test_no_two_hosts_have_the_same_key(tmp_path: Path) -> None:
    lines = set()
    for host in ("lab1", "lab10"):
        (tmp_path / host).mkdir()
        key_pairs.generate(tmp_path / host, host)
        lines.add((key_pairs.public_key(tmp_path / host) or "").split()[1])

    assert len(lines) == 2


def test_a_key_that_is_there_is_never_replaced(folder: Path) -> None:
    before = (folder / "key").read_bytes()

    with pytest.raises(StateError, match="there already"):
        key_pairs.generate(folder, "dormeur")

    assert (folder / "key").read_bytes() == before


def test_without_a_private_key_there_is_no_pair(folder: Path) -> None:
    (folder / "key").unlink()

    assert key_pairs.public_key(folder) is None


def test_a_lost_public_key_is_derived_and_only_completing_writes_it(folder: Path) -> None:
    line = key_pairs.public_key(folder)
    (folder / "key.pub").unlink()

    assert key_pairs.public_key(folder) == line
    assert not (folder / "key.pub").exists()
    assert key_pairs.complete(folder, "dormeur")
    assert (folder / "key.pub").read_text() == f"{line}\n"


def test_completing_a_whole_pair_writes_nothing(folder: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}

    assert not key_pairs.complete(folder, "dormeur")

    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_a_public_key_without_its_private_one_is_replaced(folder: Path) -> None:
    before = key_pairs.public_key(folder)
    (folder / "key").unlink()

    assert key_pairs.complete(folder, "dormeur")

    assert key_pairs.public_key(folder) not in (None, before)


def test_two_halves_of_different_pairs_are_a_fault(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    key_pairs.generate(other, "dormeur")
    (folder / "key.pub").write_bytes((other / "key.pub").read_bytes())

    with pytest.raises(StateError, match="not the other half"):
        key_pairs.public_key(folder)


BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIAVM6kSzcLtsdmdjtBHlXv5W8Gy3BlH/MC0NY1jIRzMF"
COMMENT = "backuppc server to client dormeur ssh key"
NO_LINE = {
    "empty": "",
    "two lines": f"ssh-ed25519 {BLOB} {COMMENT}\nssh-ed25519 {BLOB} {COMMENT}\n",
    "carriage return": f"ssh-ed25519 {BLOB} {COMMENT}\r\n",
    "options": f'command="id" ssh-ed25519 {BLOB} {COMMENT}\n',
    "another type": f"ssh-rsa {BLOB} {COMMENT}\n",
    "another type inside": f"ssh-ed25519 {'AAAAB3NzaC1yc2E' + BLOB[15:]} {COMMENT}\n",
    "too short": f"ssh-ed25519 {BLOB[:-4]} {COMMENT}\n",
    "no base64": f"ssh-ed25519 {'!' + BLOB[1:]} {COMMENT}\n",
    "odd comment": f"ssh-ed25519 {BLOB} backuppc server to client $(id) ssh key\n",
    "no ASCII": f"ssh-ed25519 {BLOB} backuppc server to client d\u00f6rmeur ssh key\n",
}


@pytest.mark.parametrize("content", NO_LINE.values(), ids=NO_LINE.keys())
def test_what_is_not_one_line_of_ours_is_a_fault(content: str, folder: Path) -> None:
    (folder / "key.pub").write_text(content, newline="")

    with pytest.raises(StateError, match="not one line"):
        key_pairs.public_key(folder)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\n\xff\n\xff\n"])
def test_a_broken_private_key_is_a_fault(content: bytes, folder: Path) -> None:
    (folder / "key").write_bytes(content)

    with pytest.raises(StateError):
        key_pairs.public_key(folder)
    (folder / "key.pub").unlink()
    with pytest.raises(StateError):
        key_pairs.public_key(folder)


def test_a_private_key_that_others_can_read_is_a_fault_because_ssh_ignores_it(folder: Path) -> None:
    (folder / "key").chmod(0o640)

    with pytest.raises(StateError, match="chmod 600"):
        key_pairs.public_key(folder)


@pytest.mark.parametrize("name", ["key", "key.pub"])
def test_a_link_in_a_keys_place_is_a_fault(name: str, folder: Path) -> None:
    (folder / name).rename(folder / "elsewhere")
    (folder / name).symlink_to("elsewhere")

    with pytest.raises(StateError):
        key_pairs.public_key(folder)
    with pytest.raises(StateError):
        key_pairs.complete(folder, "dormeur")


def test_on_a_full_disk_there_is_no_half_of_a_pair(tmp_path: Path) -> None:
    with a_full_disk(), pytest.raises(StateError):
        key_pairs.generate(tmp_path, "dormeur")

    assert key_pairs.public_key(tmp_path) is None
    key_pairs.generate(tmp_path, "dormeur")
    assert {path.name for path in tmp_path.iterdir()} == {"key", "key.pub"}


def test_no_ssh_keygen_is_a_fault(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(key_pairs, "_PATH", str(tmp_path))

    with pytest.raises(StateError, match="ssh-keygen"):
        key_pairs.generate(tmp_path, "dormeur")


@pytest.mark.parametrize("script", ["echo no randomness >&2; exit 3", "kill -9 $$", "exec sleep 30"])
def test_an_ssh_keygen_that_fails_dies_or_hangs_is_a_fault(
    script: str, tmp_path: Path, mocker: MockerFixture
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ssh-keygen").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "ssh-keygen").chmod(0o755)
    mocker.patch.object(key_pairs, "_PATH", f"{tools}:{os.defpath}")
    mocker.patch.object(key_pairs, "_TIMEOUT", 0.3)

    with pytest.raises(StateError, match="ssh-keygen"):
        key_pairs.generate(tmp_path, "dormeur")

    assert key_pairs.public_key(tmp_path) is None


def test_ssh_keygen_is_not_waited_for_past_the_deadline(tmp_path: Path, mocker: MockerFixture) -> None:
    tools, lost = tmp_path / "tools", tmp_path / "lost"
    for path in (tools, lost):
        path.mkdir()
    key_pairs.generate(lost, "dormeur")
    (lost / "key.pub").unlink()
    (tools / "ssh-keygen").write_text("#!/bin/sh\nexec sleep 30\n")
    (tools / "ssh-keygen").chmod(0o755)
    mocker.patch.object(key_pairs, "_PATH", f"{tools}:{os.defpath}")

    for call in (key_pairs.generate, key_pairs.complete):
        with pytest.raises(StateError, match="ssh-keygen"):
            call(tmp_path, "dormeur", Deadline(0.2))
    with pytest.raises(StateError, match="ssh-keygen"):
        key_pairs.public_key(lost, Deadline(0))


def test_ssh_keygen_sees_nothing_of_our_environment(tmp_path: Path, mocker: MockerFixture) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ssh-keygen").write_text(f'#!/bin/sh\nenv > {tmp_path}/env\nexec /usr/bin/ssh-keygen "$@"\n')
    (tools / "ssh-keygen").chmod(0o755)
    mocker.patch.object(key_pairs, "_PATH", f"{tools}:{os.defpath}")
    mocker.patch.dict(os.environ, {"SSH_ORIGINAL_COMMAND": "mac:cmartin", "SSH_ASKPASS": "/bin/false"})

    key_pairs.generate(tmp_path, "dormeur")

    assert "SSH_" not in (tmp_path / "env").read_text()


def test_what_a_killed_run_left_does_not_stand_in_the_way(tmp_path: Path) -> None:
    left = tmp_path / ".new-key"
    left.mkdir(0o700)
    (left / "key").write_text("half of a")

    key_pairs.generate(tmp_path, "dormeur")

    assert {path.name for path in tmp_path.iterdir()} == {"key", "key.pub"}
