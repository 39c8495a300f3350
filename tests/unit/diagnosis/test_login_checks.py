"""What a login with each register-key means; real logins are in end_to_end/test_diagnose.py."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from broken_server import bad, facts_of
from pytest_mock import MockerFixture

from backuppc_register.diagnosis import login_checks
from backuppc_register.diagnosis.finding import Check, Level, examine
from backuppc_register.network import banner, own_sshd
from backuppc_register.network.own_sshd import Attempt, Way
from backuppc_register.state.authorized_keys import Binding
from backuppc_register.state.register_keys import RegisterKeys

ANSWERED = Attempt(64, "", "", "no-command")
REFUSED = Attempt(255, "", "backuppc@dugong: Permission denied (publickey).")
NO_SSHD = Attempt(255, "", "ssh: connect to host dugong port 22: Connection refused")


class Site:
    """A server with register-keys, where *ends* says how logins end, by their target or by default."""

    def __init__(self, folder: Path, mocker: MockerFixture) -> None:
        self.facts = facts_of(folder)
        self.keys = RegisterKeys(folder / "state", folder / "home/.ssh/authorized_keys")
        (folder / "home").chmod(0o755)
        self.ends: dict[str, Attempt] = {}
        self.targets: list[str] = []
        self.addresses = ["192.0.2.1"]
        mocker.patch.object(banner, "greeting", side_effect=self._greet)
        mocker.patch.object(own_sshd, "host_keys", return_value=["ssh-ed25519 AAAA"])
        mocker.patch.object(own_sshd, "log_in", side_effect=self._log_in)
        mocker.patch.object(socket, "getfqdn", return_value="dugong")
        mocker.patch.object(socket, "getaddrinfo", side_effect=self._resolve)

    def add(self, label: str, *sources: str) -> None:
        self.keys.add(label, Binding("/usr/bin/python3 -I /opt/bin/backuppc-register", sources))

    def found(self) -> list[tuple[Level, str]]:
        return bad(login_checks.register_login, self.facts)

    def green(self) -> str:
        found = examine(Check("x", login_checks.register_login, "chmod it"), self.facts)
        return "; ".join(one.what for one in found if not one.level)

    def _log_in(self, way: Way, private: bytes, known: list[str], timeout: float) -> Attempt:
        assert private.startswith(b"-----BEGIN OPENSSH")
        assert (way.name, way.account, known) == ("dugong", "backuppc", ["ssh-ed25519 AAAA"])
        self.targets.append(way.target)
        return self.ends.get(way.target, ANSWERED)

    def _greet(self, target: str, port: int, _timeout: float) -> str:
        if self.ends.get(target) is NO_SSHD:
            raise ConnectionRefusedError(111, "Connection refused")
        return "SSH-2.0-OpenSSH_10.0p2"

    def _resolve(self, *_: object) -> list[tuple[object, ...]]:
        if not self.addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, 22)) for address in self.addresses]


@pytest.fixture
def site(tmp_path: Path, mocker: MockerFixture) -> Site:
    site = Site(tmp_path, mocker)
    site.add("main")
    return site


def test_each_key_is_tried_at_the_servers_own_name(site: Site) -> None:
    site.add("autumn")

    assert site.found() == []
    assert site.targets == ["dugong"] * 2
    assert "a login works with the register-key main, autumn" in site.green()


@pytest.mark.parametrize("code", ["misconfigured", "internal"])
def test_an_answer_that_our_program_does_not_work_is_red(site: Site, code: str) -> None:
    site.ends["dugong"] = Attempt(78, "", "", code)

    assert site.found() == [(Level.RED, f"our program answers the register-key main with {code}")]


def test_an_answer_that_refuses_for_a_minute_is_an_answer(site: Site) -> None:
    site.ends["dugong"] = Attempt(75, "", "", "too-many-requests")

    assert site.found() == []


def test_without_an_sshd_one_key_is_enough(site: Site) -> None:
    site.add("autumn")
    site.ends["dugong"] = NO_SSHD

    (found,) = site.found()

    assert found[0] is Level.RED
    assert "Connection refused" in found[1]
    assert site.targets == ["dugong"]


@pytest.mark.parametrize("addresses", [["127.0.1.1"], []])
def test_a_name_that_leads_nowhere_is_replaced_by_the_other_addresses(
    site: Site, addresses: list[str]
) -> None:
    config = replace(
        site.facts.config, server=replace(site.facts.config.server, sources=("10.0.0.0/8", "10.0.0.7"))
    )
    site.facts = replace(site.facts, server=replace(site.facts.server, config=config))
    site.addresses = addresses
    site.ends["dugong"] = NO_SSHD

    assert site.found() == []
    assert site.targets == ["dugong", "10.0.0.7"]


@pytest.mark.parametrize(
    ("sources", "is_red"),
    [
        (("198.51.100.0/24",), False),
        (("198.51.100.0/24", "192.0.2.0/24"), True),
        (("*.univ-brest.fr",), True),  # cannot be told
        ((), True),
    ],
)
def test_a_key_that_is_not_for_this_server_may_be_refused_here(
    site: Site, sources: tuple[str, ...], is_red: bool
) -> None:
    site.keys.revoke("main")
    site.add("autumn", *sources)
    site.ends["dugong"] = REFUSED

    assert [level for level, _ in site.found()] == [Level.RED] * is_red
    assert is_red or "it is valid from 198.51.100.0/24" in site.green()


def test_a_key_without_its_private_half_is_named_and_not_tried(site: Site) -> None:
    key = site.facts.config.state.directory / "register-keys/main/key"
    key.unlink()

    assert site.found() == []
    assert site.targets == []
    assert "not tried, because their private half is not on this server: main" in site.green()


def test_without_a_key_to_try_the_port_of_setups_is_tried(site: Site) -> None:
    site.keys.revoke("main")
    fine = site.found()
    site.ends["dugong"] = NO_SSHD

    (found,) = site.found()

    assert fine == []
    assert found == (
        Level.RED,
        "no sshd answers at dugong, port 22, where setups come to: [Errno 111] Connection refused",
    )


def test_without_host_keys_bundle_has_none_either(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(own_sshd, "host_keys", return_value=[])

    assert [level for level, _ in site.found()] == [Level.RED]


def test_the_advice_names_the_setting_before_anything_else(site: Site) -> None:
    site.ends["dugong"] = REFUSED
    site.facts = replace(site.facts, sshd={"allowusers": "root"})

    found = examine(Check("x", login_checks.register_login, "chmod it"), site.facts)

    assert "allowusers shuts backuppc out: root (see /etc/ssh/sshd_config" in found[0].advice


def test_a_mode_that_sshd_does_not_take_is_named(site: Site) -> None:
    site.ends["dugong"] = REFUSED
    site.facts.home.chmod(0o777)

    found = examine(Check("x", login_checks.register_login, "chmod it"), site.facts)

    assert f"chmod go-w {site.facts.home}" in found[0].advice
