"""The administrator's guide, followed from its first command to its last, on a server of the lab."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import pytest
from checkout import CHECKOUT
from lab import Lab, LabError, Laptop
from lab.bare_server import SUBSTITUTES, BareServer
from lab.lab import NAMESERVERS

pytestmark = [pytest.mark.lab, pytest.mark.long]

GUIDE = CHECKOUT / "docs/administrators.md"
ON_THE_LAPTOP = "# on the laptop\n"
DOWNLOADED = "/var/www/html/setup.sh"

# What this lab has in place of the university's names, besides the substitutes of every bare server.
HERE = {
    r"ldaps://ldap1\.univ-brest\.fr": "ldap://127.0.0.1",
    r"134\.158\.240\.17": "10.77.0.11",
    r"systemctl (daemon-reload|enable .*)": "true",
    # There is no systemd here: `init` has made cron's file, and nobody runs it.
    r"(backuppc-register-admin diagnose)$": r"\1 --only configuration --only hosts-file",
    r"/var/lib/prometheus/node-exporter/": "/root/",
    r"dormeur_20261126": f"dormeur_{datetime.now(UTC):%Y%m%d}",
}


def blocks(title: str) -> list[str]:
    """Return the blocks of commands of the section *title*, as they stand in the guide."""
    text = GUIDE.read_text().partition(f"\n## {title}")[2].partition("\n## ")[0]
    found = re.findall(r"\n\n((?: {4}.*\n)+)", text)
    return [dedent(block) for block in found]


def here(block: str) -> str:
    for pattern, instead in {**SUBSTITUTES, **HERE}.items():
        block = re.sub(pattern, instead, block, flags=re.MULTILINE)
    return block


class Story:
    """The server, and dormeur, which is cmartin's laptop and later adupont's."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.done: list[str] = []
        self.dugong = BareServer(lab)
        lab.hosts.append(self.dugong)
        self.dugong.run("mkdir -p /var/www/html /etc/cron.d", check=True)
        self.dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")

    def follow(self, title: str, *, typed: str = "", ends: tuple[int, ...] = (0,)) -> str:
        """Do what the section *title* says is to be done on the server; return all that was shown.

        *typed* is what its administrator types where a verb asks, *ends* how its commands may end.
        """
        self.done.append(title)
        shown = ""
        for block in blocks(title):
            if block.startswith(ON_THE_LAPTOP):
                continue
            for command in re.sub(r"\\\n\s*", "", here(block)).splitlines():
                done = self.dugong.run(command, input=f"{typed}\n", env={"SUDO_USER": "jdoe"}, timeout=60)
                assert done.status in ends, done
                shown += done.stdout
            if "restart rsyslog" in block:
                self.dugong.rsyslog.restart()
        return shown

    def download(self, laptop: Laptop) -> None:
        laptop.write("/root/setup.sh", self.dugong.read(DOWNLOADED))

    def on_the_laptop(self, title: str) -> list[str]:
        """Return the commands of the section *title* that are for the laptop."""
        told = (block.partition(ON_THE_LAPTOP) for block in blocks(title))
        return [line for before, mark, rest in told if mark and not before for line in rest.splitlines()]

    def set_up(self, logon: str, options: str = "") -> tuple[int, str]:
        """Let a person run the setup, and answer its questions; return its status and what was shown."""
        (command,) = self.on_the_laptop("The first client")
        with self.dormeur.terminal(f"cd /root; {command} {options}") as terminal:
            with suppress(LabError):  # it asks no more, and has ended
                while asked := terminal.expect(r"(\(yes/no\)\? |logon [^\n]*: )$", timeout=60)[1]:
                    terminal.type(logon if "logon" in asked else "yes")
            return terminal.wait(60), terminal.shown

    def told(self, *words: str) -> Any:
        return json.loads(self.dugong.run(["backuppc-register-admin", *words, "--json"]).stdout)

    def record(self) -> dict[str, str]:
        """Return what we keep of dormeur."""
        return dict(self.told("show", "dormeur")["record"])

    def backed_up(self) -> None:
        quiet = lambda: '"dormeur"' not in self.dugong.message("status queues jobs")  # noqa: E731
        self.dugong.wait_for(quiet, "a backup", 60)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with Lab() as lab:
        lab.names.publish("dugong.univ-brest.fr", *NAMESERVERS)
        yield Story(lab)


def test_the_guide_can_be_followed_from_its_first_command_to_its_last(story: Story) -> None:
    make_ready(story)
    first_client(story)
    look(story)
    reinstall(story)
    story.follow("Unverified registrations")
    another_system(story)
    leave_and_come_back(story)
    lose_a_line(story)
    change_hands(story)
    logon_again(story)
    several_keys(story)
    diagnose(story)

    titles = re.findall(r"^## (.*)$", GUIDE.read_text(), re.MULTILINE)
    assert sorted(story.done) == sorted(title for title in titles if blocks(title))


def make_ready(story: Story) -> None:
    shown = story.follow("Make the server ready")

    assert shown.count("  would be done    ") == shown.count("  done             ") >= 8
    assert story.dugong.exists("/etc/cron.d/backuppc-register")
    assert re.search(r"^green +configuration", shown, re.MULTILINE)
    assert story.dugong.exists("/usr/local/share/man/man8/backuppc-register-admin.8")


def first_client(story: Story) -> None:
    story.dugong.run(here(blocks("The first client")[0]), check=True)
    story.download(story.dormeur)

    status, shown = story.set_up("cmartin")
    known = story.follow("The first client")

    assert (status, "backups will work" in shown) == (0, True), shown
    assert re.search(r"^person: +cmartin$", known, re.MULTILINE)
    story.backed_up()
    assert [backup.errors for backup in story.dugong.backups("dormeur")] == [0]


