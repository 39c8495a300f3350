"""Restores in place, by a server that is the attacker's, alone or with a user of the laptop."""

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from access_lists import ACL, acl
from lab import Lab, Laptop, Result, Server, User
from walled_laptop import OLDER, RSYNCS

pytestmark = pytest.mark.lab

SETUP = "/opt/backuppc-register/clients/setup.sh"
GIVEN = "--server dugong.univ-brest.fr --register-key /root/register-key --known-hosts /root/known_hosts"
ROOTS, CONFIG = "/var/lib/bckpciuem-restore", "/etc/bckpciuem.conf"
PEOPLE = (User("cmartin", 1000), User("adupont", 1001))
PARTLY, TURNS = 23, 6
# What root of another laptop has laid into a backup, by the names below /home of this one.
EVIL = """
set -e
mkdir -p /root/evil && cd /root/evil
mkdir -p cmartin/Documents cmartin/.ssh adupont/.ssh service nobody
cp /bin/cat cmartin/rootcat && chmod 6755 cmartin/rootcat
cp /bin/cat cmartin/capable && setcap cap_dac_override,cap_setuid+ep cmartin/capable
mknod cmartin/disk b 8 0 && mknod cmartin/memory c 1 1 && chmod 666 cmartin/disk cmartin/memory
mkfifo cmartin/pipe
mkdir -m 2777 cmartin/open
echo evil | tee cmartin/.ssh/authorized_keys adupont/.ssh/authorized_keys service/evil nobody/evil >evil
echo theirs >cmartin/Documents/evil && chown 1001:0 cmartin/Documents/evil
cp -p cmartin/rootcat rootcat
python3 -c 'import os
for name in ("trusted.evil", "user.good"): os.setxattr("cmartin/capable", name, b"x")'
"""
CAUGHT = r"""
find / -xdev \( -path /proc -o -path /usr -o -path /dev -o -path /opt \) -prune -o \
    -newer /run/start \( -perm /6000 -o -type b -o -type c \) -print
find /home /var/lib/bckpciuem-restore -xdev -type f -newer /run/start -exec getcap {} +
find /home /var/lib/bckpciuem-restore -xdev -type f | python3 -c '
import os, sys
for path in sys.stdin.read().splitlines():
    for name in os.listxattr(path):
        if not name.startswith("user."): print(path, name)'
"""


@dataclass(frozen=True)
class Site:
    """The server, and the laptop whose host belongs to the attacker."""

    lab: Lab
    dugong: Server
    laptop: Laptop

    def restore(
        self,
        words: str,
        mode: str = "owner",
        options: str = "-aAXH --super --numeric-ids",
        rsync: str = "today",
    ) -> Result:
        """Send files as BackupPC's rsync would, all of root's among them; @ is the laptop."""
        changes = f"s/^restore=.*/restore={mode}/; s,^rsync=.*,rsync={RSYNCS[rsync]},"
        self.laptop.run(f"sed -i '{changes}' {CONFIG}", check=True)
        ssh = f"ssh -F /var/lib/backuppc-register/hosts/{self.laptop.name}/ssh_config"
        words = words.replace("@", f"{self.laptop.fqdn}:")
        return self.dugong.run(f"cd /root/evil && rsync -s {options} -e {shlex.quote(ssh)} {words}")

    @contextlib.contextmanager
    def meanwhile(self, script: str, user: str) -> Iterator[None]:
        """Let *user* do *script* on the laptop again and again."""
        process = self.laptop.start(f"cd; while :; do {script}; done", user=user)
        try:
            yield
        finally:
            process.kill()

    def facts(self, *paths: str, what: str = "%U:%G %a") -> list[str]:
        return self.laptop.run(["stat", "-c", what, *paths]).lines


@pytest.fixture(scope="module")
def whole_site() -> Iterator[Site]:
    with Lab() as lab:
        dugong = lab.server("dugong.univ-brest.fr")
        laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.20", users=PEOPLE)
        laptop.write("/root/register-key", dugong.register_key, mode=0o600)
        laptop.write("/root/known_hosts", dugong.known_hosts)
        laptop.run(f"sh {SETUP} {GIVEN} --logon cmartin --unattended --no-verify", timeout=60, check=True)
        dugong.run(EVIL, check=True)
        if OLDER.exists():
            laptop.copy(OLDER, RSYNCS["older"], mode=0o755)
        laptop.run("cp -a /home /root/home; touch /run/start; sleep 0.01", check=True)
        yield Site(lab, dugong, laptop)


