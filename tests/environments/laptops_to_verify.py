"""A server of the lab with laptops that it verifies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab import Host, Lab, Laptop, Result
from lab.backuppc import Backup

SETUP = "/opt/backuppc-register/clients/setup.sh"
ADMIN = "/opt/backuppc-register/bin/backuppc-register-admin"
GIVEN = "--server dugong.univ-brest.fr --register-key /root/register-key --known-hosts /root/known_hosts"
SSH = "ssh -x -a -i /root/register-key -o UserKnownHostsFile=/root/known_hosts -l backuppc 10.77.0.1"
STATE = "/var/lib/backuppc-register/hosts"


class Site:
    """The server, and laptops that the setup has registered for cmartin."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.dugong = lab.server("dugong.univ-brest.fr")
        self.dugong.configure("[state]", "[limits]\nper_address = 0\n[state]")

    def laptop(
        self, name: str, number: int, *, setup: bool = True, net: str = "10.77.0.", **settings: Any
    ) -> Laptop:
        laptop = self.lab.laptop(f"{name}.univ-brest.fr", f"{net}{number}", **settings)
        laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        laptop.write("/root/known_hosts", self.dugong.known_hosts)
        if setup:
            laptop.run(f"sh {SETUP} {GIVEN} --logon cmartin --unattended --no-verify", check=True, timeout=60)
        return laptop

    def verify(
        self, laptop: Laptop, said: bytes | None = None, *, logon: str = "cmartin", ssh: str = SSH
    ) -> Result:
        """Ask as the setup does, with the laptop's own ssh host keys unless something else is *said*."""
        command = [*ssh.split(), f"verify:linux:{logon}"]
        return laptop.run(command, input=said_by(laptop) if said is None else said, timeout=40)

    def kept(self, name: str) -> dict[str, str]:
        """What is known of a host, its record's times left out."""
        kept = {file: self.dugong.read(f"{STATE}/{name}/{file}") for file in ("known_hosts", "ssh_config")}
        return kept | {"key": self.dugong.read(f"{STATE}/{name}/key.pub")}

    def await_first_backup(self, name: str) -> list[Backup]:
        """Wait for what verify has queued; BackupPC, which has one thread, never forgets it in between."""
        job = f'"{name}"'
        self.dugong.wait_for(lambda: job not in self.dugong.message("status queues jobs"), "a backup", 60)
        return self.dugong.backups(name)


def said_by(laptop: Laptop) -> bytes:
    """Return what the setup says of a laptop's own ssh host keys."""
    return "".join(f"hostkey:{key}\n" for key in laptop.ssh_host_keys).encode()


def words(result: Result) -> dict[str, str]:
    """Return the keywords of a reply with their values."""
    pairs = (re.split(": ?", line, maxsplit=1) for line in result.stdout.splitlines()[1:])
    return {pair[0]: pair[1] for pair in pairs}


def outcome(result: Result) -> str:
    """Return code and step of a refusal, or the status of a success."""
    told = words(result)
    assert result.stderr == ""
    if result.stdout.startswith("success\n"):
        assert result.status == 0
        return told["status"]
    assert told["advice"].endswith(".") or "SHA256:" in told["advice"]
    return " ".join(filter(None, (told["error"], told.get("step"))))


@contextmanager
def changed(host: Host, change: str, back: str) -> Iterator[None]:
    """Let a host be changed for as long as the ``with`` statement lasts."""
    host.run(change, check=True)
    try:
        yield
    finally:
        host.run(back, check=True)
