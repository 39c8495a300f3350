"""Laptops of the lab on which the setup is tried, with the server that they call."""

import itertools
import re
import stat

from checkout import CHECKOUT
from lab import Lab, Laptop, Result, Server, Terminal

SETUP = "/opt/backuppc-register/clients/setup.sh"
PLACE = "/var/lib/bckpciuem"
GIVEN = "--server dugong.univ-brest.fr --register-key /root/register-key --known-hosts /root/known_hosts"
OURS = ("/etc", "/var/lib/bckpciuem", "/var/lib/bckpciuem-restore", "/usr/local", "/home")
OK, ERROR, USAGE, REFUSED, UNREACHABLE, IMPOSTOR, LEFT_TO_DO, NOT_VERIFIED = 0, 1, 2, 4, 5, 6, 7, 8


class Site:
    """The server, and laptops one after the other, each with a name and an address of its own."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.dugong: Server = lab.server("dugong.univ-brest.fr")
        self.dugong.configure("[state]", "[limits]\nper_address = 0\n[state]")
        self._numbers = itertools.count(20)

    def laptop(self, *, ipv6: bool = False, known_hosts: str = "") -> Laptop:
        number = next(self._numbers)
        address6 = f"fd77::{number}" if ipv6 else None
        laptop = self.lab.laptop(f"portable{number}.univ-brest.fr", f"10.77.0.{number}", address6=address6)
        laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        laptop.write("/root/known_hosts", known_hosts or self.dugong.known_hosts)
        return laptop

    def log_of(self, laptop: Laptop) -> list[str]:
        return [line for line in self.dugong.syslog() if any(f" {a} " in line for a in laptop.addresses)]

    def is_registered(self, laptop: Laptop) -> bool:
        return re.search(rf"^{laptop.name}\s", self.dugong.hosts(), re.MULTILINE) is not None

    def key_path(self, laptop: Laptop) -> str:
        return f"/var/lib/backuppc-register/hosts/{laptop.name}/key"

    def ssh(self, laptop: Laptop) -> str:
        return f"ssh -F /var/lib/backuppc-register/hosts/{laptop.name}/ssh_config"


def set_up(
    laptop: Laptop, options: str = "--logon cmartin --unattended", lang: str = "C", *, verify: bool = False
) -> Result:
    """Set up; without the way back where the story is another, or BackupPC would begin a backup each time."""
    way_back = "" if verify else "--no-verify"
    return laptop.run(f"sh {SETUP} {GIVEN} {way_back} {options}", env={"LANG": lang}, timeout=60)


def sit_down(laptop: Laptop, options: str = "--no-verify", lang: str = "C") -> Terminal:
    """Start the setup at a terminal, and agree to what it will do."""
    terminal = laptop.terminal(f"sh {SETUP} {GIVEN} {options}", env={"LANG": lang})
    french = lang.startswith("fr")
    terminal.answer(r"\((yes/no|oui/non)\) ?\? $", "oui" if french else "yes")
    return terminal


def contents(laptop: Laptop, *folders: str) -> dict[str, str]:
    """What stands below *folders*, without the times of anything."""
    there = [folder for folder in folders or OURS if laptop.exists(folder)]
    picture = laptop.picture(*there)
    return {path: re.sub(r" [0-9]+\.[0-9]+(?= |$)", "", what) for path, what in picture.items()}


def touched(laptop: Laptop) -> list[str]:
    """Give all on the laptop's disk whose inode has changed since the last `stamp`; /tmp held a folder."""
    stamp = laptop.changed("/run/stamp")
    written = [path for path, status in laptop.process.written() if status.st_ctime_ns > stamp]
    roots = [path for path in ("/dev", "/run") if laptop.changed(path) > stamp]
    return [*written, *roots, *laptop.run("ls -A /tmp").lines]


def stamp(laptop: Laptop) -> None:
    # The first look into a merged folder may change its inode: overlayfs notes there what it found.
    folders = "\0".join(path for path, status in laptop.process.written() if stat.S_ISDIR(status.st_mode))
    laptop.run("xargs -0 ls -A >/dev/null; touch /run/stamp", input=folders, check=True)


def bundle(site: Site) -> str:
    """The setup with the server's name, its host keys, the register-key and the wrapper inside."""
    text = (CHECKOUT / "clients/setup.sh").read_text().replace("SERVER=''", "SERVER=dugong.univ-brest.fr", 1)
    files = {
        "register-key": site.dugong.register_key,
        "known-hosts": site.dugong.known_hosts,
        "wrapper": (CHECKOUT / "clients/rsyncsend.sh").read_text(),
    }
    for name, content in files.items():
        text = text.replace(f"\n=== {name} ===\n", f"\n{content}=== {name} ===\n", 1)
    return text


def receipt(laptop: Laptop) -> list[str]:
    """Give the lines of the receipt, but for those that no two laptops have in common."""
    lines = laptop.read(f"{PLACE}/receipt").splitlines()
    return sorted(line for line in lines if not line.startswith(("key ", "host ", "url ")))


ACCOUNTS_FILES = r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)([-+]|\.lock|\.[0-9]+)?"


def without_accounts_files(laptop: Laptop) -> dict[str, str]:
    """Give what stands on the laptop, but for what useradd and userdel leave behind (passwd-, subuid).

    Killed at work they leave a lock (passwd.lock), its other name (passwd.PID) or half a file (passwd+).
    """
    own = re.compile(rf"{ACCOUNTS_FILES}|/etc/\.pwd\.lock|/etc|/etc/ssh/.*")
    return {path: what for path, what in contents(laptop).items() if not own.fullmatch(path)}