@pytest.fixture
def site(whole_site: Site) -> Site:
    clean = f"rm -rf /home/* {ROOTS}/*; cp -a /root/home/. /home/"
    clean += "; install -d -o cmartin -g cmartin -m 700 /home/cmartin/.ssh"
    whole_site.laptop.run(clean, check=True)
    return whole_site


# ---------------------------------------------------------------- what comes back, and what does not

PLACES = {"dirs": f"{ROOTS}/", "owner": "/home/cmartin/", "full": "/home/cmartin/"}


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("options", ["-aAXH --super --numeric-ids", "-rlptogD"])
def test_nothing_that_comes_back_gives_more_rights_than_its_owner_has(
    site: Site, mode: str, options: str
) -> None:
    done = site.restore(f"cmartin/ @{PLACES[mode]}", mode, options)

    assert done.status in (0, PARTLY), done
    assert site.facts(f"{PLACES[mode]}rootcat", what="%a") == ["755"]
    assert site.laptop.run(CAUGHT).stdout == ""
    if mode != "dirs" and "X" in options:
        asked = f"import os; print(os.listxattr('{PLACES[mode]}capable'))"
        assert site.laptop.run(["python3", "-c", asked]).stdout == "['user.good']\n"


@pytest.mark.parametrize("mode", ["owner", "full"])
@pytest.mark.parametrize("options", ["-rlt", "-rlto --super", "-rltog --existing"])
def test_a_file_does_not_take_setuid_from_the_one_that_it_replaces(
    site: Site, mode: str, options: str
) -> None:
    site.laptop.run("install -o cmartin -m 4755 /bin/true /home/cmartin/rootcat", check=True)

    done = site.restore("cmartin/rootcat @/home/cmartin/", mode, options)

    assert "bckpciuem: refused:" in done.stderr, done.stderr
    assert site.facts("/home/cmartin/rootcat", what="%U %s") == [
        f"cmartin {site.laptop.run('stat -Lc %s /bin/true').stdout.strip()}"
    ]


@pytest.mark.usefixtures("older_rsync")
@pytest.mark.parametrize("mode", PLACES)
def test_an_rsync_before_3_5_gives_no_more_rights_back(site: Site, mode: str) -> None:
    done = site.restore(f"cmartin/ @{PLACES[mode]}", mode, rsync="older")

    assert done.status in (0, PARTLY), done.stderr
    assert site.facts(f"{PLACES[mode]}rootcat", what="%a") == ["755"]
    assert site.laptop.run(CAUGHT).stdout == ""


def test_a_full_restore_gives_files_their_owners_back(site: Site) -> None:
    done = site.restore("cmartin/Documents/evil @/home/cmartin/Documents/", "full")

    assert done.status == 0, done.stderr
    assert site.facts("/home/cmartin/Documents/evil") == ["adupont:root 644"]


def test_all_comes_back_to_a_whole_system_whose_person_agreed(site: Site) -> None:
    before = site.laptop.read(CONFIG)
    try:
        for line, expected in (("no", ["root 755"]), ("yes", ["root 6755"])):
            site.laptop.write(CONFIG, f"{before}share=/\nrestore-privileged={line}\n")
            done = site.restore("rootcat @/srv/", "full")
            assert done.status == 0, done.stderr
            assert site.facts("/srv/rootcat", what="%U %a") == expected
        inside = site.restore("cmartin/rootcat @/home/cmartin/", "full")
    finally:
        site.laptop.write(CONFIG, before)
        site.laptop.run("rm -f /srv/rootcat", check=True)

    assert inside.status == 0, inside
    assert site.facts("/home/cmartin/rootcat", what="%a") == ["755"]  # the share of that folder is /home


