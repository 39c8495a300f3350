"""rsyncsend.sh: what the holder of the server's key can have executed, with real bash and a false rsync."""

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from slowness import within
from wrapper import (
    ACCOUNT_ID,
    BACKUP_OPTIONS,
    FULL,
    IN_PLACE,
    INCREMENTAL,
    MISCONFIGURED,
    MISSING,
    PEER,
    RECORDER,
    REFUSED,
    RESTORE,
    RESTORE_OPTIONS,
    SCRIPT,
    WITHOUT_SETPRIV,
    WITHOUT_SUPER,
    Outcome,
    Room,
    as_account,
    backup_list,
    listed,
    owner_argv,
    restore_list,
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


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

    accepted = ("--timeout=72000", "--numeric-ids", "--ignore-errors")
    assert outcome.executed == room.backup_argv("-lHogDtprce.iLsfxC", *accepted)
    assert (outcome.where, outcome.rest) == (f"{room.share}/cmartin", b"protocol")


def test_the_whole_system_may_be_shared(room: Room) -> None:
    room.configure("share=/")

    outcome = room.helper(FULL, backup_list(room, path=f"{room.folder}/"))
    whole = room.helper(FULL, backup_list(room, path="/"))

    assert (outcome.where, whole.where) == (str(room.folder), "/")
    assert not [word for word in outcome.executed or [] if word.startswith("--confine-root")]


def test_a_charset_may_follow_the_short_options(room: Room) -> None:
    outcome = room.helper(FULL + " --iconv=iso-8859-15", backup_list(room))

    assert outcome.executed == room.backup_argv("-lHogDtprcxe.iLsfxC", "--iconv=iso-8859-15", *BACKUP_OPTIONS)


@pytest.mark.parametrize("name", ["deux mots", "été", 'it\'s "x" $HOME', "-dash", "a*b", "a\\b", "\udce9"])
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
def test_without_a_wall_rsync_confines_itself_or_does_not_start(
    room: Room, version: str, confined: bool
) -> None:
    (room.folder / "version").write_text(version)

    backup = room.helper(FULL, backup_list(room))
    restore = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert (backup.status, restore.status) == ((0, 0) if confined else (MISSING, MISSING))
    assert (f"--confine-root={room.share}" in (backup.executed or [])) is confined
    assert (f"--confine-root={room.restore_dir}" in (restore.executed or [])) is confined
    assert confined or "update rsync to 3.5 or later" in backup.stderr


@pytest.mark.parametrize("version", ["3.5.0", "3.2.7", "2.6.9", ""])
def test_behind_a_wall_any_rsync_will_do(room: Room, version: str) -> None:
    room.let_root_mount()
    (room.folder / "version").write_text(version)
    (room.share / "cmartin/deux mots").mkdir()
    room.pretend({room.restore_dir: f"drwxrwx--- 2 0 {ACCOUNT_ID}"})

    backup = room.helper(FULL, backup_list(room, path=f"{room.share}/cmartin/deux mots/"))
    walled = room.read("walled").decode()
    restore = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    inside = f"/share{room.share}/cmartin/deux mots"
    assert (walled, room.read("walled").decode()) == (f"ro {inside}\n", f"rw /share{room.restore_dir}\n")
    assert backup.executed
    assert backup.executed[-1] == f"{inside}/"
    assert (f"--confine-root={inside}" in backup.executed) is (version == "3.5.0")
    assert restore.executed
    assert restore.executed[-1] == f"/share{room.restore_dir}/"


def test_a_backup_of_everything_needs_no_wall(room: Room) -> None:
    (room.folder / "version").write_text("3.2.7")
    room.configure("share=/", restore="full")

    backup = room.helper(FULL, backup_list(room, path="/"))
    restore = room.helper(RESTORE, restore_list(f"{room.share}/"))

    assert (backup.status, restore.status) == (0, MISSING)


@pytest.mark.parametrize("place", ["a link", "a file", "not root's"])
def test_a_place_for_the_wall_that_is_not_ours_is_none(room: Room, place: str) -> None:
    room.let_root_mount()
    (room.folder / "version").write_text("3.2.7")
    (room.folder / "elsewhere").mkdir()
    if place == "a link":
        (room.folder / "place").symlink_to("elsewhere")
    elif place == "a file":
        (room.folder / "place").touch()
    elif os.geteuid() == 0:
        (room.folder / "place").mkdir()
        os.chown(room.folder / "place", 1000, 1000)
    else:
        (room.folder / "place").symlink_to("/root")

    assert room.helper(FULL, backup_list(room)).status == MISSING


def test_rsync_starts_with_an_environment_of_three_variables(room: Room) -> None:
    argv = [str(room.folder / "rsync-helper"), FULL, PEER]

    room.start(argv, listed(backup_list(room)), {"RSYNC_PROTECT_ARGS": "1", "HOME": "/x", "BASH_ENV": "/x"})

    names = {line.partition(b"=")[0] for line in room.read("environment").split(b"\0") if line}
    assert names <= {b"PATH", b"LC_ALL", b"HOME", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


# ---------------------------------------------------------------- restore


def test_a_restore_to_its_folder_runs_without_any_privilege(room: Room) -> None:
    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.executed == owner_argv(room) + room.restore_argv("-lHogDtprRe.iLsfxC", *WITHOUT_SUPER)
    assert outcome.where == str(room.restore_dir)


def give_away(room: Room) -> None:
    room.pretend({room.restore_dir: "drwxr-xr-x 2 1234 33"})


def test_a_restore_to_a_persons_folder_is_written_as_that_person(room: Room) -> None:
    give_away(room)

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.executed is not None
    assert outcome.executed[:9] == as_account("-all", "1234", "1235")


@pytest.mark.parametrize(("mounts", "status"), [(False, MISSING), (True, 0)])
def test_a_persons_folder_takes_a_wall_or_an_rsync_that_follows_no_planted_link(
    room: Room, mounts: bool, status: int
) -> None:
    give_away(room)
    (room.folder / "version").write_text("3.2.7")
    if mounts:
        room.let_root_mount()

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert (outcome.status, outcome.executed is None) == (status, not mounts)


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
    ("--stats", "2.6.9", ["--chmod=ug-s"]), ("--stats", "", []),
])  # fmt: skip
def test_holes_come_back_and_setuid_does_not_where_rsync_can(
    room: Room, option: str, version: str, added: list[str]
) -> None:
    (room.folder / "version").write_text(version)
    room.pretend({room.restore_dir: f"drwxrwx--- 2 0 {ACCOUNT_ID}"})

    room.let_root_mount()
    executed = room.helper(RESTORE, ["rsync", option, ".", f"{room.restore_dir}/", ""]).executed or []

    assert executed[executed.index(option) :] == [option, *added, ".", f"/share{room.restore_dir}/"]


