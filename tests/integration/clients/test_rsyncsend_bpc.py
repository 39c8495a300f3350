"""rsyncsend.sh and BackupPC's own rsync: all that rsync_bpc can send, and what comes of it."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from wrapper import (
    FULL,
    INCREMENTAL,
    PEER,
    REFUSED,
    RESTORE,
    RSYNC_BPC,
    WITHOUT_SETPRIV,
    Room,
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


# ---------------------------------------------------------------- all that rsync_bpc can send

# All its options, as they are given to it in both directions: alone, or with what makes it pass them on.
TRIED = """
-v; -vvv; --info=ALL; --debug=ALL; --msgs2stderr; -q; --no-motd; -c; -a; -r; -R; -R --no-implied-dirs; -b
-b --suffix=.old; -b --backup-dir=/x; -u; --inplace; --append; --append-verify; --no-r -d
--no-r -d --delete; -l; -L; --copy-unsafe-links; --safe-links; --munge-links; -k; -K; -H; -HH; -p; -E
--chmod=u+s; -A; -X; -XX; -o; -g; --devices; --devices --no-specials; --specials; -D; -t; -O; -J; --super
--fake-super; -S; --preallocate; -n; -W; --no-W; --checksum-choice=md4; -x; -xx; -B700; -M--log-file=/x
--rsync-path=/bin/rsync; --existing; --ignore-existing; --remove-source-files; --remove-sent-files; --del
--delete; --delete-before; --delete-during; --delete-delay; --delete-after; --delete --delete-excluded
--ignore-missing-args; --delete-missing-args; --ignore-errors; --force; --max-delete=9; --max-delete=0
--max-size=10k; --min-size=1.5M; --partial; --partial-dir=x; --delay-updates; -m; --numeric-ids
--usermap=0:1; --groupmap=0:1; --chown=a:b; --timeout=72000; --contimeout=9; -I; --size-only
--modify-window=1; --modify-window=-1; -T/x; -y; -yy; --compare-dest=/x; --copy-dest=/x; --link-dest=/x; -z
-zz; -z --compress-level=9; --old-compress; --new-compress; -z --skip-compress=gz; -C; --filter=dir-merge_/x
-F; --exclude=/x; --exclude-from=/dev/null; --include=/x; --include-from=/dev/null; --files-from=/dev/null
--files-from=:/x; --files-from=:/x -0; --files-from=:/x --no-R; -s; --address=127.0.0.1; --port=9
--sockopts=X; --blocking-io; --stats; -8; -h; --progress; -P; -i; -ii; --out-format=%f; -v --out-format=%f
--out-format=%o; --out-format=%i; --log-file=./log; --log-file-format=%f; --password-file=./x; --list-only
--bwlimit=5000; --outbuf=L; --write-batch=./x; --only-write-batch=./x; --read-batch=./x; --protocol=29
--iconv=utf-8,latin1; --checksum-seed=7; -4; -6; --qsort
"""
SPEAKS_NOT = {"-S", "--munge-links", "--contimeout=9", "--password-file=./x", "--write-batch=./x",
              "--only-write-batch=./x", "--read-batch=./x"}  # fmt: skip
LOCAL = {"--help", "--version", "--rsh", "--no-OPTION"}
# The letters that it then sends, and what each direction may say.
LETTERS = {
    "backup": {"allowed": "svnldWHogDtpAXrcIx", "refused": "buLkCR"},
    "restore": {"allowed": "svbunldOJWHogDtpAXrcIRx", "refused": "KmyEC"},
}
# Sent by an rsync_bpc of another version at most, and harmless.
LETTERS_BESIDES = "Sz"
ALL_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%,:+=-_~^"
# The words that it then sends, with a value where one follows, and whether it may.
WORDS = {
    "backup": {
        "--append": False, "--backup-dir /x": False, "--bwlimit=5000": True, "--checksum-choice=md4": True,
        "--checksum-seed=7": True, "--copy-unsafe-links": False, "--debug=ALL": False, "--from0": False,
        "--delete-missing-args": False, "--files-from /x": False, "--files-from=-": False,
        "--iconv=latin1": True, "--ignore-errors": True, "--ignore-missing-args": False, "--info=ALL": False,
        "--inplace": False, "--list-only": True, "--log-file=/x": False, "--new-compress": True,
        "--no-implied-dirs": True, "--no-relative": False, "--no-specials": True, "--numeric-ids": True,
        "--remove-sent-files": False, "--remove-source-files": False, "--safe-links": False,
        "--skip-compress=gz": False, "--specials": True, "--suffix=.old": False, "--timeout=72000": True,
        "--use-qsort": True, "-B700": True,
    },
    "restore": {
        "--append": False, "--backup-dir /x": False, "--bwlimit=5000": True, "--checksum-choice=md4": True,
        "--checksum-seed=7": True, "--compare-dest /x": False, "--copy-dest /x": False,
        "--copy-unsafe-links": False, "--debug=ALL": False, "--delay-updates": False, "--delete": False,
        "--delete-after": False, "--delete-before": False, "--delete-delay": False, "--delete-during": False,
        "--delete-excluded": False, "--delete-missing-args": False, "--existing": True,
        "--files-from /x": False, "--force": False, "--from0": False, "--groupmap=*:b": False,
        "--groupmap=0:1": False, "--iconv=latin1": True, "--ignore-errors": True, "--ignore-existing": True,
        "--info=ALL": False, "--inplace": True, "--link-dest /x": False, "--list-only": True,
        "--log-file=/x": False, "--log-format=%i": True, "--log-format=%i%I": True, "--log-format=%o": True,
        "--log-format=X": True, "--max-delete=-1": False, "--max-delete=9": False, "--max-size 10k": True,
        "--min-size 1.5M": True, "--modify-window=1": True, "--new-compress": True,
        "--no-implied-dirs": True, "--no-r": True, "--no-relative": False, "--no-specials": True,
        "--numeric-ids": True, "--partial": True, "--partial-dir x": False, "--preallocate": False,
        "--remove-sent-files": False, "--remove-source-files": False, "--safe-links": False,
        "--size-only": True, "--specials": True, "--stats": True, "--suffix=.old": False, "--super": True,
        "--temp-dir /x": False, "--timeout=72000": True, "--use-qsort": True, "--usermap=*:a": False,
        "--usermap=0:1": False, "-@-1": False, "-B700": True,
    },
}  # fmt: skip
# What its present version sends in no case, and other rsyncs understand.
BESIDES = {
    "backup": {"--compress-level=6": True, "--old-compress": True, "--modify-window=1": True, "--no-r": True,
               "--log-format=%i": True, "--max-size=10k": True, "--stats": False, "--partial": False,
               "--super": False, "--delete": False, "--preallocate": False, "--copy-devices": False},
    "restore": {"--compress-level=6": True, "--old-compress": True, "--min-size=1k": True, "--fuzzy": False,
                "--partial-dir=x": False, "--only-write-batch=X": False, "--temp-dir=/x": False,
                "--fake-super": False, "--write-devices": False, "--chmod=u+s": False, "--sparse": False,
                "--files-from=/etc/shadow": False, "--filter=.x": False, "--max-size .": False},
}  # fmt: skip


def tried() -> list[str]:
    return [words for line in TRIED.strip().splitlines() for words in line.split("; ")]


@dataclass(frozen=True)
class Sent:
    """What rsync_bpc has sent: the command, then the list behind it."""

    command: str
    listed: bytes

    @property
    def letters(self) -> str:
        words = self.command.split()
        return words[3 if "--sender" in words else 2].removeprefix("-").partition("e.")[0]

    @property
    def words(self) -> list[str]:
        """The long options, each with the word that belongs to it; of the command line and of the list."""
        command = self.command.split()
        more = [os.fsdecode(item) for item in self.listed.split(b"\0")[1:]]
        words = command[4 if "--sender" in command else 3 :] + more
        found: list[str] = []
        for word in words[: words.index(".")]:
            if word.startswith("-"):
                found.append(word)
            else:
                found[-1] += f" {word}"
        return found


class Asking:
    """rsync_bpc with an ssh that writes down what it is to send, and ends."""

    def __init__(self, room: Room) -> None:
        self.room = room
        for name in ("pc/dormeur/0", "cpool", "pool"):
            (room.folder / "top" / name).mkdir(parents=True)
        (room.folder / "ssh").write_text(SSH.replace("FOLDER", str(room.folder)))
        (room.folder / "ssh").chmod(0o755)

    def sends(self, direction: str, options: str, source: str = "dormeur:{share}/") -> Sent | None:
        for name in ("command", "list"):
            (self.room.folder / name).unlink(missing_ok=True)
        ends = [source.replace("{share}", str(self.room.share)), "/"]
        if direction == "restore":
            ends = ["/", f"dormeur:{self.room.restore_dir}/"]
        usual = ["--bpc-top-dir", f"{self.room.folder}/top", "--bpc-host-name", "dormeur", "--bpc-share-name",
                 "/", "--bpc-bkup-num", "0", "--bpc-bkup-comp", "3", "--bpc-bkup-prevnum", "-1",
                 "--bpc-bkup-prevcomp", "-1", "--bpc-bkup-inode0", "2", "--bpc-attrib-new",
                 "-e", f"{self.room.folder}/ssh"]  # fmt: skip
        subprocess.run(
            [RSYNC_BPC, *usual, "--recursive", "--protect-args", *options.split(), *ends],
            capture_output=True, stdin=subprocess.DEVNULL, cwd=self.room.folder, timeout=20, check=False,
        )  # fmt: skip
        if not (self.room.folder / "command").exists():
            return None
        return Sent((self.room.folder / "command").read_text(), (self.room.folder / "list").read_bytes())


SSH = """#!/usr/bin/python3 -IS
import os, sys
command = " ".join(sys.argv[2:])
seen = b""
if " . " not in command + " ":
    while not seen.endswith(b"\\0\\0") and (byte := os.read(0, 1)):
        seen += byte
