"""The wall of rsyncsend.sh: what there is inside, on which computers, and what is left of it."""

from collections.abc import Iterator

import pytest
from lab import Lab
from walled_laptop import HELPER, RSYNCS, WalledLaptop

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("older_rsync")]

RESTORED = "/var/lib/bckpciuem-restore"
BACKUP = "rsync --server --sender -lre.iLsfxC . "
RESTORE = "rsync --server -lre.iLsfxC . "
NO_CONVERSATION = 12  # the exit status of an rsync that has started and that nobody speaks to
BESIDES = {"share", "usr", "etc", "dev", "bin", "sbin", "lib", "lib32", "lib64", "libx32"}


@pytest.fixture(scope="module")
def site() -> Iterator[WalledLaptop]:
    with Lab() as lab:
        yield WalledLaptop(lab)


def mounts(site: WalledLaptop) -> str:
    return site.laptop.run("cat /proc/1/mountinfo").stdout


@pytest.mark.parametrize("rsync", RSYNCS)
@pytest.mark.parametrize(("command", "access"), [(f"{BACKUP}/home/", "ro"), (f"{RESTORE}{RESTORED}/", "rw")])
def test_rsync_sees_one_folder_and_what_a_program_needs(
    site: WalledLaptop, rsync: str, command: str, access: str
) -> None:
    site.configure(rsync, "restore=dirs", f"restore-dir={RESTORED}")
    site.laptop.run(f"install -d -o root -g bckpciuem -m 770 {RESTORED}", check=True)
    folder = command.rpartition(" ")[2].rstrip("/")

    with site.waiting(command) as inside:
        assert {*inside.top} <= BESIDES
        assert [flags.split(",")[:4] for flags in inside.flags(f"/share{folder}")] == [
            [access, "nosuid", "nodev", "noexec"]
        ]
        assert "nosymfollow" in inside.flags(f"/share{folder}")[0]
        others = [mount for mount in inside.mounts if not mount[4].startswith("/share")]
        assert {mount[5].split(",")[0] for mount in others} == {"ro"}
        assert not [mount for mount in inside.mounts if mount[mount.index("-") + 1] in {"proc", "sysfs"}]
        assert not [name for name in inside.files if not name.startswith(("pipe:", "socket:"))]
        assert int(inside.status["CapEff"], 16) & (1 << 18 | 1 << 21) == 0  # chroot(2) and mount(2)


def test_a_killed_run_leaves_nothing_behind(site: WalledLaptop) -> None:
    site.configure("older")
    before = mounts(site)

    with site.waiting(f"{BACKUP}/home/"):
        during = mounts(site)
        site.laptop.run("pkill -KILL -x older-rsync", check=True)
    left = site.laptop.run("find /run/bckpciuem -printf '%y %m %u '").stdout

    assert (during, mounts(site)) == (before, before)
    assert left == "d 700 root "


def test_two_runs_at_once_do_not_meet(site: WalledLaptop) -> None:
    site.configure("older", share="/srv/one\nshare=/srv/two")
    site.laptop.run("mkdir -p /srv/one /srv/two && touch /srv/one/first /srv/two/second", check=True)

    with site.waiting(f"{BACKUP}/srv/one/") as first:
        second = site.rsync("-r --list-only @/srv/two/").stdout

    assert "second" in second
    assert "first" not in second
    assert first.flags("/share/srv/one")
    assert not first.flags("/share/srv/two")


MOUNT_BELOW = """
cd /home/cmartin && mkdir -p "clé usb" deep/er over ro proc
mount -t tmpfs none "clé usb" && echo x >"clé usb/a file"
mount -t tmpfs disk deep/er && mkdir deep/er/still
mount -t tmpfs disk deep/er/still && echo x >deep/er/still/deeper
mount -t tmpfs disk over && mkdir over/hidden && mount -t tmpfs disk over/hidden
mount -t tmpfs disk over && echo x >over/top
mount --bind ro ro && mount -o remount,bind,ro ro
mount -t proc proc proc
"""


@pytest.mark.parametrize("rsync", RSYNCS)
def test_mounts_below_the_share_are_saved_and_cannot_be_written_to(site: WalledLaptop, rsync: str) -> None:
    site.configure(rsync)
    site.laptop.run(MOUNT_BELOW, check=True)
    try:
        listed = site.rsync("-r --list-only @/home/").stdout
        with site.waiting(f"{BACKUP}/home/") as inside:
            below = [mount for mount in inside.mounts if mount[4].startswith("/share")]
    finally:
        site.laptop.run(
            "cd /home/cmartin && umount -R 'clé usb' deep/er ro proc && umount over && umount -R over",
            check=True,
        )

    assert {name for name in ("a file", "deeper", "top") if name in listed} == {"a file", "deeper", "top"}
    assert "hidden" not in listed
    assert "cmartin/proc/" not in listed
    writable = [mount[4] for mount in below if not mount[5].startswith("ro,nosuid,nodev,noexec")]
    # What another mount hides: the lower one of two, the one in it, and proc.
    assert sorted(writable) == [f"/share/home/cmartin/{name}" for name in ("over", "over/hidden", "proc")]


