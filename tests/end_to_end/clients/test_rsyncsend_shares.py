"""What is in a backup: deletions while something cannot be read, and homes on file systems of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from checkout import CHECKOUT
from lab import Lab, Laptop, Result, User
from lab.parts import LabError
from laptops_to_verify import GIVEN, SETUP, Site, outcome, words

pytestmark = [pytest.mark.lab, pytest.mark.long]

FAILING_DISK = CHECKOUT / "tests/environments/failing_disk.py"
UBO = "/home/UBO"
PEOPLE = (User("cmartin", 1000), User("zoe", 1501), User("ubo", 1502), User("net", 1503))


class Machine:
    """A laptop, what BackupPC has of it, and what its root does there."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.laptop: Laptop = site.laptop("pollux", 21, users=PEOPLE)
        self.laptop.copy(FAILING_DISK, "/root/failing_disk.py")
        self.laptop.run("[ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229", check=True)
        self.sh(
            f"mkdir {UBO}; usermod -d {UBO}/ubo ubo; mv /home/ubo {UBO}; rm -r /home/net; ls -a {UBO}/ubo"
        )
        self.laptop.write_all(
            "/home/cmartin", {"stays": "x"} | {f"old{n}": "x" for n in range(10)}, owner="cmartin"
        )
        self.laptop.write_all("/home/cmartin", {"deep/forbidden/far/file": "x"}, owner="cmartin")
        assert outcome(site.verify(self.laptop)) == "verified"
        site.await_first_backup("pollux")

    def sh(self, command: str) -> None:
        self.laptop.run(command, check=True)

    def backed_up(self) -> set[str]:
        """Make a backup; give the paths in it."""
        try:
            self.site.dugong.incremental("pollux")
        except LabError as error:
            print(error)
        print(self.site.dugong.transfer_log("pollux"))
        return set(self.site.dugong.files_of("pollux", "/home"))

    def set_up(self, options: str) -> Result:
        """Run the setup on the laptop."""
        return self.laptop.run(f"sh {SETUP} {GIVEN} {options}", timeout=90)

    @contextmanager
    def saved(self, *shares: str) -> Iterator[None]:
        """Let the person name these folders on BackupPC's page."""
        pl = f"/etc/backuppc/{self.laptop.name}.pl"
        before = self.site.dugong.read(pl)
        names = ", ".join(f"'{share}'" for share in shares)
        self.site.dugong.run(f"cat >>{pl}", input=f"$Conf{{RsyncShareName}} = [{names}];\n", check=True)
        try:
            yield
        finally:
            self.site.dugong.run(f"cat >{pl}", input=before, check=True)

    @contextmanager
    def disk(self, folder: str, point: str, orders: str, options: str) -> Iterator[None]:
        """Let the disk of failing_disk.py be at *point*."""
        self.laptop.write("/root/orders", orders)
        server = self.laptop.start(
            ["python3", "/root/failing_disk.py", folder, point, "/root/orders", *options.split()]
        )
        try:
            self.laptop.wait_for(lambda: f"disk {point} " in self.laptop.read("/proc/mounts"), "the disk")
            yield
        finally:
            self.laptop.run(f"umount -l {point}")
            server.kill()

    @contextmanager
    def mounted(self, *mounts: tuple[str, str]) -> Iterator[None]:
        """Let a new file system be mounted at each path, owned by the person named."""
        for number, (path, options) in enumerate(mounts):
            self.sh(f"mkdir -p {path}; mount {options} none {path}; echo {number} >{path}/on-{number}")
        try:
            yield
        finally:
            self.sh(f"umount -l {' '.join(path for path, _ in reversed(mounts))}")


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Lab() as lab:
        yield Machine(Site(lab))


@pytest.fixture(scope="module")
def on_disk(machine: Machine) -> Machine:
    """The machine with a copy of /home, which a disk can show."""
    machine.sh("cp -a /home /srv/disk")
    return machine


def test_a_deletion_is_recorded_beside_a_mount_that_root_may_not_enter(machine):
    machine.sh("mkdir -p /srv/cloud /home/cmartin/cloud; rm -f /home/cmartin/old0")

    with machine.disk("/srv/cloud", "/home/cmartin/cloud", "", ""):
        assert machine.laptop.run("ls /home/cmartin/cloud").status != 0
        reply = machine.site.verify(machine.laptop)
        saved = machine.backed_up()

    assert ("/cmartin/old0" in saved, "/cmartin/stays" in saved) == (False, True)
    assert words(reply)["advice"] == "Backups will lack some folders: /home/cmartin/cloud cannot be read."


ORDERS = [
    # one place that cannot be read does not make the whole backup untrue
    ("OPENDIR /cmartin/deep/forbidden 13", "recorded"),
    ("OPEN /zoe/.netrc 5\nREAD /zoe/.netrc 5", "recorded"),
    ("GETATTR /zoe/.netrc 116\nLOOKUP /zoe/.netrc 116", "recorded"),
    ("READDIR /cmartin/deep/forbidden/far 5", "recorded"),
    # neither a home nor a whole disk passes for empty
    ("OPENDIR / 5", "kept"),
    ("OPENDIR / 13", "kept"),
    ("OPENDIR /zoe 5", "kept"),
    ("OPENDIR /zoe 13", "kept"),
    ("OPENDIR /UBO/ubo 116", "kept"),
]