# An rsync that restores setuid in spite of --chmod, as Apple's openrsync does.
OPENRSYNC = """#!/bin/bash
[ "${1-}" != --version ] || { echo 'openrsync: protocol version 29'; exit; }
cat >/dev/null
mkdir -p closed open && touch closed/program open/program group plain && ln -sfn /bin/su link
chmod 6755 closed/program open/program && chmod 2644 group && chmod 2755 open
[ "$UID" -ne 0 ] || { chown -hR 990 . && chmod 6755 closed/program open/program && chmod 2644 group; }
chmod 2755 open && chmod 070 closed
stat -c '%a %n' closed open group
exit 7
"""


def as_openrsync(room: Room) -> None:
    for name, text in {"rsync": OPENRSYNC, "setpriv": WITHOUT_SETPRIV}.items():
        (room.folder / "bin" / name).write_text(text)
    room.let_root_mount()


@pytest.mark.parametrize("sub", ["", "sub/"])
def test_what_comes_back_with_setuid_loses_it_before_anybody_can_reach_it(room: Room, sub: str) -> None:
    as_openrsync(room)
    (room.restore_dir / "sub").mkdir()
    room.pretend({room.restore_dir: f"drwxrwx--- 2 0 {ACCOUNT_ID}"})

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/{sub}"))

    assert outcome.status == 7
    assert b"2644 group" in outcome.stdout
    modes = {path.name: path.lstat().st_mode & 0o7777 for path in (room.restore_dir / sub).rglob("*")}
    assert {name: mode for name, mode in modes.items() if mode & 0o6000} == {}
    assert {"program", "open", "group", "closed"} <= modes.keys()
    assert modes["closed"] == 0o770
    assert modes["link"] == 0o777


ENTERED = {
    "others": f"drwxrwx--x 2 0 {ACCOUNT_ID}",
    "sticky": f"drwxrwx--t 2 0 {ACCOUNT_ID}",
    "another group": "drwxr-x--- 2 0 100",
    "a list": f"drwxrwx---+ 2 0 {ACCOUNT_ID}",
    "a person's group": "drwxr-x--- 2 1234 1235",
    "a person's, itself": "drwx------ 2 1234 1235",
}


