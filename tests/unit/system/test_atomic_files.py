"""A file is replaced completely or not at all, whatever fails or is killed."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from checkout import CHECKOUT

from backuppc_register.system import atomic_files

OLD = b"host dhcp user moreUsers\nlab1 0 adupont\n"
NEW = OLD + b"dormeur 0 cmartin\n" * 3000  # more than one buffer
NOBODY = 65534
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder():
    # Not tmp_path: its parents are closed to every account but the one that runs the tests.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def hosts(folder):
    path = folder / "hosts"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def in_child(work):
    """Run *work* in a process of its own; return what it died of, 0 where it did not."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            # What it raised is what it should not have raised.
            os._exit(1 if sys.exc_info()[0] else 0)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


# what is kept


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664])
def test_the_mode_is_the_one_that_was_asked_for_whatever_the_umask(hosts, mode, umask):
    before = os.umask(umask)
    try:
        atomic_files.write(hosts, NEW, mode)
    finally:
        os.umask(before)

    assert hosts.read_bytes() == NEW
    assert stat.S_IMODE(hosts.stat().st_mode) == mode
    assert names(hosts.parent) == ["hosts"]


def test_owner_group_and_mode_are_kept(hosts):
    if IS_ROOT:
        os.chown(hosts, NOBODY, 1)
    hosts.chmod(0o604)
    kept = atomic_files.ownership(hosts.stat())

    atomic_files.write(hosts, NEW, kept)

    assert atomic_files.ownership(hosts.stat()) == kept
    assert hosts.read_bytes() == NEW


def test_an_owner_who_cannot_be_kept_is_a_failure_that_changes_nothing(folder, hosts):
    if IS_ROOT:
        folder.chmod(0o777)
        hosts.chmod(0o666)

    def work():
        if IS_ROOT:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        for keep in (
            atomic_files.Ownership(0, os.getgid(), 0o640),
            atomic_files.Ownership(os.getuid(), 0, 0o640),
        ):
            with pytest.raises(PermissionError):
                atomic_files.write(hosts, NEW, keep)

    assert in_child(work) == 0
    assert hosts.read_bytes() == OLD
    assert names(folder) == ["hosts"]


ACL, DEFAULT_ACL = "system.posix_acl_access", "system.posix_acl_default"
ANYBODY = 0xFFFFFFFF


