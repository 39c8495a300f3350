"""BackupPC's own ping of its own server, by the settings of config.pl and of hosts."""

from dataclasses import replace
from pathlib import Path

import pytest
from broken_server import HEADER, bad, facts_of
from pytest_mock import MockerFixture

from backuppc_register.diagnosis import ping_checks
from backuppc_register.diagnosis.finding import Check, Level, examine
from backuppc_register.diagnosis.server_facts import ServerFacts

# As in Debian's config.pl. The ping of the test answers what its file says, for 127.0.0.1 and ::1 alike.
SETTINGS = "$Conf{PingCmd} = '$pingPath -c 1 $host'; $Conf{PingMaxMsec} = 20; $Conf{Language} = 'en';"
WELL = (
    'case $3 in 127.0.0.1|::1) echo "time=0.04 ms";; *) echo "Do you want to ping broadcast?"; exit 2;; esac'
)


class Site:
    """A server where a script is ping, and ping6 another."""

    def __init__(self, folder: Path) -> None:
        self.facts = facts_of(folder)
        self.folder, self.etc = folder, self.facts.config.backuppc.config_dir
        self.is_ping(WELL)
        self.is_ping(WELL, "ping6")
        self.set(SETTINGS)

    def is_ping(self, script: str, name: str = "ping") -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def set(self, perl: str) -> None:
        paths = f"$Conf{{PingPath}} = '{self.folder}/ping'; $Conf{{Ping6Path}} = '{self.folder}/ping6';"
        (self.etc / "config.pl").write_text(f"{paths}\n{perl}\n1;\n")

    def add_host(self, name: str, perl: str) -> None:
        with (self.etc / "hosts").open("ab") as file:
            file.write(f"{name} 0 cmartin\n".encode())
        (self.etc / f"{name}.pl").write_text(f"{perl}\n1;\n")

    def found(self) -> list[tuple[Level, str]]:
        return bad(ping_checks.ping, self.facts)


@pytest.fixture
def site(tmp_path: Path, mocker: MockerFixture) -> Site:
    (tmp_path / "if_inet6").write_text("00000000000000000000000000000001 01 80 10 80       lo\n")
    mocker.patch.object(ping_checks, "_IPV6_ADDRESSES", tmp_path / "if_inet6")
    return Site(tmp_path)


def green_words(facts: ServerFacts) -> list[str]:
    return [one.what for one in examine(Check("x", ping_checks.ping, "chmod it"), facts) if not one.level]


def test_a_ping_that_answers_is_fine(site: Site) -> None:
    assert site.found() == []
    assert green_words(site.facts) == ["backuppc can ping"]


def test_the_real_ping_is_fine(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.set(f"{SETTINGS} $Conf{{PingPath}} = '/bin/ping'; $Conf{{Ping6Path}} = '/bin/ping6';")

    assert site.found() == []


CURES = [
    (
        "echo 'ping: socket: Operation not permitted' >&2; exit 2",
        "Operation not permitted",
        "sysctl --system",
    ),
    ("echo 'ping: socket: Permission denied' >&2; exit 2", "Permission denied", "setcap cap_net_raw+ep"),
    ("echo '100% packet loss'; exit 1", "100% packet loss", "PingPath and PingCmd in config.pl"),
    ("exit 1", "ping ended with status 1", "PingPath and PingCmd in config.pl"),
    ("kill -11 $$", "ended with signal 11", "PingPath and PingCmd in config.pl"),
]


@pytest.mark.parametrize(("script", "words", "cure"), CURES)
def test_what_ping_said_and_its_cure(site: Site, script: str, words: str, cure: str) -> None:
    site.is_ping(script)

    found = [one for one in examine(Check("x", ping_checks.ping, "chmod it"), site.facts) if one.level]

    assert [one.level for one in found] == [Level.RED]
    assert "backuppc cannot ping, so BackupPC takes every machine for absent" in found[0].what
    assert words in found[0].what
    assert cure in found[0].advice


def test_a_ping_that_is_not_there_is_to_be_installed(site: Site) -> None:
    (site.folder / "ping").unlink()

    found = [one for one in examine(Check("x", ping_checks.ping, "chmod it"), site.facts) if one.level]

    assert f"there is no {site.folder}/ping" in found[0].what
    assert "apt-get install iputils-ping" in found[0].advice


def test_a_ping_that_never_ends_is_red_in_time(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(ping_checks, "FOR_OWN_PING", 1.0)
    site.is_ping("exec sleep 60")

    (found,) = site.found()

    assert found[0] is Level.RED
    assert "did not end in time" in found[1]


@pytest.mark.parametrize(("networks", "level"), [((), Level.YELLOW), (("2001:db8::/32",), Level.RED)])
def test_by_ipv6_alone_it_matters_as_much_as_machines_have_ipv6(
    site: Site, networks: tuple[str, ...], level: Level
) -> None:
    site.is_ping("exit 1", "ping6")
    config = replace(site.facts.config, dns=replace(site.facts.config.dns, networks=networks))
    facts = replace(site.facts, server=replace(site.facts.server, config=config))

    assert [one for one, _ in bad(ping_checks.ping, facts)] == [level]


def test_a_server_without_ipv6_is_not_asked_for_it(site: Site) -> None:
    site.is_ping("exit 1", "ping6")
    (site.folder / "if_inet6").write_text("")

    assert site.found() == []


@pytest.mark.parametrize("perl", ["$Conf{PingCmd} = '';", "$Conf{PingCmd} = undef;"])
def test_where_nobody_is_pinged_on_purpose_it_is_said(site: Site, perl: str) -> None:
    site.is_ping("exit 1")
    site.set(f"{SETTINGS} {perl}")

    assert site.found() == []
    assert "PingCmd is empty" in green_words(site.facts)[0]


@pytest.mark.parametrize(
    "perl",
    ["$Conf{PingPath} = '/bin/echo';", "$Conf{PingCmd} = '/bin/true';", "$Conf{PingCmd} = '&{sub {0}}()';"],
)
def test_a_ping_that_always_succeeds_is_not_taken_for_one(site: Site, perl: str) -> None:
    site.set(f"{SETTINGS} {perl}")

    assert site.found() == []
    assert green_words(site.facts)[0].startswith("BackupPC's ping takes every address for present")


def test_hosts_with_a_ping_of_their_own_are_tried_once_for_each_kind(site: Site) -> None:
    for host in ("a", "b"):
        site.add_host(host, "$Conf{PingCmd} = '/bin/false';")
    site.add_host("c", "$Conf{PingPath} = '/nowhere/ping';")
    site.add_host("d", "$Conf{PingCmd} = '';")
    site.add_host("e", "$Conf{BackupsDisable} = 2; $Conf{PingCmd} = '/bin/false';")
    site.add_host("f", "$Conf{PingMaxMsec} = 500;")

    found = site.found()

    assert [level for level, _ in found] == [Level.RED, Level.RED]
    assert "for a, b: /bin/false ended with status 1" in found[0][1]
    assert "for c: there is no /nowhere/ping" in found[1][1]


def test_a_limit_of_no_time_is_named(site: Site) -> None:
    site.set(f"{SETTINGS} $Conf{{PingMaxMsec}} = 0;")

    assert [level for level, _ in site.found()] == [Level.YELLOW]


def test_where_config_pl_is_broken_another_check_reports_it(site: Site) -> None:
    (site.etc / "config.pl").write_text("exit;")
    (site.etc / "hosts").write_bytes(HEADER)

    assert site.found() == []
