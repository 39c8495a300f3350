"""Retire, purge and transfer with the real BackupPC and data at stake."""

from __future__ import annotations

import re

import pytest
from backed_up_laptops import SECRET, SHARE, Site
from lab import Lab, LabError

pytestmark = pytest.mark.lab

EDIT = {
    "action": "editConfig", "menu": "schedule", "saveAction": "Save", "modified": "1",
    "v_zZ_BackupsDisable": "0", "orig_zZ_BackupsDisable": "2", "override_BackupsDisable": "1",
}  # fmt: skip


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        site = Site(lab)
        yield site


def test_a_retired_host_is_not_backed_up_whoever_asks_and_its_owner_cannot_change_that(site):
    dugong = site.dugong
    site.laptop("dormeur", "10.77.0.11")
    dugong.full_backup("dormeur")
    config = dugong.read("/etc/backuppc/dormeur.pl") + "# mine\n$Conf{ClientComment} = 'mine';\n"
    dugong.write("/etc/backuppc/dormeur.pl", config, mode=0o644, owner="backuppc:www-data")

    dry = site.admin("retire", "Dormeur", "--dry-run")
    assert dry.status == 0
    assert dugong.read("/etc/backuppc/dormeur.pl") == config
    done = site.admin("retire", "Dormeur")
    assert done.status == 0, done

    for kind in ("doFull", "doIncr", "auto"):
        dugong.message(f"backup dormeur dormeur cmartin {kind}")
        dugong.wait_for(lambda: '"dormeur"' not in dugong.message("status queues jobs"), "idle", 20)
    assert len(dugong.backups("dormeur")) == 1
    closed = dugong.read("/etc/backuppc/dormeur.pl")
    assert "dormeur.univ-brest.fr" not in closed
    assert "closed" in dugong.cgi("action=editConfig&host=dormeur", "cmartin")
    dugong.cgi("", "cmartin", EDIT | {"host": "dormeur"})
    assert dugong.read("/etc/backuppc/dormeur.pl") == closed
    assert SECRET in site.read("cmartin", "dormeur")
    with pytest.raises(LabError, match="not restored"):
        dugong.restore("dormeur", SHARE, "/cmartin/Documents")
    assert not dugong.exists("/var/lib/backuppc-register/hosts/dormeur/key")
    assert re.search("retire .*host=dormeur user=cmartin .*detail=by chef", dugong.syslog()[-1])


def test_registering_again_gives_another_key_and_after_a_resume_backups_work_with_either(site):
    """The laptop has the earlier key here; unit/verification has the other case."""
    dugong = site.dugong
    key = dugong.read("/var/lib/backuppc-register/hosts/dormeur/key.pub").strip()

    answer = site.register("dormeur", "cmartin")

    assert "status: retired" in answer
    assert "key: ssh-ed25519 " in answer
    assert key not in answer
    assert site.record("dormeur")["retired"]
    assert site.admin("resume", "dormeur").status == 0
    config = dugong.read("/etc/backuppc/dormeur.pl")
    assert config.endswith("# mine\n$Conf{ClientComment} = 'mine';\n")
    assert dugong.run(["stat", "-c", "%a", "/etc/backuppc/dormeur.pl"]).stdout.strip() == "644"
    assert dugong.incremental("dormeur").files
    assert "status: unchanged" in site.register("dormeur", "cmartin")


def test_the_same_by_the_administrator(site):
    assert site.admin("retire", "dormeur").status == 0
    assert site.admin("resume", "dormeur").status == 0

    assert site.dugong.incremental("dormeur").files
    assert site.record("dormeur")["retired"] == ""


def test_a_purge_is_not_cancelled_by_registering(site):
    dugong = site.dugong
    asked = site.admin("purge", "dormeur", "--days", "0", "--yes", "dormeur")
    assert asked.status == 0
    assert f"{len(dugong.backups('dormeur'))} backups" in asked.stdout
    assert site.admin("purge", "dormeur", "--yes", "dormeu").status == 1

    due = site.record("dormeur")["purge"]
    assert "status: retired" in site.register("dormeur", "cmartin")

    assert due and site.record("dormeur")["purge"] == due
    assert site.admin("resume", "dormeur").status == 0
    assert site.admin("purge", "--due").stdout == ""
    assert SECRET in site.read("cmartin", "dormeur")