def acl(*, user, mask, group=4):
    """Give an access control list as the kernel has it (acl(5)): account 33 has *user*."""
    entries = [(1, 6, ANYBODY), (2, user, 33), (4, group, ANYBODY), (16, mask, ANYBODY), (32, 0, ANYBODY)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_an_access_control_list_is_kept_and_gives_no_one_the_groups_bits(hosts):
    os.setxattr(hosts, ACL, acl(user=6, mask=6))
    kept = atomic_files.ownership(hosts.stat())

    atomic_files.write(hosts, NEW, kept)

    assert hosts.read_bytes() == NEW
    assert os.getxattr(hosts, ACL) == acl(user=6, mask=6)
    assert atomic_files.ownership(hosts.stat()) == kept


def test_a_list_that_the_folder_gives_to_new_files_is_not_put_on_one_that_had_none(folder, hosts):
    os.setxattr(folder, DEFAULT_ACL, acl(user=7, mask=7))

    atomic_files.write(hosts, NEW, atomic_files.ownership(hosts.stat()))

    assert ACL not in os.listxattr(hosts)
    assert stat.S_IMODE(hosts.stat().st_mode) == 0o640


def test_a_list_that_cannot_be_kept_is_a_failure_that_changes_nothing(folder, hosts, mocker):
    os.setxattr(hosts, ACL, acl(user=6, mask=6))
    mocker.patch("os.setxattr", side_effect=OSError(28, "No space left on device"))

    with pytest.raises(OSError, match="No space"):
        atomic_files.write(hosts, NEW, atomic_files.ownership(hosts.stat()))

    assert (hosts.read_bytes(), names(folder)) == (OLD, ["hosts"])


def test_a_file_that_was_not_there_is_made(folder):
    atomic_files.write(folder / "record.json", NEW, 0o640)

    assert (folder / "record.json").read_bytes() == NEW
    assert atomic_files.ownership((folder / "record.json").stat()) == atomic_files.Ownership(
        os.getuid(), os.getgid(), 0o640
    )


def test_no_other_account_can_read_it_before_it_has_its_mode(hosts, mocker):
    seen = []
    fchmod = os.fchmod
    mocker.patch(
        "os.fchmod", lambda fd, mode: (seen.append(stat.S_IMODE(os.fstat(fd).st_mode)), fchmod(fd, mode))
    )

    atomic_files.write(hosts, NEW, 0o644)

    assert seen == [0o600]


def test_who_has_it_open_reads_the_old_one_to_its_end(hosts):
    with hosts.open("rb") as reader:
        begin = reader.read(10)
        atomic_files.write(hosts, NEW, 0o640)

        assert begin + reader.read() == OLD


def test_no_descriptor_is_left_open(hosts):
    before = os.listdir("/proc/self/fd")  # noqa: PTH208

    atomic_files.write(hosts, NEW, 0o640)
    with contextlib.suppress(OSError):
        atomic_files.write(hosts / "below a file", NEW, 0o640)

    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


# the time that BackupPC looks at


LAST_NS = 999_999_950  # of a second: st_mtime, a float, rounds it up to the next one


def seconds(path):
    return path.stat().st_mtime_ns // 10**9


def test_the_time_is_a_later_second_than_the_one_told(hosts):
    soon = seconds(hosts) + 1000

    atomic_files.write(hosts, NEW, 0o640, later_than=soon)

    assert hosts.stat().st_mtime == soon + 1


def test_the_last_moment_of_a_second_is_not_taken_for_the_next_one(hosts, mocker):
    now = 1_800_000_000
    fchmod = os.fchmod

    def late(fd, mode):
        fchmod(fd, mode)
        os.utime(fd, ns=(0, now * 10**9 + LAST_NS))

    mocker.patch("os.fchmod", late)

    atomic_files.write(hosts, NEW, 0o640, later_than=now)

    assert seconds(hosts) == now + 1


def test_the_second_of_a_file_is_the_one_that_has_begun(hosts):
    os.utime(hosts, ns=(0, 1_800_000_000 * 10**9 + LAST_NS))

    assert atomic_files.second(hosts.stat()) == 1_800_000_000


def test_a_time_that_is_later_anyhow_is_left_alone(hosts):
    atomic_files.write(hosts, NEW, 0o640, later_than=seconds(hosts) - 1000)

    assert abs(hosts.stat().st_mtime - time.time()) < 5


def test_every_one_of_many_quick_versions_has_a_second_of_its_own(hosts):
    times = [seconds(hosts)]
    for number in range(20):
        atomic_files.write(hosts, OLD + b"%d" % number, 0o640, later_than=times[-1])
        times.append(seconds(hosts))

    assert times == sorted(set(times))


# what is no file to replace


def a_link(path):
    (path.parent / "elsewhere").write_bytes(OLD)
    path.symlink_to("elsewhere")


def a_folder(path):
    path.mkdir()


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [a_link, lambda path: path.symlink_to("/nowhere"), os.mkfifo, a_folder, a_socket],
    ids=["link", "dangling link", "FIFO", "folder", "socket"],
)
def test_what_is_no_regular_file_is_never_replaced(folder, make):
    make(folder / "hosts")
    before = {name: (folder / name).lstat() for name in names(folder)}

    with pytest.raises(OSError, match="is not a regular file"):
        atomic_files.write(folder / "hosts", NEW, 0o640)

    assert {name: (folder / name).lstat().st_ino for name in names(folder)} == {
        name: status.st_ino for name, status in before.items()
    }
    assert not (folder / "elsewhere").exists() or (folder / "elsewhere").read_bytes() == OLD


def test_a_folder_that_is_not_there_is_not_made(folder):
    with pytest.raises(FileNotFoundError):
        atomic_files.write(folder / "missing" / "hosts", NEW, 0o640)

    assert names(folder) == []


# what a killed writer leaves


def left_by_a_killed_writer(path, content):
    """Return where a writer of *path* that was killed leaves its temporary file, which has *content* now."""

    def work():
        os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
        atomic_files.write(path, content, 0o640)

    assert in_child(work) == -signal.SIGKILL
    (left,) = set(path.parent.iterdir()) - {path}
    return left


def test_what_a_killed_writer_left_is_replaced_and_does_not_add_up(hosts):
    first = left_by_a_killed_writer(hosts, b"half")
    second = left_by_a_killed_writer(hosts, b"another half")
    assert first == second

    atomic_files.write(hosts, NEW, 0o640)

    assert hosts.read_bytes() == NEW
    assert names(hosts.parent) == ["hosts"]


def test_what_is_left_is_no_name_that_backuppc_reads_or_writes(hosts):
    left = left_by_a_killed_writer(hosts, b"half")

    assert left.name.startswith(".")
    assert left.suffix not in (".pl", ".new", ".old")


