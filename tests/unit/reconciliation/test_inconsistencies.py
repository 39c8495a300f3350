from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backuppc_register import config
from backuppc_register.backuppc import host_config, hosts, retired_config
from backuppc_register.inventory import server as inventory
from backuppc_register.reconciliation import inconsistencies
from backuppc_register.reconciliation.inconsistency import Inconsistency
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

HEADER = b"host\tdhcp\tuser\tmoreUsers\n"
NOW = datetime(2026, 11, 22, 21, 0, 0, tzinfo=UTC)
YESTERDAY = (NOW - timedelta(days=1)).isoformat()


class Server:
    """dormeur of cmartin, registered yesterday; everything fits."""

    def __init__(self, folder: Path) -> None:
        self.etc, self.top, self.state = (folder / name for name in ("etc", "top", "state"))
        for place in (self.etc, self.top, self.state, self.top / "pc"):
            place.mkdir()
        self.folders = HostFolders(self.state)
        self.lines = b"dormeur\t0\tcmartin\nlocalhost\t0\tbackuppc\n"
        self.register()
        self.config = config.check(
            {
                "server": {"url": "https://dugong/{host}"},
                "directory": {"servers": ["ldaps://ldap"], "base": "o=x"},
                "dns": {"domains": ["univ-brest.fr"]},
                "backuppc": {
                    "hosts": str(self.etc / "hosts"),
                    "config_dir": str(self.etc),
                    "data_dir": str(self.top),
                },
                "state": {"directory": str(self.state)},
            }
        )

    def register(self, host: str = "dormeur", *, at: str = YESTERDAY, retired: str = "") -> None:
        name = f"{host}.univ-brest.fr"
        self.folders.create(
            Record(host, name, "cmartin", "", "mac", "192.0.2.1", at, "0" * 64, retired=retired)
        )
        self.pl(host).write_text(f"'-F {self.state}/hosts/{host}/ssh_config';\n")

    def pl(self, host: str) -> Path:
        return self.etc / f"{host}.pl"

    def back_up(self, host: str) -> None:
        (self.top / "pc" / host / "0").mkdir(parents=True)

    def found(self) -> list[Inconsistency]:
        server = inventory.Server(self.config, "backuppc", self.folders)
        return [*inconsistencies.find(hosts.parse(HEADER + self.lines), server, NOW)]

    def told(self) -> list[tuple[str, str]]:
        found = self.found()
        assert all(one.advice for one in found)
        return [(one.host, one.what) for one in found]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def only(told: list[tuple[str, str]], host: str, words: str) -> bool:
    ((where, what),) = told
    return where == host and words in what


def test_what_fits_together_is_not_told(server: Server) -> None:
    server.back_up("dormeur")
    (server.etc / "config.pl").write_text(f"# {server.state}")
    (server.etc / "include.pl").write_text("1;\n")

    assert server.told() == []


def test_the_hosts_line_beats_the_record(server: Server) -> None:
    server.lines = server.lines.replace(b"cmartin", b"adupont")

    assert only(server.told(), "dormeur", "adupont, our record of cmartin; the line counts")
    assert server.found()[0].person == "adupont"


def test_another_letter_case_is_the_same_person(server: Server) -> None:
    server.lines = server.lines.replace(b"cmartin", b"CMartin")

    assert server.told() == []


def test_one_of_several_lines_is_somebody_elses(server: Server) -> None:
    server.lines += b"dormeur 0 adupont\n"

    assert only(server.told(), "dormeur", "adupont")


def archived(server: Server) -> str:
    """Record an archive of cmartin's earlier backups of dormeur, without a line yet; give its name."""
    name, digest = "dormeur_20261121", host_config.digest(retired_config.text("dormeur_20261121"))
    dormeur = server.folders.record("dormeur")
    assert dormeur is not None
    archive = replace(dormeur, host=name, config=digest, retired=YESTERDAY, archive_of="dormeur")
    server.folders.put_record(archive)
    server.back_up("dormeur")
    return name


def test_an_archive_that_lost_its_line_is_nothing_that_a_machine_could_mend(server: Server) -> None:
    name = archived(server)
    server.back_up(name)

    (found,) = server.found()

    assert (found.host, found.person) == (name, "cmartin")
    assert "no line; BackupPC deletes" in found.what
    assert found.advice == f"add the line manually: {name} 0 cmartin"


def test_the_archive_of_a_transfer_that_was_never_finished_is_told_with_both_ways_out(server: Server) -> None:
    name = archived(server)

    (found,) = server.found()

    assert found.what.startswith("a transfer that was never finished")
    assert f"purge {name}, or transfer dormeur again" in found.advice


def test_an_archive_that_was_opened_again_is_closed_by_retiring_and_never_resumed(server: Server) -> None:
    name = archived(server)
    server.lines += f"{name}\t0\tcmartin\n".encode()
    server.pl(name).write_text("1;\n")

    (found,) = server.found()

    assert f"{name}.pl is not the one that stops backups" in found.what
    assert found.advice.endswith(f"retire {name}")


def test_a_record_and_backups_without_a_line_are_about_to_be_deleted(server: Server) -> None:
    server.lines = b""
    server.back_up("dormeur")

    assert only(server.told(), "dormeur", "no line; BackupPC deletes")


