"""A purge that does not get to its end deletes nothing: full disks and kills with the real BackupPC."""

from __future__ import annotations

import pytest
from backed_up_laptops import Site
from lab import Lab

pytestmark = pytest.mark.lab

# What an administrator starts, killed where it would close the per-host config.
KILLED = """
import os, signal, sys
sys.path.insert(0, "/opt/backuppc-register")
sys.argv[0] = "backuppc-register-admin"
from backuppc_register import admin
from backuppc_register.backuppc import retired_config
retired_config.put = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(admin.main(sys.argv[1:], os.environ))
"""


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        site = Site(lab)
        site.laptop("dormeur", "10.77.0.11")
        site.dugong.full_backup("dormeur")
        yield site


@pytest.fixture
def full_disk(site):
    """Give BackupPC's configuration a disk of its own that is full, until it is called."""
    run = site.dugong.run
    run("cp -a /etc/backuppc /root/etc && mount -t tmpfs -o size=300k tmpfs /etc/backuppc", check=True)
    run("cp -a /root/etc/. /etc/backuppc/; cat /dev/zero > /etc/backuppc/filler", user="root")
    yield lambda: run("rm /etc/backuppc/filler", check=True)
    run("rm -rf /root/etc; cp -a /etc/backuppc /root/etc; umount /etc/backuppc", check=True)
    run("cp -a /root/etc/. /etc/backuppc/ && rm -rf /root/etc", check=True)


def owners_backups_go_on(site, before):
    """The machine is backed up as ever, and what is due is deleted: nothing of it."""
    site.dugong.full_backup("dormeur")
    done = site.admin("purge", "--due")
    assert "dormeur" not in done.stdout, done
    assert len(site.dugong.backups("dormeur")) == before + 1


def test_a_purge_on_a_full_disk_is_none_and_is_logged(site, full_disk):
    before = len(site.dugong.backups("dormeur"))

    asked = site.admin("purge", "dormeur", "--days", "0", "--yes", "dormeur")

    assert (asked.status, "could not generate config file" in asked.stderr) == (1, True), asked
    full_disk()
    assert site.record("dormeur").get("purge") == ""
    owners_backups_go_on(site, before)
    assert "purge" in site.dugong.syslog()[-1]
    told = site.admin("reconcile")
    assert "dormeur" in told.stdout
    assert "retire dormeur" in told.stdout
    assert site.admin("retire", "dormeur").status == 0
    assert site.admin("reconcile").status == 0
    assert "status: retired" in site.register("dormeur", "cmartin")
    assert site.admin("resume", "dormeur").status == 0


def test_a_purge_that_is_killed_is_none_and_what_it_left_is_told(site):
    before = len(site.dugong.backups("dormeur"))
    words = ["purge", "dormeur", "--days", "0", "--yes", "dormeur"]

    site.dugong.run(["python3", "-I", "-c", KILLED, *words], env={"SUDO_USER": "chef"})

    assert site.record("dormeur")["retired"]
    owners_backups_go_on(site, before)
    assert "retire dormeur" in site.admin("reconcile").stdout
    assert "dormeur" in site.admin("diagnose", "--only", "undecided").stdout
    assert site.admin("resume", "dormeur").status == 0
    assert site.admin("reconcile").status == 0
