"""Owners leave files out of their backups by the settings that stay theirs, and `diagnose` says so."""

from __future__ import annotations

import re

import pytest
from backed_up_laptops import Site
from lab import Lab

pytestmark = pytest.mark.lab

# What an owner can save in BackupPC's web editor.
EMPTIED = {
    "no folder": "$Conf{RsyncShareName} = [''];",
    "all files excluded": "$Conf{BackupFilesExclude} = {'*' => ['/*']};",
    "only one small folder": "$Conf{BackupFilesOnly} = {'*' => ['/cmartin/Documents']};",
}


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        site = Site(lab)
        laptop = site.laptop("dormeur", "10.77.0.11")
        laptop.run("mkdir /home/cmartin/many && cd /home/cmartin/many && touch $(seq 200)", check=True)
        site.dugong.full_backup("dormeur")
        yield site


def diagnosed(site: Site) -> list[str]:
    """Let BackupPC make an incremental backup; give what `diagnose` says of the backups then."""
    site.dugong.message("backup dormeur dormeur cmartin doIncr")
    site.dugong.wait_for(lambda: '"dormeur"' not in site.dugong.message("status queues jobs"), "idle", 60)
    lines = site.admin("diagnose", "--only", "backups").stdout.splitlines()
    return [line for line in lines if re.match("(green|yellow|red) +backups ", line)]


def test_backups_that_save_what_they_saved_before_are_green(site):
    assert diagnosed(site) == ["green   backups           the backups of 2 of 2 hosts checked"]


@pytest.mark.parametrize("how", EMPTIED)
def test_backups_that_save_next_to_nothing_are_yellow(site, how):
    settings = site.dugong.read("/etc/backuppc/dormeur.pl")
    site.dugong.run("cat >> /etc/backuppc/dormeur.pl", input=f"{EMPTIED[how]}\n", check=True)

    found = diagnosed(site)

    site.dugong.write("/etc/backuppc/dormeur.pl", settings, owner="backuppc:www-data")
    assert re.search(r"^yellow .*(the last backup failed|far fewer files).*: dormeur \(", found[0]), found
    assert diagnosed(site)[0].startswith("green ")