@pytest.mark.parametrize("facts", ENTERED.values(), ids=ENTERED)
def test_a_folder_that_others_can_enter_takes_nothing_from_such_an_rsync(room: Room, facts: str) -> None:
    as_openrsync(room)
    room.pretend({room.restore_dir: facts})

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.status in (MISSING, REFUSED)
    assert "openrsync 29" in outcome.stderr
    assert list(room.restore_dir.iterdir()) == []


def test_a_folder_in_a_persons_own_folder_takes_it(room: Room) -> None:
    as_openrsync(room)
    (room.restore_dir / "sub").mkdir()
    room.pretend({room.restore_dir: "drwx------ 2 1234 1235"})

    assert room.helper(RESTORE, restore_list(f"{room.restore_dir}/sub/")).status == 7


def test_setuid_that_cannot_be_removed_is_told(room: Room) -> None:
    as_openrsync(room)
    room.pretend({room.restore_dir: f"drwxrwx--- 2 0 {ACCOUNT_ID}"})
    (room.folder / "bin/find").write_text("#!/bin/sh\nexit 1\n")
    (room.folder / "bin/find").chmod(0o755)

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.status == 23
    assert "setuid and setgid may be left" in outcome.stderr


def test_a_full_restore_goes_in_place_as_root(room: Room) -> None:
    room.configure(restore="full")

    outcome = room.helper(RESTORE, restore_list(f"{room.share}/cmartin"))

    assert outcome.executed == room.full_argv("-lHogDtprRe.iLsfxC", *RESTORE_OPTIONS, room=room.share)
    assert outcome.where == f"{room.share}/cmartin"


@pytest.mark.parametrize(
    ("shares", "agreed", "limited"), [("/", "yes", False), ("/", "no", True), ("", "yes", True)]
)
def test_only_a_whole_system_whose_person_agreed_gets_everything_back(
    room: Room, shares: str, agreed: str, limited: bool
) -> None:
    target = room.folder / "srv"
    target.mkdir()
    room.configure(f"share={shares or target}", f"restore-privileged={agreed}", restore="full")

    executed = room.helper(RESTORE, restore_list(f"{target}/")).executed or []

    assert executed[0] == ("setpriv" if limited else "rsync")
    assert [word for word in IN_PLACE if word in executed] == (IN_PLACE if limited else ["--sparse"])


@pytest.mark.parametrize("restore", ["owner", "full"])
@pytest.mark.parametrize(
    ("command", "extra"), [(RESTORE.replace("Dtpr", "Dtr"), []), (RESTORE, ["--inplace"])]
)
def test_in_place_a_file_is_always_a_new_one_with_its_own_mode(
    room: Room, restore: str, command: str, extra: list[str]
) -> None:
    room.configure(restore=restore)
    persons(room)

    outcome = room.helper(command, restore_list(f"{room.share}/cmartin/", *extra))

    assert (outcome.status, outcome.executed) == (REFUSED, None)


@pytest.mark.parametrize(("restore", "version"), [("full", "2.6.9"), ("full", "3.0.9"), ("full", ""),
                         ("owner", "3.4.4"), ("owner", "2.6.9"), ("owner", "openrsync")])  # fmt: skip
def test_in_place_takes_an_rsync_that_can_be_held(room: Room, restore: str, version: str) -> None:
    (room.folder / "version").write_text(version)
    room.configure(restore=restore)
    persons(room)

    outcome = room.helper(RESTORE, restore_list(f"{room.share}/cmartin/"))

    assert (outcome.status, outcome.executed) == (MISSING, None)


# ---------------------------------------------------------------- restore=owner

LEAS = "drwxr-xr-x 2 1234 1235"


def persons(room: Room, **modes: str) -> None:
    """Let share/cmartin be lea's, whose number is 1234, below folders of root's."""
    folders = {"folder": room.folder, "share": room.share, "home": room.share / "cmartin"}
    usual = {"folder": "drwxr-xr-x 2 0 0", "share": "drwxr-xr-x 2 0 0", "home": LEAS}
    room.pretend({folders[name]: facts for name, facts in (usual | modes).items()})


