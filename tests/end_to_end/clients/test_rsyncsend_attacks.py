"""Attackers of a laptop: who owns the server's key, who is an ordinary user there, and the two together."""

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lab import Lab, Laptop, Result, Server, User

pytestmark = pytest.mark.lab

SETUP = "/opt/backuppc-register/clients/setup.sh"
GIVEN = "--server dugong.univ-brest.fr --register-key /root/register-key --known-hosts /root/known_hosts"
ROOTS, THEIRS, DATA = "/var/lib/bckpciuem-restore", "/home/cmartin/restored", "/home/cmartin/data"
PEOPLE = (User("cmartin", 1000), User("adupont", 1001))
TURNS = 20  # of a race; without the defence that it is about, the first few are lost
SECRET = "the secret of root\n"


@dataclass(frozen=True)
class Site:
    """A server whose key is the attacker's, and the laptop that it is good for."""

    dugong: Server
    laptop: Laptop

    @property
    def ssh(self) -> str:
        return f"ssh -F /var/lib/backuppc-register/hosts/{self.laptop.name}/ssh_config"

    def rsync(self, words: str) -> Result:
        """Run rsync on the server with the laptop's key; @ is the laptop."""
        words = words.replace("@", f"{self.laptop.fqdn}:")
        return self.dugong.run(f"cd /tmp && rsync -s -e {shlex.quote(self.ssh)} {words}", user="backuppc")

    def ask(self, command: str, options: str = "") -> Result:
        words = f"{self.ssh} {options} {self.laptop.fqdn} {shlex.quote(command)}"
        return self.dugong.run(words, user="backuppc")

    def prepare(self, script: str) -> None:
        """Let the attacker lay out what is to be sent, in /tmp of the server."""
        self.dugong.run(f"cd /tmp && {script}", user="backuppc", check=True)

    @contextlib.contextmanager
    def meanwhile(self, script: str, user: str = "cmartin") -> Iterator[None]:
        """Let *user* do *script* on the laptop again and again."""
        process = self.laptop.start(f"while :; do {script}; done", user=user)
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        dugong = lab.server("dugong.univ-brest.fr")
        laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.20", users=PEOPLE)
        laptop.write("/root/register-key", dugong.register_key, mode=0o600)
        laptop.write("/root/known_hosts", dugong.known_hosts)
        laptop.write("/root/secret", SECRET, mode=0o600)
        laptop.run(f"install -d -o cmartin -g cmartin {THEIRS} {DATA} {DATA}/sub", check=True)
        laptop.write(f"{DATA}/sub/mine", "my own\n", owner="cmartin")
        options = f"--logon cmartin --unattended --no-verify --restore-dir {THEIRS}"
        laptop.run(f"sh {SETUP} {GIVEN} {options} --share {DATA} --share /home", timeout=60, check=True)
        laptop.run(f"install -d -o root -g bckpciuem -m 770 {ROOTS}", check=True)
        laptop.run(f"echo restore-dir={ROOTS} >>/etc/bckpciuem.conf", check=True)
        site = Site(dugong, laptop)
        site.prepare("mkdir evil && echo evil >evil/evil && ln -s /tmp evil/link")
        yield site


def test_a_link_that_its_owner_swaps_in_leads_no_restore_out(site: Site) -> None:
    """The one who restores is the link's owner: rsync trusts such a link."""
    flip = f"ln -sT /home/cmartin/Documents {THEIRS}/new; rm -rf {THEIRS}/new"

    with site.meanwhile(flip):
        for _ in range(TURNS):
            site.rsync(f"-r evil/evil @{THEIRS}/new/")

    assert not site.laptop.exists("/home/cmartin/Documents/evil")


