"""After a transfer or a purge: stale pages of the real editor, and manually added hosts."""

from __future__ import annotations

import re

import pytest
from backed_up_laptops import SECRET, SHARE, Site
from lab import Lab, LabError

pytestmark = pytest.mark.lab

NEW = "what adupont wrote since"
NEW_FILE = "/cmartin/Documents/new.txt"
BY_HAND = """\
# made by hand
$Conf{ClientNameAlias} = 'labo.univ-brest.fr';
$Conf{XferMethod} = 'rsync'; $Conf{RsyncClientPath} = 'rsync'; $Conf{RsyncShareName} = ['/home'];
$Conf{RsyncSshArgs} = ['-e', '$sshPath -F none -x -o BatchMode=yes -o StrictHostKeyChecking=no'
    . ' -o UserKnownHostsFile=/dev/null -i /var/lib/backuppc/.ssh/by-hand -l bckpciuem'];
1;
"""


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        site = Site(lab)
        dugong, dormeur = site.dugong, site.laptop("dormeur", "10.77.0.11")
        dugong.full_backup("dormeur")
        assert site.admin("reconcile").status == 0
        site.stale = site.page()
        done = site.admin("transfer", "dormeur", "adupont", "--yes", "dormeur")
        assert done.status == 0, done
        assert "status: unchanged" in site.register("dormeur", "adupont")
        dormeur.write(f"/home{NEW_FILE}", NEW, owner="cmartin")
        dugong.full_backup("dormeur")
        yield site


def test_a_stale_page_that_gives_a_host_back_is_undone_and_each_reads_their_own_backups(site):
    dugong, archive = site.dugong, site.archive()
    assert site.can_read("dormeur", NEW, NEW_FILE) == {"adupont"}

    site.save(site.stale)
    assert dugong.owner_of("dormeur") == "cmartin"
    assert archive not in dugong.hosts()
    assert site.can_read("dormeur", NEW, NEW_FILE) == {"cmartin"}
    assert "other-owner" in site.register("dormeur", "cmartin")
    done = site.admin("reconcile", "--quiet")

    assert done.status == 1
    assert "!! taken-back dormeur (adupont)" in done.stdout
    assert f"-> restored {archive} (cmartin)" in done.stdout
    assert (dugong.owner_of("dormeur"), dugong.owner_of(archive)) == ("adupont", "cmartin")
    assert site.can_read("dormeur", NEW, NEW_FILE) == {"adupont"}
    assert site.can_read(archive, SECRET, "/cmartin/Documents/rapport 2024.txt") == {"cmartin"}
    for host in ("dormeur", archive):
        assert "Status_idle" in dugong.message(f"status host({host})")
    logged = [line for line in dugong.syslog() if "reconcile: taken-back" in line]
    assert re.search("host=dormeur user=adupont .*detail=by chef the line was changed", logged[-1])
    for _ in range(2):
        site.nightly()
    assert SECRET in dugong.backuppc("BackupPC_tarCreate", "-h", archive, "-n", "-1", "-s", SHARE, "/").stdout
    assert dugong.incremental("dormeur").files
    assert site.admin("reconcile").status == 0


def test_a_manual_edit_that_names_the_former_owner_is_restored_and_reads_nothing_more(site):
    dugong, archive = site.dugong, site.archive()
    key = dugong.read("/var/lib/backuppc-register/hosts/dormeur/key.pub")
    dugong.run(
        ["sed", "-i", "s/^dormeur\\t0\\tadupont/dormeur\\t0\\tcmartin/", "/etc/backuppc/hosts"], check=True
    )
    dugong.run("chown backuppc:www-data /etc/backuppc/hosts; chmod 644 /etc/backuppc/hosts", check=True)
    assert site.can_read("dormeur", NEW, NEW_FILE) == {"cmartin"}
    assert "other-owner" in site.register("dormeur", "cmartin")

    done = site.admin("reconcile", "--quiet")

    assert "!! taken-back dormeur (adupont)" in done.stdout
    assert "backuppc-register-admin transfer dormeur cmartin" in done.stdout
    assert dugong.owner_of("dormeur") == "adupont"
    assert site.can_read("dormeur", NEW, NEW_FILE) == {"adupont"}
    assert site.can_read(archive, SECRET, "/cmartin/Documents/rapport 2024.txt") == {"cmartin"}
    assert "other-owner" in site.register("dormeur", "cmartin")
    assert "status: unchanged" in site.register("dormeur", "adupont")
    assert dugong.read("/var/lib/backuppc-register/hosts/dormeur/key.pub") == key
    assert dugong.incremental("dormeur").files
    assert site.admin("reconcile").status == 0


