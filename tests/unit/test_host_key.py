"""Ssh host keys and their fingerprints are those of the real ssh-keygen."""

import subprocess

import pytest

from backuppc_register import host_key
from backuppc_register.host_key import UNREADABLE, HostKey

ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_of_ssh_keygen_is_read_and_its_fingerprint_is_ssh_keygens(kind, tmp_path):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "root@dormeur x", "-f", path], check=True)
    line = (tmp_path / "key.pub").read_text().rstrip("\n")

    key = host_key.read(line)

    assert key is not None
    assert str(key) == " ".join(line.split()[:2])
    told = subprocess.run(["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True).stdout
    assert told.split()[1] == key.fingerprint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        ED25519,
        f"ssh-rsa {ED25519}",
        f"ssh-ed25519 {ED25519}=",
        f"ssh-ed25519 {ED25519[:-1]}",
        f"ssh-ed25519 {ED25519[:24]}",
        f"ssh-ed25519 {ED25519}\n",
        f"ssh-ed25519 {ED25519[:10]}\n{ED25519[10:]}",
        f'command="id" ssh-ed25519 {ED25519}',
        f"@revoked ssh-ed25519 {ED25519}",
        f"SSH-ED25519 {ED25519}",
        f"ssh-ed25519 {ED25519}\u0661",
    ],
)
def test_what_is_not_one_key_is_none(text):
    assert host_key.read(text) is None


def test_no_text_reads_as_the_unreadable_key():
    assert host_key.read(str(UNREADABLE)) is None
    assert host_key.read(f"ssh-ed25519 {ED25519} x") == HostKey("ssh-ed25519", ED25519)
