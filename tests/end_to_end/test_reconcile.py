"""Lost hosts lines, with the real BackupPC, its web editor and its nightly run, and backups at stake."""

from __future__ import annotations

import json
import re

import pytest
from backed_up_laptops import Page
from lab import Lab

pytestmark = pytest.mark.lab

ADMIN = "python3 -I /opt/backuppc-register/bin/backuppc-register-admin"
SSH = "ssh -x -a -i /root/register-key -l backuppc 10.77.0.1"


class Site:
    """A server whose administrator keeps the page "Edit Hosts" open, and laptops."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.dugong = lab.server("dugong.univ-brest.fr")

    def laptop(self, name: str, address: str) -> None:
        """Register a laptop and let the server in, with rsync itself for a wrapper."""
        laptop = self.lab.laptop(f"{name}.univ-brest.fr", address)
        laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        laptop.write("/root/.ssh/known_hosts", self.dugong.known_hosts, mode=0o600)
        laptop.run("useradd -m -s /bin/sh -p '*' bckpciuem; chmod 755 /home/cmartin", check=True)
        laptop.write("/home/cmartin/Documents/own.txt", f"only {name} has this\n", owner="cmartin")
        answer = laptop.run([*SSH.split(), "linux:cmartin"], timeout=40, check=True).stdout
        key = re.search("^key: (.*)", answer, re.M).group(1)
        line = f'restrict,command="$SSH_ORIGINAL_COMMAND" {key}\n'
        laptop.write("/home/bckpciuem/.ssh/authorized_keys", line, mode=0o600, owner="bckpciuem")
        laptop.run("chown -R bckpciuem: /home/bckpciuem/.ssh", check=True)

    def editor(self) -> dict[str, str]:
        """The page with the hosts, as it is now."""
        return Page(self.dugong.cgi("action=editConfig&newMenu=hosts", "backuppc")).fields

    def save(self, page: dict[str, str]) -> None:
        self.dugong.cgi("action=editConfig", "backuppc", page | {"saveAction": "Save"})

    def reconcile(self, *options: str):
        return self.dugong.run([*ADMIN.split(), "reconcile", *options], env={"SUDO_USER": "chef"})

    def take_out(self, host: str) -> str:
        """What an administrator does with an editor; return the line."""
        dugong = self.dugong
        before = dugong.hosts()
        dugong.run(["sed", "-i", f"/^{host}[[:space:]]/d", "/etc/backuppc/hosts"], check=True)
        dugong.run("chown backuppc:www-data /etc/backuppc/hosts; chmod 644 /etc/backuppc/hosts", check=True)
        (line,) = set(before.splitlines()) - set(dugong.hosts().splitlines())
        self.dugong.message("server reload")
        return line

    def knows(self, host: str) -> bool:
        return self.dugong.message(f"status host({host})").startswith("%StatusHost")

    def saved(self, host: str) -> str:
        """The file that nobody else has, out of the last backup: needs the pool's file and the host."""
        return self.dugong.backuppc(
            "BackupPC_zcat", "-h", host, "-n", "-1", "-s", "/home", "/cmartin/Documents/own.txt"
        ).stdout

    def nightly(self, times: int = 2) -> None:
        """A week goes by for the pool, and the nightly run comes."""
        age = "find /var/lib/backuppc/cpool -type f -exec touch -d '10 days ago' {} +"
        for _ in range(times):
            self.dugong.run(age, check=True)
            self.dugong.message("BackupPC_nightly run")
            self.dugong.wait_for(self._nightly_done, "the nightly run", 60)

    def _nightly_done(self) -> bool:
        return "admin" not in self.dugong.message("status jobs queues")


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        yield Site(lab)


def test_a_stale_page_of_the_web_editor_erases_a_registration_and_reconcile_undoes_that(site):
    dugong = site.dugong
    assert site.reconcile("--quiet").stdout == ""
    stale = site.editor()
    site.laptop("dormeur", "10.77.0.11")
    dugong.full_backup("dormeur")

    site.save(stale)
    assert "dormeur" not in dugong.hosts()
    assert not site.knows("dormeur")
    done = site.reconcile()

    assert (done.status, done.stderr) == (1, "")
    assert "-> restored dormeur (cmartin)" in done.stdout
    assert re.search("^dormeur\t0\tcmartin$", dugong.hosts(), re.M)
    assert site.knows("dormeur")
    logged = "reconcile: restored .*host=dormeur user=cmartin .*detail=by chef the line was gone"
    assert re.search(logged, dugong.syslog()[-1])
    site.nightly()
    assert site.saved("dormeur") == "only dormeur has this\n"
    assert dugong.incremental("dormeur").files
    assert site.reconcile().status == 0


