"""The rsync behind a real sshd is started, and its greeting and file list are read."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from services.sshd import Sshd, make_key
from slowness import within

from backuppc_register import host_key
from backuppc_register.network import rsync_handshake
from backuppc_register.protocol.errors import Misconfigured, NotReachable
from backuppc_register.system.processes import ProgramResult

WORD = bytes((31, 0, 0, 0))
OCTAL = r"printf '\037\000\000\000'"


@dataclass(frozen=True)
class Transfer:
    words: tuple[bytes, ...] = (b"127.0.0.1", b"rsync", b"--server")
    handshake: bytes = b"/home\0\0" + WORD

    def listing(self, shell: str, folder: Path) -> list[bytes]:
        host, *command = self.words
        return [*shell.encode().split(), host, *command]


class Way:
    """BackupPC's ssh to an sshd, by a file of settings that take any host key and keep it."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self.sshd, self.key = sshd, folder / "key"
        make_key(self.key)
        self.kept, settings = folder / "kept", folder / "ssh_config"
        settings.write_text(
            f"Host *\n Port {sshd.port}\n IdentityFile {self.key}\n User {sshd.user}\n HostKeyAlias dormeur\n"
            f" UserKnownHostsFile {self.kept}\n GlobalKnownHostsFile /dev/null\n"
            " StrictHostKeyChecking no\n"
        )
        self.ssh = ["/usr/bin/ssh", "-F", str(settings)]

    def lets(self, command: str) -> None:
        line = f'restrict,command="{command}" {self.key.with_name("key.pub").read_text()}'
        self.sshd.authorize(line)

    def heard(self, *, key: str = "", within: float = 10.0, files: bool = False) -> ProgramResult:
        trusted = host_key.read(key or self.sshd.host_keys[0])
        assert trusted is not None
        ask = rsync_handshake.list_files if files else rsync_handshake.read_greeting
        return ask("dormeur", trusted, self.ssh, Transfer(), within)


@pytest.fixture
def way(tmp_path: Path):
    with Sshd() as sshd:
        yield Way(tmp_path, sshd)


def test_the_first_word_is_enough_and_what_was_said_arrived(way, tmp_path):
    way.lets(f"head -c 11 > {tmp_path}/said; {OCTAL}; sleep 60")
    began = time.monotonic()

    ended = way.heard()

    assert (ended.output, ended.status) == (WORD, -9)
    assert (tmp_path / "said").read_bytes() == Transfer().handshake
    assert within(time.monotonic() - began, 8)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_another_host_key_than_the_proved_one_is_not_taken_whatever_the_settings_say(way, tmp_path, kind):
    way.lets(OCTAL)
    make_key(tmp_path / "another", kind=kind)

    for files in (False, True):
        ended = way.heard(key=(tmp_path / "another.pub").read_text().strip(), files=files)
        assert ended.status == 255
        assert WORD not in ended.output
        assert b"erification failed" in ended.output + ended.errors


def test_no_host_key_is_kept(way):
    way.lets(OCTAL)

    assert way.heard().output == WORD

    assert not way.kept.exists()


def test_no_word_in_time_is_a_failed_step(way):
    way.lets("sleep 60")

    with pytest.raises(NotReachable) as refusal:
        way.heard(within=1.0)

    assert refusal.value.values["step"] == "silent"


def test_what_was_said_before_the_silence_is_told(way):
    way.lets("echo 'sudo: a password is required' >&2; sleep 60")

    with pytest.raises(NotReachable) as refusal:
        way.heard(within=3.0)

    assert refusal.value.detail == "no greeting of rsync in time; so far: sudo: a password is required"


def test_a_listing_ends_at_its_first_file_and_one_without_any_has_the_status_of_a_signal(way):
    folder = "drwxr-xr-x          4,096 2026/11/26 00:24:24 ."
    way.lets(f"echo '{folder}'; echo '-rw-r--r-- 2 2026/11/26 00:24:24 a/f'; sleep 60")
    began = time.monotonic()
    listed = way.heard(files=True)
    assert rsync_handshake.has_file(listed.output)
    assert within(time.monotonic() - began, 5)

    way.lets(f"echo '{folder}'; sleep 60")
    listed = way.heard(within=1.5, files=True)
    assert listed.status == -9
    assert rsync_handshake.has_folder(listed.output)
    assert not rsync_handshake.has_file(listed.output)


def test_an_ssh_that_is_not_there_is_misconfigured(way):
    way.ssh = ["/usr/bin/no-ssh"]

    for files in (False, True):
        with pytest.raises(Misconfigured):
            way.heard(files=files)
