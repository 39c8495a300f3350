"""Which of sshd's limits are missing, by what `sshd -T` says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from broken_server import facts_of
from checkout import CHECKOUT

from backuppc_register import forced_command
from backuppc_register.diagnosis.finding import Level
from backuppc_register.diagnosis.sshd_limit_checks import lacking, sshd_limits

PACKAGED = (CHECKOUT / "packaging/sshd.conf").read_text()
# What `sshd -T` of OpenSSH 9.2 says without any limit.
DEFAULT = {
    "maxstartups": "10:30:100", "persourcemaxstartups": "none", "maxsessions": "10",
    "unusedconnectiontimeout": "none", "permittty": "yes", "permituserrc": "yes", "permittunnel": "no",
    "x11forwarding": "no", "allowtcpforwarding": "yes", "allowagentforwarding": "yes",
    "allowstreamlocalforwarding": "yes", "disableforwarding": "no",
}  # fmt: skip
LIMITED = DEFAULT | {
    name.lower(): value for name, value in re.findall(r"^ *([A-Z]\w+) (\S+)$", PACKAGED, re.MULTILINE)
}
IN_THE_MATCH: list[str] = re.findall(r"^    (\w+) ", PACKAGED, re.MULTILINE)


def found(tmp_path: Path, options: dict[str, str] | None) -> list[tuple[Level, str]]:
    answers = sshd_limits(replace(facts_of(tmp_path), sshd=options))
    return [(level, what) for level, what, _ in answers if level]


def test_the_packaged_lines_are_all_that_is_wanted(tmp_path: Path) -> None:
    assert len(LIMITED) == len(DEFAULT) + 2  # the channels' timeout and the size of a network have no default
    assert found(tmp_path, LIMITED) == []
    assert next(sshd_limits(replace(facts_of(tmp_path / "other"), sshd=None)))[0] is Level.GREEN


@pytest.mark.parametrize("name", IN_THE_MATCH)
def test_each_line_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    other = {"MaxSessions": "10", "X11Forwarding": "yes", "PermitTunnel": "yes"}
    options = LIMITED | {name.lower(): other.get(name, DEFAULT.get(name.lower(), ""))}

    ((level, what),) = found(tmp_path, options)

    assert level is Level.YELLOW
    assert what.endswith(f"is not limited: {name}")


def test_an_sshd_without_limits_lacks_all_but_what_is_off_by_default(tmp_path: Path) -> None:
    (first, second) = found(tmp_path, DEFAULT)

    assert set(lacking(DEFAULT)) == set(IN_THE_MATCH) - {"X11Forwarding", "PermitTunnel"}
    assert first[0] is second[0] is Level.YELLOW
    assert "one address" in second[1]


@pytest.mark.parametrize(
    "own",
    [
        {"channeltimeout": "session:command=1m"},
        {"channeltimeout": "*=2m30s agent-connection=5"},
        {"channeltimeout": "global=300"},
        {"unusedconnectiontimeout": "300"},
        {"maxsessions": "4"},
        {"disableforwarding": "yes", "allowtcpforwarding": "yes", "allowstreamlocalforwarding": "all"},
        {"persourcemaxstartups": "50"},
    ],
)
def test_an_administrators_own_limits_are_limits(tmp_path: Path, own: dict[str, str]) -> None:
    assert found(tmp_path, LIMITED | own) == []


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ({"channeltimeout": "session:shell=60"}, "ChannelTimeout"),
        ({"channeltimeout": "session:*=0"}, "ChannelTimeout"),
        ({"channeltimeout": "session:*=1h"}, "ChannelTimeout"),
        ({"unusedconnectiontimeout": "0"}, "UnusedConnectionTimeout"),
        ({"unusedconnectiontimeout": "1d"}, "UnusedConnectionTimeout"),
        ({"maxsessions": "100"}, "MaxSessions"),
        ({"allowtcpforwarding": "local"}, "AllowTcpForwarding"),
        ({"permittunnel": "point-to-point"}, "PermitTunnel"),
        ({"disableforwarding": "yes", "allowagentforwarding": "yes"}, "AllowAgentForwarding"),
    ],
)
def test_what_is_no_limit_is_missing(own: dict[str, str], missing: str) -> None:
    assert lacking(LIMITED | own) == [missing]


def test_a_timeout_that_ends_requests_is_red(tmp_path: Path) -> None:
    ((level, what),) = found(tmp_path, LIMITED | {"channeltimeout": "session:*=20"})

    assert level is Level.RED
    assert "20 seconds" in what


def test_the_packaged_timeout_is_longer_than_any_request_is_silent() -> None:
    (seconds,) = re.findall(r"ChannelTimeout session:\*=([0-9]+)$", PACKAGED, re.MULTILINE)

    assert int(seconds) >= 2 * forced_command._TIMEOUT