open("FOLDER/list", "wb").write(seen)
open("FOLDER/command", "w").write(command)
"""


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Sent | None]]:
    """What rsync_bpc sends: direction → options → that, or nothing."""
    asking = Asking(Room(tmp_path_factory.mktemp("asking")))
    return {way: {words: asking.sends(way, words) for words in tried()} for way in WORDS}


def test_all_options_of_the_installed_rsync_bpc_were_tried() -> None:
    shown = subprocess.run([RSYNC_BPC, "--help"], capture_output=True, text=True, check=True).stderr
    told = re.findall(r"^ (?:-(\S), | {4})(--[A-Za-z0-9-]+)", shown, re.MULTILINE)
    told += [(letter, "") for letter in re.findall(r"^ -(\S) {4}", shown, re.MULTILINE)]
    words = [word for options in tried() for word in options.split()]
    letters = {word[1] for word in words if not word.startswith("--")}
    long = {word.partition("=")[0] for word in words if word.startswith("--")}

    missing = {name or letter for letter, name in told if letter not in letters and name not in long}

    assert len(told) > 100
    assert {name for name in missing if not name.startswith("--bpc-")} <= LOCAL | {"--protect-args"}


@pytest.mark.parametrize("direction", WORDS)
def test_what_rsync_bpc_sends_has_been_decided(
    sent: dict[str, dict[str, Sent | None]], direction: str
) -> None:
    seen = sent[direction]

    assert {words for words, what in seen.items() if what is None} == SPEAKS_NOT
    assert {letter for what in seen.values() if what for letter in what.letters} == {
        *LETTERS[direction]["allowed"], *LETTERS[direction]["refused"]
    }  # fmt: skip
    assert {word for what in seen.values() if what for word in what.words} == {*WORDS[direction]}


@pytest.mark.parametrize("direction", WORDS)
def test_the_wrapper_does_with_it_what_was_decided(room: Room, direction: str) -> None:
    asking = Asking(room)
    wrong = []
    for what in {asking.sends(direction, words) for words in tried()} - {None}:
        assert what
        letters = set(what.letters) <= {*LETTERS[direction]["allowed"]}
        allowed = letters and all(WORDS[direction][word] for word in what.words)
        outcome = room.helper(what.command, what.listed + b"protocol")
        if (outcome.executed is not None, outcome.rest) != (allowed, b"protocol" if allowed else b""):
            wrong.append((what, outcome))

    assert wrong == []


def test_a_daemon_over_ssh_is_refused(room: Room) -> None:
    what = Asking(room).sends("backup", "", "dormeur::module/")
    assert what

    outcome = room.helper(what.command)

    assert what.command.endswith("rsync --server --daemon .")
    assert (outcome.status, outcome.executed) == (REFUSED, None)


@pytest.mark.parametrize("direction", WORDS)
@pytest.mark.parametrize("letter", ALL_LETTERS)
def test_every_short_option_is_decided(room: Room, direction: str, letter: str) -> None:
    sender, path = ("--sender ", room.share) if direction == "backup" else ("", room.restore_dir)
    if letter == "s":
        outcome = room.helper(f"rsync --server {sender}-rse.iLsfxC", ["rsync", ".", f"{path}/", ""])
    else:
        outcome = room.helper(f"rsync --server {sender}-r{letter}e.iLsfxC . {path}/")

    assert (outcome.executed is not None) is (letter in LETTERS[direction]["allowed"] + LETTERS_BESIDES)
    if letter not in "s" and outcome.executed:
        assert f"-r{letter}e.iLsfxC" in outcome.executed


@pytest.mark.parametrize(
    ("direction", "option"), [(way, option) for way in WORDS for option in WORDS[way] | BESIDES[way]]
)
def test_every_long_option_is_decided(room: Room, direction: str, option: str) -> None:
    command, path = (FULL, room.share) if direction == "backup" else (RESTORE, room.restore_dir)

    outcome = room.helper(command, ["rsync", *option.split(), ".", f"{path}/", ""])

    assert (outcome.executed is not None) is (WORDS[direction] | BESIDES[direction])[option]
    if outcome.executed and option != "--super":
        assert option.replace(" ", "=") in outcome.executed


def test_in_place_the_same_is_decided_but_for_what_writes_into_files_that_are_there(room: Room) -> None:
    room.configure(restore="full")
    decided = WORDS["restore"] | BESIDES["restore"] | {"--inplace": False}

    done = {
        option: room.helper(RESTORE, ["rsync", *option.split(), ".", f"{room.share}/", ""]).executed
        is not None
        for option in decided
    }

    assert done == decided


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
        return subprocess.run([RSYNC_BPC, *usual, *arguments], capture_output=True, check=False, timeout=60)

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


NAMES = ["rapport 2024.txt", "été à la mer", 'it\'s "quoted" $HOME', "-dash", "a*b?[c]", "deux\nlignes"]


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
