"""The wall of rsyncsend.sh and the mounts of a laptop: odd ones, many, and one that is ended meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab import Lab
from walled_laptop import RSYNCS, WalledLaptop

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("older_rsync")]

MOUNTS = "nsenter -t $(pgrep -x older-rsync) -m cat /proc/self/mountinfo"  # of rsync, also outside its root
BACKUP = "rsync --server --sender -lre.iLsfxC . "
RESTORE = "rsync --server -lpre.iLsfxC . "
# Names that the wall or its lines for mount have, or had: mount skips what it takes for mounted already.
SOURCES = ("none", "nothing", "wall", "/run/bckpciuem", "$(id)", "]x[*'")


@pytest.fixture(scope="module")
def site() -> Iterator[WalledLaptop]:
    with Lab() as lab:
        site = WalledLaptop(lab)
        site.laptop.run("mkdir -p /home/cmartin/disk && mount --make-rshared /", check=True)
        yield site


@contextmanager
def mounted(site: WalledLaptop, program: str, *points: str) -> Iterator[None]:
    """Run *program* in a person's folder; then end the mounts there."""
    site.laptop.run(f"cd /home/cmartin && {program}", check=True)
    try:
        yield
    finally:
        site.laptop.run(["umount", "-R", "-l", *(f"/home/cmartin/{point}" for point in points)])


@pytest.mark.parametrize("source", SOURCES)
def test_a_mount_is_saved_whatever_its_source_is_called(site: WalledLaptop, source: str) -> None:
    site.configure("older", "restore=full")
    with mounted(site, "true", "disk"):
        site.laptop.run(["mount", "-t", "tmpfs", source, "/home/cmartin/disk"], check=True)
        site.laptop.run("touch /home/cmartin/disk/a-file", check=True)
        listed = site.rsync("-r --list-only @/home/").stdout
        restored = site.rsync("-rp /etc/hostname @/home/cmartin/disk/")
        there = site.laptop.exists("/home/cmartin/disk/hostname")

    assert ("a-file" in listed, restored.status, there) == (True, 0, True)


@pytest.mark.parametrize("rsync", RSYNCS)
@pytest.mark.parametrize("options", ["rw", "nosuid,nodev,noexec", "nosuid,nodev,noexec,noatime"])
def test_no_link_is_followed_on_any_mount_that_a_restore_writes_to(
    site: WalledLaptop, rsync: str, options: str
) -> None:
    """rsync leaves links to the kernel there, so each mount must refuse them; also one that looks closed."""
    site.configure(rsync, "restore=full")
    with (
        mounted(site, f"mount -t tmpfs -o {options} disk disk", "disk"),
        site.waiting(f"{RESTORE}/home/") as inside,
    ):
        flags = [mount[5] for mount in inside.mounts if mount[4].startswith("/share")]

    assert [flag for flag in flags if "nosymfollow" not in flag] == []
    assert len(flags) == 2


def test_no_link_is_followed_in_a_share_whose_mount_looks_closed(site: WalledLaptop) -> None:
    """As a hardened /home on a partition of its own."""
    site.laptop.run(
        "mkdir -p /srv/hardened && mount -t tmpfs -o nosuid,nodev,noexec x /srv/hardened", check=True
    )
    site.configure("today", "restore=full", share="/srv/hardened")

    with site.waiting(f"{RESTORE}/srv/hardened/") as inside:
        flags = inside.flags("/share/srv/hardened")

    assert "nosymfollow" in flags[0]


def test_a_disk_that_is_removed_during_a_backup_is_removed(site: WalledLaptop) -> None:
    """Else umount would tell a person that the disk is free, but its last data would not be on it."""
    site.configure("older")
    site.laptop.run("mkdir -p /media/key && mount -t tmpfs key /media/key", check=True)
    with mounted(site, "mount -t tmpfs vault disk", "disk"), site.waiting(f"{BACKUP}/home/"):
        before = site.laptop.run(MOUNTS, check=True).stdout
        done = site.laptop.run("umount /media/key && umount /home/cmartin/disk")
        after = site.laptop.run(MOUNTS, check=True).stdout

    assert done.status == 0, done
    assert [name for name in (" key ", " vault ") if name in before and name not in after] == [
        " key ",
        " vault ",
    ]


@pytest.mark.parametrize("command", [BACKUP, RESTORE])
def test_a_disk_that_is_the_share_is_busy_meanwhile(site: WalledLaptop, command: str) -> None:
    site.configure("older", "restore=full", share="/srv/disk")
    site.laptop.run("mkdir -p /srv/disk && mount -t tmpfs disk /srv/disk", check=True)
    with site.waiting(f"{command}/srv/disk/"):
        meanwhile = site.laptop.run("umount /srv/disk")
    site.laptop.wait_for(lambda: site.laptop.run("umount /srv/disk").status == 0, "the end of the helper")

    assert "busy" in meanwhile.stderr


def test_a_restore_gets_no_mount_that_begins_later(site: WalledLaptop) -> None:
    site.configure("older", "restore=full")
    with site.waiting(f"{RESTORE}/home/"), mounted(site, "mount -t tmpfs later disk", "disk"):
        meanwhile = site.laptop.run(MOUNTS, check=True).stdout

    assert " later " not in meanwhile


def test_parts_of_proc_may_be_mounted_in_proc(site: WalledLaptop) -> None:
    """As containers have it."""
    site.configure("older", share="/")
    with mounted(site, "mkdir -p proc && mount -t proc proc proc && mount --bind proc/sys proc/sys", "proc"):
        listed = site.rsync("-r --list-only @/home/")

    assert (listed.status, "cmartin/proc" in listed.stdout) == (0, True), listed
    assert "cmartin/proc/" not in listed.stdout


def test_a_hundred_mounts_in_one_another_take_no_long_time(site: WalledLaptop) -> None:
    site.configure("older")
    nested = "d=disk; for i in $(seq 100); do mount -t tmpfs x $d; d=$d/d; mkdir $d; done"
    with mounted(site, nested, "disk"):
        begin = time.monotonic()
        listed = site.rsync("-r --list-only @/home/").stdout
        taken = time.monotonic() - begin

    assert "d/" * 99 + "d" in listed
    assert taken < 8, taken