def test_a_link_in_the_place_of_what_is_left_is_not_followed(hosts, folder):
    left = left_by_a_killed_writer(hosts, b"half")
    left.unlink()
    (folder / "precious").write_bytes(b"precious")
    left.symlink_to("precious")

    atomic_files.write(hosts, NEW, 0o640)

    assert (folder / "precious").read_bytes() == b"precious"
    assert not hosts.is_symlink()


@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_whenever_the_writer_is_killed_the_file_is_the_old_one_or_the_new_one(folder, there):
    """The writer dies before and after each single call into C or the system, until it gets through."""
    path = folder / "hosts"
    allowed = {(OLD, 0o604), (NEW, 0o640)} if there else {None, (NEW, 0o640)}

    def state():
        return (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) if path.exists() else None

    def write_and_die_at(step):
        def count(frame, event, argument):
            nonlocal step
            step -= 1
            if step < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        atomic_files.write(
            path, NEW, atomic_files.Ownership(os.getuid(), os.getgid(), 0o640), later_than=2**31
        )
        sys.setprofile(None)

    seen = []
    for step in range(2000):
        path.unlink(missing_ok=True)
        if there:
            path.write_bytes(OLD)
            path.chmod(0o604)
        died_of = in_child(lambda step=step: write_and_die_at(step))
        seen.append(state())
        assert seen[-1] in allowed
        assert len(names(folder)) <= 2
        if died_of == 0:
            break

    assert seen[-1] == (NEW, 0o640)
    assert set(seen) == allowed
    assert seen.count((NEW, 0o640)) < len(seen) // 2
    atomic_files.write(path, OLD, 0o600)
    assert names(folder) == ["hosts"]


# what fails


@pytest.mark.parametrize(
    "call",
    [
        "os.open",
        "os.fdopen",
        "os.fchown",
        "os.fchmod",
        "os.fstat",
        "os.utime",
        "os.fsync",
        "pathlib.Path.rename",
    ],
)
def test_whatever_fails_before_the_rename_leaves_the_file_as_it_was(hosts, mocker, call):
    before = hosts.stat()
    mocker.patch(call, side_effect=OSError(5, "Input/output error"))

    with pytest.raises(OSError, match="Input/output error"):
        atomic_files.write(hosts, NEW, atomic_files.ownership(before), later_than=2**31)

    mocker.stopall()
    assert hosts.stat() == before  # before it is read, which sets a time
    assert hosts.read_bytes() == OLD
    assert names(hosts.parent) == ["hosts"]


def test_the_content_is_on_disk_before_the_rename_and_the_rename_afterwards(hosts, mocker):
    order = []
    fsync, rename = os.fsync, Path.rename

    def note_fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        order.append((f"fsync {kind}", hosts.read_bytes() == NEW, os.fstat(descriptor).st_size >= len(NEW)))
        fsync(descriptor)

    def note_rename(path, target):
        order.append(("rename", False, path.read_bytes() == NEW))
        return rename(path, target)

    mocker.patch("os.fsync", note_fsync)
    mocker.patch("pathlib.Path.rename", note_rename)
    atomic_files.write(hosts, NEW, 0o640)

    assert [step[:2] for step in order] == [("fsync file", False), ("rename", False), ("fsync folder", True)]
    assert order[0][2]
    assert order[1][2]


def test_a_file_that_grows_too_large_is_no_half_file(hosts):
    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with pytest.raises(OSError, match="File too large"):
            atomic_files.write(hosts, NEW, 0o640)

    assert in_child(work) == 0
    assert hosts.read_bytes() == OLD
    assert names(hosts.parent) == ["hosts"]


@pytest.mark.lab
def test_a_full_disk_leaves_the_file_as_it_was():
    unshare = shutil.which("unshare")
    assert unshare
    script = """
        import errno, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from backuppc_register.system import atomic_files

        hosts = Path("/mnt/hosts")
        atomic_files.write(hosts, b"old", 0o640)
        for size in (4096, 20_000, 10_000_000):
            try:
                atomic_files.write(hosts, b"x" * size, 0o640)
            except OSError as error:
                print(errno.errorcode[error.errno])
            else:
                print("written")
            print(hosts.stat().st_size, [path.name for path in hosts.parent.iterdir()])
    """
    program = "\n".join(line.removeprefix("        ") for line in script.splitlines())
    mount = 'mount -t tmpfs -o size=16k tmpfs /mnt && exec "$@"'

    done = subprocess.run(
        [
            unshare,
            "--mount",
            "--",
            "sh",
            "-c",
            mount,
            "sh",
            sys.executable,
            "-I",
            "-c",
            program,
            str(CHECKOUT),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout == ("written\n4096 ['hosts']\nENOSPC\n4096 ['hosts']\nENOSPC\n4096 ['hosts']\n")