STUBBORN = """#!/bin/sh
for last; do :; done
case "$*" in *' -T '*) sed -i '/stubborn none remount/d' "$last" ;; esac
exec /usr/bin/mount.real "$@"
"""


@pytest.fixture
def stubborn(site: WalledLaptop) -> Iterator[None]:
    """Replace mount by one that closes no mount whose place ends with this name."""
    site.laptop.run("mv /usr/bin/mount /usr/bin/mount.real", check=True)
    site.laptop.write("/usr/bin/mount", STUBBORN, mode=0o755)
    yield
    site.laptop.run("mv /usr/bin/mount.real /usr/bin/mount", check=True)


@pytest.mark.usefixtures("stubborn")
def test_a_mount_that_cannot_be_closed_is_left_out_with_the_mount_around_it(site: WalledLaptop) -> None:
    site.configure("older")
    site.laptop.run("cd /home/cmartin && mkdir -p around one/stubborn && mount -t tmpfs disk around && "
                    "mkdir around/stubborn && mount -t tmpfs disk around/stubborn && "
                    "touch around/stubborn/a-file && "
                    "mount -t tmpfs disk one/stubborn && touch one/stubborn/b-file", check=True)  # fmt: skip
    try:
        with site.waiting(f"{BACKUP}/home/") as inside:
            told = site.rsync("-r --list-only @/home/")
            listed = told.stdout
    finally:
        site.laptop.run("cd /home/cmartin && umount -R around one/stubborn", check=True)

    assert ("rapport" in listed, "a-file" in listed, "b-file" in listed) == (True, False, False)
    assert told.stderr.count("left out") == 2
    for name in ("around", "one/stubborn"):
        assert inside.flags(f"/share/home/cmartin/{name}")[-1].startswith("ro,nosuid,nodev,noexec")


@pytest.mark.usefixtures("stubborn")
def test_a_folder_that_cannot_be_closed_is_not_saved(site: WalledLaptop) -> None:
    site.configure("older", share="/srv/stubborn")
    site.laptop.run("mkdir -p /srv/stubborn && touch /srv/stubborn/a-file", check=True)

    backup = site.ask(f"{BACKUP}/srv/stubborn/")

    assert (backup.status, backup.stdout) == (69, "")
    assert "the wall around rsync cannot be built" in backup.stderr


FUSE = """
import ctypes, os
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id=1000,group_id=1000"
assert ctypes.CDLL(None).mount(b"x", b"/home/cmartin/fuse", b"fuse", 6, options.encode()) == 0
"""


def test_a_mount_of_a_program_that_has_died_does_no_harm(site: WalledLaptop) -> None:
    """As sshfs leaves it when the network goes."""
    site.configure("older")
    site.laptop.run(
        "mkdir -p /home/cmartin/fuse && { [ -e /dev/fuse ] || mknod /dev/fuse c 10 229; }", check=True
    )
    site.laptop.run(["python3", "-c", FUSE], check=True)
    try:
        listed = site.rsync("-r --list-only @/home/").stdout
    finally:
        site.laptop.run("umount -l /home/cmartin/fuse", check=True)

    assert "rapport" in listed


def test_a_restore_writes_to_mounts_below_its_folder_but_not_where_nobody_may(site: WalledLaptop) -> None:
    site.configure("older", "restore=full", "restore-dir=/srv/restored")
    site.laptop.run(
        "mkdir -p /srv/restored/disk /srv/restored/closed && cd /srv/restored && "
        "mount -t tmpfs disk disk && mount --bind closed closed && mount -o remount,bind,ro closed",
        check=True,
    )
    site.dugong.run(
        "mkdir -p /tmp/back/disk /tmp/back/closed && echo x >/tmp/back/disk/file", user="backuppc", check=True
    )

    done = site.rsync("-rp back/ @/srv/restored/")
    site.dugong.run("echo x >/tmp/back/closed/file", user="backuppc", check=True)
    refused = site.rsync("-rp back/ @/srv/restored/")

    assert done.status == 0, done
    assert site.laptop.exists("/srv/restored/disk/file")
    assert refused.status == 23
    assert "Read-only file system" in refused.stderr


@pytest.mark.parametrize("rsync", RSYNCS)
@pytest.mark.parametrize(
    "name", ["deux mots", "l\udce9 \udcff data", "a\\040b", "#x,y", "été/à la mer", "[a]*?"]
)
def test_a_share_may_have_any_name(site: WalledLaptop, rsync: str, name: str) -> None:
    share = f"/srv/{name}"
    site.configure(rsync, share=share)
    site.laptop.run(["mkdir", "-p", share], check=True)
    site.laptop.run(["touch", f"{share}/in it"], check=True)

    listed = site.laptop.run([HELPER, "probe", "-"])

    assert f"share:{share}" in listed.lines, listed
    assert "in it" in site.listing(f"{share}/")