def test_a_file_in_place_is_written_as_the_owner_of_its_folder(room: Room) -> None:
    room.configure(restore="owner")
    persons(room)

    outcome = room.helper(RESTORE, restore_list(f"{room.share}/cmartin/"))

    home = f"{room.share}/cmartin"
    assert outcome.executed == [
        *as_account("-all", "1234", "1235"), f"{room.folder}/bin/rsync", "--server", f"--confine-root={home}",
        "-lHogDtprRe.iLsfxC", *WITHOUT_SUPER, *IN_PLACE, ".", "./",
    ]  # fmt: skip
    assert outcome.where == home


def test_behind_a_wall_any_rsync_writes_as_the_owner_of_the_folder(room: Room) -> None:
    (room.folder / "version").write_text("3.2.7")
    room.configure(restore="owner")
    room.let_root_mount()
    persons(room)

    one = room.helper(RESTORE, restore_list(f"{room.share}/cmartin/"))

    assert one.executed is not None
    assert one.executed[:9] == as_account("-all", "1234", "1235")
    assert "--chmod=ug-s" in one.executed


def test_the_folder_for_restored_files_is_as_with_dirs(room: Room) -> None:
    room.configure(restore="owner")

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.executed is not None
    assert outcome.executed[: len(owner_argv(room))] == owner_argv(room)


EXCHANGED = {
    "all may write above": ({"share": "drwxrwxrwx 2 0 0"}, ""),
    "all may write above, sticky": ({"share": "drwxrwxrwt 2 0 0"}, ""),
    "a group may write above": ({"share": "drwxrwxr-x 2 0 1235"}, ""),
    "another person's above": ({"share": "drwxr-xr-x 2 1236 0"}, ""),
    "another group may write": ({"share": "drwxrwxr-x 2 1234 100"}, ""),
    "the own group has a member": ({"share": "drwxrwxr-x 2 1234 1235"}, "eve"),
    "the own group has members": ({"share": "drwxrwxr-x 2 1234 1235"}, "lea,eve"),
    "a service's": ({"home": "drwxr-xr-x 2 33 33"}, ""),
    "nobody's": ({"home": "drwxr-xr-x 2 65534 65534"}, ""),
    "of one in the group of root": ({"home": "drwxr-xr-x 2 0 1235", "share": "drwxrwxrwx 2 0 0"}, ""),
}


@pytest.mark.parametrize("what", EXCHANGED)
def test_a_folder_that_somebody_else_could_exchange_is_no_place_for_a_restore(room: Room, what: str) -> None:
    facts, members = EXCHANGED[what]
    room.configure(restore="owner")
    persons(room, **facts)
    (room.folder / "members").write_text(members)

    outcome = room.helper(RESTORE, restore_list(f"{room.share}/cmartin/"))

    assert (outcome.status, outcome.executed) == (REFUSED, None)


@pytest.mark.parametrize("members", ["", "lea"])
def test_the_persons_own_group_may_write_above(room: Room, members: str) -> None:
    room.configure(restore="owner")
    persons(room, share="drwxrwxr-x 2 1234 1235")
    (room.folder / "members").write_text(members)

    assert room.helper(RESTORE, restore_list(f"{room.share}/cmartin/")).status == 0


@pytest.mark.parametrize(("letters", "option"), [("n", ""), ("u", ""), ("b", ""), ("d", ""),
                         ("", "--existing"), ("", "--ignore-existing"), ("", "--size-only"),
                         ("", "--delete"), ("", "--force"),
                         ("", "--max-size=1k"), ("", "--no-implied-dirs")])  # fmt: skip
def test_what_takes_the_files_that_are_there_is_refused_for_a_folder_of_several_persons(
    room: Room, letters: str, option: str
) -> None:
    room.configure("restore-delete=yes", restore="owner")
    persons(room)
    room.pretend({room.share: "drwxr-xr-x 2 0 0", room.folder: "drwxr-xr-x 2 0 0"})

    words = restore_list(f"{room.share}/", *[option] * bool(option))
    outcome = room.helper(RESTORE.replace(" -sl", f" -s{letters}l"), words)

    assert (outcome.status, outcome.executed) == (REFUSED, None)
    assert "for a folder of several persons" in outcome.stderr
    assert [path.name for path in room.share.iterdir()] == ["cmartin"]


@pytest.mark.parametrize("restore", ["owner", "full"])
def test_a_mac_restores_in_place_only_with_an_rsync_that_leaves_devices_out(room: Room, restore: str) -> None:
    as_a_mac(room)
    room.configure(restore=restore)
    persons(room)
    new = room.helper(RESTORE, restore_list(f"{room.share}/cmartin/"))
    (room.folder / "version").write_text("3.4.1")
    old = room.helper(RESTORE, restore_list(f"{room.share}/cmartin/"))

    assert new.executed is not None
    assert [word for word in IN_PLACE if word in new.executed] == IN_PLACE
    assert (old.status, old.executed) == (MISSING, None)