@pytest.mark.parametrize(("orders", "deletion"), ORDERS, ids=[order for order, _ in ORDERS])
def test_what_fails_on_a_disk(on_disk, orders, deletion):
    gone = f"old{1 + ORDERS.index((orders, deletion))}"
    on_disk.sh(f"rm -f /srv/disk/cmartin/{gone}")

    with on_disk.disk("/srv/disk", "/home", orders, "allow_other"):
        saved = on_disk.backed_up()

    assert (f"/cmartin/{gone}" in saved) == (deletion == "kept")
    assert {"/cmartin/stays", "/zoe/Documents/", "/UBO/ubo/.netrc"} <= saved


NEW = "-t tmpfs -o mode=700,uid="
OWN = [("/home/zoe", f"{NEW}1501"), (f"{UBO}/ubo", f"{NEW}1502")]
FOREIGN = [("/home/zoe/usb", f"{NEW}1501"), ("/home/nas", f"{NEW}0"), ("/home/net", "-t ramfs -o mode=777")]


def test_homes_that_are_file_systems_of_their_own_are_saved_and_no_other_disk_is(machine):
    with machine.mounted(*OWN, *FOREIGN):
        machine.sh(
            "chown net /home/net; mkdir /home/zoe/.cache; echo x >/home/zoe/.cache/x; echo x >/home/zoe/b"
        )
        before = machine.backed_up()
        reply = machine.site.verify(machine.laptop)
        machine.sh("rm /home/zoe/b /home/UBO/ubo/on-1")
        after = machine.backed_up()

    assert {"/zoe/on-0", "/zoe/b", "/UBO/ubo/on-1", "/cmartin/stays"} <= before
    assert not {
        path
        for path in before | after
        if "on-2" in path or "on-3" in path or "on-4" in path or ".cache/" in path
    }
    assert before - after == {"/zoe/b", "/UBO/ubo/on-1"}
    told = words(reply)
    assert told["lacking"] == "/home/net"
    lost = told["advice"].removeprefix("Backups will lack some folders: ").rstrip(".").split(", ")
    assert sorted(lost) == ["/home/nas is on another file system", "/home/net is on another file system"]


HOW = "web page for this computer (Edit Config, Xfer, RsyncShareName)"


def test_the_setup_names_a_home_that_is_not_saved_until_it_is(machine):
    with machine.mounted(OWN[0], FOREIGN[2]):
        machine.sh("chown net /home/net")
        lacking = [
            machine.set_up(options) for options in ("--verify", "--logon cmartin --unattended", "--doctor")
        ]
        with machine.saved("/home", "/home/net/"):
            again = machine.set_up("--logon cmartin --unattended")
            doctor = machine.set_up("--doctor")

    assert [done.status for done in lacking] == [7, 7, 1]
    for done in lacking:
        assert "The home /home/net is not backed up" in done.stderr
        assert HOW in done.stderr
        assert "/home/zoe is a file system of its own, and is backed up too" in done.stdout
    assert [again.status, doctor.status] == [0, 0], again.stderr
    assert "Backups will lack" not in again.stdout
    assert "/home/net" not in doctor.stderr + again.stderr


@pytest.mark.parametrize("home", ["cmartin", "net"])
def test_the_advice_for_a_home_alone_on_another_file_system_works(machine, home):
    alone = f"/home/{home}"
    with machine.mounted(("/home", "-t tmpfs -o mode=755"), (alone, "-t ramfs -o mode=777")):
        machine.sh(f"chown {home} {alone}; rm /home/on-0")
        first = machine.set_up("--verify")
        with machine.saved(alone):
            then = [
                machine.set_up(options)
                for options in ("--verify", "--logon cmartin --unattended", "--doctor")
            ]

    assert first.status == 8
    assert "step:file-system" in first.stderr
    assert f"Otherwise name {alone} in the place of /home" in first.stderr
    assert "--share" not in first.stderr
    assert [done.status for done in then] == [0, 0, 0], then


def test_a_home_that_root_may_not_enter_is_named_and_not_lost_silently(machine):
    with machine.disk("/srv/cloud", "/home/cmartin", "", ""):
        first = machine.set_up("--verify")
        saved = machine.backed_up()
    again = machine.set_up("--verify")

    assert (first.status, again.status) == (7, 0), first
    assert "The home /home/cmartin is not backed up, because not even root may read it" in first.stderr
    assert {"/cmartin/stays", "/zoe/.netrc"} <= saved
    assert "/home/cmartin" not in again.stderr


def test_the_server_keeps_what_it_has_of_a_home_that_is_not_mounted(machine):
    machine.sh("touch /home/cmartin/soon-gone; rm -rf /home/net")
    with machine.mounted(("/home/net", f"{NEW}1503")):
        before = machine.backed_up()
    machine.sh("rm /home/cmartin/soon-gone")
    after = machine.backed_up()
    machine.site.dugong.full_backup("pollux")
    full = set(machine.site.dugong.files_of("pollux", "/home"))
    machine.sh("rmdir /home/net")
    removed = machine.backed_up()

    assert {"/net/on-0", "/cmartin/soon-gone"} <= before
    assert (before - after, before - full) == ({"/cmartin/soon-gone"}, {"/cmartin/soon-gone"})
    assert "/net/on-0" not in removed