def test_a_share_that_is_a_mount_or_a_link_of_roots_is_saved(site: WalledLaptop) -> None:
    site.laptop.run(
        "mkdir -p /srv/disk && mount -t tmpfs disk /srv/disk && echo x >/srv/disk/on-the-disk && "
        "ln -sfn disk /srv/link",
        check=True,
    )
    for share in ("/srv/disk", "/srv/link"):
        site.configure("older", share=share)

        assert "on-the-disk" in site.listing(f"{share}/")
        with site.waiting(f"{BACKUP}{share}/") as inside:
            assert inside.flags("/share/srv/disk")[0].startswith("ro,")


@pytest.mark.parametrize("rsync", RSYNCS)
def test_a_backup_of_everything_can_still_write_nothing(site: WalledLaptop, rsync: str) -> None:
    site.configure(rsync, share="/")

    listed = site.rsync("-d --list-only @/").stdout
    with site.waiting(f"{BACKUP}/") as inside:
        flags = inside.flags("/share")
        writable = [mount for mount in inside.mounts if mount[5].startswith("rw,")]

    assert {"etc", "home", "usr"} <= {line.split()[-1] for line in listed.splitlines()}
    assert flags[0].startswith("ro,nosuid,nodev,noexec")
    covered = {mount[4] for mount in inside.mounts if mount[mount.index("-") + 2].startswith("/none-")}
    assert "/share/proc" in covered
    assert {mount[4] for mount in writable} <= covered


def test_a_script_for_rsync_is_refused_in_words(site: WalledLaptop) -> None:
    site.configure("older")
    script = "/usr/local/bin/slowly"
    site.laptop.write(script, f'#!/bin/sh\nexec {RSYNCS["older"]} "$@"\n', mode=0o755)
    site.laptop.run(f"sed -i s,^rsync=.*,rsync={script}, /etc/bckpciuem.conf", check=True)

    backup = site.ask(f"{BACKUP}/home/")

    assert (backup.status, f"{script} is a script" in backup.stderr) == (69, True)


def test_no_folder_that_is_open_leads_out(site: WalledLaptop) -> None:
    site.configure("older")

    opened = site.laptop.run(f"{HELPER} '{BACKUP}/home/' - 0</etc")
    more = site.laptop.run(f"sudo -n {HELPER} '{BACKUP}/home/' - 9</etc </dev/null", user="bckpciuem")

    assert (opened.status, "a folder is open" in opened.stderr) == (69, True)
    assert more.status == NO_CONVERSATION


def test_a_share_that_vanished_is_told(site: WalledLaptop) -> None:
    site.configure("older", share="/srv/gone")

    probed = site.ask("probe")
    backup = site.ask(f"{BACKUP}/srv/gone/")

    assert "unreadable:/srv/gone" in probed.lines
    assert (backup.status, "/srv/gone cannot be opened" in backup.stderr) == (69, True)


@pytest.mark.parametrize(
    ("rsync", "wall", "status"), [("older", "none", 69), ("today", "confine-root", NO_CONVERSATION)]
)
def test_where_root_cannot_mount_rsync_confines_itself_or_does_not_start(
    site: WalledLaptop, rsync: str, wall: str, status: int
) -> None:
    site.configure(rsync)
    container = "setpriv --bounding-set=-sys_admin --"

    probed = site.laptop.run(f"{container} {HELPER} probe -")
    backup = site.laptop.run(f"{container} {HELPER} '{BACKUP}/home/' -", input="")

    assert f"wall:{wall}" in probed.lines
    assert backup.status == status, backup
    assert ("update rsync to 3.5 or later" in backup.stderr) == (wall == "none")


def test_the_doctor_tells_of_the_wall(site: WalledLaptop) -> None:
    site.configure("older")
    usual = site.laptop.run("sh /opt/backuppc-register/clients/setup.sh --doctor", env={"LANG": "C"})
    site.laptop.run("mv /usr/bin/unshare /usr/bin/unshare.away", check=True)
    without = site.laptop.run("sh /opt/backuppc-register/clients/setup.sh --doctor", env={"LANG": "C"})
    site.laptop.run("mv /usr/bin/unshare.away /usr/bin/unshare", check=True)

    assert "rsync works in a file system that holds only the folder" in usual.stdout
    assert "Nothing keeps rsync 3." in without.stdout + without.stderr


PARTED = """
import ctypes, os
libc = ctypes.CDLL(None)
for name in ("bin", "sbin", "lib", "lib64"):
    os.rename(f"/{name}", f"/.{name}")
    os.mkdir(f"/{name}")
    assert libc.mount(f"/usr/{name}".encode(), f"/{name}".encode(), None, 4096, None) == 0
"""


def test_a_system_may_have_bin_and_lib_of_its_own(site: WalledLaptop) -> None:
    """As Debian without usr-merge: /bin, /sbin, /lib and /lib64 are folders."""
    site.configure("today", "restore=dirs", f"restore-dir={RESTORED}")
    site.laptop.run(["python3", "-c", PARTED], check=True)
    usual = site.listing("/home/")
    site.configure("today")
    config = site.laptop.read("/etc/bckpciuem.conf").replace("/usr/bin/rsync", "/bin/rsync")
    site.laptop.write("/etc/bckpciuem.conf", config)

    assert "cmartin" in usual
    assert "cmartin" in site.listing("/home/")
