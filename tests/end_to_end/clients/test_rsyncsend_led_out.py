"""Attempts to lead the laptop's rsync out of the folder, each of which succeeds if there is no wall.

By the server, with filter rules inside the protocol; by a user, who exchanges folders for links.
"""

import contextlib
from collections.abc import Iterator

import pytest
from lab import Lab, LabError
from walled_laptop import HELPER, RSYNCS, WalledLaptop

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("older_rsync")]

SECRET, LISTED = "the secret of root", "canary"
PAIRS = 200
# A folder and a link change their names at one moment, for each pair in turn, without an end.
SWAP = f"""
import ctypes
exchange = ctypes.CDLL(None).renameat2
pairs = [[f"/home/cmartin/pairs/{{kind}}{{n}}".encode() for kind in "dl"] for n in range({PAIRS})]
while True:
    for folder, link in pairs:
        exchange(-100, folder, -100, link, 2)
"""
FILES = ["/root/secret", "//root//secret", "/home/../root/secret", "../../root/secret", "../root/secret",
         "/proc/self/root/root/secret", "/proc/1/root/root/secret", "/share/../root/secret", "cmartin/link",
         "cmartin/link2", "/home/cmartin/link", "/home/cmartin/up/root/secret"]  # fmt: skip
RULES = [". {}", "merge {}", "merge,+ {}", ".- {}", ": {}", "dir-merge {}", ":- {}", "dir-merge,- {}",
         ":n {}", ":e {}", ":s {}", ".C {}", ":w {}", "protect,! {}", "H {}"]  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Iterator[WalledLaptop]:
    with Lab() as lab:
        site = WalledLaptop(lab)
        site.laptop.write("/root/secret", f"{SECRET}\n", mode=0o600)
        site.laptop.write("/root/names", f"{LISTED}\n", mode=0o600)
        site.laptop.write(f"/home/cmartin/{LISTED}", "x\n", owner="cmartin")
        site.laptop.run("cd ~ && ln -s /root/secret link && ln -s ../../root/secret link2 && ln -s / up && "
                        "ln -s /root/names names", user="cmartin", check=True)  # fmt: skip
        yield site


@pytest.fixture
def without_wall(site: WalledLaptop) -> Iterator[None]:
    """Let the laptop's helper believe in a wall and build none."""
    helper = site.laptop.read(HELPER)
    site.laptop.write(
        HELPER, helper.replace("find_wall() {", "find_wall() { WALL=confine-root; return;"), mode=0o755
    )
    yield
    site.laptop.write(HELPER, helper, mode=0o755)


@pytest.mark.parametrize("rsync", RSYNCS)
def test_no_filter_rule_tells_of_a_file_elsewhere(site: WalledLaptop, rsync: str) -> None:
    site.configure(rsync)
    told = site.tell(*{rule.format(file) for rule in RULES for file in FILES[:1]},
                     *{rule.format(file) for rule in (". {}", ": {}") for file in FILES})  # fmt: skip

    assert [rule for rule, text in told.items() if SECRET in text] == []
    assert [rule for rule, text in told.items() if "rapport" in text]


@pytest.mark.parametrize("rsync", RSYNCS)
def test_no_filter_rule_tells_of_the_lines_of_a_file_elsewhere(site: WalledLaptop, rsync: str) -> None:
    """The names that go missing from the list are lines of the file."""
    site.configure(rsync)
    rules = [rule.format(file) for rule in (".- {}", ":- {}", "dir-merge,- {}", "merge,- {}", ":-n {}")
             for file in ("/root/names", "../../root/names", "/home/cmartin/names", "names")]  # fmt: skip

    lists = site.tell(*rules)

    assert [rule for rule, text in lists.items() if "rapport" in text and LISTED not in text] == []
    assert [rule for rule, text in lists.items() if "rapport" in text and LISTED in text]


@pytest.mark.usefixtures("without_wall")
def test_without_the_wall_an_older_rsync_tells(site: WalledLaptop) -> None:
    """The two tests above can fail."""
    site.configure("older")

    told = site.tell(". /root/secret", ": link", ":- /root/names")

    assert SECRET in told[". /root/secret"]
    assert SECRET in told[": link"]
    assert LISTED not in told[":- /root/names"]


def make_pairs(site: WalledLaptop, script: str) -> None:
    """Let the person run *script* for each number n of a pair, in a new folder."""
    site.laptop.run("rm -rf /home/cmartin/pairs", check=True)
    site.laptop.run("mkdir ~/pairs", user="cmartin", check=True)
    for_each_pair(site, script)


def for_each_pair(site: WalledLaptop, script: str) -> None:
    loop = f"cd ~/pairs && for n in $(seq 0 {PAIRS - 1}); do {script} || exit; done"
    site.laptop.run(loop, user="cmartin", check=True)


def stolen(site: WalledLaptop) -> int:
    """Back up while folders are exchanged; count the files of /etc that got into the backup."""
    make_pairs(site, "mkdir d$n && echo x >d$n/shadow && ln -s /etc l$n")
    with site.meanwhile(SWAP):
        number = site.dugong.full_backup(site.laptop.name).number
    tar = f"/usr/share/backuppc/bin/BackupPC_tarCreate -h {site.laptop.name} -n {number} -s /home"
    text = site.dugong.run(f"{tar} /cmartin/pairs | tar -xO | grep -ac ^root:", user="backuppc").stdout
    return int(text)


@pytest.mark.parametrize("rsync", RSYNCS)
def test_no_folder_that_becomes_a_link_leads_a_backup_out(site: WalledLaptop, rsync: str) -> None:
    site.configure(rsync)

    assert stolen(site) == 0


@pytest.mark.usefixtures("without_wall")
def test_without_the_wall_an_older_rsync_is_led_out(site: WalledLaptop) -> None:
    site.configure("older")

    assert stolen(site) > 0


def planted(site: WalledLaptop, turns: int) -> list[str]:
    """Restore a person's files in place while folders are exchanged; give what came to folders of others."""
    make_pairs(site, "mkdir d$n && echo x >d$n/mine$n")
    site.laptop.run("rm -rf /root/only /home/adupont/only && install -d -m 700 /root/only && "
                    "install -d -m 700 -o adupont /home/adupont/only", check=True)  # fmt: skip
    site.dugong.full_backup(site.laptop.name)
    for_each_pair(
        site, "rm d$n/mine$n && ln -s $([ $((n % 2)) = 0 ] && echo /root || echo ../../adupont)/only l$n"
    )
    with site.meanwhile(SWAP):
        for _ in range(turns):
            site.laptop.run("rm -f ~/pairs/d*/mine*", user="cmartin")
            with contextlib.suppress(LabError):  # who disturbs the restore of their own files gets none
                site.dugong.restore(site.laptop.name, "/home", "/cmartin/pairs")
    return site.laptop.run("find /root/only /home/adupont/only -type f").lines


@pytest.mark.parametrize("rsync", RSYNCS)
def test_no_folder_that_becomes_a_link_leads_a_restore_out(site: WalledLaptop, rsync: str) -> None:
    site.configure(rsync, "restore=full")

    assert planted(site, turns=2) == []


@pytest.mark.usefixtures("without_wall")
def test_without_the_wall_an_older_rsync_writes_elsewhere(site: WalledLaptop) -> None:
    site.configure("older", "restore=full")

    assert any(planted(site, turns=2) for _ in range(4))
