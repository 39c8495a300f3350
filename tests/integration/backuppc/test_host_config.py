import errno
import json
import os
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from failing import failing
from hypothesis import given, settings
from hypothesis import strategies as st

from backuppc_register import config
from backuppc_register.backuppc import host_config
from backuppc_register.backuppc.host_config import Values
from backuppc_register.protocol.errors import Misconfigured, StateError

SHIPPED = Path("/usr/share/backuppc/conf/config.pl")
OSES = ("linux", "mac", "windows")
NOWHERE = Path("/nowhere/templates")
DORMEUR = Values(
    host="dormeur",
    full_name="dormeur.univ-brest.fr",
    ssh_config=Path("/var/lib/backuppc-register/hosts/dormeur/ssh_config"),
)
NASTY = [
    "it's",
    'say "x"',
    "back\\slash\\",
    "$Conf{X} @ARGV",
    "a\nb\r\n",
    "'; system('touch /tmp/owned'); '",
    "é \u20ac \U0001f600",
    "@HOST@ @SSH_CONFIG@",
    "\\1 \\g<0>",
]

# BackupPC's own reading of main and per-host config, and its own filling in of variables.
READER = r"""
use strict;
use lib '/usr/share/backuppc/lib';
use BackupPC::Lib;
use BackupPC::Storage::Text;
use JSON::PP;
my ($folder, $main, $host) = @ARGV;
my $storage = BackupPC::Storage::Text->new({}, {ConfDir => $folder, TopDir => "$folder/top"});
my $conf = {};
if ( $main ) {
    our %Conf;
    do $main or die "$main: $@ $!";
    $conf = {%Conf};
}
my ($error, $read) = $storage->ConfigDataRead($host, $conf);
die $error if ( defined($error) );
$read->{_ssh} = BackupPC::Lib::cmdVarSubstitute(bless({}, 'BackupPC::Lib'), [@{$read->{RsyncSshArgs} || []}],
    {sshPath => '/usr/bin/ssh', host => 'x', hostIP => 'x', client => 'x'});
print JSON::PP->new->ascii->canonical->allow_nonref->encode($read);
"""

EDITOR = r"""
use strict;
use lib '/usr/share/backuppc/lib';
use BackupPC::Storage::Text;
my ($folder, $host) = @ARGV;
my $storage = BackupPC::Storage::Text->new({}, {ConfDir => $folder, TopDir => "$folder/top"});
my ($error, $conf) = $storage->ConfigDataRead($host);
die $error if ( defined($error) );
$error = $storage->ConfigDataWrite($host, $conf);
die $error if ( defined($error) );
"""


@pytest.fixture
def places(tmp_path: Path) -> config.BackupPC:
    for name in ("etc", "top/pc", "templates"):
        (tmp_path / name).mkdir(parents=True)
    return config.BackupPC(
        hosts=tmp_path / "etc/hosts",
        config_dir=tmp_path / "etc",
        data_dir=tmp_path / "top",
        templates=tmp_path / "templates",
    )


