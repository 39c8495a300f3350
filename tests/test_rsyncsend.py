"""rsyncsend.sh: what the holder of the server's key can have executed, with real bash and a recording rsync.

The tests run a copy of the script in which the lines that name root's files name a temporary folder instead.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SCRIPT = Path(__file__).resolve().parents[1] / "clients" / "rsyncsend.sh"
RSYNC_BPC = "/usr/libexec/backuppc-rsync/rsync_bpc"
ACCOUNT_ID = "990"
PEER = "134.158.240.3"
REFUSED, MISSING, MISCONFIGURED = 64, 69, 78

RECORDER = """#!/bin/bash
if [ "${1-}" = --version ]; then
    printf 'rsync  version %s  protocol version 31\\n' "$(cat FOLDER/version)"
    exit
fi
case " $* " in
    *' -- mkdir -- '*)
        printf '%s\\0' "${0##*/}" "$@" >FOLDER/made
        while [ "$1" != -- ]; do shift; done
        shift
        exec "$@"
        ;;
esac
printf '%s\\0' "${0##*/}" "$@" >FOLDER/executed
pwd -P >FOLDER/where
env -0 >FOLDER/environment
cat >FOLDER/rest
exit "$(cat FOLDER/status)"
"""
STUBS = {
    "rsync": RECORDER,
    "setpriv": RECORDER,
    "sudo": RECORDER,
    "id": '#!/bin/sh\n'
    f'case $2 in bckpciuem) echo {ACCOUNT_ID} ;; 1234) echo 1235 ;; *) exec /usr/bin/id "$@" ;; esac\n',
    "logger": "#!/bin/sh\ncat\nprintf '%s\\n' \"$*\" >>FOLDER/log\n",
}
WITHOUT_SETPRIV = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
# What BackupPC 4.4 sends (backup full, incremental, restore), and the list behind it.
FULL = "rsync --server --sender -slHogDtprcxe.iLsfxC"
INCREMENTAL = "rsync --server --sender -slHogDtprxe.iLsfxC"
RESTORE = "rsync --server -slHogDtprRe.iLsfxC"
BACKUP_OPTIONS = ["--timeout=72000", "--ignore-errors", "--numeric-ids"]
RESTORE_OPTIONS = ["--log-format=%i", "--super", "--stats", "--partial", "--numeric-ids"]


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: bytes
    stderr: str
    executed: list[str] | None
    where: str
    rest: bytes
    log: str


class Room:
    """A folder with the script in both roles, a configuration, a share, and stubs that record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.share = self.folder / "home"
        self.restore_dir = self.folder / "restored"
        for path in (self.share / "cmartin", self.restore_dir, self.folder / "bin"):
            path.mkdir(parents=True)
            path.chmod(0o755)
        self.folder.chmod(0o755)
        (self.folder / "version").write_text("3.5.0")
        (self.folder / "status").write_text("0")
        for name, text in STUBS.items():
            stub = self.folder / "bin" / name
            stub.write_text(text.replace("FOLDER", str(self.folder)))
            stub.chmod(0o755)
        self.configure()
        self.install()

    def install(self, patience: int = 10) -> None:
        text = SCRIPT.read_text()
        for name, value in {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "CONFIG": f"{self.folder}/conf",
            "ANCHOR": str(self.folder),
            "PATIENCE": str(patience),
            "TCC": f"{self.folder}/TCC #",  # the value there has a blank
        }.items():
            text, count = re.subn(rf"^{name}=\S+", f"{name}={value}", text, flags=re.MULTILINE)
            assert count == 1, name
        for name in ("rsync-helper", "rsyncsend.sh"):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)

    def configure(self, *lines: str, restore: str = "dirs") -> None:
        usual = [
            f"share={self.share}",
            f"restore={restore}",
            f"restore-dir={self.restore_dir}",
            f"rsync={self.folder}/bin/rsync",
        ]
        (self.folder / "conf").write_text("".join(f"{line}\n" for line in [*usual, *lines]))
        (self.folder / "conf").chmod(0o644)

    def helper(self, command: str, items: Sequence[str] | bytes = b"", *, peer: str = PEER) -> Outcome:
        stdin = items if isinstance(items, bytes) else listed(items)
        return self.start([str(self.folder / "rsync-helper"), command, peer], stdin)

    def start(
        self, argv: Sequence[str], stdin: bytes = b"", environment: dict[str, str] | None = None
    ) -> Outcome:
        self.forget()
        done = subprocess.run(
            argv, input=stdin, capture_output=True, env=environment or {}, timeout=60, check=False
        )
        return self.outcome(done.returncode, done.stdout, done.stderr)

    def forget(self) -> None:
        for name in ("executed", "made", "where", "rest", "log", "environment"):
            (self.folder / name).unlink(missing_ok=True)

    def outcome(self, status: int, stdout: bytes, stderr: bytes) -> Outcome:
        executed = self.read("executed")
        argv = [os.fsdecode(word) for word in executed.split(b"\0")[:-1]] if executed else None
        where = os.fsdecode(self.read("where")).rstrip("\n")
        log = self.read("log").decode()
        return Outcome(status, stdout, stderr.decode(), argv, where, self.read("rest"), log)

    def read(self, name: str) -> bytes:
        path = self.folder / name
        return path.read_bytes() if path.exists() else b""

    def backup_argv(self, cluster: str, *options: str) -> list[str]:
        return [*as_account("-all,+dac_read_search"), f"{self.folder}/bin/rsync", "--server", "--sender",
                f"--confine-root={self.share}", cluster, *options, ".", "./"]  # fmt: skip

    def restore_argv(self, cluster: str, *options: str) -> list[str]:
        return [f"{self.folder}/bin/rsync", "--server", f"--confine-root={self.restore_dir}",
                cluster, *options, "--sparse", "--chmod=ug-s", ".", "./"]  # fmt: skip


def listed(items: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(item) + b"\0" for item in items)


def as_account(capabilities: str, uid: str = ACCOUNT_ID, gid: str = ACCOUNT_ID) -> list[str]:
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs",
            f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}",
            f"--bounding-set={capabilities}", "--"]  # fmt: skip


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def backup_list(room: Room, *extra: str, path: str = "") -> list[str]:
    return ["rsync", *BACKUP_OPTIONS, *extra, ".", path or f"{room.share}/", ""]


# ---------------------------------------------------------------- what BackupPC does


@pytest.mark.parametrize(
    ("command", "cluster"),
    [
        (FULL, "-lHogDtprcxe.iLsfxC"),
        (INCREMENTAL, "-lHogDtprxe.iLsfxC"),
        (f"sudo {FULL}", "-lHogDtprcxe.iLsfxC"),
        (f"sudo -n {FULL}", "-lHogDtprcxe.iLsfxC"),
        (FULL.replace("rsync", "/usr/bin/rsync", 1), "-lHogDtprcxe.iLsfxC"),
        (FULL.replace("rsync", "/opt/x/rsync", 1), "-lHogDtprcxe.iLsfxC"),
    ],
)
def test_backuppcs_own_backup_is_executed_without_the_letter_s(
    room: Room, command: str, cluster: str
) -> None:
    outcome = room.helper(command, backup_list(room))

    assert outcome.executed == room.backup_argv(cluster, *BACKUP_OPTIONS)
    assert (outcome.status, outcome.where, outcome.stdout) == (0, str(room.share), b"")
    assert outcome.log == f"-t bckpciuem -p auth.info -- backup from={PEER} path={room.share}\n"


def test_arguments_on_the_command_line_get_the_same_checks(room: Room) -> None:
    options = "-lHogDtprce.iLsfxC --timeout=72000 --numeric-ids"
    command = f"rsync --server --sender {options} . {room.share}/cmartin/"

    outcome = room.helper(command, b"protocol")

    assert outcome.executed == room.backup_argv("-lHogDtprce.iLsfxC", "--timeout=72000", "--numeric-ids")
    assert (outcome.where, outcome.rest) == (f"{room.share}/cmartin", b"protocol")