@pytest.mark.parametrize(
    ("pulled", "flipped"), [(f"{DATA}/", DATA), (f"{DATA}/", f"{DATA}/sub"), ("/home/", f"{DATA}/sub")]
)
def test_a_link_that_its_owner_swaps_in_leads_no_backup_out(site: Site, pulled: str, flipped: str) -> None:
    aside = "/home/cmartin/aside"
    flip = f"mv -T {flipped} {aside}; ln -s /root {flipped}; rm -f {flipped}; mv -T {aside} {flipped}"

    with site.meanwhile(flip):
        for turn in range(TURNS):
            site.rsync(f"-r @{pulled} pulled{turn}/")
    site.laptop.run(f"[ -d {aside} ] && rm -f {flipped} && mv -T {aside} {flipped}")

    stolen = site.dugong.run(f"grep -rl {shlex.quote(SECRET.strip())} /tmp/; rm -rf /tmp/pulled*").stdout
    assert stolen == ""


def test_a_link_in_the_folder_of_roots_leads_out_no_more_than_in_a_persons(site: Site) -> None:
    planted = site.rsync(f"-rl evil/link @{ROOTS}/")
    site.prepare("mkdir -p a/link && echo evil >a/link/evil")

    through_list = site.rsync(f"-rlR --no-implied-dirs a/./link/evil @{ROOTS}/")
    through_path = site.rsync(f"-r evil/evil @{ROOTS}/link/")

    assert planted.status == 0
    assert 0 not in (through_list.status, through_path.status)
    assert not site.laptop.exists("/tmp/evil")


@pytest.mark.parametrize("options", ["-rpt", "-rpt --inplace"])
def test_a_hard_link_in_a_persons_folder_changes_nothing_elsewhere(site: Site, options: str) -> None:
    """As if the kernel let everybody make such links (fs.protected_hardlinks)."""
    site.laptop.run(f"cp /etc/issue /etc/ours && ln -f /etc/ours {THEIRS}/evil", check=True)
    before = site.laptop.picture("/etc/ours")

    site.rsync(f"{options} evil/evil @{THEIRS}/")

    assert site.laptop.picture("/etc/ours") == before


@pytest.mark.parametrize("folder", [ROOTS, THEIRS])
def test_no_program_comes_back_that_makes_others_its_owner(site: Site, folder: str) -> None:
    site.prepare("cp /bin/true evil/suid && chmod 6755 evil/suid")

    done = site.rsync(f"-p evil/suid @{folder}/")

    assert done.status == 0
    assert site.laptop.run(["stat", "-c", "%a", f"{folder}/suid"]).stdout == "755\n"


def test_what_sshd_passes_on_reaches_nothing_that_is_roots(site: Site) -> None:
    laptop = site.laptop
    laptop.run("echo 'AcceptEnv *' >/etc/ssh/sshd_config.d/all.conf", check=True)
    laptop.sshd.restart()
    laptop.write("/tmp/evil.sh", "touch /tmp/owned\n", mode=0o755)
    evil = {"BASH_ENV": "/tmp/evil.sh", "ENV": "/tmp/evil.sh", "PATH": "/tmp", "SHELLOPTS": "xtrace",
            "PS4": "$(touch /tmp/owned)", "BASH_FUNC_ls%%": "() { touch /tmp/owned; }", "IFS": "/",
            "LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": "/tmp/loaded", "LC_ALL": "fr_FR.UTF-8"}  # fmt: skip

    words = " ".join(f'"{name}={value}"' for name, value in evil.items())
    probe = site.ask("probe", f"-o SetEnv={shlex.quote(words)}")
    traced = laptop.run("stat -c %U /tmp/loaded.* | sort -u").lines

    assert (probe.status, "share:/home" in probe.lines) == (0, True), probe
    assert not laptop.exists("/tmp/owned")
    assert traced == ["bckpciuem"]  # the loader told of every program that it started, but of none of root's


def test_without_setpriv_nothing_runs_at_all(site: Site) -> None:
    laptop = site.laptop
    laptop.run("mv /usr/bin/setpriv /usr/bin/setpriv.away", check=True)
    backup = site.ask("rsync --server --sender -re.iLsfxC . /home/")
    restore = site.ask(f"rsync --server -re.iLsfxC . {ROOTS}/new/")
    probe = site.ask("probe")
    laptop.run("mv /usr/bin/setpriv.away /usr/bin/setpriv", check=True)

    assert (backup.status, restore.status, probe.status) == (69, 69, 69)
    assert not laptop.exists(f"{ROOTS}/new")
