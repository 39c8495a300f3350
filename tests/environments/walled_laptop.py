"""A laptop whose rsync can be an older one, for attacks on the wall of rsyncsend.sh."""

import os
import shlex
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from checkout import CHECKOUT
from lab import Lab, Laptop, Result, Server, User
from laptops import GIVEN, SETUP

OLDER = CHECKOUT / ".systems/older-rsync/usr/bin/rsync"  # see keep_older_rsync in tests/prepare.sh
RSYNCS = {"older": "/usr/local/bin/older-rsync", "today": "/usr/bin/rsync"}
HELPER = "/usr/local/libexec/bckpciuem/rsync-helper"
PEOPLE = (User("cmartin", 1000), User("adupont", 1001))
LIST = "rsync --server --sender -slre.iLsfxC"
PROTOCOL = struct.pack("<i", 29)  # without varints and compatibility flags


def asked(folder: str, rule: str) -> bytes:
    """Give what the server sends: the arguments, its protocol version, a filter rule, and no more of them."""
    items = b"".join(os.fsencode(item) + b"\0" for item in ["rsync", ".", folder, ""])
    return items + PROTOCOL + struct.pack("<i", len(rule)) + rule.encode() + struct.pack("<i", 0)


@dataclass(frozen=True)
class Inside:
    """A running rsync as /proc shows it: its mounts, open files, root and status."""

    mounts: list[list[str]]
    files: list[str]
    top: list[str]
    status: dict[str, str]

    def flags(self, point: str) -> list[str]:
        """Give the options of the mounts at *point*, as rsync names it, one string for each mount."""
        return [mount[5] for mount in self.mounts if mount[4] == point]


class WalledLaptop:
    """The server, its laptop, and what an attacker does with the server's key."""

    def __init__(self, lab: Lab) -> None:
        self.dugong: Server = lab.server("dugong.univ-brest.fr")
        self.laptop: Laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.20", users=PEOPLE)
        self.laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        self.laptop.write("/root/known_hosts", self.dugong.known_hosts)
        options = "--logon cmartin --unattended --no-verify --share /home"
        self.laptop.run(f"sh {SETUP} {GIVEN} {options}", timeout=60, check=True)
        self.laptop.copy(OLDER, RSYNCS["older"], mode=0o755)
        self.ssh = f"ssh -F /var/lib/backuppc-register/hosts/{self.laptop.name}/ssh_config"

    def configure(self, rsync: str, *lines: str, share: str = "/home") -> None:
        """Let the laptop use *rsync*, a key of RSYNCS, share *share*, and have *lines* in its settings."""
        text = "\n".join([f"share={share}", f"rsync={RSYNCS[rsync]}", *lines, ""])
        self.laptop.write("/etc/bckpciuem.conf", text.encode(errors="surrogateescape"))

    def rsync(self, words: str) -> Result:
        """Run rsync on the server with the laptop's key; @ is the laptop."""
        words = words.replace("@", f"{self.laptop.fqdn}:")
        return self.dugong.run(f"cd /tmp && rsync -s -e {shlex.quote(self.ssh)} {words}", user="backuppc")

    def ask(self, command: str) -> Result:
        """Send *command* with the server's key."""
        return self.dugong.run([*self.ssh.split(), self.laptop.fqdn, command], user="backuppc")

    def tell(self, *rules: str, folder: str = "/home/") -> dict[str, str]:
        """Give what rsync lists and says, for each of *rules*, if the server sends it inside the protocol."""
        self.laptop.run("rm -rf /root/tried && mkdir /root/tried", check=True)
        self.laptop.write_all("/root/tried", {str(n): asked(folder, rule) for n, rule in enumerate(rules)})
        self.laptop.run(
            f"cd /root/tried && for n in *; do {HELPER} '{LIST}' - <$n >$n.told 2>&1; done", timeout=120
        )
        told = self.laptop.run(
            "cd /root/tried && for n in $(ls | grep told | sort -n); do cat $n; echo ===; done"
        )
        return dict(zip(rules, told.stdout.split("===\n"), strict=False))

    def listing(self, folder: str) -> str:
        """Give what rsync lists and says for *folder*."""
        return self.tell("+ any", folder=folder)["+ any"]

    @contextmanager
    def meanwhile(self, program: str, user: str = "cmartin") -> Iterator[None]:
        """Let *user* run the Python *program* on the laptop, which does not end by itself."""
        process = self.laptop.start(["python3", "-c", program], user=user)
        try:
            yield
        finally:
            process.kill()

    @contextmanager
    def waiting(self, command: str) -> Iterator[Inside]:
        """Let rsync wait for the server, and look at it."""
        process = self.dugong.start([*self.ssh.split(), self.laptop.fqdn, command], user="backuppc")
        try:
            self.laptop.wait_for(self._running, "rsync")
            yield self._look(self._running()[0])
        finally:
            process.kill()
            self.laptop.wait_for(lambda: not self._running(), "the end of rsync")

    def _running(self) -> list[str]:
        return self.laptop.run("pgrep -f '^/usr[a-z/-]*rsync --server'").lines

    def _look(self, pid: str) -> Inside:
        def read(command: str) -> list[str]:
            return self.laptop.run(f"cd /proc/{pid} && {command}", check=True).lines

        status = dict(line.split(":\t", 1) for line in read("cat status") if ":\t" in line)
        mounts = [line.split() for line in read("cat mountinfo")]
        return Inside(mounts, read("find fd -type l -printf '%l\\n'"), read("ls -A root/"), status)
