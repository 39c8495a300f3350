"""README's installation, followed to the letter on a server with Debian's BackupPC and nothing of ours."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, Laptop, Service
from lab.backuppc import SETTINGS, BackupServer
from lab.host import CHECKOUT_AT, Plan
from lab.lab import NAMESERVERS, resolv_conf
from lab.laptop import MARTIN
from lab.names import NameServer
from lab.people import Directory

README = Path(__file__).parent.parent / "README.md"
SECTION = "Install it on a backup server"
LAST = 8  # the step that is done on a laptop
REPOSITORY = "/srv/repository"

UNITS = "/etc/systemd/system"
START_OF_SERVICE = "sed -n 's/^ExecStart=//p'"
RUN = "su backuppc -s /bin/sh"

# What the lab does otherwise than README says, and nothing else: pattern of a line, what is run in its place.
SUBSTITUTES = {
    # The machine has the packages, for all its hosts; a name that is none is told all the same.
    r"apt-get install (.+)": r"dpkg -s \1 >/dev/null",
    r"git clone URL-OF-THIS-REPOSITORY (\S+)": rf"cp -r {REPOSITORY} \1",
    # The one thing that an administrator of the lab has to type.
    r"editor (\S+)": r"""sed -i 's|^servers = .*|servers = ["ldap://127.0.0.1"]|' \1""",
    # No host of the lab has a systemd: what runs there is started again by the test.
    r"systemctl restart rsyslog": "true",
    r"systemctl enable --now (\S+)-reconcile.+": rf"{START_OF_SERVICE} {UNITS}/\1-reconcile.service | {RUN}",
}
# What the server's own diagnosis may still say, and why.
LACKING = {
    "web": "no host of the lab has a web server",
}
RSYSLOG = """\
module(load="imuxsock")
$FileOwner root
$FileGroup adm
$FileCreateMode 0640
$IncludeConfig /etc/rsyslog.d/*.conf
*.*;auth,authpriv.none -/var/log/syslog
"""
# What the lab puts on a BackupPC of ours, taken back: its settings, the checkout, our folders.
BARE = f"""
set -eu
cat /usr/share/backuppc/conf/config.pl - > /etc/backuppc/config.pl
mv {CHECKOUT_AT} {REPOSITORY}
rmdir /etc/backuppc-register /var/lib/backuppc-register
"""


def steps() -> dict[int, list[str]]:
    """Return the commands of each numbered step, in indented blocks, as they stand in README."""
    section = README.read_text().partition(f"\n## {SECTION}\n")[2].partition("\n## ")[0]
    numbered = re.split(r"^([0-9]+)\. ", section, flags=re.MULTILINE)[1:]
    return {int(number): _blocks(text) for number, text in zip(numbered[::2], numbered[1::2], strict=True)}


def _blocks(text: str) -> list[str]:
    found = re.findall(r"\n\n((?: {7}.*\n)+)", text)
    return [re.sub(r"^ {7}", "", block, flags=re.MULTILINE) for block in found]


def in_the_lab(block: str) -> str:
    for pattern, instead in SUBSTITUTES.items():
        block = re.sub(rf"^{pattern}$", instead, block, flags=re.MULTILINE)
    return block


class Debian(BackupServer):
    """A backup server as an administrator has it who reads README: BackupPC, LDAP and DNS at the site."""

    def __init__(self, lab: Lab) -> None:
        plan = Plan(
            "dugong.univ-brest.fr", NAMESERVERS, files={"/etc/resolv.conf": resolv_conf(["127.0.0.1"])}
        )
        super().__init__(lab.name, lab.switch, plan)
        self.run(BARE, input=SETTINGS, check=True)
        self.write("/etc/rsyslog.conf", RSYSLOG)
        listens = lambda: self.serves("/dev/log")  # noqa: E731
        self.rsyslog = Service(self, "rsyslogd", ["rsyslogd", "-n"], listens)
        for service in (self.rsyslog, Directory(self), NameServer(self, lab.names), self.daemon):
            service.start()

    def follow(self, block: str) -> None:
        """Do what *block* says, as root in one shell."""
        self.run(f"set -eu\n{in_the_lab(block)}", check=True)
        if "systemctl restart rsyslog" in block:
            self.rsyslog.restart()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.names.publish("dugong.univ-brest.fr", *NAMESERVERS)
        yield lab


@pytest.fixture(scope="module")
def dugong(lab: Lab) -> Debian:
    """The server, when all the steps but the laptop's are done."""
    dugong = Debian(lab)
    lab.hosts.append(dugong)
    for number, blocks in steps().items():
        for block in blocks if number < LAST else ():
            dugong.follow(block)
    return dugong


def carried(dugong: Debian, laptop: Laptop) -> None:
    """Put on *laptop* what the last step says, by the paths that README tells."""
    text = README.read_text()
    files = {"setup.sh": "clients/setup.sh", "rsyncsend.sh": "clients/rsyncsend.sh"}
    sources = {name: f"{CHECKOUT_AT}/{path}" for name, path in files.items() if f"`{path}`" in text}
    assert len(sources) == len(files)
    for name, source in (sources | {"register-key": "/etc/backuppc-register/register-key"}).items():
        laptop.write(f"{MARTIN.home}/{name}", dugong.read(source), owner=MARTIN.name, mode=0o600)
    sudo = f"{MARTIN.name} ALL=(ALL:ALL) NOPASSWD: ALL\n"
    laptop.write(f"/etc/sudoers.d/{MARTIN.name}", sudo, mode=0o440)


def test_every_step_has_its_commands_and_every_substitute_is_for_one() -> None:
    commands = [line for blocks in steps().values() for block in blocks for line in block.split("\n")]

    assert list(steps()) == list(range(1, LAST + 1))
    assert all(steps().values())
    for pattern in SUBSTITUTES:
        assert any(re.fullmatch(pattern, line) for line in commands), pattern


@pytest.mark.lab
def test_a_server_installed_step_by_step_finds_nothing_wrong_with_itself(dugong: Debian) -> None:
    program = f"{CHECKOUT_AT}/bin/backuppc-register-admin"

    told = dugong.run([program, "diagnose"], timeout=60).stdout

    assert "green   configuration " in told
    assert set(re.findall(r"^(?:red|yellow) +(\S+)", told, re.MULTILINE)) <= set(LACKING), told


@pytest.fixture(scope="module")
def shown(lab: Lab, dugong: Debian) -> str:
    """Return what a person sees who sets dormeur up by the last step."""
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    carried(dugong, dormeur)
    (block,) = steps()[LAST]
    with dormeur.terminal(f"cd {MARTIN.home}\nset -eu\n{block}", user=MARTIN.name) as terminal:
        while asked := terminal.expect(r"(?:(\(yes/no\)\? |logon [^\n]*: )$|Done\.)", timeout=60)[1]:
            terminal.type("cmartin" if "logon" in asked else "yes")
        assert terminal.wait() == 0, terminal.shown
        return terminal.shown


@pytest.mark.lab
def test_a_laptop_registers_by_the_last_step_and_is_backed_up(dugong: Debian, shown: str) -> None:
    assert "backups will work" in shown
    assert dugong.owner_of("dormeur") == "cmartin"
    dugong.wait_for(lambda: '"dormeur"' not in dugong.message("status queues jobs"), "the first backup", 60)
    assert [backup.errors for backup in dugong.backups("dormeur")] == [0]
    log = dugong.run(["cat", "/var/log/backuppc-register.log"]).lines
    assert any(" success " in line and " register_key=main " in line for line in log)


@pytest.mark.lab
@pytest.mark.usefixtures("shown")
def test_owners_cannot_run_commands_through_the_web_editor_of_such_a_server(dugong: Debian) -> None:
    page = dugong.cgi("action=editConfig&host=dormeur&newMenu=xfer", "cmartin")

    assert "RsyncShareName" in page
    assert "v_zZ_RsyncSshArgs" not in page