def look(story: Story) -> None:
    number = story.told("log", "dormeur")[0]["request"]
    HERE["26240995"] = number

    shown = story.follow("Read the log")
    listed = story.follow("List and show the hosts", ends=(0, 1))

    assert number in shown
    assert "would be accepted" in shown
    assert re.search(r"^dormeur +cmartin +linux ", listed, re.MULTILINE)


def reinstall(story: Story) -> None:
    story.dormeur.run("sh /root/setup.sh --uninstall --yes", check=True, timeout=60)
    story.dormeur.run("rm /etc/ssh/ssh_host_*; ssh-keygen -q -A", check=True)
    story.dormeur.sshd.restart()
    _, refused = story.set_up("cmartin")
    (ask,) = story.on_the_laptop("A reinstalled laptop")
    fingerprint = story.dormeur.run(ask, check=True).stdout.split()[1]
    HERE[r"SHA256:LFlyTI\S+"] = fingerprint

    story.follow("A reinstalled laptop")
    status, verified = story.set_up("cmartin", "--verify")

    assert "the ssh host key of dormeur has changed" in refused
    assert (status, "backups will work" in verified) == (0, True), verified
    assert story.dugong.full_backup("dormeur").errors == 0


def another_system(story: Story) -> None:
    before = story.dugong.read("/etc/backuppc/dormeur.pl")

    story.follow("Another operating system")
    status, shown = story.set_up("cmartin", "--force")

    assert status == 0, shown
    assert story.dugong.read("/etc/backuppc/dormeur.pl") == before


def leave_and_come_back(story: Story) -> None:
    shown = story.follow("Retire, resume and purge a host", typed="dormeur", ends=(0, 1))

    assert "backups" in shown
    before = story.record()
    assert before["purge"]
    asked_by_nobody = as_nobody(story, "linux:cmartin")
    assert ("\nstatus: retired\n" in asked_by_nobody, "\nkey: " in asked_by_nobody) == (True, True)
    assert story.record() == before | {"fresh": True}
    status, shown = story.set_up("cmartin", "--force")
    assert (status, "had been stopped, and start again" in shown) == (0, True), shown
    assert (story.record()["purge"], story.record()["retired"]) == ("", "")


def as_nobody(story: Story, request: str) -> str:
    """Send *request* from the laptop as any of its processes can, with the register-key alone."""
    key = story.dormeur.run("sed -n '/^-*BEGIN OPENSSH/,/^-*END OPENSSH/p' /root/setup.sh").stdout
    story.dormeur.write("/tmp/register-key", key, mode=0o600, owner="nobody")
    ssh = "ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    words = f"{ssh} -i /tmp/register-key backuppc@dugong.univ-brest.fr {request}"
    return story.dormeur.run(words, user="nobody", timeout=60).stdout


def lose_a_line(story: Story) -> None:
    """The line of dormeur is lost; that of mimosa, which was made by hand, is taken out on purpose."""
    dugong = story.dugong
    dugong.run("printf 'mimosa 0 adupont\\n' >> /etc/backuppc/hosts; backuppc-register-admin reconcile")
    line = next(line for line in dugong.hosts().splitlines() if line.startswith("dormeur"))
    dugong.run("sed -i '/^dormeur/d' /etc/backuppc/hosts && chown backuppc /etc/backuppc/hosts", check=True)
    (dry, real), (forget,) = (block.splitlines() for block in blocks("A lost line of the hosts file"))
    assert dugong.run(dry).status == 1
    assert "dormeur" not in dugong.hosts()
    assert dugong.run(real).status == 1
    assert line in dugong.hosts().splitlines()
    dugong.run("sed -i '/^mimosa/d' /etc/backuppc/hosts && chown backuppc /etc/backuppc/hosts", check=True)

    assert dugong.run(forget, input="mimosa\n").status == 0

    dugong.run("backuppc-register-admin reconcile --quiet", check=True)
    assert "mimosa" not in dugong.hosts()
    story.done.append("A lost line of the hosts file")


def change_hands(story: Story) -> None:
    story.backed_up()

    story.follow("A laptop changes hands", typed="dormeur")

    assert story.dugong.owner_of("dormeur") == "adupont"
    assert re.search(r"^dormeur_[0-9]{8}\s+0\s+cmartin", story.dugong.hosts(), re.MULTILINE)
    (command,) = story.on_the_laptop("A laptop changes hands")
    status, shown = story.set_up("adupont", command.removeprefix("sudo sh setup.sh "))
    assert (status, "backups will work" in shown) == (0, True), shown


def logon_again(story: Story) -> None:
    archive = re.findall(r"^(dormeur_[0-9]{8})\s", story.dugong.hosts(), re.MULTILINE)[0]

    story.follow("A reused logon", typed=archive)

    assert story.dugong.owner_of(archive) == "backuppc"
    assert story.dugong.owner_of("dormeur") == "adupont"


def several_keys(story: Story) -> None:
    old = story.dugong.read(DOWNLOADED)

    shown = story.follow("Several register-keys")
    story.download(story.dormeur)

    assert story.dugong.read(DOWNLOADED) != old
    assert "autumn-2027" in shown
    assert story.set_up("adupont", "--force")[0] == 0
    assert story.told("log", "dormeur")[-1]["register_key"] == "autumn-2027"
    story.dormeur.write("/root/setup.sh", old)
    assert story.set_up("adupont", "--force")[0] == 4


def diagnose(story: Story) -> None:
    shown = story.follow("Check the server: diagnose", ends=(0, 1))

    assert '"name": "directory"' in shown
    assert "backuppc_register_check{" in story.dugong.read("/root/backuppc-register.prom")