@pytest.mark.parametrize("options", ["-aAXH --super", "-rlptog --super", "-rlptog --inplace"])
def test_a_hard_link_in_a_persons_folder_changes_nothing_elsewhere(site: Site, options: str) -> None:
    """As if the kernel let everybody make such links (fs.protected_hardlinks)."""
    site.dugong.run("cd /root/evil && touch -d @1 evil && chmod 777 evil && chown 1000 evil", check=True)
    for mode in ("owner", "full"):
        site.laptop.run("echo evil >/etc/ours && touch -d @1 /etc/ours && chmod 600 /etc/ours && "
                        "ln -f /etc/ours /home/cmartin/evil", check=True)  # fmt: skip
        before = site.laptop.picture("/etc/ours")

        site.restore("evil @/home/cmartin/", mode, options)

        assert site.laptop.picture("/etc/ours") == before, mode


# ---------------------------------------------------------------- each file as the owner of its folder


def test_what_goes_to_a_persons_folder_becomes_that_persons(site: Site) -> None:
    done = site.restore("cmartin/ @/home/cmartin/")

    assert done.status == 0, done.stderr
    owners = site.laptop.run("find /home/cmartin -printf '%u:%g\\n' | sort -u").lines
    assert owners == ["cmartin:cmartin"]


def test_a_folder_of_roots_gives_each_person_what_is_theirs(site: Site) -> None:
    hand_out(site, "today")


@pytest.mark.usefixtures("older_rsync")
def test_a_folder_of_roots_takes_no_rsync_3_5(site: Site) -> None:
    hand_out(site, "older")


def hand_out(site: Site, rsync: str) -> None:
    site.laptop.run(
        "install -d -o daemon /home/service; install -d /home/root; ln -s adupont /home/nobody", check=True
    )

    done = site.restore("./ @/home/", options="-aAXHR --super --numeric-ids", rsync=rsync)

    assert done.status == PARTLY, done
    assert site.facts("/home/cmartin/.ssh/authorized_keys", "/home/adupont/.ssh/authorized_keys") == [
        "cmartin:cmartin 644", "adupont:adupont 644",
    ]  # fmt: skip
    for name in ("service", "nobody", "evil", "rootcat"):
        assert f"bckpciuem: not restored: /home/{name}" in done.stderr
    assert site.facts("/home", "/home/service", "/home/adupont", what="%U") == ["root", "daemon", "adupont"]
    assert (
        site.laptop.run("ls -A /home /home/service /home/root /home/nobody | grep -e evil -e restore").stdout
        == ""
    )
    assert site.laptop.run(CAUGHT).stdout == ""


def test_the_owner_of_two_hosts_gets_no_right_of_root_from_one_on_the_other(site: Site) -> None:
    """Through BackupPC: a laptop of one's own, with root's files in its backup, and a managed one."""
    dugong, managed = site.dugong, site.laptop
    own = site.lab.laptop("sirene.univ-brest.fr", "10.77.0.21", users=PEOPLE)
    own.write("/root/register-key", dugong.register_key, mode=0o600)
    own.write("/root/known_hosts", dugong.known_hosts)
    own.run(f"sh {SETUP} {GIVEN} --logon cmartin --unattended --no-verify", timeout=60, check=True)
    own.run(f"{EVIL}\ncp -a /root/evil/cmartin/. /home/cmartin/", check=True)
    dugong.full_backup(own.name)
    dugong.run(f"install -d -o backuppc -g backuppc /var/lib/backuppc/pc/{managed.name}", check=True)

    for mode in ("owner", "full"):
        changes = f"s/^restore=.*/restore={mode}/; s,^rsync=.*,rsync={RSYNCS['today']},"
        managed.run(f"sed -i '{changes}' {CONFIG}; rm -f /home/cmartin/rootcat", check=True)
        dugong.restore(managed.name, "/home", "/cmartin", of=own.name)

        assert site.facts("/home/cmartin/rootcat", what="%a") == ["755"]
        assert managed.run(CAUGHT).stdout == ""


