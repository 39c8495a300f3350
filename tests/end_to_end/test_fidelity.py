"""What BackupPC gives back is what was there: hard cases, saved and restored through all that is ours."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from lab import Lab, Laptop, Server
from lab.backuppc import Backup

pytestmark = [pytest.mark.lab, pytest.mark.long]

SETUP = "/opt/backuppc-register/clients/setup.sh"
GIVEN = "--server dugong.univ-brest.fr --register-key /root/register-key --known-hosts /root/known_hosts"
TREE = "/opt/backuppc-register/tests/environments/lab/tree.py"
HOME = "/home/cmartin/tree"
RESTORED = "/var/lib/bckpciuem-restore"
SECOND, SETUID = 10**9, 0o6000
Tree = dict[str, dict[str, Any]]


def set_up(lab: Lab, server: Server, name: str, address: str, options: str = "") -> Laptop:
    laptop = lab.laptop(f"{name}.univ-brest.fr", address)
    laptop.write("/root/register-key", server.register_key, mode=0o600)
    laptop.write("/root/known_hosts", server.known_hosts)
    words = f"sh {SETUP} {GIVEN} --logon cmartin --unattended --no-verify {options}"
    laptop.run(words, timeout=60, check=True)
    return laptop


def tree(laptop: Laptop, verb: str, folder: str, *arguments: str) -> str:
    return laptop.run(["python3", TREE, verb, folder, *arguments], timeout=120, check=True).stdout


def look(laptop: Laptop, folder: str, *, saved: bool = False) -> Tree:
    """What stands in *folder*; *saved* is how much of that BackupPC keeps: times are whole seconds."""
    seen: Tree = json.loads(tree(laptop, "look", folder))
    for facts in seen.values() if saved else ():
        facts["time"] = facts["time"] // SECOND * SECOND
    return seen


def without(seen: Tree, *names: str) -> Tree:
    return {path: {name: facts[name] for name in facts if name not in names} for path, facts in seen.items()}


def size_of(seen: Tree) -> int:
    return sum(facts.get("size", 0) for facts in seen.values())


def empty_restores(laptop: Laptop) -> None:
    laptop.run(f"rm -rf {RESTORED}/*", check=True)


# ---------------------------------------------------------------- into the folder for restored files


@dataclass(frozen=True)
class Story:
    """A full backup of the tree as it `was`, and an incremental one of what it `is` now."""

    dugong: Server
    laptop: Laptop
    was: Tree
    is_now: Tree
    backups: tuple[Backup, Backup]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with Lab() as lab:
        dugong = lab.server("dugong.univ-brest.fr")
        laptop = set_up(lab, dugong, "dormeur", "10.77.0.20")
        tree(laptop, "fill", HOME)
        was = look(laptop, HOME, saved=True)
        full = dugong.full_backup(laptop.name)
        tree(laptop, "change", HOME)
        is_now = look(laptop, HOME, saved=True)
        yield Story(dugong, laptop, was, is_now, (full, dugong.incremental(laptop.name)))


def test_both_backups_are_whole(story: Story) -> None:
    assert [(backup.kind, backup.errors) for backup in story.backups] == [("full", 0), ("incr", 0)]
    for backup, seen in zip(story.backups, (story.was, story.is_now), strict=True):
        assert backup.size > size_of(seen)


def test_it_all_comes_back_and_what_cannot_is_known(story: Story) -> None:
    """In `restore=dirs` nobody becomes root: owners, devices and setuid stay behind, and that is all."""
    story.dugong.restore(story.laptop.name, "/home", "/cmartin/tree", to=RESTORED)

    back = look(story.laptop, f"{RESTORED}/cmartin/tree")
    expected = without(story.is_now, "owner", "blocks")
    del expected["kinds/device"]
    for name in ("modes/folder 0600", "modes/folder 0644", "modes/folder 1644"):  # rsync must get into it
        expected[name]["mode"] = f"{int(expected[name]['mode'], 8) | 0o100:06o}"
    silent = "to_change/to be changed silently"
    expected[silent]["digest"] = story.was[silent]["digest"]
    for facts in expected.values():
        facts["mode"] = f"{int(facts['mode'], 8) & ~SETUID:06o}"
    assert without(back, "owner", "blocks") == expected
    account = story.laptop.run("echo $(id -u bckpciuem):$(id -g bckpciuem)").stdout.strip()
    assert {facts["owner"] for facts in back.values()} == {account}


def test_holes_come_back_as_holes(story: Story) -> None:
    story.dugong.restore(story.laptop.name, "/home", "/cmartin/tree/holes", to=RESTORED)

    back = look(story.laptop, f"{RESTORED}/cmartin/tree/holes")
    sizes = {name: facts["size"] >> 20 for name, facts in back.items()}
    assert sizes == {"at first": 16, "middle": 8, "all": 32}
    assert max(facts["blocks"] for facts in back.values()) * 512 < 1 << 20


def test_what_was_deleted_is_in_the_backup_before(story: Story) -> None:
    path = "/cmartin/tree/to_change/to be deleted"

    kept = story.dugong.backuppc("BackupPC_zcat", "-h", "dormeur", "-n", "0", "-s", "/home", path).stdout

    assert kept == "before\n"
    assert path not in story.dugong.files_of("dormeur", "/home", "/cmartin/tree/to_change")


@pytest.mark.parametrize("name", ["names/_deux\nlignes", "names/deux\nlignes"])
def test_a_name_with_a_line_feed_comes_back_with_its_folder_only(story: Story, name: str) -> None:
    """BackupPC hands rsync_bpc a list of lines; that it then calls such a restore done is its own doing."""
    empty_restores(story.laptop)

    story.dugong.restore("dormeur", "/home", f"/cmartin/tree/{name}", to=RESTORED)
    alone = look(story.laptop, RESTORED)
    log = story.dugong.transfer_log("dormeur", "RestoreLOG")
    story.dugong.restore("dormeur", "/home", "/cmartin/tree/names", to=RESTORED)

    assert alone == {}
    assert 'link_stat "/lignes" failed' in log
    assert f"cmartin/tree/{name}" in look(story.laptop, RESTORED)


def test_only_a_full_backup_sees_what_time_and_size_hide(story: Story) -> None:
    """The last story of this laptop: the tree is then saved as it is."""
    silent = "to_change/to be changed silently"
    empty_restores(story.laptop)

    story.dugong.full_backup("dormeur")
    story.dugong.restore("dormeur", "/home", f"/cmartin/tree/{silent}", to=RESTORED)

    back = look(story.laptop, f"{RESTORED}/cmartin/tree")
    assert back[silent]["digest"] == story.is_now[silent]["digest"] != story.was[silent]["digest"]


# ---------------------------------------------------------------- in place, as root


def test_a_full_restore_gives_back_the_very_same_tree_without_the_rights_in_it(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    laptop = set_up(lab, dugong, "sirene", "10.77.0.21", "--restore full")
    tree(laptop, "fill", HOME)
    was = look(laptop, HOME, saved=True)
    dugong.full_backup(laptop.name)

    damage = "rm -r kinds names; chmod -R a=rwX modes; echo x >links/one; ln -sf nowhere 'links/symbolic 0'"
    laptop.run(f"cd {HOME} && {damage}", check=True)
    dugong.restore(laptop.name, "/home", "/cmartin/tree")

    back, expected = look(laptop, HOME, saved=True), without(was, "blocks")
    for name in ("kinds/device", "kinds/fifo", "kinds/socket"):
        del expected[name]
    for name, facts in expected.items():
        if name.startswith("modes/"):  # nothing else was damaged
            facts["mode"] = f"{int(facts['mode'], 8) & ~SETUID:06o}"
    assert without(back, "blocks") == expected


# ---------------------------------------------------------------- many


def test_a_hundred_thousand_small_files(lab: Lab) -> None:
    number = 100_000
    dugong = lab.server("dugong.univ-brest.fr")
    laptop = set_up(lab, dugong, "sirene", "10.77.0.21")
    tree(laptop, "many", "/home/cmartin/many", str(number))

    full = dugong.full_backup(laptop.name, timeout=300)
    laptop.run("cd /home/cmartin/many/050000 && rm 'file 50007' && echo new >'file 50008'", check=True)
    incremental = dugong.incremental(laptop.name, timeout=300)
    dugong.restore(laptop.name, "/home", "/cmartin/many", to=RESTORED, timeout=300)

    assert [backup.errors for backup in (full, incremental)] == [0, 0]
    assert (full.files > number, incremental.files) == (True, full.files - 1)
    there = "cd %s/cmartin && find many -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"
    sums = {laptop.run(there % folder, check=True, timeout=120).stdout for folder in ("/home", RESTORED)}
    count = laptop.run(f"find {RESTORED} -type f | wc -l", check=True).stdout
    assert (len(sums), int(count)) == (1, number - 1)


# ---------------------------------------------------------------- how it ended


@pytest.mark.parametrize(("program", "status"), [("true", 0), ("false", 1), ("rsync", 12)])
def test_rsyncs_exit_status_reaches_the_server(story: Story, program: str, status: int) -> None:
    """BackupPC decides by it: 23, 24 and 25 are benign (Xfer/Rsync.pm). 12: the other side said nothing."""
    config = story.laptop.read("/etc/bckpciuem.conf")
    story.laptop.write("/etc/bckpciuem.conf", config.replace("/usr/bin/rsync", f"/usr/bin/{program}"))

    ssh = f"ssh -n -F /var/lib/backuppc-register/hosts/dormeur/ssh_config {story.laptop.fqdn}"
    ended = story.dugong.run(f"{ssh} rsync --server --sender -re.iLsfxC . /home/", user="backuppc").status
    story.laptop.write("/etc/bckpciuem.conf", config)

    assert ended == status
