"""The real sshd that adapters and the loopback demo are tried on."""

import subprocess
from pathlib import Path

from services.sshd import Sshd, greets, make_key


def test_a_key_runs_its_forced_command_whatever_was_asked(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    line = f'restrict,command="echo forced: $SSH_ORIGINAL_COMMAND" {public}\n'

    with Sshd(line, address="::1") as sshd:
        done = subprocess.run(sshd.command(tmp_path / "key", "mac:cmartin"), capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"forced: mac:cmartin\n", b"")


def test_a_key_that_is_not_authorized_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path / "key")

    with Sshd() as sshd:
        done = subprocess.run(sshd.command(tmp_path / "key", "true"), capture_output=True, check=False)

    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


def test_it_keeps_its_host_keys_over_a_restart_and_is_gone_at_the_end() -> None:
    with Sshd(key_types=("ed25519", "ecdsa")) as sshd:
        keys = sshd.host_keys
        sshd.stop()
        stopped = not greets(sshd.address, sshd.port)
        sshd.start()
        kept = sshd.host_keys == keys
        pid = sshd.pid

    assert stopped
    assert kept
    assert [key.split()[0] for key in keys] == ["ecdsa-sha2-nistp256", "ssh-ed25519"]
    assert not Path(f"/proc/{pid}").exists()