def test_on_cygwin_nobody_can_become_the_owner_of_a_folder(room: Room) -> None:
    room.configure(restore="owner")

    outcome = on_cygwin(room, RESTORE, listed(restore_list(f"{room.share}/cmartin/")))

    assert (outcome.status, outcome.executed) == (MISSING, None)


def test_a_folder_of_roots_that_is_not_there_is_not_made(room: Room) -> None:
    room.configure(restore="owner")
    room.pretend({room.share: "drwxr-xr-x 2 0 0"})

    outcome = room.helper(RESTORE, restore_list(f"{room.share}/new/"))

    assert (outcome.status, outcome.executed, (room.share / "new").exists()) == (REFUSED, None, False)


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
    "two dashes on the command line": ("rsync --server --sender -re.iLsfxC -- . {share}/", b""),
    "two dashes for the short options": ("rsync --server --sender -- . {share}/", b""),
    "two dashes behind the dot": (FULL, ["rsync", ".", "--", "{share}/", ""]),
    "s behind e": ("rsync --server --sender -lHre.iLsfxC", ["rsync", ".", "{share}/", ""]),
    "s behind e, daemon on stdin": ("rsync --server --sender -lHre.sC", ["rsync", "--daemon", "", ""]),
    "e twice": ("rsync --server --sender -re.iLe.sfxC -s", ["rsync", ".", "{share}/", ""]),
    "a size without its value": (RESTORE, ["rsync", "--max-size", ".", "{share}/", ""]),
    "an option for the value of a size": (RESTORE, ["rsync", "--max-size", "-x", ".", "{share}/", ""]),
    "a size at the end": (RESTORE, ["rsync", "--max-size", ""]),
    "nothing but a dot": (FULL, ["rsync", ".", "", ""]),
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
    "a path too long": (FULL, b"rsync\0.\0/" + b"home/" * 819 + b"\0\0"),
    "a device for a folder": (FULL, ["rsync", ".", "/dev/fd/0", ""]),
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


def test_a_name_as_long_as_can_be_is_a_folder_like_any_other(room: Room) -> None:
    path = room.share
    while len(os.fsencode(path)) + 201 < 4000:
        path /= "long name" * 22
        path.mkdir()

    fits = room.helper(FULL, backup_list(room, path=f"{path}/"))
    too_long = room.helper(FULL, backup_list(room, path=f"{room.share}/{'x' * 256}/"))

    assert (fits.status, fits.where) == (0, str(path))
    assert (too_long.status, too_long.executed) == (MISSING, None)


def test_a_file_is_no_folder(room: Room) -> None:
    (room.share / "file").write_text("x")

    outcome = room.helper(FULL, backup_list(room, path=f"{room.share}/file"))

    assert (outcome.status, outcome.executed) == (MISSING, None)


def test_a_folder_beside_the_share_does_not_pass_for_it_by_a_line_feed_in_its_name(room: Room) -> None:
    (room.folder / "home\n").mkdir()
    (room.share / "cmartin/out").symlink_to("../../home\n")

    outcome = room.helper(FULL, backup_list(room, path=f"{room.share}/cmartin/out/"))

    assert (outcome.status, outcome.executed) == (REFUSED, None)


def without(room: Room, program: str) -> None:
    """Take a program away from this machine."""
    (room.folder / "bin" / program).unlink()
    needed = ["bash", "cat", "env", "find", "id", "ls", "mkdir", "pwd", "readlink", "uname", "head"]
    for name in {*needed} - {program}:
        if not (room.folder / "bin" / name).exists():
            (room.folder / "bin" / name).symlink_to(f"/usr/bin/{name}")
    for role in (room.folder / "rsync-helper", room.folder / "rsyncsend.sh"):
        role.write_text(role.read_text().replace(f"{room.folder}/bin:/usr/bin:/bin", f"{room.folder}/bin"))


@pytest.mark.parametrize("command", [FULL, RESTORE])
def test_without_setpriv_nothing_runs_as_root_instead(room: Room, command: str) -> None:
    without(room, "setpriv")
    items = backup_list(room) if command == FULL else restore_list(f"{room.restore_dir}/")

    outcome = room.helper(command, items)

    assert (outcome.status, outcome.executed) == (MISSING, None)
    assert "setpriv is missing" in outcome.stderr