def test_a_charset_may_follow_the_short_options(room: Room) -> None:
    outcome = room.helper(FULL + " --iconv=iso-8859-15", backup_list(room))

    assert outcome.executed == room.backup_argv(
        "-lHogDtprcxe.iLsfxC", "--iconv=iso-8859-15", *BACKUP_OPTIONS
    )


@pytest.mark.parametrize("name", ["deux mots", "été", "it's \"x\" $HOME", "-dash", "a*b", "a\\b", "\udce9"])
def test_a_folder_may_have_any_printable_name(room: Room, name: str) -> None:
    (room.share / name).mkdir()

    outcome = room.helper(FULL, backup_list(room, path=f"{room.share}/{name}/"))

    assert (outcome.status, outcome.where) == (0, f"{room.share}/{name}")


@pytest.mark.parametrize("protocol", [b"", b"\0", b"\0\0\0\x1f\0rsync\0", bytes(range(256)) * 64])
@pytest.mark.parametrize("seekable", [False, True])
def test_not_one_byte_of_the_protocol_is_eaten(room: Room, protocol: bytes, seekable: bool) -> None:
    stdin = listed(backup_list(room)) + protocol
    if not seekable:
        outcome = room.helper(FULL, stdin)
    else:
        (room.folder / "stdin").write_bytes(stdin)
        room.forget()
        with (room.folder / "stdin").open("rb") as file:
            done = subprocess.run(
                [room.folder / "rsync-helper", FULL, PEER], stdin=file, capture_output=True, check=False
            )
        outcome = room.outcome(done.returncode, done.stdout, done.stderr)

    assert outcome.rest == protocol


@pytest.mark.parametrize("status", [0, 23, 24, 25, 12])
def test_the_exit_status_of_rsync_comes_through(room: Room, status: int) -> None:
    (room.folder / "status").write_text(str(status))

    assert room.helper(FULL, backup_list(room)).status == status


@pytest.mark.parametrize(("version", "confined"), [("3.5.0", True), ("4.0", True), ("v3.10.1", False),
                         ("3.12.1dev", True), ("3.4.1", False), ("2.6.9", False), ("", False)])  # fmt: skip
def test_rsync_is_confined_to_the_share_where_it_can_be(room: Room, version: str, confined: bool) -> None:
    (room.folder / "version").write_text(version)

    executed = room.helper(FULL, backup_list(room)).executed or []

    assert (f"--confine-root={room.share}" in executed) is confined


