"""The administrator's verbs while the real BackupPC hangs, while somebody keeps its lock, and two at once."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from backed_up_laptops import SECRET, Site
from lab import Lab
from slowness import within

pytestmark = pytest.mark.lab

COPIES = ("orque", "sirene", "calmar", "mimosa", "raie")
LONGEST = 40  # seconds: some questions of 10 seconds, on a machine that has other things to do


@pytest.fixture(scope="module")
def site():
    """Give a server with a laptop, and hosts made by hand that have the same backups."""
    with Lab() as lab:
        site = Site(lab)
        site.laptop("dormeur", "10.77.0.11")
        site.dugong.full_backup("dormeur")
        for host in COPIES:
            site.dugong.run(f"cp -a /var/lib/backuppc/pc/dormeur /var/lib/backuppc/pc/{host}", check=True)
        lines = "".join(f"{host} 0 cmartin\n" for host in COPIES)
        hosts = site.dugong.hosts() + lines
        site.dugong.write("/etc/backuppc/hosts", hosts, mode=0o644, owner="backuppc:www-data")
        site.dugong.message("server reload")
        assert site.admin("retire", "raie").status == 0
        assert site.admin("purge", "mimosa", "--days", "0", "--yes", "mimosa").status == 0
        assert site.admin("reconcile").status == 0
        yield site


def at_once(site, verbs):
    """Run these verbs at the same time; give their results, and the seconds that the slowest took."""
    start = time.monotonic()
    with ThreadPoolExecutor(len(verbs)) as pool:
        done = [pool.submit(site.admin, *words, timeout=LONGEST * 2) for words in verbs.values()]
        return dict(zip(verbs, (one.result() for one in done), strict=True)), time.monotonic() - start


def test_a_backuppc_that_hangs_keeps_no_verb_for_long_and_what_it_must_know_of_waits(site):
    dugong = site.dugong
    verbs = {
        "retire": ["retire", "dormeur"],
        "resume": ["resume", "raie"],
        "transfer": ["transfer", "orque", "adupont", "--yes", "orque"],
        "purge": ["purge", "sirene", "--days", "3", "--yes", "sirene"],
        "due": ["purge", "--due"],
        "show": ["show", "calmar"],
    }
    dugong.daemon.hang()
    try:
        done, seconds = at_once(site, verbs)
        lost = re.sub("(?m)^calmar.*\n", "", dugong.hosts())
        dugong.write("/etc/backuppc/hosts", lost, mode=0o644, owner="backuppc:www-data")
        reconciled = site.admin("reconcile", "--quiet", timeout=LONGEST)
    finally:
        dugong.daemon.go_on()

    assert within(seconds, LONGEST)
    assert {name: one.status for name, one in done.items()} == {
        "retire": 0, "resume": 0, "transfer": 1, "purge": 0, "due": 1, "show": 0,
    }  # fmt: skip
    for name in ("retire", "purge"):
        assert "was not stopped: BackupPC cannot be stopped from working" in done[name].stdout, done[name]
    assert "BackupPC cannot be stopped from working on orque" in done["transfer"].stderr
    assert "mimosa is not purged: BackupPC cannot be stopped from working" in done["due"].stdout
    assert "does not run" in done["show"].stdout
    assert "-> restored calmar" in reconciled.stdout
    assert "did not answer in time" in reconciled.stdout
    assert not any("Traceback" in one.stderr for one in (*done.values(), reconciled))
    assert dugong.owner_of("orque") == "cmartin"
    assert dugong.exists("/var/lib/backuppc/pc/mimosa/0")


def test_it_goes_on_as_if_nothing_had_been_and_what_waited_is_done_by_asking_again(site):
    dugong = site.dugong

    assert site.admin("transfer", "orque", "adupont", "--yes", "orque").status == 0
    assert site.admin("purge", "--due").status == 0

    assert "Got signal" not in dugong.read("/var/lib/backuppc/log/LOG")
    assert "Status_idle" in dugong.message("status host(calmar)")
    assert not dugong.exists("/var/lib/backuppc/pc/mimosa")
    archive = next(line.split()[0] for line in dugong.hosts().splitlines() if line.startswith("orque_"))
    for host in ("dormeur", "sirene", "calmar", "raie", archive):
        assert SECRET in site.read("cmartin", host)
    assert site.admin("reconcile").status == 0
    assert site.admin("resume", "dormeur").status == 0
    assert dugong.incremental("dormeur").files


def test_whoever_keeps_backuppcs_lock_makes_every_verb_end_with_a_sentence_and_nothing_changed(site):
    dugong = site.dugong
    verbs = {
        "retire": ["retire", "calmar"],
        "resume": ["resume", "sirene"],
        "transfer": ["transfer", "raie", "adupont", "--yes", "raie"],
        "purge": ["purge", "raie", "--yes", "raie"],
        "reconcile": ["reconcile"],
        "accept-key": ["accept-key", "dormeur", "SHA256:x"],
    }
    watched = ("/etc/backuppc/hosts", "/etc/backuppc/calmar.pl", "/var/lib/backuppc-register")
    before = dugong.picture(*watched)
    holder = dugong.start(["flock", "/etc/backuppc/LOCK", "sh", "-c", "echo held; exec sleep 600"])
    dugong.wait_for(lambda: "held" in holder.output(), "the lock held", 10)
    try:
        done, seconds = at_once(site, verbs)
    finally:
        holder.kill()

    assert within(seconds, LONGEST)
    for name, one in done.items():
        assert (one.status, one.stderr.count("\n")) == (1, 1), one
        assert "another process held BackupPC's lock" in one.stderr, name
    assert dugong.picture(*watched) == before
    assert site.admin("retire", "calmar").status == 0


PAIRS = [
    (
        "two transfers",
        ["transfer", "{}", "adupont", "--yes", "{}"],
        ["transfer", "{}", "jdupond", "--yes", "{}"],
    ),
    ("transfer and retire", ["transfer", "{}", "adupont", "--yes", "{}"], ["retire", "{}"]),
    ("retire and resume", ["retire", "{}"], ["resume", "{}"]),
    ("purge and resume", ["purge", "{}", "--yes", "{}"], ["resume", "{}"]),
    ("two purges", ["purge", "{}", "--yes", "{}"], ["purge", "{}", "--days", "3", "--yes", "{}"]),
]


def test_two_verbs_at_once_are_one_after_the_other_and_reconcile_finds_nothing_wrong(site):
    dugong = site.dugong
    hosts, verbs = [], {}
    for number, (name, *both) in enumerate(PAIRS):
        host = f"pair{number}"
        hosts.append(host)
        dugong.run(f"cp -a /var/lib/backuppc/pc/dormeur /var/lib/backuppc/pc/{host}", check=True)
        verbs |= {f"{name} {n}": [word.format(host) for word in words] for n, words in enumerate(both)}
    text = dugong.hosts() + "".join(f"{host} 0 cmartin\n" for host in hosts)
    dugong.write("/etc/backuppc/hosts", text, mode=0o644, owner="backuppc:www-data")
    dugong.message("server reload")
    site.admin("reconcile")

    done, _ = at_once(site, verbs)

    for name, one in done.items():
        told = (one.stderr + one.stdout).strip()
        assert told, name
        assert "Traceback" not in told
        assert one.status == 0 or re.search("from working|changed while you were asked|already", told), one
    for name, *_ in PAIRS:
        assert done[f"{name} 0"].status == 0 or done[f"{name} 1"].status == 0
    users = {
        line.split()[0]: line.split()[2] for line in dugong.hosts().splitlines() if line.startswith("pair")
    }
    theirs = [host for host, user in users.items() if user == "cmartin"]
    mine = [host for host in theirs if SECRET in site.read("cmartin", host)]
    assert len(mine) == len(PAIRS)
    assert not [
        host
        for host in users
        for user in ("adupont", "jdupond")
        if has_data(site, host) and SECRET in site.read(user, host)
    ]
    undecided = site.admin("reconcile")
    assert undecided.status == 0, undecided


def has_data(site, host):
    return site.dugong.exists(f"/var/lib/backuppc/pc/{host}/0")