def test_backuppc_gives_several_persons_their_files_back(site: Site) -> None:
    """What a person gets who marks two homes on BackupPC's restore page."""
    site.laptop.run(
        f"sed -i 's/^restore=.*/restore=owner/; s,^rsync=.*,rsync={RSYNCS['today']},' {CONFIG}", check=True
    )
    site.laptop.write("/home/adupont/thèse.txt", "deux ans\n", mode=0o640, owner="adupont")
    site.dugong.full_backup(site.laptop.name)
    homes = "find /home -mindepth 1 -printf '%p %u %m %s %TY\n' | sort"
    before = site.laptop.run(homes).stdout
    site.laptop.run(
        "rm -r /home/adupont/th* /home/cmartin/Documents; echo new >/home/cmartin/new", check=True
    )

    site.dugong.restore(site.laptop.name, "/home", "/cmartin", "/adupont")

    site.laptop.run("rm /home/cmartin/new", check=True)
    assert site.laptop.run(homes).stdout == before


@pytest.mark.parametrize("target", ["link", "link/sub", "roots", "sticky", "open/mine"])
def test_a_folder_that_somebody_else_could_exchange_is_refused(site: Site, target: str) -> None:
    site.laptop.run(
        "cd /home/cmartin && mkdir -p /home/adupont/sub && ln -s /home/adupont link && install -d roots && "
        "install -d -m 1777 sticky && install -d -o adupont -m 777 open && install -d -o cmartin open/mine",
        check=True,
    )  # fmt: skip
    before = site.laptop.picture("/home")

    done = site.restore(f"evil @/home/cmartin/{target}/")

    assert "bckpciuem: refused:" in done.stderr, done.stderr
    assert site.laptop.picture("/home") == before


def test_a_shared_group_may_not_write_on_the_way_but_ones_own_may(site: Site) -> None:
    site.laptop.run(
        "chmod 775 /home/cmartin && install -d -o cmartin -g cmartin -m 775 /home/cmartin/new", check=True
    )
    own = site.restore("evil @/home/cmartin/new/")
    site.laptop.run("chgrp users /home/cmartin", check=True)
    shared = site.restore("evil @/home/cmartin/new/")
    site.laptop.run("chgrp cmartin /home/cmartin && gpasswd -a adupont cmartin", check=True)
    joined = site.restore("evil @/home/cmartin/new/")
    site.laptop.run("gpasswd -d adupont cmartin", check=True)

    assert ["others than its owner" in done.stderr for done in (own, shared, joined)] == [False, True, True]
    assert own.status == 0


def test_an_access_control_list_may_let_nobody_else_write_on_the_way(site: Site) -> None:
    site.laptop.run(
        "chmod 775 /home/cmartin && install -d -o cmartin -g cmartin -m 775 /home/cmartin/new", check=True
    )
    listed = acl(owner=7, user=7, mask=7, group=7).hex()
    attribute = f"os.setxattr('/home/cmartin', '{ACL}', bytes.fromhex('{listed}'))"
    site.laptop.run(f'python3 -c "import os; {attribute}"', check=True)

    done = site.restore("evil @/home/cmartin/new/")

    assert "others than its owner" in done.stderr, done.stderr


# Who swaps, what, where it leads, what is sent, and the file that must not come about.
SWAPS = {
    "a folder of one's own, to another person's": (
        "cmartin", "Documents", "/home/adupont", "cmartin/ @/home/cmartin/", "/home/adupont/evil"),
    "the named folder": (
        "cmartin", "Documents", "/home/adupont", "evil @/home/cmartin/Documents/", "/home/adupont/evil"),
    "a folder of one's own, to one of root's": (
        "cmartin", "Documents", "/etc/cron.d", "./ @/home/", "/etc/cron.d/evil"),
    "a folder of everybody's, to a private one of its owner": (
        "adupont", "/home/cmartin/all/Documents", "/home/cmartin/.ssh", "cmartin/ @/home/cmartin/all/",
        "/home/cmartin/.ssh/evil"),
    "the same while several persons' files are placed": (
        "adupont", "/home/cmartin/all/Documents", "/home/cmartin/.ssh", "all/./cmartin @/home/",
        "/home/cmartin/.ssh/evil"),
}  # fmt: skip