def perl(*arguments: str | Path) -> str:
    done = subprocess.run(["perl", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def as_BackupPC_reads(folder: Path, content: bytes, main: Path | str = "") -> dict[str, Any]:
    host_config.write(folder, "dormeur", content)
    found: dict[str, Any] = json.loads(perl("-e", READER, folder, main, "dormeur"))
    return found


def ours(os: str, values: Values = DORMEUR) -> bytes:
    return host_config.render(os, values, NOWHERE)


@pytest.mark.parametrize("os", OSES)
def test_BackupPC_reads_what_a_template_becomes(tmp_path: Path, os: str) -> None:
    found = as_BackupPC_reads(tmp_path, ours(os))

    assert found["ClientNameAlias"] == "dormeur.univ-brest.fr"
    assert found["XferMethod"] == "rsync"
    assert found["RsyncClientPath"] == "rsync"
    assert found["BackupZeroFilesIsFatal"] == 1
    assert found["PingMaxMsec"] >= 300


@pytest.mark.parametrize(("os", "seconds"), [("linux", 14400), ("mac", 3600), ("windows", 14400)])
def test_a_transfer_that_says_nothing_ends_as_early_as_the_machines_rsync_wants(
    tmp_path: Path, os: str, seconds: int
) -> None:
    assert as_BackupPC_reads(tmp_path, ours(os))["ClientTimeout"] == seconds


@pytest.mark.parametrize("os", OSES)
def test_ssh_takes_everything_from_our_own_file(tmp_path: Path, os: str) -> None:
    found = as_BackupPC_reads(tmp_path, ours(os))

    assert found["RsyncSshArgs"] == ["-e", f"$sshPath -F {DORMEUR.ssh_config}"]
    assert found["_ssh"] == ["-e", f"/usr/bin/ssh -F {DORMEUR.ssh_config}"]


@pytest.mark.parametrize(
    ("os", "share"), [("linux", "/home"), ("mac", "/Users"), ("windows", "/cygdrive/c/Users")]
)
def test_peoples_folders_are_backed_up_and_nothing_else(tmp_path: Path, os: str, share: str) -> None:
    assert as_BackupPC_reads(tmp_path, ours(os))["RsyncShareName"] == [share]


@pytest.mark.parametrize("os", OSES)
def test_perl_itself_has_no_complaint(tmp_path: Path, os: str) -> None:
    (tmp_path / "x.pl").write_bytes(b"use strict; use warnings FATAL => 'all'; our %Conf;\n" + ours(os))

    done = subprocess.run(["perl", "-c", tmp_path / "x.pl"], capture_output=True, text=True, check=False)

    assert done.stderr.endswith("syntax OK\n")
    assert ours(os).isascii()


@pytest.mark.parametrize("os", OSES)
def test_a_restore_is_BackupPCs_but_deletes_nothing(tmp_path: Path, os: str) -> None:
    (tmp_path / "empty").mkdir()
    shipped = as_BackupPC_reads(tmp_path / "empty", b"1;", SHIPPED)["RsyncRestoreArgs"]

    found = as_BackupPC_reads(tmp_path, ours(os), SHIPPED)

    assert "--delete" in shipped
    assert found["RsyncRestoreArgs"] == [word for word in shipped if word != "--delete"]
    assert not found["RsyncRestoreArgsExtra"]


def test_a_mac_is_backed_up_as_any_machine_by_BackupPCs_own_settings(tmp_path: Path) -> None:
    names = ("RsyncArgs", "RsyncArgsExtra", "RsyncFullArgsExtra", "RsyncIncrArgsExtra")
    (tmp_path / "empty").mkdir()
    shipped = as_BackupPC_reads(tmp_path / "empty", b"1;", SHIPPED)

    mac = as_BackupPC_reads(tmp_path, ours("mac"), SHIPPED)

    mac["RsyncArgs"].remove("--ignore-errors")
    assert [mac[name] for name in names] == [shipped[name] for name in names]


def test_a_mac_gets_no_acls_and_xattrs_though_the_site_wants_them_everywhere(tmp_path: Path) -> None:
    main = tmp_path / "main.pl"
    lists = [f"Rsync{kind}" for kind in ("Args", "ArgsExtra", "FullArgsExtra", "IncrArgsExtra")]
    lists += ["RsyncRestoreArgs", "RsyncRestoreArgsExtra"]
    wanted = "".join(f"push(@{{$Conf{{{name}}}}}, '--acls', '--xattrs');\n" for name in lists)
    main.write_text(SHIPPED.read_text() + wanted + "1;\n")

    mac = as_BackupPC_reads(tmp_path, ours("mac"), main)
    linux = as_BackupPC_reads(tmp_path, ours("linux"), main)

    assert not {"--acls", "--xattrs"} & {word for name in lists for word in mac[name]}
    assert "--acls" in linux["RsyncArgs"]


@pytest.mark.parametrize("os", OSES)
def test_every_setting_has_its_reason_above_it(os: str) -> None:
    lines = ours(os).decode("ascii").split("\n")

    assert len([line for line in lines if line.startswith("$Conf{")]) >= 9
    for above, line in pairwise(lines):
        assert not line.startswith("$Conf{") or above.startswith("# ")


@pytest.mark.parametrize("os", OSES)
def test_the_web_editor_keeps_every_setting_and_every_comment(tmp_path: Path, os: str) -> None:
    before = as_BackupPC_reads(tmp_path, ours(os))

    perl("-e", EDITOR, tmp_path, "dormeur")

    edited = host_config.read(tmp_path, "dormeur") or b""
    after = as_BackupPC_reads(tmp_path, edited)
    added = {"BackupPCNightlyPeriod", "PoolSizeNightlyUpdatePeriod"}
    assert {name: after[name] for name in after.keys() - added} == {
        name: before[name] for name in before.keys() - added
    }
    comments = [line for line in ours(os).split(b"\n") if line.startswith(b"#")]
    assert [line for line in edited.split(b"\n") if line.startswith(b"#")] == comments


@pytest.mark.parametrize("os", OSES)
def test_notes_for_who_edits_a_template_stay_behind(os: str) -> None:
    rendered = ours(os)

    assert rendered.startswith(b"# BackupPC settings of 'dormeur', ")
    assert b"##" not in rendered
    assert b"@HOST@" not in rendered


def kept(tmp_path: Path, os: str, *names: str) -> set[str]:
    """Have a real rsync copy *names* with the template's excludes, from a share; give what came."""
    patterns = as_BackupPC_reads(tmp_path, ours(os))["BackupFilesExclude"]["*"]
    for name in names:
        file = tmp_path / "share" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    excludes = [f"--exclude={pattern}" for pattern in patterns]
    subprocess.run(["rsync", "-r", *excludes, f"{tmp_path}/share/", f"{tmp_path}/copy/"], check=True)
    copy = tmp_path / "copy"
    return {str(file.relative_to(copy)) for file in copy.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("os", "wanted", "unwanted"),
    [
        (
            "linux",
            [
                "cmartin/thesis.tex",
                "cmartin/.ssh/config",
                "cmartin/a/b/c/.cache/x",
                "c/.config/a",
                "Trash/a",
                "cmartin/cache/a",
                "shared/share/Trash/a",
                "c/.local/share/a",
                "c/snap/x/common/a",
                "cache",
            ],
            ["cmartin/.cache/a", "cmartin/.local/share/Trash/files/a", "cmartin/.var/app/x/cache/a"],
        ),
        (
            "linux",
            ["UBO/cmartin/thesis.tex", "UBO/cmartin/.config/a", "UBO/cmartin/snap/x/common/.config/a"],
            [
                "UBO/c/.cache/a",
                "UBO/c/.local/share/Trash/a",
                "UBO/c/.thumbnails/a",
                "UBO/c/.gvfs/a",
                "UBO/c/.var/app/x/cache/a",
                "UBO/c/snap/x/common/.cache/a",
            ],
        ),
        (
            "linux",  # a share for one person; homes by faculty
            ["thesis.tex", "university/science/cmartin/a"],
            [
                ".cache/a",
                ".local/share/Trash/a",
                ".thumbnails/a",
                "snap/x/common/.cache/a",
                "university/science/c/.cache/a",
                "university/science/c/.local/share/Trash/a",
            ],
        ),
        (
            "mac",
            [
                "cmartin/Documents/a",
                "cmartin/Library/Mail/a",
                "cmartin/Library/Preferences/a",
                "c/Caches/a",
                "c/Documents/Library/Logs-2024/a",
            ],
            [
                "cmartin/.Trash/a",
                "cmartin/Library/Caches/a",
                "c/Library/Containers/x/Data/Library/Caches/a",
                "UBO/c/Library/Caches/a",
                "UBO/c/Library/Group Containers/x/Library/Caches/a",
                "Library/Logs/a",
                "UBO/c/Library/Logs/a",
                "UBO/c/.Trash/a",
                "Library/Developer/Xcode/DerivedData/a",
            ],
        ),
        (
            "windows",
            ["c/Documents/a", "c/AppData/Roaming/a", "c/AppData/Local/Microsoft/Outlook/a.ost"],
            [
                "c/AppData/Local/Temp/a",
                "c/NTUSER.DAT",
                "c/ntuser.dat.LOG1",
                "$RECYCLE.BIN/a",
                "NTUSER.DAT",
                "AppData/Local/Temp/a",
                "UBO/c/AppData/Local/Microsoft/Windows/INetCache/a",
            ],
        ),
    ],
)
def test_caches_and_trash_are_left_out_and_peoples_work_is_not(
    tmp_path: Path, os: str, wanted: list[str], unwanted: list[str]
) -> None:
    assert kept(tmp_path, os, *wanted, *unwanted) == set(wanted)


@pytest.mark.parametrize("text", NASTY)
def test_no_value_breaks_out_of_its_place(tmp_path: Path, text: str) -> None:
    values = Values(host=text, full_name=text, ssh_config=Path("/x", text))

    found = as_BackupPC_reads(tmp_path, ours("linux", values))

    assert found["ClientNameAlias"] == text
    assert found["RsyncSshArgs"] == ["-e", f"$sshPath -F /x/{text}"]
    assert found.keys() == as_BackupPC_reads(tmp_path, ours("linux")).keys()


@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_value_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")

    found = as_BackupPC_reads(folder, ours("mac", replace(DORMEUR, full_name=text)))

    assert found["ClientNameAlias"] == text


def test_a_sites_own_template_comes_first(places: config.BackupPC) -> None:
    (places.templates / "linux.pl").write_bytes(
        b"## @NOT_A_PLACEHOLDER@\nuse utf8;\n$Conf{ClientComment} = '\xc3\xa9t\xc3\xa9 \xff' . @HOST@;\n"
    )

    rendered = host_config.render("linux", DORMEUR, places.templates)

    assert rendered == b"use utf8;\n$Conf{ClientComment} = '\xc3\xa9t\xc3\xa9 \xff' . 'dormeur';\n"
    assert host_config.render("mac", DORMEUR, places.templates) == ours("mac")


def test_a_site_can_have_an_os_word_of_its_own(places: config.BackupPC) -> None:
    (places.templates / "free_bsd-14.pl").write_bytes(b"$Conf{ClientNameAlias} = @FULL_NAME@;\n")

    rendered = host_config.render("free_bsd-14", DORMEUR, places.templates)

    assert rendered == b"$Conf{ClientNameAlias} = 'dormeur.univ-brest.fr';\n"


@pytest.mark.parametrize(
    "os", ["freebsd", "", ".", "../templates/linux", "/etc/passwd", "linux\n", "Linux", "li\0"]
)
def test_an_os_word_without_a_template_is_a_misconfiguration(places: config.BackupPC, os: str) -> None:
    with pytest.raises(Misconfigured):
        host_config.render(os, DORMEUR, places.templates)


def test_a_placeholder_that_we_have_no_value_for_is_a_misconfiguration(places: config.BackupPC) -> None:
    (places.templates / "linux.pl").write_bytes(b"$Conf{ClientNameAlias} = @FULLNAME@;\n")

    with pytest.raises(Misconfigured, match="@FULLNAME@"):
        host_config.render("linux", DORMEUR, places.templates)


def common(places: config.BackupPC, name: str, content: bytes) -> None:
    (places.templates / "common").mkdir(exist_ok=True)
    (places.templates / "common" / name).write_bytes(content)


@pytest.mark.parametrize("os", OSES)
def test_what_all_machines_have_stands_in_parts_that_a_site_can_make_its_own(
    places: config.BackupPC, os: str
) -> None:
    restore = b"# A restore as we like it.\n$Conf{RsyncRestoreArgs} = [@HOST@];"  # no newline at its end
    common(places, "restore.pl", b"## a note\n" + restore)

    rendered = host_config.render(os, DORMEUR, places.templates)

    begin = b"# As in BackupPC's own configuration, but without"
    before, _, after = ours(os).partition(begin)
    kept = after.partition(b"];\n\n")[2]
    assert rendered == before + restore.replace(b"@HOST@", b"'dormeur'") + b"\n" + kept


def test_a_sites_template_takes_in_our_parts_and_its_own(places: config.BackupPC) -> None:
    (places.templates / "linux.pl").write_bytes(b"@INSERT way@\r\n@INSERT own-part@\n# @INSERT way@ stays\n")
    common(places, "own-part.pl", b"$Conf{ClientComment} = @FULL_NAME@;\n")

    rendered = host_config.render("linux", DORMEUR, places.templates)

    own = b"$Conf{ClientComment} = 'dormeur.univ-brest.fr';\n# @INSERT way@ stays\n"
    assert rendered.startswith(b"#\n# You can edit this file: ")
    assert rendered.endswith(f"'{DORMEUR.ssh_config}'];\n\n".encode() + own)


@pytest.mark.parametrize(
    "line",
    [
        b"@INSERT nowhere@",
        b"@INSERT way",
        b"@INSERT@",
        b"@INSERT  way@",
        b"@INSERT ../linux@",
        b"@INSERT WAY@",
        b"@INSERT way@ and more",
        b"@INSERT nested@",
        b"@INSERT odd@",
    ],
)
def test_a_line_that_takes_in_no_part_is_a_misconfiguration(places: config.BackupPC, line: bytes) -> None:
    (places.templates / "linux.pl").write_bytes(b"# ours\n" + line + b"\n1;\n")
    common(places, "nested.pl", b"@INSERT way@\n")
    common(places, "odd.pl", b"$Conf{X} = @NOTHING@;\n")

    with pytest.raises(Misconfigured):
        host_config.render("linux", DORMEUR, places.templates)


@pytest.mark.parametrize("os", ["common", "way", "restore"])
def test_a_part_is_no_os_word(places: config.BackupPC, os: str) -> None:
    with pytest.raises(Misconfigured):
        host_config.render(os, DORMEUR, places.templates)


@pytest.mark.parametrize("what", ["folder", "dangling link", "folder is a loop"])
def test_a_sites_template_that_cannot_be_read_is_never_replaced_by_ours(
    places: config.BackupPC, what: str
) -> None:
    template = places.templates / "linux.pl"
    match what:
        case "folder":
            template.mkdir()
        case "dangling link":
            template.symlink_to("nowhere")
        case _:
            places.templates.rmdir()
            places.templates.symlink_to(places.templates)

    with pytest.raises(Misconfigured):
        host_config.render("linux", DORMEUR, places.templates)


def test_what_is_written_is_not_for_everybody_and_is_read_back(places: config.BackupPC) -> None:
    host_config.write(places.config_dir, "dormeur", b"1;\n")

    path = host_config.path(places.config_dir, "dormeur")
    assert path == places.config_dir / "dormeur.pl"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert host_config.read(places.config_dir, "dormeur") == b"1;\n"


def test_there_is_none_before_it_is_written(places: config.BackupPC) -> None:
    assert host_config.read(places.config_dir, "dormeur") is None
    assert not host_config.exists(places, "dormeur")


def test_an_empty_one_is_one(places: config.BackupPC) -> None:
    host_config.write(places.config_dir, "dormeur", b"")

    assert host_config.read(places.config_dir, "dormeur") == b""
    assert host_config.exists(places, "dormeur")


@pytest.mark.parametrize("place", ["etc/dormeur.pl", "etc/pc/dormeur.pl", "top/pc/dormeur/config.pl"])
def test_one_anywhere_that_BackupPC_looks_exists(places: config.BackupPC, tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).touch()

    assert host_config.exists(places, "dormeur")
    assert not host_config.exists(places, "dormeu")


@pytest.mark.parametrize("place", ["etc/dormeur.pl", "top/pc/dormeur/config.pl"])
def test_a_link_that_leads_nowhere_exists(places: config.BackupPC, tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).symlink_to("nowhere")

    assert host_config.exists(places, "dormeur")


def test_a_doubt_whether_there_is_one_is_a_fault(places: config.BackupPC) -> None:
    (places.data_dir / "pc" / "dormeur").symlink_to("dormeur")

    with pytest.raises(StateError):
        host_config.exists(places, "dormeur")


@pytest.mark.parametrize("what", ["folder", "pipe", "loop"])
def test_what_is_no_file_is_neither_read_nor_replaced(places: config.BackupPC, what: str) -> None:
    path = host_config.path(places.config_dir, "dormeur")
    match what:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to(path)
    before = path.lstat()

    with pytest.raises(StateError):
        host_config.read(places.config_dir, "dormeur")
    with pytest.raises(StateError):
        host_config.write(places.config_dir, "dormeur", b"1;\n")

    assert path.lstat() == before


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StateError):
        host_config.write(tmp_path / "nowhere", "dormeur", b"1;\n")


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_config_that_cannot_be_looked_up_is_none_that_is_read_instead(
    tmp_path: Path, code: int, at: int
) -> None:
    places = config.BackupPC(tmp_path / "hosts", tmp_path, tmp_path)
    (tmp_path / "dormeur.pl").write_text("1;\n")
    assert host_config.overriding(places, "dormeur") is None

    with failing(tmp_path / "dormeur.pl", code, at=at), pytest.raises(StateError):
        host_config.overriding(places, "dormeur")


def test_a_digest_tells_two_apart() -> None:
    assert host_config.digest(ours("linux")) == host_config.digest(ours("linux"))
    assert host_config.digest(ours("linux")) != host_config.digest(ours("linux") + b"\n")