def test_a_backup_that_a_laptop_keeps_hanging_is_stopped_by_retire_and_then_the_host_goes_on(site):
    dugong, timide = site.dugong, site.laptop("timide", "10.77.0.14", "adupont")
    keys = timide.read("/home/bckpciuem/.ssh/authorized_keys")
    hostile = keys.replace("$SSH_ORIGINAL_COMMAND", "exec sleep 1000")
    timide.write("/home/bckpciuem/.ssh/authorized_keys", hostile, mode=0o600, owner="bckpciuem")
    dugong.message("backup timide timide adupont doFull")
    dugong.wait_for(lambda: timide.run("pgrep -x sleep").status == 0, "a backup that hangs")

    refused = site.admin("transfer", "timide", "cmartin", "--yes", "timide")
    retired = site.admin("retire", "timide")
    dugong.wait_for(lambda: '"timide"' not in dugong.message("status jobs"), "the end of it", 60)
    done = site.admin("transfer", "timide", "cmartin", "--yes", "timide")

    assert refused.status == 1
    assert "backuppc-register-admin retire timide, which stops it" in refused.stderr
    assert (retired.status, done.status) == (0, 0), done
    assert dugong.owner_of("timide") == "cmartin"


def test_the_old_persons_files_stay_unreadable_for_the_new_one_and_readable_for_the_old(site):
    dugong = site.dugong
    old_key = dugong.read("/var/lib/backuppc-register/hosts/dormeur/key.pub")
    before = dugong.files_of("dormeur", SHARE)

    dry = site.admin("transfer", "dormeur", "adupont", "--dry-run")
    assert dry.status == 0
    assert dugong.owner_of("dormeur") == "cmartin"
    done = site.admin("transfer", "dormeur", "adupont", "--yes", "dormeur")
    assert done.status == 0, done

    archive = re.search(r"(dormeur_\d{8}) from now on", done.stdout).group(1)
    assert (dugong.owner_of("dormeur"), dugong.owner_of(archive)) == ("adupont", "cmartin")
    assert dugong.backups("dormeur") == []
    assert dugong.files_of(archive, SHARE) == before
    assert SECRET in site.read("cmartin", archive)
    assert SECRET not in site.read("adupont", archive)
    assert "BackupPC: Error" in dugong.cgi(f"host={archive}", "adupont")
    assert "BackupPC: Error" in dugong.cgi("host=dormeur", "cmartin")
    assert "closed" in dugong.cgi(f"action=editConfig&host={archive}", "cmartin")
    assert dugong.read("/var/lib/backuppc-register/hosts/dormeur/key.pub") != old_key
    assert not dugong.exists(f"/var/lib/backuppc-register/hosts/{archive}/key")
    for host in ("dormeur", archive):
        assert "Status_idle" in dugong.message(f"status host({host})")

    for _ in range(2):
        site.nightly()
    restored = dugong.backuppc("BackupPC_tarCreate", "-h", archive, "-n", "-1", "-s", SHARE, "/")
    assert restored.status == 0, restored.stderr
    assert SECRET in restored.stdout

    assert "other-owner" in site.register("dormeur", "cmartin")
    assert "status: unchanged" in site.register("dormeur", "adupont")
    new = dugong.full_backup("dormeur")
    assert (new.number, new.files > 5) == (0, True)
    assert SECRET not in site.read("cmartin", "dormeur")


def test_a_purge_frees_the_pool_at_the_nightly_and_nothing_else_does(site):
    dugong = site.dugong
    site.laptop("sirene", "10.77.0.12")
    own = site.laptops["sirene"]
    own.write("/home/cmartin/big.bin", "sirene's own " * 5000, owner="cmartin")
    shared = site.pool()
    dugong.full_backup("sirene")
    only_sirene = site.pool() - shared
    assert only_sirene
    picture = dugong.picture("/var/lib/backuppc/pc/dormeur")

    assert site.admin("purge", "sirene", "--yes", "sirene").status == 0
    for _ in range(2):
        site.nightly()
    assert site.admin("purge", "--due").stdout == ""
    assert only_sirene <= site.pool()
    assert "only sirene" in site.read("cmartin", "sirene", "/cmartin/Documents/own.txt")

    site.change_record("sirene", purge="2020-01-01T00:00:00+00:00")
    assert "waiting period of sirene is not over" in site.admin("purge", "--due").stdout
    site.change_record("sirene", purge_wait="another-start@1")
    done = site.admin("purge", "--due")
    assert done.status == 0, done
    assert "sirene" not in dugong.hosts()
    assert not dugong.exists("/var/lib/backuppc/pc/sirene")
    assert not dugong.exists("/etc/backuppc/sirene.pl")
    assert dugong.message("status host(sirene)") == ""
    for _ in range(2):
        site.nightly()
    assert not only_sirene & site.pool()
    assert shared <= site.pool() | only_sirene
    assert dugong.picture("/var/lib/backuppc/pc/dormeur").keys() == picture.keys()
    check = dugong.backuppc("BackupPC_tarCreate", "-h", "dormeur", "-n", "-1", "-s", SHARE, "/")
    assert (check.status, SECRET in check.stdout) == (0, True)
    assert "status: new" in site.register("sirene", "adupont")


