"""The wall of rsyncsend.sh and the mounts of a laptop: odd ones, many, and one that is ended meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from checkout import CHECKOUT
from lab import Lab
from walled_laptop import HELPER, RSYNCS, WalledLaptop

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


# ---------------------------------------------------------------- homes, and what casts a doubt on a backup

STAYING = "rsync --server --sender -logDtprxe.iLsfxC . /home/"  # as BackupPC: with --one-file-system
DISK = CHECKOUT / "tests/environments/failing_disk.py"
UNRECORDED = "no deletion is recorded"
ODD_HOMES = ("a 5", "a b 7c", "o'br", 'd"q', "bs\\n", "été", "tab\t0")


def doubts(site: WalledLaptop, command: str = STAYING) -> str:
    """Give what the helper says about deletions before rsync waits for the server."""
    said = site.laptop.run([HELPER, command, "-"]).stderr
    return "".join(line for line in said.splitlines(keepends=True) if UNRECORDED in line)


@contextmanager
def home(site: WalledLaptop, folder: str) -> Iterator[int]:
    """Let a person with another logon have *folder*; give the person's number."""
    passwd = site.laptop.read("/etc/passwd")
    site.laptop.write(
        "/etc/passwd",
        f"{passwd}someone:x:1000:1000::{folder}:/bin/sh\n".replace("cmartin:x:1000:", "cmartin:x:1009:"),
    )
    site.laptop.run(["mkdir", "-p", folder], check=True)
    try:
        yield 1000
    finally:
        site.laptop.write("/etc/passwd", passwd)


@contextmanager
def disk(site: WalledLaptop, point: str, orders: str, *options: str) -> Iterator[None]:
    """Let the disk of failing_disk.py be at *point*."""
    site.laptop.copy(DISK, "/root/failing_disk.py")
    site.laptop.run("[ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229; mkdir -p /srv/cloud", check=True)
    site.laptop.write("/root/orders", orders)
    served = ["/root/failing_disk.py", "/srv/cloud", point, "/root/orders"]
    server = site.laptop.start(["python3", *served, *options])
    try:
        site.laptop.wait_for(lambda: "\ndisk /home" in site.laptop.read("/proc/mounts"), "the disk")
        yield
    finally:
        site.laptop.run(["umount", "-l", point])
        server.kill()


@pytest.mark.parametrize("name", ODD_HOMES)
def test_a_home_on_a_disk_of_its_own_is_saved_whatever_it_is_called(site: WalledLaptop, name: str) -> None:
    site.configure("today")
    with home(site, f"/home/{name}") as owner:
        mount = ["mount", "-t", "tmpfs", "-o", f"mode=700,uid={owner}", "own", f"/home/{name}"]
        site.laptop.run(mount, check=True)
        site.laptop.run(["touch", f"/home/{name}/a-file"], check=True)
        listed = site.rsync("-rx --list-only @/home/").stdout
        site.laptop.run(["umount", f"/home/{name}"], check=True)

    assert listed.count("/a-file") == 1, listed


@pytest.fixture(scope="module")
def volume(site: WalledLaptop) -> Iterator[str]:
    """Give the place of a btrfs file system, on which only the subvolumes of a test are."""
    make = "truncate -s 128M /root/img && mkfs.btrfs -q /root/img && mkdir /srv/vol"
    site.laptop.run("[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237", check=True)
    site.laptop.run("for n in 0 1 2 3 4 5 6 7; do [ -e /dev/loop$n ] || mknod /dev/loop$n b 7 $n; done")
    site.laptop.run(f"{make} && mount -o loop /root/img /srv/vol", check=True, timeout=60)
    yield "/srv/vol"
    site.laptop.run("umount /srv/vol", check=True)


@pytest.mark.parametrize("name", ["anna", "staff/anna", "univ/staff/anna", *ODD_HOMES])
def test_a_home_that_is_a_subvolume_of_btrfs_is_saved_without_a_mount(
    site: WalledLaptop, volume: str, name: str
) -> None:
    site.configure("today", share=volume)
    folder = f"{volume}/{name}"
    site.laptop.run(["mkdir", "-p", folder.rpartition("/")[0]], check=True)
    site.laptop.run(["btrfs", "subvolume", "create", folder], check=True)
    with home(site, folder) as owner:
        site.laptop.run(["chown", str(owner), folder], check=True)
        site.laptop.run(["touch", f"{folder}/a-file"], check=True)
        listed = site.rsync(f"-rx --list-only @{volume}/").stdout
    site.laptop.run(["btrfs", "subvolume", "delete", folder], check=True)

    assert listed.count("/a-file") == 1, listed


@pytest.mark.parametrize("name", ["snapshots", "anna/.snapshots", "a/b/c/d"])
def test_a_subvolume_that_is_no_home_is_left_out(site: WalledLaptop, volume: str, name: str) -> None:
    site.configure("today", share=volume)
    folder = f"{volume}/{name}"
    with home(site, f"{volume}/anna"):
        site.laptop.run(["mkdir", "-p", folder.rpartition("/")[0]], check=True)
        site.laptop.run(["btrfs", "subvolume", "create", folder], check=True)
        site.laptop.run(["touch", f"{folder}/a-file"], check=True)
        listed = site.rsync(f"-rx --list-only @{volume}/").stdout
    site.laptop.run(["btrfs", "subvolume", "delete", folder], check=True)

    assert (name in listed, "/a-file" in listed) == (True, False), listed


