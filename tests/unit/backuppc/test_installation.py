"""BackupPC is found where its packages put it, and BackupPC 3 is refused in words."""

import errno
from pathlib import Path

import pytest
from failing import failing

from backuppc_register import config
from backuppc_register.backuppc import host_config, installation
from backuppc_register.protocol.errors import Misconfigured, TryAgain

# What 3.3.0 and 4.4.0 have in that file.
V3 = """package BackupPC::Lib;
use BackupPC::FileZIO;
sub new
{
    my $useFHS = 0;
    my $bpc = bless {
        %$paths,
        Version => '3.3.0',
    }, $class;
"""
V4 = V3.replace("'3.3.0',", "'4.4.0'    # updated by makeDist")


def installed(folder: Path, text: str = V4) -> Path:
    main = folder / "lib/BackupPC/Lib.pm"
    main.parent.mkdir(parents=True)
    main.write_text(text)
    return folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found = [tmp_path / name for name in ("debian", "source", "epel")]
    monkeypatch.setattr(installation, "PLACES", tuple(found))
    return found


@pytest.mark.parametrize("number", [0, 1, 2])
def test_it_is_found_in_each_usual_place(places: list[Path], number: int) -> None:
    installed(places[number])

    assert installation.library("") == places[number] / "lib"


def test_the_place_that_the_site_names_comes_before_all_others(places: list[Path], tmp_path: Path) -> None:
    installed(places[0], V3)

    assert installation.library(str(installed(tmp_path / "opt"))) == tmp_path / "opt/lib"


@pytest.mark.parametrize("name", ["opt", "opt/lib", "source/lib", "file"])
def test_a_wrong_place_is_told_with_its_path(places: list[Path], tmp_path: Path, name: str) -> None:
    installed(places[1])
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured) as told:
        installation.library(str(tmp_path / name))

    assert told.value.detail == f"[backuppc] install_dir: there is no {tmp_path / name}/lib/BackupPC/Lib.pm"


def test_if_it_is_nowhere_the_places_are_told(places: list[Path]) -> None:
    with pytest.raises(Misconfigured) as told:
        installation.library("")

    assert (
        told.value.detail == f"BackupPC is not in {', '.join(map(str, places))}: set [backuppc] install_dir"
    )


@pytest.mark.parametrize("version", ["3.3.0", "3.3.2", "3.2.1", "2.1.2pl2", "3.3.0beta1"])
def test_an_older_backuppc_is_refused_in_words(tmp_path: Path, version: str) -> None:
    installed(tmp_path, V3.replace("'3.3.0'", f'"{version}"' if version == "3.3.2" else f"'{version}'"))

    with pytest.raises(Misconfigured) as told:
        installation.library(str(tmp_path))

    main = tmp_path / "lib/BackupPC/Lib.pm"
    wanted = f"BackupPC is {version} ({main}); backuppc-register needs BackupPC 4.4 or later"
    assert told.value.detail == wanted


@pytest.mark.parametrize("version", ["4.4.0", "4.4.1rc1", "4.10.0", "5.0.0", "30.1.0"])
def test_a_later_backuppc_is_taken(tmp_path: Path, version: str) -> None:
    main = installed(tmp_path, V4.replace("4.4.0", version)) / "lib/BackupPC/Lib.pm"

    assert installation.version(main) == version
    assert installation.library(str(tmp_path)) == tmp_path / "lib"


def test_a_version_that_cannot_be_told_refuses_no_one(tmp_path: Path) -> None:
    assert installation.library(str(installed(tmp_path, "package BackupPC::Lib;\n"))) == tmp_path / "lib"


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_a_place_that_cannot_be_looked_up_is_a_doubt(places: list[Path], code: int) -> None:
    installed(places[1])

    with failing(places[0], code), pytest.raises(TryAgain) as told:
        installation.library("")

    assert str(places[0]) in told.value.detail


@pytest.mark.parametrize(("digit", "expected"), [("0", False), ("1", True)])
def test_it_says_where_the_hosts_own_settings_are(tmp_path: Path, digit: str, expected: bool) -> None:
    main = installed(tmp_path, V4.replace("useFHS = 0", f"useFHS     = {digit}")) / "lib/BackupPC/Lib.pm"

    assert installation.reads_pc_folder(main) is expected


class TestTheFolderOfTheHostsOwnSettings:
    def test_it_is_the_configuration_folder_without_pc_or_with_debians_link(self, tmp_path: Path) -> None:
        assert host_config.path(tmp_path, "dormeur") == tmp_path / "dormeur.pl"

        (tmp_path / "pc").symlink_to(tmp_path)

        assert host_config.path(tmp_path, "dormeur") == tmp_path / "dormeur.pl"

    @pytest.mark.parametrize("link", [False, True])
    def test_it_is_pc_where_that_is_another_folder(self, tmp_path: Path, link: bool) -> None:
        etc, elsewhere = tmp_path / "etc", tmp_path / "elsewhere"
        etc.mkdir()
        (elsewhere if link else etc / "pc").mkdir()
        if link:
            (etc / "pc").symlink_to(elsewhere)

        host_config.write(etc, "dormeur", b"1;\n")

        assert (etc / "pc/dormeur.pl").read_bytes() == b"1;\n"
        assert not (etc / "dormeur.pl").exists()

    def test_a_file_in_the_other_folder_is_not_overlooked(self, tmp_path: Path) -> None:
        (tmp_path / "pc").mkdir()
        (tmp_path / "dormeur.pl").write_text("1;\n")
        places = config.BackupPC(tmp_path / "hosts", tmp_path, tmp_path / "data")

        assert host_config.overriding(places, "dormeur") == tmp_path / "dormeur.pl"