def test_nothing_moves_while_a_job_runs(site):
    dugong = site.dugong
    site.laptops["dormeur"].run("dd if=/dev/zero of=/home/cmartin/x bs=1M count=30 2>&1", check=True)
    dugong.message("backup dormeur dormeur adupont doFull")
    dugong.wait_for(lambda: "BackupPC_dump" in dugong.message("status jobs"), "a backup", 10)

    busy = site.admin("transfer", "dormeur", "cmartin", "--yes", "dormeur")

    assert busy.status == 1
    assert "stopped from working" in busy.stderr
    assert dugong.owner_of("dormeur") == "adupont"
    dugong.wait_for(lambda: '"dormeur"' not in dugong.message("status queues jobs"), "idle", 30)


def test_without_a_running_backuppc_the_work_is_done_and_told(site):
    dugong = site.dugong
    dugong.daemon.stop()
    try:
        done = site.admin("transfer", "dormeur", "cmartin", "--purge", "3", "--yes", "dormeur")
    finally:
        dugong.daemon.start()

    assert done.status == 0, done
    assert "BackupPC is not running" in done.stdout
    assert dugong.owner_of("dormeur") == "cmartin"
    archive = re.search(r"(dormeur_\d{8}-2) from now on", done.stdout).group(1)
    assert site.record(archive)["purge"]
    assert dugong.owner_of(archive) == "adupont"
    assert "Status_idle" in dugong.message(f"status host({archive})")


def test_after_all_this_reconcile_has_nothing_to_say_and_brings_nothing_back(site):
    before = site.dugong.hosts()

    done = site.admin("reconcile")

    assert done.status == 0, done
    assert site.dugong.hosts() == before
    listed = site.admin("list")
    assert re.search(r"^dormeur_\d{8}-2 .*retired, to be purged", listed.stdout, re.M), listed
    assert "transfer" in site.admin("log", "dormeur").stdout


def test_only_the_very_key_that_a_refused_verify_met_is_accepted(site):
    folder = "/var/lib/backuppc-register/hosts/sirene"
    key = site.laptops["sirene"].ssh_host_keys[0]
    told = site.laptops["sirene"].run("ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub").stdout.split()[1]
    other = site.dugong.run("ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub").stdout.split()[1]

    assert site.admin("accept-key", "sirene", told).status == 1
    site.dugong.write(f"{folder}/offered_key", f"{key}\n", mode=0o640, owner="backuppc:backuppc")
    assert site.admin("accept-key", "sirene", other).status == 1
    assert site.admin("accept-key", "sirene", other, "--dry-run").status == 1
    assert site.admin("accept-key", "sirene", told, "--dry-run").status == 0
    assert key not in site.dugong.read(f"{folder}/known_hosts")
    done = site.admin("accept-key", "sirene", told)

    assert done.status == 0, done
    assert key in site.dugong.read(f"{folder}/known_hosts")
    assert "accept-key request=- code=- host=sirene user=adupont" in site.dugong.syslog()[-1]
    assert site.admin("accept-key", "nobody", told).status == 1


def test_remove_explains_why_there_is_none(site):
    before = site.dugong.hosts()

    told = site.admin("remove", "dormeur")

    assert told.status == 1
    assert "backuppc-register-admin retire dormeur" in told.stdout
    assert site.dugong.hosts() == before


def test_a_registration_without_proof_is_released_and_never_while_backuppc_works_on_it(site):
    dugong, old = site.dugong, "2026-01-01T00:00:00+00:00"
    for name, address in (("orque", "10.77.0.24"), ("moule", "10.77.0.25")):
        site.laptop(name, address)
    site.laptops["orque"].run(
        """sed -i 's/command="/command="sleep 8; /' /home/bckpciuem/.ssh/authorized_keys"""
    )
    assert "ok" in dugong.message("backup orque orque cmartin doFull")
    dugong.wait_for(lambda: '"orque"' in dugong.message("status jobs"), "a backup", 30)
    site.change_record("orque", registered=old)
    site.change_record("moule", registered=old)

    done = site.admin("reconcile", "--quiet")

    assert "-> released moule (cmartin): " in done.stdout, done
    assert "-> released orque" not in done.stdout
    assert ("moule" in dugong.hosts(), "orque" in dugong.hosts()) == (False, True)
    assert (dugong.message("status host(moule)"), dugong.exists("/etc/backuppc/moule.pl")) == ("", False)
    logged = [line for line in dugong.syslog() if "reconcile: released " in line]
    assert re.search("host=moule user=cmartin", logged[-1]), logged
    dugong.wait_for(lambda: '"orque"' not in dugong.message("status queues jobs"), "idle", 60)
    assert dugong.backups("orque")
    assert site.admin("reconcile", "--quiet").stdout == ""
    assert "status: new" in site.register("moule", "adupont")
    refused = site.register("moule", "cmartin")
    assert "refusing to re-register client host with username : moule cmartin" in refused
    assert "verified" not in refused
    assert "never verified since" in dugong.syslog()[-1]