def test_an_unfinished_registration_is_told_once_it_is_old(server: Server) -> None:
    server.lines = b""
    server.register("calmar", at=NOW.isoformat())

    assert only(server.told(), "dormeur", "never finished")


@pytest.mark.parametrize("lost", ["key", "key.pub of another"])
def test_a_key_pair_that_is_of_no_use_is_told(server: Server, lost: str) -> None:
    folder = server.folders.path("dormeur")
    if lost == "key":
        (folder / "key").unlink()
    else:
        server.register("other")
        server.lines += b"other 0 cmartin\n"
        (folder / "key.pub").write_bytes((server.folders.path("other") / "key.pub").read_bytes())

    assert only(server.told(), "dormeur", "key pair")


def test_a_key_that_others_can_read_is_told_because_ssh_refuses_it(server: Server) -> None:
    (server.folders.path("dormeur") / "key").chmod(0o644)

    assert only(server.told(), "dormeur", "key pair")


def test_neither_a_retired_host_nor_archived_backups_need_a_key(server: Server) -> None:
    server.register("calmar", retired=YESTERDAY)
    (server.folders.path("calmar") / "retired_key").unlink()
    archive = "dormeur_20261122"
    for host in ("calmar", archive):
        server.pl(host).write_bytes(retired_config.text(host))
    record = Record(archive, "x.univ-brest.fr", "cmartin", "", "mac", "", YESTERDAY, "", archive_of="dormeur")
    server.folders.put_record(replace(record, retired=YESTERDAY))
    server.lines += b"calmar 0 cmartin\ndormeur_20261122 0 cmartin\n"

    assert server.told() == []


def test_what_is_retired_and_whose_settings_were_opened_again_is_told(server: Server) -> None:
    server.register("calmar", retired=YESTERDAY)
    server.lines += b"calmar 0 cmartin\n"

    assert only(server.told(), "calmar", "may be backed up")
    server.pl("calmar").unlink()
    assert only(server.told(), "calmar", "may be backed up")


@pytest.mark.parametrize("folder", [True, False], ids=["a record from before", "no folder yet"])
def test_an_older_copy_of_our_state_after_a_retirement_is_told(server: Server, folder: bool) -> None:
    """The copy is from before `retire --final`; the .pl still stops the backups."""
    host = "dormeur" if folder else "localhost"
    server.pl(host).write_bytes(retired_config.text(host))

    assert only(server.told(), host, "it is not recorded as retired")
    (found,) = (one for one in server.found() if one.host == host)
    assert "--final if it was retired for good" in found.advice
    server.pl(host).write_text("# mine\n1;\n")
    assert not [one for one in server.told() if "recorded" in one[1]]


def test_a_config_that_is_a_link_or_cannot_be_read_stops_nothing(server: Server) -> None:
    server.pl("localhost").symlink_to("elsewhere.pl")

    assert server.told() == []


def test_a_line_that_contradicts_a_command_is_told_until_it_is_the_owners(server: Server) -> None:
    FormerOwners(server.state).take("dormeur", ["adupont"], person="cmartin")
    server.lines = b"dormeur 0 backuppc\n"

    (found,) = server.found()

    assert "names backuppc, but a command gave the host to cmartin" in found.what
    assert "reconcile restores the line" in found.advice
    server.lines += b"dormeur 0 cmartin\n"
    assert server.found()[0].advice.startswith("Leave one line")
    server.lines = b"dormeur 0 cmartin\n"
    assert server.told() == []


def test_a_command_that_was_interrupted_before_its_record_is_to_be_repeated(server: Server) -> None:
    FormerOwners(server.state).take("dormeur", ["cmartin"], person="backuppc")
    server.lines = b"dormeur 0 backuppc\n"

    (found,) = server.found()

    assert "our record of cmartin" in found.what
    assert "transfer dormeur backuppc" in found.advice
    assert "put cmartin" not in found.advice


def test_a_config_of_ours_that_is_gone_is_told(server: Server) -> None:
    server.pl("dormeur").unlink()

    assert only(server.told(), "dormeur", "global settings")


@pytest.mark.parametrize("content", [b"rubbish", b"", None])
def test_a_record_that_cannot_be_read_is_told_and_the_others_are_looked_at(
    server: Server, content: bytes | None
) -> None:
    server.register("calmar")
    record = server.folders.path("calmar") / "record.json"
    if content is None:
        record.unlink()
    else:
        record.write_bytes(content)
    server.lines = server.lines.replace(b"cmartin", b"adupont")

    assert [host for host, _ in server.told()] == ["calmar", "dormeur"]


def test_backups_of_nobody_are_told(server: Server) -> None:
    server.back_up("sirene")
    (server.top / "pc" / "empty").mkdir()

    assert only(server.told(), "sirene", "no line and no record")


def test_a_config_that_leads_to_a_key_of_ours_keeps_its_name_from_everybody(server: Server) -> None:
    server.pl("sirene").write_text(f"'-F {server.state}/hosts/sirene/ssh_config';\n")

    assert only(server.told(), "sirene", "no one can register")


def test_data_that_cannot_be_looked_at_is_told(server: Server) -> None:
    (server.top / "pc").rmdir()

    assert only(server.told(), "", "data_dir")