def test_without_sudo_that_is_said(room: Room) -> None:
    without(room, "sudo")

    outcome = forced(room, FULL)

    assert (outcome.status, outcome.executed) == (MISSING, None)
    assert "sudo is missing" in outcome.stderr


@pytest.mark.parametrize("answer", ["echo 0", "exit 1", 'test "$1" = -u && echo 990 || echo 0'])
def test_an_account_that_is_roots_or_not_there_runs_nothing(room: Room, answer: str) -> None:
    (room.folder / "bin/id").write_text(f"#!/bin/sh\n{answer}\n")

    outcome = room.helper(FULL, backup_list(room))

    assert outcome.status in {MISSING, MISCONFIGURED}
    assert outcome.executed is None


@pytest.mark.parametrize("answer", ["exit 1", "echo 0"])
def test_a_persons_folder_of_nobody_or_of_roots_group_takes_no_restore(room: Room, answer: str) -> None:
    give_away(room)
    (room.folder / "bin/id").write_text(f"#!/bin/sh\n{answer}\n")

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert outcome.status in {MISSING, MISCONFIGURED}
    assert outcome.executed is None


@pytest.mark.parametrize(
    ("program", "status", "told"),
    [
        ("ls", 126, "ls cannot be run (status 126)"),  # sudo's noexec
        ("ls", 127, "ls cannot be run (status 127)"),
        ("ls", 137, "ls cannot be run (status 137)"),
        ("ls", 2, "ls cannot look at"),
        ("id", 126, "id cannot be run (status 126)"),
        ("rsync", 126, "bin/rsync cannot be run (status 126)"),
        ("rsync", 132, "bin/rsync cannot be run (status 132)"),
    ],
)
def test_a_program_that_cannot_be_run_has_found_nothing(
    room: Room, program: str, status: int, told: str
) -> None:
    (room.folder / "bin" / program).write_text(f"#!/bin/sh\nexit {status}\n")
    (room.folder / "bin" / program).chmod(0o755)

    outcome = room.helper(FULL, backup_list(room))

    assert (outcome.status, outcome.executed) == (MISSING, None)
    assert told in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_an_rsync_that_may_not_be_started_is_no_rsync_that_is_missing(room: Room) -> None:
    (room.folder / "bin/rsync").chmod(0o644)

    outcome = room.helper(FULL, backup_list(room))

    assert (outcome.status, outcome.executed) == (MISSING, None)
    assert "rsync is there, but its mode or its file system (noexec) does not let it start" in outcome.stderr


def test_why_root_cannot_mount_is_in_the_refusal(room: Room) -> None:
    (room.folder / "version").write_text("3.2.7")
    (room.folder / "bin/unshare").write_text("#!/bin/sh\necho 'unshare: not today' >&2; exit 1\n")

    outcome = room.helper(FULL, backup_list(room))

    assert outcome.status == MISSING
    assert "root cannot mount here (unshare: not today): update rsync" in outcome.stderr


def test_a_link_to_what_holds_us_is_spared_too(room: Room) -> None:
    (room.folder / "libexec").mkdir()
    for role in ("rsync-helper", "rsyncsend.sh"):
        text = (room.folder / role).read_text()
        text = re.sub(r"(?m)^HELPER=.*", f"HELPER={room.folder}/libexec/x", text)
        (room.folder / role).write_text(text)
    room.configure(restore="full")
    config = (room.folder / "conf").read_text()
    (room.folder / "conf").write_text(config.replace(f"share={room.share}", f"share={room.folder}"))
    (room.share / "cmartin/in").symlink_to("../../libexec")

    for target in ("home/cmartin/in/", "home/cmartin/in/new/", "libexec/", "libexec/new/"):
        outcome = room.helper(RESTORE, restore_list(f"{room.folder}/{target}"))
        assert (outcome.status, outcome.executed) == (REFUSED, None)
        assert "is kept as it is" in outcome.stderr


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


@pytest.mark.parametrize("target", ["cmartin/in", "cmartin/in/", "cmartin/in/adupont", "cmartin/in/new/"])
def test_a_restore_as_root_goes_through_no_link_of_a_persons(room: Room, target: str) -> None:
    """Whoever has put it there chose where it leads: to the folder of another person, for one."""
    (room.share / "adupont").mkdir()
    (room.share / "cmartin").chmod(0o777)
    (room.share / "cmartin/in").symlink_to("../../home")
    room.configure(restore="full")

    outcome = room.helper(RESTORE, restore_list(f"{room.share}/{target}"))

    assert (outcome.status, outcome.executed) == (REFUSED, None)
    assert not (room.share / "new").exists()