@pytest.mark.parametrize("name", ODD_HOMES)
def test_a_home_that_root_may_not_enter_casts_a_doubt_whatever_it_is_called(
    site: WalledLaptop, name: str
) -> None:
    """FUSE names the owner, whose logon need not be the name of the folder."""
    site.configure("today")
    with home(site, f"/home/{name}"), disk(site, f"/home/{name}", ""):
        said = doubts(site)

    assert UNRECORDED in said


@pytest.mark.parametrize("error", [13, 107])
def test_a_mount_of_a_persons_own_casts_none(site: WalledLaptop, error: int) -> None:
    """107: its program has ended."""
    site.configure("today")
    site.laptop.run("mkdir -p /home/cmartin/disk", check=True)
    with disk(site, "/home/cmartin/disk", f"GETATTR / {error}\nOPENDIR / {error}", "allow_other"):
        said = [doubts(site, command) for command in (STAYING, STAYING.replace("rxe", "re"))]

    assert said == ["", ""]


SEARCHES = [
    # a person exchanges a folder for a file or a link at the right moment, as any person can
    ("find: './cmartin/d': Not a directory", 1, ""),
    ("find: './cmartin/d': Too many levels of symbolic links", 1, ""),
    ("find: './cmartin/d': No such file or directory", 1, ""),
    ("find: './cmartin/d': Stale file handle", 1, "Stale file handle"),
    ("find: './cmartin/status: 0': Input/output error", 1, "Input/output error"),
    # a search that did not end has found nothing
    ("setpriv: failed to execute find: Permission denied", 126, "cannot be run (status 126)"),
    ("setpriv: failed to execute find: No such file or directory", 127, "cannot be run (status 127)"),
    ("find: './d': No such file or directory", 137, "cannot be run (status 137)"),
]


@pytest.mark.parametrize(("line", "status", "doubt"), SEARCHES, ids=[f"{s[0]}{s[1]}" for s in SEARCHES])
def test_what_a_search_says_and_how_it_ends(site: WalledLaptop, line: str, status: int, doubt: str) -> None:
    site.configure("today")
    site.laptop.run("mv /usr/bin/find /usr/bin/find.away", check=True)
    site.laptop.write("/usr/bin/find", f'#!/bin/sh\necho "{line}" >&2\nexit {status}\n', mode=0o755)
    said = doubts(site)
    site.laptop.run("mv /usr/bin/find.away /usr/bin/find", check=True)

    assert (doubt in said, bool(said)) == (True, bool(doubt)), said


@pytest.mark.parametrize("rsync", RSYNCS)
def test_an_empty_home_is_a_mount_point_for_rsync_and_a_persons_empty_folder_is_none(
    site: WalledLaptop, rsync: str
) -> None:
    """So the server keeps what it has of a home that is not mounted."""
    site.configure(rsync)
    with home(site, "/home/UBO/a 5'é") as owner:
        site.laptop.run("mkdir -p /home/cmartin/empty /home/not-one && chown cmartin /home/cmartin/empty")
        site.laptop.run(["chown", f"{owner}:1001", "/home/UBO/a 5'é"], check=True)
        site.laptop.run(["chmod", "2750", "/home/UBO/a 5'é"], check=True)
        with site.waiting(STAYING) as inside:
            points = [mount[4].encode().decode("unicode_escape") for mount in inside.mounts]
            listed = site.rsync("-rxlptgo --numeric-ids --list-only @/home/")
        outside = site.laptop.read("/proc/self/mountinfo")
        site.laptop.run(["rm", "-r", "/home/UBO", "/home/cmartin/empty", "/home/not-one"], check=True)

    assert [p for p in points if p.startswith("/share/home/")] == [
        "/share/home/UBO/a 5'é".encode().decode("latin-1")
    ]
    assert "drwxr-s---" in listed.stdout, listed
    assert "/home/UBO" not in outside


def test_the_empty_folders_of_persons_take_no_time(site: WalledLaptop) -> None:
    site.configure("today", share="/")
    made = "cd {} && seq -f %g/x 3000 | xargs mkdir -p && seq 3001 6000 | xargs mkdir"
    said, taken = [], []
    for folder in ("", "/var/tmp", "/home/cmartin/Documents"):
        if folder:
            site.laptop.run(made.format(folder), user="cmartin", check=True)
        with home(site, "/home/UBO/someone"):
            begin = time.monotonic()
            said.append(site.laptop.run([HELPER, STAYING.replace("/home/", "/"), "-"]).stderr)
            taken.append(time.monotonic() - begin)
    site.laptop.run("rm -r /home/UBO /var/tmp/[0-9]* /home/cmartin/Documents/[0-9]*", check=True)

    assert ["home/UBO/someone is empty" in text for text in said] == [True] * 3
    assert max(taken[1:]) < 2 * taken[0] + 3, taken