def test_rsync_starts_with_an_environment_of_three_variables(room: Room) -> None:
    argv = [str(room.folder / "rsync-helper"), FULL, PEER]

    room.start(argv, listed(backup_list(room)), {"RSYNC_PROTECT_ARGS": "1", "HOME": "/x", "BASH_ENV": "/x"})

    names = {line.partition(b"=")[0] for line in room.read("environment").split(b"\0") if line}
    assert names <= {b"PATH", b"LC_ALL", b"HOME", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


# ---------------------------------------------------------------- restore


def restore_list(path: str, *extra: str) -> list[str]:
    return ["rsync", *RESTORE_OPTIONS, *extra, ".", path, ""]


WITHOUT_SUPER = [option for option in RESTORE_OPTIONS if option != "--super"]


def owner_argv(room: Room) -> list[str]:
    status = room.restore_dir.stat()
    uid, gid = (str(status.st_uid), str(status.st_gid)) if status.st_uid else (ACCOUNT_ID, ACCOUNT_ID)
    return as_account("-all", uid, gid)


def test_a_restore_to_its_folder_runs_without_any_privilege(room: Room) -> None:
    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.executed == owner_argv(room) + room.restore_argv("-lHogDtprRe.iLsfxC", *WITHOUT_SUPER)
    assert outcome.where == str(room.restore_dir)


def give_away(room: Room) -> None:
    """Make the restore folder look like a person's, as ls tells it."""
    stub = room.folder / "bin/ls"
    stub.write_text(
        f'#!/bin/sh\nif [ "$2,$PWD" = .,{room.restore_dir} ]\n'
        'then echo "drwxr-xr-x 2 1234 33 0 Nov 22 20:00 ."\n'
        'else exec /bin/ls "$@"; fi\n'
    )
    stub.chmod(0o755)


def test_a_restore_to_a_persons_folder_is_written_as_that_person(room: Room) -> None:
    give_away(room)

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.executed is not None
    assert outcome.executed[:9] == as_account("-all", "1234", "1235")


def test_a_persons_folder_takes_an_rsync_that_follows_no_planted_link(room: Room) -> None:
    give_away(room)
    (room.folder / "version").write_text("3.2.7")

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert (outcome.status, outcome.executed) == (MISSING, None)


def test_the_last_folder_of_a_restore_may_be_missing(room: Room) -> None:
    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/novembre/"))

    assert outcome.executed == owner_argv(room) + room.restore_argv("-lHogDtprRe.iLsfxC", *WITHOUT_SUPER)
    assert outcome.where == f"{room.restore_dir}/novembre"
    assert listed([*owner_argv(room), "mkdir", "--", "./novembre"]) == room.read("made")


def test_a_link_that_comes_while_the_last_folder_is_made_is_not_followed(room: Room) -> None:
    """As if whoever the restore runs as had laid it there: a link that rsync itself would trust."""
    (room.folder / "bin/setpriv").write_text(f"#!/bin/sh\nln -s {room.share} {room.restore_dir}/new\n")

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/new/"))

    assert (outcome.status, outcome.executed) == (REFUSED, None)
    assert "leads out of" in outcome.stderr


def test_a_last_folder_that_cannot_be_made_is_told(room: Room) -> None:
    (room.folder / "bin/setpriv").write_text("#!/bin/sh\nexit 1\n")

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/new/"))

    assert (outcome.status, outcome.executed) == (MISSING, None)


def test_a_dry_run_makes_no_folder(room: Room) -> None:
    outcome = room.helper(RESTORE.replace(" -sl", " -snl"), restore_list(f"{room.restore_dir}/new/"))

    assert (outcome.status, outcome.executed, [*room.restore_dir.iterdir()]) == (MISSING, None, [])


@pytest.mark.parametrize(("option", "version", "added"), [
    ("--stats", "3.4.1", ["--sparse", "--chmod=ug-s"]), ("--inplace", "3.4.1", ["--chmod=ug-s"]),
    ("--stats", "2.6.9", []), ("--stats", "", []),
])  # fmt: skip
def test_holes_come_back_and_setuid_does_not_where_rsync_can(
    room: Room, option: str, version: str, added: list[str]
) -> None:
    (room.folder / "version").write_text(version)

    executed = room.helper(RESTORE, ["rsync", option, ".", f"{room.restore_dir}/", ""]).executed or []

    assert executed[executed.index(option) :] == [option, *added, ".", "./"]


def test_a_full_restore_goes_in_place_as_root(room: Room) -> None:
    room.configure(restore="full")

    outcome = room.helper(RESTORE, restore_list(f"{room.share}/cmartin"))

    assert outcome.executed == [
        "rsync", "--server", f"--confine-root={room.share}", "-lHogDtprRe.iLsfxC",
        *RESTORE_OPTIONS, "--sparse", ".", "./",
    ]  # fmt: skip
    assert outcome.where == f"{room.share}/cmartin"


@pytest.mark.parametrize(
    ("restore", "target"),
    [
        ("off", "restored/"),
        ("dirs", "home/cmartin/"),
        ("dirs", "restored2/"),
        ("dirs", ""),
        ("full", "elsewhere/"),
        ("full", ""),
    ],
)
def test_a_restore_elsewhere_is_refused(room: Room, restore: str, target: str) -> None:
    for name in ("restored2", "elsewhere"):
        (room.folder / name).mkdir()
    room.configure(restore=restore)

    outcome = room.helper(RESTORE, restore_list(f"{room.folder}/{target}"))

    assert (outcome.status, outcome.executed, outcome.stdout) == (REFUSED, None, b"")


@pytest.mark.parametrize("place", ["/etc/sudoers.d/", "/etc/sudoers", "/var/lib/bckpciuem/.ssh/",
                                   "/usr/local/libexec/bckpciuem/"])  # fmt: skip
def test_even_a_full_restore_of_everything_spares_what_holds_us(room: Room, place: str) -> None:
    room.configure("share=/", restore="full")

    outcome = room.helper(RESTORE, restore_list(place))

    assert (outcome.status, outcome.executed) == (REFUSED, None)


@pytest.mark.parametrize("option", ["--delete", "--delete-before", "--delete-during", "--delete-delay",
                                    "--delete-after", "--force", "--max-delete=10"])  # fmt: skip
def test_a_restore_deletes_only_where_that_is_configured(room: Room, option: str) -> None:
    refused = room.helper(RESTORE, restore_list(f"{room.restore_dir}/", option))
    room.configure("restore-delete=yes")
    allowed = room.helper(RESTORE, restore_list(f"{room.restore_dir}/", option))

    assert (refused.status, refused.executed) == (REFUSED, None)
    assert allowed.executed is not None
    assert option in allowed.executed


# ---------------------------------------------------------------- attacks


ATTACKS: dict[str, tuple[str, list[str] | bytes]] = {
    "daemon on stdin": (FULL, ["rsync", "--daemon", "--config=/tmp/c", ".", "{share}/", ""]),
    "config on stdin": (FULL, ["rsync", "--config=/tmp/c", ".", "{share}/", ""]),
    "log file on stdin": (FULL, ["rsync", "--log-file=/etc/x", ".", "{share}/", ""]),
    "daemon on the command line": ("rsync --server --daemon .", b""),
    "daemon instead of sender": ("rsync --server --daemon --config=/tmp/c .", b""),
    "another program": ("id", b""),
    "scp": ("scp -t /tmp", b""),
    "sftp": ("/usr/lib/openssh/sftp-server", b""),
    "internal sftp": ("internal-sftp", b""),
    "a shell": ("sh", b""),
    "substitution": ("$(id)", b""),
    "backquotes": ("`id`", b""),
    "substitution after a good start": (FULL + " $(id)", b""),
    "semicolon": (FULL + ";id", b""),
    "pipe": (FULL + " | id", b""),
    "ampersand": (FULL + " & id", b""),
    "redirection": (FULL + " >/etc/x", b""),
    "quotes": ("rsync --server --sender '-slHe.iLsfxC'", b""),
    "double quotes": ('rsync --server --sender "-slHe.iLsfxC"', b""),
    "backslash": ("rsync --server --sender -sl\\Hre.iLsfxC", b""),
    "newline": (FULL + "\nid", b""),
    "carriage return": (FULL + "\r", b""),
    "tab for a blank": (FULL.replace(" ", "\t"), b""),
    "no-break space for a blank": (FULL.replace(" ", "\u00a0"), b""),
    "two blanks": (FULL.replace(" ", "  ", 1), b""),
    "a leading blank": (" " + FULL, b""),
    "a trailing blank": (FULL + " ", b""),
    "a glob for rsync": ("/usr/bin/rsyn* --server --sender -re.iLsfxC . {share}/", b""),
    "rsync of a relative folder": ("./rsync --server --sender -re.iLsfxC . {share}/", b""),
    "a program that ends like rsync": ("/bin/notrsync --server --sender -re.iLsfxC . {share}/", b""),
    "sudo with a user": ("sudo -u root rsync --server --sender -re.iLsfxC . {share}/", b""),
    "sudo of something else": ("sudo id", b""),
    "sudo twice": ("sudo sudo rsync --server --sender -re.iLsfxC . {share}/", b""),
    "no server": ("rsync --sender -re.iLsfxC . {share}/", b""),
    "client of another host": ("rsync -r {share}/ evil:/x", b""),
    "short options missing": ("rsync --server --sender . {share}/", b""),
    "nothing but s": ("rsync --server --sender -s", ["rsync", ".", "{share}/", ""]),
    "rsh on the command line": ("rsync --server --sender -re sh . {share}/", b""),
    "rsh on stdin": (FULL, ["rsync", "-e", "sh", ".", "{share}/", ""]),
    "rsh, long": (FULL, ["rsync", "--rsh=sh", ".", "{share}/", ""]),
    "rsh in the cluster": ("rsync --server --sender -resh . {share}/", b""),
    "rsync path": (FULL, ["rsync", "--rsync-path=/bin/sh", ".", "{share}/", ""]),
    "an abbreviation": (FULL, ["rsync", "--remove-s", ".", "{share}/", ""]),
    "another abbreviation": (FULL, ["rsync", "--daem", ".", "{share}/", ""]),
    "a longer spelling": (FULL, ["rsync", "--numeric-idsx", ".", "{share}/", ""]),
    "an option without its value": (FULL, ["rsync", "--timeout", "10", ".", "{share}/", ""]),
    "a number that is none": (FULL, ["rsync", "--timeout=1e9", ".", "{share}/", ""]),
    "a number too long": (FULL, ["rsync", "--timeout=12345678901", ".", "{share}/", ""]),
    "remove source files": (FULL, ["rsync", "--remove-source-files", ".", "{share}/", ""]),
    "remove sent files": (FULL, ["rsync", "--remove-sent-files", ".", "{share}/", ""]),
    "files from": (FULL, ["rsync", "--files-from=/etc/shadow", ".", "{share}/", ""]),
    "filter": (FULL, ["rsync", "--filter=merge /etc/shadow", ".", "{share}/", ""]),
    "exclude from": (FULL, ["rsync", "--exclude-from=/etc/shadow", ".", "{share}/", ""]),
    "write batch": (FULL, ["rsync", "--write-batch=/etc/x", ".", "{share}/", ""]),
    "a wider confinement": (FULL, ["rsync", "--confine-root=/", ".", "{share}/", ""]),
    "insecure links": (FULL, ["rsync", "--insecure-links", ".", "{share}/", ""]),
    "copied links": (FULL, ["rsync", "--copy-unsafe-links", ".", "{share}/", ""]),
    "copied devices": (FULL, ["rsync", "--copy-devices", ".", "{share}/", ""]),
    "remote option": (FULL, ["rsync", "-M--log-file=/etc/x", ".", "{share}/", ""]),
    "two clusters": (FULL + " -L", ["rsync", ".", "{share}/", ""]),
    "a second cluster on stdin": (FULL, ["rsync", "-L", ".", "{share}/", ""]),
    "s on stdin again": (FULL, ["rsync", "-s", ".", "{share}/", ""]),
    "secluded args on stdin": (FULL, ["rsync", "--secluded-args", ".", "{share}/", ""]),
    "followed links in the cluster": (FULL.replace("-s", "-sL"), ["rsync", ".", "{share}/", ""]),
    "a mark in the capabilities": ("rsync --server --sender -sre.iLs,fxC", ["rsync", ".", "{share}/", ""]),
    "sender twice": ("rsync --server --sender --sender -sre.iLsfxC", ["rsync", ".", "{share}/", ""]),
    "sender on stdin": (RESTORE, ["rsync", "--sender", ".", "{share}/", ""]),
    "sender after the cluster": ("rsync --server -sre.iLsfxC --sender", ["rsync", ".", "{share}/", ""]),
    "two dashes": (FULL, ["rsync", "--", ".", "{share}/", ""]),
    "an option after the dot": (FULL, ["rsync", ".", "--daemon", ""]),
    "no dot": (FULL, ["rsync", "{share}/", ""]),
    "no path": (FULL, ["rsync", ".", ""]),
    "two paths": (FULL, ["rsync", ".", "{share}/", "/etc/", ""]),
    "two dots": (FULL, ["rsync", ".", ".", ""]),
    "up": (FULL, ["rsync", ".", "{share}/../", ""]),
    "up in the middle": (FULL, ["rsync", ".", "{share}/x/../../etc/", ""]),
    "the dot that means relative": (FULL, ["rsync", ".", "{share}/./cmartin", ""]),
    "a relative path": (FULL, ["rsync", ".", "etc", ""]),
    "another folder": (FULL, ["rsync", ".", "/etc/", ""]),
    "everything": (FULL, ["rsync", ".", "/", ""]),
    "a folder that begins like the share": (FULL, ["rsync", ".", "{share}2/", ""]),
    "the folder above": (FULL, ["rsync", ".", "{share}/..", ""]),
    "a newline in the path": (FULL, ["rsync", ".", "{share}/\n", ""]),
    "an escape in the path": (FULL, ["rsync", ".", "{share}/\x1b[2J", ""]),
    "a module of a daemon": (FULL, ["rsync", ".", "::module/", ""]),
    "a list for another program": (FULL, ["sh", ".", "{share}/", ""]),
    "an empty list": (FULL, [""]),
    "nothing on stdin": (FULL, b""),
    "a list without an end": (FULL, b"rsync\0--numeric-ids\0.\0/home/\0"),
    "a list cut inside a word": (FULL, b"rsync\0--numeric-ids\0.\0/ho"),
    "no NUL at all": (FULL, b"rsync --numeric-ids . /home/\n"),
    "one MiB without NUL": (FULL, b"a" * 1048576),
    "a word of exactly the limit": (FULL, b"rsync\0" + b"a" * 4096 + b"\0.\0/home/\0\0"),
    "too many words": (FULL, b"rsync\0" + b"--numeric-ids\0" * 300 + b".\0/home/\0\0"),
    "too many bytes": (FULL, b"rsync\0" + (b"--iconv=" + b"a" * 4000 + b"\0") * 20 + b".\0/home/\0\0"),
    "a command too long": (FULL + " --numeric-ids" * 400, b""),
    "probe with an argument": ("probe x", b""),
    "an empty command": ("", b""),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_executes_nothing(room: Room, name: str) -> None:
    command, items = ATTACKS[name]
    command = command.replace("{share}", str(room.share))
    (room.folder / "home2").mkdir()
    if not isinstance(items, bytes):
        items = [item.replace("{share}", str(room.share)) for item in items]

    outcome = room.helper(command, items)

    assert (outcome.status, outcome.executed, outcome.stdout) == (REFUSED, None, b"")
    assert outcome.log.startswith("-t bckpciuem -p auth.info -- refused from=")
    assert outcome.log.count("\n") == 1
    assert re.fullmatch(r"[ -~]{1,400}\n", outcome.stderr)


def test_a_link_out_of_the_share_is_not_followed(room: Room) -> None:
    (room.share / "cmartin/out").symlink_to("/etc")
    (room.share / "cmartin/in").symlink_to(room.share)

    out = room.helper(FULL, backup_list(room, path=f"{room.share}/cmartin/out/"))
    inside = room.helper(FULL, backup_list(room, path=f"{room.share}/cmartin/in/"))

    assert (out.status, out.executed) == (REFUSED, None)
    assert (inside.status, inside.where) == (0, str(room.share))


def test_a_link_out_of_the_restore_folder_is_not_followed(room: Room) -> None:
    (room.restore_dir / "out").symlink_to(room.folder)

    for path in ("out", "out/deeper", "out/deeper/"):
        outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/{path}"))
        assert (outcome.status, outcome.executed) == (REFUSED, None)


def test_a_link_in_place_of_the_folder_to_be_made_is_not_followed(room: Room) -> None:
    (room.restore_dir / "dangling").symlink_to(room.folder / "not there yet")

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/dangling/"))

    assert (outcome.status, outcome.executed) == (REFUSED, None)


def test_a_share_that_is_a_link_itself_is_the_administrators_wish(room: Room) -> None:
    (room.folder / "link").symlink_to(room.share)
    room.configure(f"share={room.folder}/link")

    outcome = room.helper(FULL, backup_list(room, path=f"{room.folder}/link/cmartin/"))

    assert (outcome.status, outcome.where) == (0, f"{room.share}/cmartin")


def theirs(room: Room) -> Path:
    """Make a folder that others than root can change, as a person's is."""
    folder = room.folder / "theirs"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def test_a_share_that_a_person_has_replaced_by_a_link_is_refused(room: Room) -> None:
    data = theirs(room) / "data"
    room.configure(f"share={data}")
    data.mkdir()
    before = room.helper(FULL, backup_list(room, path=f"{data}/"))
    data.rmdir()
    data.symlink_to("/root" if os.geteuid() == 0 else "/etc")
    replaced = room.helper(FULL, backup_list(room, path=f"{data}/"))

    assert (before.status, before.where) == (0, str(data))
    assert (replaced.status, replaced.executed) == (REFUSED, None)


def test_a_folder_for_restores_that_a_person_has_replaced_by_a_link_is_refused(room: Room) -> None:
    folder = theirs(room) / "restored"
    room.configure(f"restore-dir={folder}")
    folder.symlink_to(room.share)

    for target in (folder, folder / "new", folder / "cmartin"):
        outcome = room.helper(RESTORE, restore_list(f"{target}/"))
        assert (outcome.status, outcome.executed) == (REFUSED, None)


def test_roots_link_to_a_persons_link_is_refused(room: Room) -> None:
    (room.folder / "link").symlink_to("home/../theirs/data")
    (theirs(room) / "data").mkdir()
    room.configure(f"share={room.folder}/link")
    before = room.helper(FULL, backup_list(room, path=f"{room.folder}/link/"))
    (room.folder / "theirs/data").rmdir()
    (room.folder / "theirs/data").symlink_to("/etc")
    replaced = room.helper(FULL, backup_list(room, path=f"{room.folder}/link/"))

    assert (before.status, before.where) == (0, f"{room.folder}/theirs/data")
    assert (replaced.status, replaced.executed) == (REFUSED, None)


@pytest.mark.parametrize(("version", "status"), [("3.2.7", MISSING), ("3.5.0", 0)])
def test_a_share_below_a_persons_folder_takes_an_rsync_that_is_confined(
    room: Room, version: str, status: int
) -> None:
    data = theirs(room) / "data"
    data.mkdir()
    (room.folder / "version").write_text(version)
    (room.folder / "bin/setpriv").write_text(WITHOUT_SETPRIV)
    room.configure(f"share={data}", restore="full")

    backup = room.helper(FULL, backup_list(room, path=f"{data}/"))
    restored = room.helper(RESTORE, restore_list(f"{data}/"))
    probed = room.helper("probe").stdout.decode().splitlines()

    assert (backup.status, restored.status) == (status, status)
    assert (f"share:{data}" in probed, f"unreadable:{data}" in probed) == (not status, bool(status))
    assert f"share:{room.share}" in probed
    assert not status or "update rsync to 3.5 or later" in backup.stderr


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_an_earlier_rsync_reads_nothing_secret_in_a_folder_of_roots_above_the_share(
    room: Room, mode: int
) -> None:
    (room.folder / "version").write_text("3.2.7")
    (room.share / "secret").write_text("canary\n")
    (room.share / "secret").chmod(mode)
    room.configure(f"share={room.share}/cmartin")
    (room.folder / "conf").write_text((room.folder / "conf").read_text().replace(f"share={room.share}\n", ""))

    outcome = room.helper(FULL, backup_list(room, path=f"{room.share}/cmartin/"))

    assert outcome.status == (0 if mode == 0o644 else MISSING)


def test_probe_tells_a_share_that_was_replaced_by_a_link(room: Room) -> None:
    (room.folder / "bin/setpriv").write_text(WITHOUT_SETPRIV)
    (theirs(room) / "data").symlink_to("/etc")
    room.configure(f"share={room.folder}/theirs/data")

    lines = room.helper("probe").stdout.decode().splitlines()

    assert f"unreadable:{room.folder}/theirs/data" in lines
    assert f"share:{room.share}" in lines


def test_a_word_as_long_as_the_limit_is_not_taken_for_the_end_of_the_list(room: Room) -> None:
    path = f"{room.share}".ljust(4096, "/")

    outcome = room.helper(FULL, ["rsync", ".", path, "", ""])

    assert (outcome.status, outcome.executed) == (REFUSED, None)


def test_a_folder_that_is_not_there_is_no_backup(room: Room) -> None:
    outcome = room.helper(FULL, backup_list(room, path=f"{room.share}/nobody/"))

    assert (outcome.status, outcome.executed) == (MISSING, None)


@pytest.mark.parametrize("drip", [False, True])
def test_whoever_sends_the_list_slowly_is_not_waited_for(room: Room, drip: bool) -> None:
    room.install(patience=2)
    room.forget()
    start = time.monotonic()
    with subprocess.Popen([room.folder / "rsync-helper", FULL, PEER], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdin
        process.stdin.write(b"rsync\0--numeric-ids\0.")
        process.stdin.flush()
        while drip and process.poll() is None and time.monotonic() < start + 8:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"/")
                process.stdin.flush()
            time.sleep(0.2)
        status = process.wait(8)

    assert status == REFUSED
    assert time.monotonic() - start < 6
    assert not room.read("executed")


# ---------------------------------------------------------------- all that rsync_bpc can send

# server_options() of rsync-bpc 3.1.3, in its order: (direction that sends it, allowed).
EMITTED_LETTERS = {
    "s": ("both", True), "v": ("both", True), "b": ("restore", True), "u": ("restore", True),
    "n": ("both", True), "l": ("both", True), "d": ("both", True), "K": ("restore", False),
    "m": ("restore", False), "O": ("restore", True), "J": ("restore", True), "L": ("backup", False),
    "k": ("backup", False), "y": ("restore", False), "W": ("both", True), "H": ("both", True),
    "o": ("both", True), "g": ("both", True), "D": ("both", True), "t": ("both", True), "p": ("both", True),
    "E": ("restore", False), "A": ("both", True), "X": ("both", True), "r": ("both", True),
    "c": ("both", True), "C": ("both", False), "I": ("both", True), "R": ("restore", True),
    "x": ("both", True), "S": ("both", True), "z": ("both", True),
}  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%,:+=-_~^"
EMITTED_OPTIONS = {
    "backup": {
        "--iconv=utf-8": True, "--list-only": True, "--compress-level=6": True, "--no-specials": True,
        "--specials": True, "-B700": True, "--timeout=1": True, "--bwlimit=5000": True, "--suffix=x": False,
        "--modify-window=1": True, "--checksum-seed=1": True, "--checksum-choice=md5": True,
        "--ignore-errors": True, "--copy-unsafe-links": False, "--safe-links": False, "--numeric-ids": True,
        "--use-qsort": True, "--skip-compress=gz": False, "--append": False, "--inplace": False,
        "--files-from=-": False, "--from0": False, "--no-relative": False, "--no-implied-dirs": True,
        "--remove-source-files": False, "--remove-sent-files": False, "--preallocate": False,
        "--new-compress": True, "--old-compress": True, "--ignore-missing-args": False, "--debug=ALL": False,
        "--info=ALL": False, "--stats": False, "--partial": False, "--super": False, "--delete": False,
        "--backup-dir": False, "--no-r": True, "--log-format=%i": True,
    },
    "restore": {
        "--log-format=%i": True, "--log-format=%i%I": True, "--log-format=%o": True, "--log-format=X": True,
        "--no-r": True, "--max-delete=1": False, "--min-size": False, "--max-size": False,
        "--min-size=1k": True, "--max-size=1.5G": True, "--delete": False, "--delete-excluded": False,
        "--delete-missing-args": False, "--force": False, "--only-write-batch=X": False, "--super": True,
        "--size-only": True, "--stats": True, "--partial": True, "--partial-dir": False,
        "--partial-dir=x": False, "--delay-updates": False, "--ignore-existing": True, "--existing": True,
        "--temp-dir": False, "--temp-dir=/x": False, "--copy-dest=/x": False, "--compare-dest=/x": False,
        "--link-dest=/x": False, "--append": False, "--inplace": True, "--fuzzy": False,
        "--usermap=0:1": False, "--groupmap=0:1": False, "--preallocate": False, "--numeric-ids": True,
        "--log-file=/x": False, "--fake-super": False, "--write-devices": False, "--chmod=u+s": False,
        "--files-from=/etc/shadow": False, "--filter=.x": False, "--backup-dir": False, "--suffix=x": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("direction", ["backup", "restore"])
@pytest.mark.parametrize("letter", LETTERS)
def test_every_short_option_is_decided(room: Room, direction: str, letter: str) -> None:
    emitted, allowed = EMITTED_LETTERS.get(letter, ("nobody", False))
    expected = allowed and emitted in {direction, "both"}
    sender, path = ("--sender ", room.share) if direction == "backup" else ("", room.restore_dir)
    if letter == "s":
        outcome = room.helper(f"rsync --server {sender}-rse.iLsfxC", ["rsync", ".", f"{path}/", ""])
    else:
        outcome = room.helper(f"rsync --server {sender}-r{letter}e.iLsfxC . {path}/")

    assert (outcome.executed is not None) is expected
    if letter not in "s" and outcome.executed:
        assert f"-r{letter}e.iLsfxC" in outcome.executed


@pytest.mark.parametrize(
    ("direction", "option"), [(way, option) for way in EMITTED_OPTIONS for option in EMITTED_OPTIONS[way]]
)
def test_every_long_option_is_decided(room: Room, direction: str, option: str) -> None:
    command, path = (FULL, room.share) if direction == "backup" else (RESTORE, room.restore_dir)

    outcome = room.helper(command, ["rsync", option, ".", f"{path}/", ""])

    assert (outcome.executed is not None) is EMITTED_OPTIONS[direction][option]
    if outcome.executed and option != "--super":
        assert option in outcome.executed


def test_what_rsync_bpc_can_send_is_in_the_table() -> None:
    """Whatever the installed rsync_bpc holds that looks like a server option has been decided above."""
    known = {option.partition("=")[0] for way in EMITTED_OPTIONS.values() for option in way}
    # In the binary, but not sent by it: options of its own, of a client, or of a daemon.
    not_sent = {
        "--append-verify", "--daemon", "--debug", "--delete-after", "--delete-before", "--delete-delay",
        "--delete-during", "--delete-excluded", "--exclude", "--include", "--filter", "--info",
        "--read-batch", "--write-batch", "--sender", "--server", "--only-write-batch", "--files-from",
        "--copy-dest", "--compare-dest", "--link-dest", "--temp-dir",
    }  # fmt: skip
    text = Path(RSYNC_BPC).read_bytes()

    found = {match.decode() for match in re.findall(rb"\0(--[a-z][a-z0-9-]+)(?:=%[a-z]+)?(?==?\0)", text)}

    assert "--numeric-ids" in found
    assert found - known - not_sent == set()


# ---------------------------------------------------------------- the role that sshd starts


def forced(room: Room, command: str | None, **environment: str) -> Outcome:
    usual = {"SSH_CONNECTION": f"{PEER} 40000 10.0.0.2 22"}
    if command is not None:
        usual["SSH_ORIGINAL_COMMAND"] = command
    return room.start([str(room.folder / "rsyncsend.sh")], b"", {**usual, **environment})


@pytest.mark.parametrize("command", [FULL, "probe", "$(id); `id`", "a  b\n'\"\\*", "--version", "-u root id"])
def test_sshds_role_hands_the_command_on_as_one_argument(room: Room, command: str) -> None:
    outcome = forced(room, command)

    assert outcome.executed == [
        "sudo", "-n", "/usr/local/libexec/bckpciuem/rsync-helper", command, PEER,
    ]  # fmt: skip


@pytest.mark.parametrize("command", [None, "", "x" * 4097])
def test_sshds_role_opens_no_session(room: Room, command: str | None) -> None:
    outcome = forced(room, command)

    assert (outcome.status, outcome.executed, outcome.stdout) == (REFUSED, None, b"")


@pytest.mark.parametrize(
    ("connection", "peer"),
    [
        ("fd77::1 1 fd77::2 22", "fd77::1"),
        ("", "-"),
        ("1.2.3.4;id 1 2 3", "-"),
        ("$(id) 1 2 3", "-"),
        ("-u 1 2 3", "-"),
        ("1" * 100, "1" * 64),
    ],
)
def test_the_peers_address_is_an_address_or_a_dash(room: Room, connection: str, peer: str) -> None:
    outcome = forced(room, "probe", SSH_CONNECTION=connection)

    assert outcome.executed is not None
    assert outcome.executed[-1] == peer


def test_the_environment_that_sshd_passes_on_changes_nothing(room: Room) -> None:
    evil = room.folder / "evil"
    evil.write_text(f"touch {room.folder}/owned\n")
    nasty = {"BASH_ENV": str(evil), "ENV": str(evil), "PATH": "/tmp", "IFS": "-", "LC_ALL": "fr_FR.UTF-8",
             "SHELLOPTS": "xtrace", "PS4": f"$(touch {room.folder}/owned)", "CDPATH": "/tmp", "LANG": "x",
             "BASH_FUNC_exec%%": f"() {{ touch {room.folder}/owned; }}", "PERL5OPT": "-x"}  # fmt: skip

    outcome = forced(room, "probe", **nasty)

    assert outcome.executed is not None
    assert outcome.executed[0] == "sudo"
    assert not (room.folder / "owned").exists()
    names = {line.partition(b"=")[0] for line in room.read("environment").split(b"\0") if line}
    assert names <= {b"PATH", b"LC_ALL", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


def test_a_forged_peer_does_not_reach_the_log(room: Room) -> None:
    outcome = room.helper("id", peer="1.2.3.4 path=/\nforged")

    assert outcome.log.splitlines() == ["-t bckpciuem -p auth.info -- refused from=- not a backup: id"]


# ---------------------------------------------------------------- probe


def test_probe_answers_in_lines_of_keyword_and_value(room: Room) -> None:
    (room.folder / "bin/setpriv").write_text(WITHOUT_SETPRIV)
    room.configure("share=/nowhere")

    outcome = room.helper("probe")

    assert outcome.stdout.decode().splitlines() == [
        "version:1",
        f"system:{os.uname().sysname}",
        "user:bckpciuem",
        "rsync:3.5.0",
        f"share:{room.share}",
        "unreadable:/nowhere",
        "restore:dirs",
        f"restore-dir:{room.restore_dir}",
    ]
    assert (outcome.status, outcome.executed) == (0, None)


@pytest.mark.parametrize("granted", [True, False])
def test_probe_tells_a_mac_that_hides_folders_from_what_sshd_starts(room: Room, granted: bool) -> None:
    (room.folder / "TCC").mkdir()
    if granted:
        (room.folder / "TCC/TCC.db").write_text("SQLite format 3")

    lines = room.helper("probe").stdout.decode().splitlines()

    assert (f"share:{room.share}" in lines, f"unreadable:{room.share}" in lines) == (granted, not granted)


def as_a_mac(room: Room) -> None:
    """Let the script take this machine for a Mac; what it would start there is recorded."""
    for name, text in {"uname": "#!/bin/sh\necho Darwin\n", "caffeinate": RECORDER}.items():
        (room.folder / "bin" / name).write_text(text.replace("FOLDER", str(room.folder)))
        (room.folder / "bin" / name).chmod(0o755)


def test_a_mac_does_not_fall_asleep_during_a_backup(room: Room) -> None:
    as_a_mac(room)

    outcome = room.helper(FULL, backup_list(room))

    assert outcome.executed
    assert outcome.executed[:4] == ["caffeinate", "-ims", f"{room.folder}/bin/rsync", "--server"]
    assert "s" not in outcome.executed[6].split("e.")[0]


def test_a_restore_on_a_mac_becomes_our_account_through_sudo(room: Room) -> None:
    as_a_mac(room)

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    # The folder's owner, unless that is root.
    uid = room.restore_dir.stat().st_uid or ACCOUNT_ID
    assert outcome.executed
    assert outcome.executed[:5] == ["sudo", "-n", "-u", f"#{uid}", "--"]


# ---------------------------------------------------------------- Windows: Cygwin, one process, no root


PROGRAMS = ["bin", "bin/rsync", "conf", "rsyncsend.sh", "."]


def on_cygwin(room: Room, command: str, stdin: bytes = b"", *, writable: str = "") -> Outcome:
    """Start the script as sshd does, where uname says Cygwin, as one who can write only *writable*."""
    (room.folder / "bin/uname").write_text("#!/bin/sh\necho CYGWIN_NT-10.0-22631\n")
    (room.folder / "bin/uname").chmod(0o755)
    room.forget()
    for name in ("executed", "where", "environment", "rest", "log"):
        (room.folder / name).touch()
    modes = {room.folder / name: (room.folder / name).stat().st_mode for name in PROGRAMS}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    if writable:
        (room.folder / writable).chmod(0o755)
    # Root may write anything: take that from it.
    unable = ["/usr/bin/setpriv", "--bounding-set=-dac_override", "--"] if os.geteuid() == 0 else []
    environment = {"SSH_ORIGINAL_COMMAND": command, "SSH_CONNECTION": f"{PEER} 50000 10.0.0.2 22"}
    argv = [*unable, "/bin/bash", "-p", f"{room.folder}/rsyncsend.sh"]
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, env=environment, timeout=60, check=False
        )
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    return room.outcome(done.returncode, done.stdout, done.stderr)


def test_on_cygwin_the_account_itself_runs_rsync_without_sudo(room: Room) -> None:
    outcome = on_cygwin(room, FULL, listed(backup_list(room)) + b"protocol")

    argv = room.backup_argv("-lHogDtprcxe.iLsfxC", *BACKUP_OPTIONS)
    assert outcome.executed == ["rsync", *argv[argv.index("--server") :]]
    assert (outcome.status, outcome.where, outcome.rest) == (0, str(room.share), b"protocol")
    assert outcome.log == f"-t bckpciuem -p auth.info -- backup from={PEER} path={room.share}\n"


def test_on_cygwin_a_restore_runs_as_the_account_too(room: Room) -> None:
    outcome = on_cygwin(room, RESTORE, listed(restore_list(f"{room.restore_dir}/")))

    argv = room.restore_argv("-lHogDtprRe.iLsfxC", *WITHOUT_SUPER)
    assert outcome.executed == ["rsync", *argv[1:]]


def test_on_cygwin_the_probe_says_so(room: Room) -> None:
    outcome = on_cygwin(room, "probe")

    assert "system:CYGWIN_NT-10.0-22631" in outcome.stdout.decode().splitlines()
    assert f"share:{room.share}" in outcome.stdout.decode().splitlines()
    assert (outcome.status, outcome.executed) == (0, None)


@pytest.mark.parametrize("writable", PROGRAMS)
def test_on_cygwin_nothing_runs_that_the_account_could_have_changed(room: Room, writable: str) -> None:
    outcome = on_cygwin(room, FULL, listed(backup_list(room)), writable=writable)

    assert outcome.status in (MISSING, MISCONFIGURED)
    assert (outcome.executed, outcome.stdout) == (None, b"")


@pytest.mark.parametrize(
    "command", ["id", "", "rsync --server --daemon .", "rsync --server --sender -s$(id) . /", "scp -t /"]
)
def test_on_cygwin_the_same_commands_are_refused(room: Room, command: str) -> None:
    outcome = on_cygwin(room, command)

    assert (outcome.status, outcome.executed, outcome.stdout) == (REFUSED, None, b"")


def test_only_the_system_makes_it_cygwin_and_no_variable(room: Room) -> None:
    outcome = forced(room, FULL, ALONE="yes", OSTYPE="cygwin", SYSTEM="CYGWIN_NT-10.0")

    assert outcome.executed
    assert outcome.executed[0] == "sudo"


# ---------------------------------------------------------------- the configuration


@pytest.mark.parametrize(
    "text",
    [
        "", "restore=dirs\n", "share=\n", "share=home\n", "share=/home/../etc\n", "share=/ho\tme\n",
        "share=/home\nrestore=yes\n", "share=/home\nrestore=dirs\n", "share=/home\nrestore=DIRS\n",
        "share=/home\nshell=/bin/sh\n", "share=/home\n share=/etc\n", "share=/home\nrsync=rsync\n",
        "$(id)\n", "share /home\n", "share=/home\nrestore-delete=1\n",
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_understood_stops_everything(room: Room, text: str) -> None:
    (room.folder / "conf").write_text(text)

    outcome = room.helper(FULL, backup_list(room))

    assert (outcome.status, outcome.executed) == (MISCONFIGURED, None)


def test_the_configuration_is_data(room: Room) -> None:
    room.configure(f"share=$(touch {room.folder}/owned)")
    room.helper(FULL, backup_list(room))
    room.configure(f"share=/x`touch {room.folder}/owned`; touch {room.folder}/owned")
    room.helper(FULL, backup_list(room))

    assert not (room.folder / "owned").exists()


def test_comments_and_a_missing_last_newline_are_fine(room: Room) -> None:
    (room.folder / "conf").write_text(f"# a comment\n\nrsync={room.folder}/bin/rsync\nshare={room.share}")

    assert room.helper(FULL, backup_list(room)).status == 0


def test_a_configuration_that_others_can_change_is_not_read(room: Room) -> None:
    (room.folder / "conf").chmod(0o664)
    writable = room.helper(FULL, backup_list(room))
    (room.folder / "conf").rename(room.folder / "real")
    (room.folder / "conf").symlink_to("real")
    linked = room.helper(FULL, backup_list(room))
    (room.folder / "conf").unlink()
    missing = room.helper(FULL, backup_list(room))

    assert [o.status for o in (writable, linked, missing)] == [MISCONFIGURED] * 3
    assert [o.executed for o in (writable, linked, missing)] == [None] * 3


def test_an_rsync_that_others_can_change_is_not_started(room: Room) -> None:
    (room.folder / "bin/rsync").chmod(0o775)
    writable = room.helper(FULL, backup_list(room))
    (room.folder / "bin/rsync").chmod(0o755)
    (room.folder / "bin").chmod(0o777)
    in_open_folder = room.helper(FULL, backup_list(room))
    (room.folder / "bin").chmod(0o755)
    (room.folder / "bin/rsync").unlink()
    missing = room.helper(FULL, backup_list(room))

    assert [o.status for o in (writable, in_open_folder, missing)] == [MISSING] * 3
    assert [o.executed for o in (writable, in_open_folder, missing)] == [None] * 3


# ---------------------------------------------------------------- fuzz

WORDS = [
    *BACKUP_OPTIONS, *RESTORE_OPTIONS, "rsync", "--server", "--sender", "sudo", "-n", "-slHogDtprcxe.iLsfxC",
    "-re.", "-s", "-e.s", ".", "..", "--", "-", "/", "/etc/", "{share}/", "{share}/cmartin", "{restore}/",
    "{restore}/new/", "{share}/../", "--log-file=/x", "--daemon", "--config=/x", "-B5", "-e", "sh", "",
    "--delete", "--iconv=x", "\xa0", "*", "$(id)", "\n", "--sender ", "--timeout=1 --daemon",
]  # fmt: skip
PLAIN_BACKUP = "rsync --server --sender -re.iLsfxC --numeric-ids . {share}/"
PLAIN_OPTION = re.compile(
    r"--(numeric-ids|ignore-errors|no-r|list-only|specials|no-specials|use-qsort|no-implied-dirs|new-compress"
    r"|old-compress|stats|partial|inplace|size-only|existing|ignore-existing)"
    r"|--(timeout|bwlimit|checksum-seed|compress-level|modify-window)=[0-9]{1,10}|-B[0-9]{1,10}"
    r"|--iconv=[A-Za-z0-9._,:-]+|--checksum-choice=[a-z0-9,]+|--log-format=[A-Za-z%]{1,4}"
    r"|--(max|min)-size=[0-9A-Za-z.+-]+"
)
CLUSTER = re.compile(r"-[vlHogDtprcxAXndIWSzRbuOJ]*(e\.[A-Za-z0-9.]*)?")


@pytest.fixture(scope="module")
def fuzz_room() -> Iterator[Room]:
    folder = Path(tempfile.mkdtemp(prefix="rsyncsend"))
    try:
        yield Room(folder)
    finally:
        shutil.rmtree(folder)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A real command and list, some words of which were dropped, doubled, swapped or replaced."""
    command, options = draw(st.sampled_from([
        (FULL.split(), ["rsync", *BACKUP_OPTIONS, ".", "{share}/", ""]),
        (INCREMENTAL.split(), ["rsync", *BACKUP_OPTIONS, ".", "{share}/cmartin/", ""]),
        (RESTORE.split(), ["rsync", *RESTORE_OPTIONS, ".", "{restore}/", ""]),
        (f"sudo {PLAIN_BACKUP}".split(), []),
    ]))  # fmt: skip
    words = [list(command), list(options)]
    for _ in range(draw(st.integers(0, 3))):
        target = words[draw(st.integers(0, 1))]
        at = draw(st.integers(0, len(target)))
        text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
        new = draw(st.one_of(st.sampled_from(WORDS), text))
        match draw(st.sampled_from(["insert", "replace", "drop", "glue"])):
            case "insert":
                target.insert(at, new)
            case "replace":
                target[at : at + 1] = [new]
            case "drop":
                del target[at : at + 1]
            case _:
                target[at : at + 1] = [word + new for word in target[at : at + 1]]
    return words[0], words[1]


def is_decided(room: Room, outcome: Outcome) -> bool:
    """Tell, by rules of its own, whether what was executed could be one of the two things that may be."""
    argv = outcome.executed or []
    try:
        at = argv.index(f"{room.folder}/bin/rsync")
    except ValueError:
        return False
    prefix, words = argv[:at], argv[at + 1 :]
    backup = "--sender" in words
    if prefix != (as_account("-all,+dac_read_search") if backup else owner_argv(room)):
        return False
    top = room.share if backup else room.restore_dir
    head = ["--server", "--sender"] if backup else ["--server"]
    head.append(f"--confine-root={top}")
    cluster, *options = words[len(head) : -2]
    if not backup:
        ours = ["--sparse"] if "--inplace" not in options else []
        ours.append("--chmod=ug-s")
        options, added = options[: -len(ours)], options[-len(ours) :]
        if added != ours:
            return False
    return (
        words[: len(head)] == head
        and CLUSTER.fullmatch(cluster) is not None
        and len(cluster) > 1
        and all(PLAIN_OPTION.fullmatch(option) for option in options)
        and words[-2:] == [".", "./"]
        and Path(outcome.where).is_relative_to(top)
    )


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=mutated())
@example(words=(FULL.split(), ["rsync", ".", "{share}/", ""]))
@example(words=(RESTORE.split(), ["rsync", ".", "{restore}/new/", ""]))
def test_whatever_arrives_only_a_decided_command_is_executed(
    fuzz_room: Room, words: tuple[list[str], list[str]]
) -> None:
    room = fuzz_room
    places = {"{share}": str(room.share), "{restore}": str(room.restore_dir)}
    command, items = (
        [re.sub(r"\{\w+\}", lambda match: places.get(match[0], match[0]), word) for word in part]
        for part in words
    )

    outcome = room.helper(" ".join(command), listed(items) + b"protocol")

    if outcome.executed is None:
        assert outcome.status in {REFUSED, MISSING}
        assert outcome.stdout == b""
    else:
        assert is_decided(room, outcome), outcome.executed


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(stdin=st.binary(max_size=300), command=st.sampled_from([FULL, RESTORE]))
def test_any_bytes_on_stdin_execute_nothing_undecided(fuzz_room: Room, stdin: bytes, command: str) -> None:
    outcome = fuzz_room.helper(command, stdin)

    assert outcome.executed is None or is_decided(fuzz_room, outcome)


# ---------------------------------------------------------------- the real rsync_bpc and the real rsync


class RealRoom(Room):
    """The same, with the real rsync as whoever runs the test, called by the real rsync_bpc."""

    ARGUMENTS = (
        "--super", "--recursive", "--protect-args", "--numeric-ids", "--perms", "--owner", "--group", "-D",
        "--times", "--links", "--hard-links", "--partial", "--stats",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.folder / "bin/setpriv").write_text(WITHOUT_SETPRIV)
        shutil.copy2("/usr/bin/rsync", self.folder / "bin/rsync")
        (self.folder / "bin/rsync").chmod(0o755)
        ssh = self.folder / "ssh"
        ssh.write_text(f'#!/bin/sh\nshift\nprintf "%s\\n" "$*" >>{self.folder}/asked\n'
                       f'exec {self.folder}/rsync-helper "$*" {PEER}\n')  # fmt: skip
        ssh.chmod(0o755)
        self.top = self.folder / "top"
        for name in ("pc/dormeur/0", "pc/dormeur/1", "cpool", "pool"):
            (self.top / name).mkdir(parents=True)

    def bpc(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        usual = ["--bpc-top-dir", str(self.top), "--bpc-host-name", "dormeur", "--bpc-share-name", "/home",
                 "--bpc-bkup-comp", "3", "--bpc-log-level", "1", "--bpc-attrib-new",
                 "-e", str(self.folder / "ssh")]  # fmt: skip
        return subprocess.run(
            [RSYNC_BPC, *usual, *arguments], capture_output=True, check=False, timeout=60
        )

    def backup(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return self.bpc(
            "--bpc-bkup-num", "0", "--bpc-bkup-prevnum", "-1", "--bpc-bkup-prevcomp", "-1",
            "--bpc-bkup-inode0", "2", *self.ARGUMENTS, "--delete", "--delete-excluded", "--one-file-system",
            "--timeout=72000", *arguments, f"dormeur:{self.share}/", "/",
        )  # fmt: skip

    def restore(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        wanted = self.folder / "wanted"
        wanted.write_text("/cmartin\n")
        return self.bpc(
            "--bpc-bkup-num", "0", "--bpc-bkup-merge", "0/3/4", *self.ARGUMENTS, *arguments,
            f"--files-from={wanted}", "/", f"dormeur:{self.restore_dir}/",
        )  # fmt: skip


NAMES = ["rapport 2024.txt", "été à la mer", "it's \"quoted\" $HOME", "-dash", "a*b?[c]", "deux\nlignes"]


def test_rsync_bpc_backs_up_and_restores_through_the_wrapper(tmp_path: Path) -> None:
    room = RealRoom(tmp_path)
    home = room.share / "cmartin"
    for number, name in enumerate(NAMES):
        (home / name).write_text(f"{number}\n" * 1000)
    os.link(home / NAMES[0], home / "linked")
    (home / "sym").symlink_to("/etc/passwd")
    with (home / "sparse").open("wb") as file:
        file.truncate(1 << 20)

    full = room.backup("--checksum")
    (home / NAMES[0]).write_text("changed\n")
    incremental = room.backup()
    restored = room.restore()

    assert [done.returncode for done in (full, incremental, restored)] == [0, 0, 0]
    for name in NAMES:
        assert (room.restore_dir / "cmartin" / name).read_bytes() == (home / name).read_bytes()
    assert (room.restore_dir / "cmartin/linked").stat().st_nlink == 2
    assert (room.restore_dir / "cmartin/sym").readlink() == Path("/etc/passwd")
    assert (room.restore_dir / "cmartin/sparse").stat().st_size == 1 << 20
    commands = (room.folder / "asked").read_text().splitlines()
    assert commands == [FULL, INCREMENTAL, RESTORE]


def test_rsync_bpc_is_told_why_it_was_refused(tmp_path: Path) -> None:
    room = RealRoom(tmp_path)
    (room.share / "cmartin/f").write_text("x")
    room.backup()

    outcome = room.restore("--delete")

    assert outcome.returncode != 0
    assert b"bckpciuem: refused: option --delete" in outcome.stderr
    assert not any(room.restore_dir.iterdir())


def test_a_filter_that_names_a_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """An exclude-only merge tells a file's lines by the names that go missing: rsync(1), --confine-root."""
    room = RealRoom(tmp_path)
    (room.folder / "secret").write_text("canary\n")
    (room.share / "cmartin/canary").write_text("x")
    out = room.folder / "out"

    done = subprocess.run(
        ["rsync", "-s", "-r", "-e", str(room.folder / "ssh"), f"--filter=dir-merge,- {room.folder}/secret",
         f"dormeur:{room.share}/", str(out)], capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode != 0 or (out / "cmartin/canary").exists()


# ---------------------------------------------------------------- the text of the script


NOT_IN_BASH_3_2 = {
    "case-changing expansion": r"\$\{[a-zA-Z_]+(,,?|\^\^?)",
    "associative array": r"\b(declare|local|typeset)\s+-\w*[An]",
    "mapfile": r"\b(mapfile|readarray|coproc)\b",
    "pipe of both outputs": r"\|&",
    "append both outputs": r"&>>",
    "wait -n": r"\bwait\s+-n",
    "negative index": r"\$\{\w+\[-",
    "transformation": r"\$\{\w+@[A-Z]\}",
    "printf of time": r"%\(",
    "EPOCH": r"\bEPOCH(SECONDS|REALTIME)\b",
    "globstar": r"\bglobstar\b",
    "redirection to a named descriptor": r"\bexec\s*\{",
}


@pytest.mark.parametrize("name", NOT_IN_BASH_3_2)
def test_the_script_is_clean_for_bash_3_2(name: str) -> None:
    lines = [line for line in SCRIPT.read_text().splitlines() if not line.lstrip().startswith("#")]

    assert not [line for line in lines if re.search(NOT_IN_BASH_3_2[name], line)]


def test_arrays_that_can_be_empty_are_guarded_for_bash_3_2() -> None:
    text = SCRIPT.read_text()
    never_empty = {"SHARES", "words", "argv"}  # checked before they are used, or made with a first element

    unguarded = set(re.findall(r'(?<!\+)"\$\{(\w+)\[@\]\}"', text))

    assert unguarded <= never_empty


def test_the_script_starts_a_bash_that_reads_no_environment() -> None:
    assert SCRIPT.read_text().startswith("#!/bin/bash -p\n")
    assert "eval" not in SCRIPT.read_text()
    assert SCRIPT.stat().st_mode & 0o111