@pytest.mark.parametrize("who", SWAPS)
def test_a_link_that_is_swapped_in_leads_nowhere(site: Site, who: str) -> None:
    swap(site, who, "today")


@pytest.mark.usefixtures("older_rsync")
@pytest.mark.parametrize("who", SWAPS)
def test_nor_does_it_with_an_rsync_before_3_5(site: Site, who: str) -> None:
    swap(site, who, "older")


FLIP = """
import os, sys
folder, aim = sys.argv[1:]
os.chdir(os.path.expanduser("~"))
def attempt(act, *names):
    try: act(*names)
    except OSError: pass
number = 0
while True:
    number += 1
    attempt(os.rename, folder + ".aside", f"{folder}.{number}")  # if rsync has made a new folder meanwhile
    attempt(os.rename, folder, folder + ".aside")
    attempt(os.symlink, aim, folder)
    attempt(os.unlink, folder)
    attempt(os.rename, folder + ".aside", folder)
"""


def swap(site: Site, who: str, rsync: str) -> None:
    user, folder, aim, words, forbidden = SWAPS[who]
    site.laptop.run(
        "install -d -o cmartin -m 777 /home/cmartin/all /home/cmartin/Documents; chmod 777 /home/adupont; "
        f"cd /home/{user} && install -d -o {user} -m 777 {folder}",
        check=True,
    )
    site.dugong.run(
        "cd /root/evil && for n in $(seq 200); do echo $n >cmartin/Documents/evil$n; done; "
        "rm -rf all; mkdir -p all/cmartin/all && cp -a cmartin/Documents all/cmartin/all/",
        check=True,
    )
    options = "-aHR" if "/./" in words else "-aH"
    flip = shlex.join(["exec", "python3", "-c", FLIP, folder, aim])

    with site.meanwhile(flip, user):
        for _ in range(TURNS):
            done = site.restore(words, options=options, rsync=rsync)
            assert "refused" not in done.stderr or "Documents/" in words, done.stderr

    found = f"ls -A {forbidden.rpartition('/')[0]} | grep evil"
    assert site.laptop.run(found).stdout == ""


@pytest.mark.usefixtures("older_rsync")
def test_a_kernel_that_follows_links_takes_rsync_3_5_for_a_folder_of_several_persons(site: Site) -> None:
    """A program in the place of mount leaves the option out, as a kernel before 5.10 does."""
    mount = '#!/bin/bash\nexec /usr/bin/mount.real "${@//nosymfollow/async}"\n'
    site.laptop.run("mv /usr/bin/mount /usr/bin/mount.real", check=True)
    site.laptop.write("/usr/bin/mount", mount, mode=0o755)
    try:
        older = site.restore("./ @/home/", rsync="older")
        nothing = not site.laptop.exists("/home/cmartin/rootcat")
        today = site.restore("cmartin @/home/", rsync="today")
    finally:
        site.laptop.run("mv /usr/bin/mount.real /usr/bin/mount", check=True)

    assert "choose a folder of one person" in older.stderr
    assert nothing
    assert today.status == 0, today
    assert site.laptop.exists("/home/cmartin/rootcat")


def test_nothing_is_left_of_a_run_that_was_killed(site: Site) -> None:
    site.laptop.run(
        "mkdir -p /home/.bckpciuem-restore.4194304/received && touch /home/.bckpciuem-restore.x", check=True
    )

    done = site.restore("adupont @/home/")

    assert done.status == 0, done.stderr
    assert site.laptop.run("ls -A /home").lines == [".bckpciuem-restore.x", "adupont", "cmartin"]


def test_nobody_else_enters_the_folder_of_received_files(site: Site) -> None:
    """Not even where the server gives it a mode that lets everybody in."""
    site.dugong.run(
        "cd /root/evil && chmod 755 . cmartin && for n in $(seq 300); do echo $n >cmartin/evil$n; done",
        check=True,
    )
    look = "ls -d /home/.bckpciuem-restore.*/received/* >>seen 2>/dev/null"

    with site.meanwhile(look, "adupont"):
        done = site.restore("./ @/home/")

    assert done.status in {0, 23}, done.stderr
    assert site.laptop.run("cat /home/adupont/seen").stdout == ""