def test_a_line_that_somebody_took_out_comes_back_with_its_comment_and_the_timers_run_says_so(site):
    dugong = site.dugong
    odd = "lab_1   0 adupont bdurand,cpetit    # room 12\n"
    dugong.write("/etc/backuppc/hosts", dugong.hosts() + odd, mode=0o644, owner="backuppc:www-data")
    assert site.reconcile("--quiet").status == 0
    before = dugong.hosts()
    site.take_out("dormeur")
    site.take_out("lab_1")

    planned = site.reconcile("--dry-run", "--json")
    assert "dormeur" not in dugong.hosts()
    done = site.reconcile("--quiet")

    assert planned.status == done.status == 1
    told = json.loads(planned.stdout)
    assert {(news["kind"], news["host"]) for news in told["news"]} == {
        ("restored", "dormeur"), ("restored", "lab_1")
    }  # fmt: skip
    assert told["dry_run"] is True
    assert sorted(dugong.hosts().splitlines()) == sorted(before.splitlines())
    assert dugong.run("stat -c '%U:%G %a' /etc/backuppc/hosts").stdout == "backuppc:www-data 644\n"
    assert site.knows("dormeur")
    assert site.knows("lab_1")
    site.nightly(1)
    assert site.saved("dormeur") == "only dormeur has this\n"


def test_a_hosts_file_that_root_emptied_is_whole_again(site):
    dugong = site.dugong
    before = [line for line in dugong.hosts().splitlines() if line and not line.startswith("#")]
    dugong.run(": > /etc/backuppc/hosts", check=True)

    done = site.reconcile()

    assert done.status == 1
    assert "!! mass-loss" in done.stdout
    after = dugong.hosts().splitlines()
    assert {line.split()[0] for line in before} == {line.split()[0] for line in after}
    assert after[1:] == before[1:]


def test_a_hosts_file_of_roots_is_told_and_nothing_is_written(site):
    dugong = site.dugong
    dugong.run("chown root /etc/backuppc/hosts; chmod 600 /etc/backuppc/hosts", check=True)
    before = dugong.picture("/etc/backuppc/hosts", "/var/lib/backuppc-register/ledger")

    done = site.reconcile()

    after = dugong.picture("/etc/backuppc/hosts", "/var/lib/backuppc-register/ledger")
    dugong.run("chown backuppc /etc/backuppc/hosts; chmod 644 /etc/backuppc/hosts", check=True)
    assert done.status == 1
    assert "Permission denied" in done.stderr
    assert after == before
    assert site.reconcile("--quiet").status == 0


def test_a_host_that_an_administrator_cleaned_does_not_come_back_and_the_next_person_may_have_it(site):
    dugong = site.dugong
    site.laptop("calmar", "10.77.0.12")
    dugong.full_backup("calmar")
    site.reconcile()
    site.take_out("calmar")
    dugong.run("rm -r /var/lib/backuppc/pc/calmar", check=True)

    done = site.reconcile()

    assert done.status == 1
    assert "-> cleaned calmar (cmartin)" in done.stdout
    assert "calmar" not in dugong.hosts()
    assert not dugong.exists("/var/lib/backuppc-register/hosts/calmar")
    assert not dugong.exists("/etc/backuppc/calmar.pl")
    assert dugong.run("ls /var/lib/backuppc-register/aside/calmar.*/").lines[0] == "calmar.pl"
    assert site.reconcile().status == 0
    calmar = next(host for host in site.lab.hosts if host.name == "calmar")
    answer = calmar.run([*SSH.split(), "linux:adupont"], timeout=40).stdout
    assert "status: new" in answer


def test_a_line_let_go_on_purpose_stays_away_and_its_data_goes_at_the_nightly(site):
    dugong = site.dugong
    assert "dormeur has a line" in site.reconcile("--forget", "dormeur", "--yes", "dormeur").stderr
    site.take_out("dormeur")

    refused = site.reconcile("--forget", "dormeur", "--yes", "other")
    done = site.reconcile("--forget", "dormeur", "--yes", "dormeur")

    assert (refused.status, done.status) == (1, 0)
    undecided = site.reconcile()
    assert "dormeur" not in dugong.hosts()
    assert "?? undecided dormeur (cmartin): it has backups and a record, but no line" in undecided.stdout
    site.nightly()
    assert site.saved("dormeur") == ""
