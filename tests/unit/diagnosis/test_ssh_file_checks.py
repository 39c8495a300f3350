"""The files that BackupPC's ssh needs for each host: what each .pl names, and what is named there."""

from dataclasses import replace
from pathlib import Path

import pytest
from broken_server import HEADER, bad, facts_of

from backuppc_register.diagnosis import ssh_file_checks
from backuppc_register.diagnosis.finding import Level
from backuppc_register.diagnosis.server_facts import ServerFacts

CONFIG = "IdentityFile {folder}/key\nUserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking yes\n"


class Site:
    """A server with hosts that have a folder of ours each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._facts = facts_of(folder)
        self.etc = self._facts.config.backuppc.config_dir
        self.etc.joinpath("config.pl").write_text("$Conf{Language} = 'en'; $Conf{SshPath} = 'ssh';\n1;\n")
        self.hosts: list[str] = []

    def add(self, host: str, args: str = "-F {folder}/ssh_config", config: str = CONFIG) -> Path:
        """Give *host* a line, a .pl with *args*, and a folder with a key, a known_hosts and *config*."""
        folder = self.folder / "state/hosts" / host
        folder.mkdir(parents=True)
        (folder / "key").write_text("secret\n")
        (folder / "known_hosts").write_text("")
        (folder / "ssh_config").write_text(config.format(folder=folder))
        words = args.format(folder=folder)
        (self.etc / f"{host}.pl").write_text(f"$Conf{{RsyncSshArgs}} = ['-e', '$sshPath {words}'];\n1;\n")
        self.hosts.append(host)
        return folder

    def found(self) -> list[tuple[Level, str]]:
        lines = "".join(f"{host} 0 cmartin\n" for host in self.hosts)
        (self.etc / "hosts").write_bytes(HEADER + lines.encode())
        return bad(ssh_file_checks.ssh_files, self.facts)

    @property
    def facts(self) -> ServerFacts:
        return self._facts


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_files_that_are_there_are_fine(site: Site) -> None:
    site.add("dormeur")
    site.add("mimosa")

    assert site.found() == []


@pytest.mark.parametrize("name", ["key", "known_hosts", "ssh_config"])
def test_one_that_is_not_there_is_named_with_its_host(site: Site, name: str) -> None:
    site.add("dormeur")
    folder = site.add("mimosa")
    (folder / name).unlink()

    (found,) = site.found()

    assert found[0] is Level.RED
    assert f"mimosa ({folder}/{name}: No such file or directory)" in found[1]
    assert "dormeur" not in found[1]


@pytest.mark.parametrize("name", ["key", "ssh_config"])
def test_one_that_is_empty_is_no_use(site: Site, name: str) -> None:
    folder = site.add("mimosa")
    (folder / name).write_text("")

    assert f"mimosa ({folder}/{name}: it is empty)" in site.found()[0][1]


def test_a_folder_or_a_dangling_link_in_its_place_is_named(site: Site) -> None:
    one, other = site.add("dormeur"), site.add("mimosa")
    (one / "key").unlink()
    (one / "key").mkdir()
    (other / "key").unlink()
    (other / "key").symlink_to("/mnt/away")

    (found,) = site.found()

    assert "key: Is a directory" in found[1]
    assert "key: No such file" in found[1]


@pytest.mark.parametrize(
    ("args", "config"),
    [
        ("-i {folder}/away", ""),
        ("-i{folder}/away", ""),
        ("-o IdentityFile={folder}/away", ""),
        ("-oIdentityFile={folder}/away -x", ""),
        ("-F{folder}/ssh_config", "identityfile={folder}/away\n"),
        ("-F {folder}/ssh_config", '\tIdentityFile "{folder}/away"\n'),
        ("-F {folder}/ssh_config", "Host *\n  UserKnownHostsFile {folder}/known_hosts {folder}/away\n"),
        ("-F none -i {folder}/away", ""),
    ],
)
def test_every_way_to_name_a_file_is_followed(site: Site, args: str, config: str) -> None:
    folder = site.add("mimosa", args, config or CONFIG)

    assert f"{folder}/away: No such file" in site.found()[0][1]


@pytest.mark.parametrize(
    ("args", "config"),
    [
        ("-l root", CONFIG),  # BackupPC's own default names no file
        ("-F none", CONFIG),
        ("-F {folder}/ssh_config", "UserKnownHostsFile {folder}/new\nStrictHostKeyChecking accept-new\n"),
        ("-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={folder}/%h", CONFIG),
        (
            "-F {folder}/ssh_config",
            "# IdentityFile /away\nGlobalKnownHostsFile /away\nUserKnownHostsFile none\n",
        ),
        ("-F {folder}/ssh_config", "UserKnownHostsFile /dev/null\n"),
    ],
)
def test_what_ssh_does_not_need_may_be_away(site: Site, args: str, config: str) -> None:
    site.add("mimosa", args, config)

    assert site.found() == []


def test_many_hosts_are_one_line(site: Site) -> None:
    for number in range(40):
        folder = site.add(f"pc{number:02}")
        (folder / "key").unlink()

    (found,) = site.found()

    assert found[1].endswith("and 35 more")
    assert len(found[1]) < 1000


def test_a_host_whose_backups_are_disabled_needs_no_key(site: Site) -> None:
    folder = site.add("mimosa")
    (folder / "key").unlink()
    with (site.etc / "mimosa.pl").open("a") as file:
        file.write("$Conf{BackupsDisable} = 2;\n1;\n")

    assert site.found() == []


def test_a_home_is_that_of_backuppcs_account(site: Site) -> None:
    site.add("mimosa", "-i ~/.ssh/id_backuppc")
    missing = site.found()
    (site.folder / "home/.ssh/id_backuppc").write_text("secret")

    assert f"{site.folder}/home/.ssh/id_backuppc: No such file" in missing[0][1]
    assert bad(ssh_file_checks.ssh_files, replace(site.facts)) == []


def test_where_config_pl_is_broken_another_check_reports_it(site: Site) -> None:
    site.add("mimosa")
    (site.etc / "config.pl").write_text("die;")
    (site.folder / "state/hosts/mimosa/key").unlink()

    assert site.found() == []