def test_a_link_to_elsewhere_in_the_folder_that_comes_late_is_not_followed(room: Room) -> None:
    (room.restore_dir / "other").mkdir()
    (room.folder / "bin/setpriv").write_text(f"#!/bin/sh\nln -s other {room.restore_dir}/new\n")

    outcome = room.helper(RESTORE, restore_list(f"{room.restore_dir}/new/"))

    assert (outcome.status, outcome.executed) == (REFUSED, None)


@pytest.mark.parametrize(("version", "status"), [("3.5.0", 0), ("3.4.1", REFUSED), ("?", REFUSED)])
def test_what_only_an_rsync_that_is_confined_may_be_asked(room: Room, version: str, status: int) -> None:
    (room.folder / "version").write_text(version)
    room.let_root_mount()
    room.configure(restore="full")

    talking = room.helper(FULL.replace(" -sl", " -svvl"), backup_list(room))
    implied = room.helper(RESTORE, restore_list(f"{room.share}/", "--no-implied-dirs"))
    usual = room.helper(FULL.replace(" -sl", " -svl"), backup_list(room, "--no-implied-dirs"))

    assert (talking.status, implied.status, usual.status) == (status, status, 0)


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
def test_probe_tells_a_share_that_no_wall_is_around(room: Room, version: str, status: int) -> None:
    data = theirs(room) / "data"
    data.mkdir()
    (room.folder / "version").write_text(version)
    (room.folder / "bin/setpriv").write_text(WITHOUT_SETPRIV)
    room.configure(f"share={data}", restore="full")

    backup = room.helper(FULL, backup_list(room, path=f"{data}/"))
    restored = room.helper(RESTORE, restore_list(f"{data}/"))
    probed = room.helper("probe").stdout.decode().splitlines()

    assert (backup.status, restored.status) == (status, status)
    kind, wall = ("unreadable", "none") if status else ("share", "confine-root")
    assert {f"{kind}:{data}", f"{kind}:{room.share}", f"wall:{wall}"} <= {*probed}
    assert not status or "update rsync to 3.5 or later" in backup.stderr


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
    assert within(time.monotonic() - start, 6)
    assert not room.read("executed")


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
        "sudo", "-n", "-u", "root", "/usr/local/libexec/bckpciuem/rsync-helper", command, PEER,
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
             "BASH_FUNC_exec%%": f"() {{ touch {room.folder}/owned; }}", "PERL5OPT": "-x",
             "LD_PRELOAD": "/nowhere.so", "LD_LIBRARY_PATH": "/tmp", "POSIXLY_CORRECT": "1",
             "BASHOPTS": "nullglob", "GLOBIGNORE": "*", "TMPDIR": "/tmp/x",
             "RSYNC_RSH": "sh", "SUDO_ASKPASS": "/bin/sh"}  # fmt: skip

    outcome = forced(room, "probe", **nasty)

    assert outcome.executed is not None
    assert outcome.executed[0] == "sudo"
    assert not (room.folder / "owned").exists()
    names = {line.partition(b"=")[0] for line in room.read("environment").split(b"\0") if line}
    assert names <= {b"PATH", b"LC_ALL", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


def test_a_forged_peer_does_not_reach_the_log(room: Room) -> None:
    outcome = room.helper("id", peer="1.2.3.4 path=/\nforged")

    assert outcome.log.splitlines() == ["-t bckpciuem -p auth.info -- refused from=- not a backup: id"]


# ---------------------------------------------------------------- deletions

BARE = "rsync --server --sender -lHogDtprxe.iLsfxC --numeric-ids . {}/"


def finding(room: Room, says: str) -> None:
    """Let find say this of the folders near the top, as that of GNU, BSD or busybox does."""
    fails = f'[ "$1" != find ] || {{ echo "{says}" >&2; exit 1; }}'
    (room.folder / "bin/setpriv").write_text(WITHOUT_SETPRIV.replace("exec ", f"{fails}\nexec "))


@pytest.mark.parametrize(
    ("says", "recorded"),
    [
        ("find: './cmartin/.cloud': Permission denied", True),
        ("find: ./cmartin/Library: Operation not permitted", True),
        ("find: './cmartin/gone': No such file or directory", True),
        ("find: './cmartin': Input/output error", False),
        ("find: ./cmartin: Stale NFS file handle", False),
        ("find: ./cmartin: Structure needs cleaning", False),
        ("find: './it'\\''s: mine': Input/output error", False),
        ("find: command not found", False),
    ],
)
def test_deletions_are_recorded_unless_a_disk_seems_to_fail(room: Room, says: str, recorded: bool) -> None:
    finding(room, says)

    outcome = room.helper(BARE.format(room.share))

    assert outcome.executed
    assert ("--ignore-errors" in outcome.executed) == recorded
    assert ("no deletion is recorded" in outcome.stderr) != recorded


@pytest.mark.parametrize("reason", ["Input/output error", "Permission denied", "Operation not permitted"])
def test_a_folder_that_cannot_be_read_is_not_backed_up(room: Room, reason: str) -> None:
    finding(room, f"find: '.': {reason}")

    outcome = room.helper(BARE.format(room.share))

    assert (outcome.status, outcome.executed) == (MISSING, None)
    assert f"{room.share} cannot be read: {reason}" in outcome.stderr


def test_a_server_that_records_deletions_anyway_gets_nothing_while_a_disk_fails(room: Room) -> None:
    finding(room, "find: './cmartin': Input/output error")

    outcome = room.helper(FULL, backup_list(room))

    assert (outcome.status, outcome.executed) == (MISSING, None)
    assert "the server would take that folder for an empty one" in outcome.stderr


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
        "wall:confine-root",
        f"share:{room.share}",
        f"folders:1 {room.share}",
        "unreadable:/nowhere",
        "restore:dirs",
        f"restore-dir:{room.restore_dir}",
    ]
    assert (outcome.status, outcome.executed) == (0, None)
    assert outcome.stderr == "bckpciuem: failed: /nowhere cannot be opened\n"
    assert outcome.log == f"-t bckpciuem -p auth.info -- probe from={PEER}\n"


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