def test_every_door_of_the_web_interface_is_shut_to_whom_a_host_is_not(site):
    dugong, archive = site.dugong, site.archive()
    number = dugong.backups(archive)[-1].number
    file = "&share=%2Fhome&dir=%2Fcmartin%2FDocuments%2Frapport%202024.txt"
    doors = [
        f"host={archive}",
        f"action=browse&host={archive}&num={number}&share=%2Fhome&dir=%2Fcmartin%2FDocuments",
        f"action=dirHistory&host={archive}&share=%2Fhome&dir=%2Fcmartin%2FDocuments",
        f"action=RestoreFile&host={archive}&num={number}{file}",
        f"action=Restore&host={archive}&num={number}&share=%2Fhome&type=1&fcbMax=1&fcb0=%2Fcmartin",
        f"action=Restore&host={archive}&num={number}&share=%2Fhome&type=2&fcbMax=1&fcb0=%2Fcmartin",
        f"action=Restore&host={archive}&num={number}&share=%2Fhome&type=3&fcbMax=1&fcb0=%2Fcmartin"
        "&hostDest=dormeur&shareDest=%2Fhome&pathHdr=%2F",
        f"action=Restore&host={archive}&num={number}&share=%2Fhome&type=4&fcbMax=1&fcb0=%2Fcmartin"
        "&hostDest=dormeur&shareDest=%2Fhome&pathHdr=%2F",
        f"action=view&type=XferLOG&num={number}&host={archive}",
        f"action=view&type=LOG&host={archive}",
        f"action=view&type=config&host={archive}",
        f"action=LOGlist&host={archive}",
        f"action=editConfig&host={archive}",
    ]

    for door in doors:
        theirs, mine = dugong.cgi(door, "adupont"), dugong.cgi(door, "cmartin")
        assert "BackupPC: Error" in theirs, door
        assert SECRET not in theirs
        assert "rapport" not in theirs
        if "editConfig" not in door and "type=config" not in door:
            assert theirs != mine, door
    assert SECRET in dugong.cgi(doors[3], "cmartin")
    assert "BackupPC: Error" in dugong.cgi("host=dormeur", "cmartin")
    assert archive not in dugong.cgi("", "adupont")


def test_a_host_made_by_hand_is_retired_and_resumed_and_nothing_of_it_is_lost(site):
    dugong = site.dugong
    labo = site.laptop("labo", "10.77.0.13", logon="nobody")  # it is refused, and so not registered
    dugong.run(
        "ssh-keygen -q -t ed25519 -N '' -f /var/lib/backuppc/.ssh/by-hand", user="backuppc", check=True
    )
    key = dugong.read("/var/lib/backuppc/.ssh/by-hand.pub")
    labo.write(
        "/home/bckpciuem/.ssh/authorized_keys", f'restrict,command="$SSH_ORIGINAL_COMMAND" {key}', mode=0o600
    )
    labo.run("chown -R bckpciuem: /home/bckpciuem/.ssh; chmod 755 /home/cmartin", check=True)
    hosts = f"{dugong.hosts()}labo 0 adupont cmartin  # room 12\n"
    dugong.write("/etc/backuppc/hosts", hosts, mode=0o644, owner="backuppc:www-data")
    dugong.write("/etc/backuppc/labo.pl", BY_HAND, mode=0o644, owner="root:root")
    dugong.message("server reload")
    first = dugong.full_backup("labo")
    assert first.files

    done = site.admin("retire", "labo")

    assert done.status == 0, done
    for kind in ("doFull", "doIncr", "auto"):
        dugong.message(f"backup labo labo adupont {kind}")
        dugong.wait_for(lambda: '"labo"' not in dugong.message("status queues jobs"), "idle", 20)
    assert dugong.backups("labo") == [first]
    assert "closed" in dugong.cgi("action=editConfig&host=labo", "adupont")
    assert "only labo" in site.read("adupont", "labo", "/cmartin/Documents/own.txt")
    assert site.admin("reconcile").status == 0

    assert site.admin("resume", "labo").status == 0

    assert dugong.read("/etc/backuppc/labo.pl") == BY_HAND
    assert dugong.run("stat -c %a /etc/backuppc/labo.pl").stdout == "644\n"
    assert dugong.hosts() == hosts
    assert not dugong.exists("/var/lib/backuppc-register/hosts/labo")
    assert dugong.incremental("labo").files


def test_a_host_made_by_hand_changes_hands_and_waits_for_the_new_person(site):
    dugong = site.dugong
    done = site.admin("transfer", "labo", "cmartin", "--yes", "labo")

    assert done.status == 0, done
    archive = re.search(r"(labo_\d{8}) from now on", done.stdout).group(1)
    assert (dugong.owner_of("labo"), dugong.owner_of(archive)) == ("cmartin", "adupont")
    assert site.can_read(archive, "only labo", "/cmartin/Documents/own.txt") == {"adupont"}
    with pytest.raises(LabError):
        dugong.full_backup("labo")
    assert "status: retired" in site.register("labo", "cmartin")
    assert site.admin("resume", "labo").status == 0
    assert dugong.full_backup("labo").number == 0
    assert site.can_read("labo", "only labo", "/cmartin/Documents/own.txt") == {"cmartin"}
    assert site.admin("reconcile").status == 0


def test_a_stale_page_after_a_purge_brings_a_line_back_that_reads_nothing_and_can_be_purged_again(site):
    dugong = site.dugong
    site.admin("reconcile")
    stale = site.page()
    archive = next(line.split()[0] for line in dugong.hosts().splitlines() if line.startswith("labo_"))
    assert site.admin("purge", archive, "--days", "0", "--yes", archive).status == 0
    assert site.admin("purge", "--due").status == 0
    assert archive not in dugong.hosts()

    site.save(stale)
    told = site.admin("reconcile", "--quiet")

    assert f"-> changed {archive} (adupont): it was purged or cleaned up, and its line" in told.stdout
    assert site.can_read("labo", "only labo", "/cmartin/Documents/own.txt") == {"cmartin"}
    assert site.admin("purge", archive, "--yes", archive).status == 0
    assert archive not in dugong.hosts()
    assert site.admin("reconcile").status == 0
