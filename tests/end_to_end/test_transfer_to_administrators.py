"""A logon is given out again, and data that does not move, with the real BackupPC and the real directory."""

from __future__ import annotations

import json

import pytest
from backed_up_laptops import SECRET, Site
from lab import Lab
from services import slapd

pytestmark = pytest.mark.lab

ACCOUNT = "backuppc"
READ_ONLY = """
set -e; cd /var/lib/backuppc
mv pc pc.moved; mkdir pc; mount --bind pc.moved pc; mount -o remount,bind,ro pc
"""
WRITABLE = "cd /var/lib/backuppc && umount pc && rmdir pc && mv pc.moved pc"


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        site = Site(lab)
        for name, address in (("dormeur", "10.77.0.11"), ("sirene", "10.77.0.12")):
            site.laptop(name, address)
            site.dugong.full_backup(name)
        assert site.admin("reconcile").status == 0
        yield site


def transfer(site, host, logon):
    return site.admin("transfer", host, logon, "--yes", host)


def readers(site, host):
    """Who of these gets cmartin's file of `host` from BackupPC's web interface."""
    return {user for user in ("cmartin", "adupont", ACCOUNT) if SECRET in site.read(user, host)}


def given_out_again(site):
    """The hosts of which diagnose says that their owner's logon is another person's, and its advice."""
    found = json.loads(site.admin("diagnose", "--only", "persons", "--json").stdout)
    return next(((one["what"], one["advice"]) for one in found if one["level"] == "red"), ("", ""))


def test_a_transfer_whose_data_does_not_move_leaves_nothing_that_alarms(site):
    site.dugong.run(READ_ONLY, check=True)
    try:
        done = transfer(site, "dormeur", "adupont")
        assert (done.status, "Read-only" in done.stderr) == (1, True), done
        assert "transfer was not finished" in site.dugong.syslog()[-1]
        assert site.admin("reconcile").status == 0
    finally:
        site.dugong.run(WRITABLE, check=True)
    assert readers(site, "dormeur") == {"cmartin", ACCOUNT}
    archive = site.archive()

    assert site.admin("purge", archive, "--yes", archive).status == 0

    assert archive not in site.dugong.hosts()
    assert site.admin("reconcile").status == 0
    assert transfer(site, "dormeur", "adupont").status == 0
    assert readers(site, site.archive()) == {"cmartin", ACCOUNT}


def test_whoever_gets_a_logon_reads_nothing_of_whom_had_it_once_the_advice_is_followed(site):
    archive, page = site.archive(), site.page()
    site.dugong.slapd.remove("cmartin")
    site.dugong.slapd.add(slapd.person("cmartin", "Camille Martin"))
    what, advice = given_out_again(site)
    assert all(f"{host} (cmartin)" in what for host in (archive, "sirene"))
    assert f"transfer HOST {ACCOUNT}" in advice

    for host in (archive, "sirene"):
        done = transfer(site, host, ACCOUNT)
        assert done.status == 0, done
        assert f"{host} is {ACCOUNT}'s: only administrators" in site.dugong.syslog()[-1]
        assert readers(site, host) == {ACCOUNT}

    assert given_out_again(site) == ("", "")
    assert site.admin("reconcile").status == 0
    assert "other-owner" in site.register("sirene", "cmartin")
    assert transfer(site, archive, "cmartin").status == 1
    site.save(page)
    assert readers(site, archive) == {"cmartin", ACCOUNT}
    told = site.admin("reconcile").stdout
    assert all(f"!! taken-back {host} ({ACCOUNT})" in told for host in (archive, "sirene")), told
    assert all(readers(site, host) == {ACCOUNT} for host in (archive, "sirene"))
    assert site.admin("reconcile").status == 0


def test_the_machine_is_the_newcomers_by_a_transfer_and_the_backups_are_not(site):
    done = transfer(site, "sirene", "cmartin")

    assert done.status == 0, done
    assert "status: unchanged" in site.register("sirene", "cmartin")
    (archive,) = [line.split()[0] for line in site.dugong.hosts().splitlines() if line.startswith("sirene_")]
    assert readers(site, archive) == {ACCOUNT}
    site.dugong.full_backup("sirene")
    assert readers(site, "sirene") == {"cmartin", ACCOUNT}
    assert site.admin("reconcile").status == 0
    assert given_out_again(site) == ("", "")