SANDBOX = """#!/bin/bash
# Refuses to start cat if ALLOWED is 1, and starts every other program.
printf '%s\\0' "$@" >FOLDER/sandboxed
shift 4
[ "$1" != cat ] || exit ALLOWED
exec "$@"
"""


@pytest.mark.parametrize(("denies", "status"), [(True, 0), (False, MISSING)])
def test_a_mac_has_a_sandbox_if_that_denies_a_file_elsewhere(room: Room, denies: bool, status: int) -> None:
    as_a_mac(room)
    (room.folder / "version").write_text("2.6.9")
    (room.folder / "bin/sandbox-exec").write_text(
        SANDBOX.replace("FOLDER", str(room.folder)).replace("ALLOWED", "1" if denies else "0")
    )
    (room.folder / "bin/sandbox-exec").chmod(0o755)

    backup = room.helper(FULL, backup_list(room, path=f"{room.share}/cmartin/"))
    restore = room.helper(RESTORE, restore_list(f"{room.restore_dir}/"))

    assert (backup.status, restore.status) == (status, status)
    if not denies:
        return
    assert backup.executed
    words = backup.executed
    assert words[:6] == ["caffeinate", "-ims", "sandbox-exec", "-D", f"FOLDER={room.share}/cmartin", "-p"]
    assert '(allow file-read* (subpath (param "FOLDER")))' in words[6]
    assert "file-write* (subpath" not in words[6]
    assert restore.executed
    at = restore.executed.index("sandbox-exec")
    assert restore.executed[:at] == ["sudo", "-n", "-u", restore.executed[3], "--"]
    assert '(allow file-write* (subpath (param "FOLDER")))' in restore.executed[at + 4]


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
        "share=/home\nrestore=owners\n", "share=/home\nrestore-privileged=1\n",
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
    # Checked before they are used, or made with a first element.
    never_empty = {"AS_WRITER", "IN_ROOTS", "SHARES", "SOURCES"}
    never_empty |= {"words", "argv", "prefixes", "folders", "files", "links"}

    unguarded = set(re.findall(r'(?<!\+)"\$\{(\w+)\[@\]\}"', text))

    assert unguarded <= never_empty


def test_the_script_starts_a_bash_that_reads_no_environment() -> None:
    assert SCRIPT.read_text().startswith("#!/bin/bash -p\n")
    assert "eval" not in SCRIPT.read_text()
    assert SCRIPT.stat().st_mode & 0o111
