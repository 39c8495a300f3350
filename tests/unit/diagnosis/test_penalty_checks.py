"""sshd's PerSourcePenalties: whose networks are exempt. The texts are those of Debian 13's sshd -T."""

from dataclasses import replace
from pathlib import Path

import pytest
from broken_server import bad, facts_of

from backuppc_register.diagnosis import penalty_checks
from backuppc_register.diagnosis.finding import Check, Level, examine
from backuppc_register.diagnosis.server_facts import ServerFacts

ON = (
    "crash:90 authfail:5 noauth:1 grace-exceeded:10 refuseconnection:10 max:600 min:15 max-sources4:65536"
    " max-sources6:65536 overflow:permissive overflow6:permissive"
)


def facts_with(folder: Path, options: dict[str, str] | None, *networks: str) -> ServerFacts:
    facts = facts_of(folder)
    config = replace(facts.config, dns=replace(facts.config.dns, networks=networks))
    return replace(facts, sshd=options, server=replace(facts.server, config=config))


def options(exempt: str, penalties: str = ON) -> dict[str, str]:
    return {"persourcepenalties": penalties, "persourcepenaltyexemptlist": exempt, "port": "22"}


@pytest.mark.parametrize(
    ("exempt", "networks"),
    [
        ("10.0.0.0/8", ()),
        ("10.0.0.0/8", ("10.77.0.0/24", "10.0.0.0/8")),
        ("10.0.0.0/8,2001:db8::/32", ("2001:db8:1::/48", "10.1.2.3")),
        ("0.0.0.0/0", ("192.0.2.0/24",)),
        ("192.0.2.7", ("192.0.2.7/32",)),
    ],
)
def test_machines_that_are_exempt_are_fine(tmp_path: Path, exempt: str, networks: tuple[str, ...]) -> None:
    assert bad(penalty_checks.penalties, facts_with(tmp_path, options(exempt), *networks)) == []


@pytest.mark.parametrize(
    "sshd",
    [
        {"port": "22"},  # OpenSSH before 9.8
        options("none", "no"),
        None,
    ],
)
def test_an_sshd_without_penalties_needs_no_exemption(tmp_path: Path, sshd: dict[str, str] | None) -> None:
    assert bad(penalty_checks.penalties, facts_with(tmp_path, sshd, "10.0.0.0/8")) == []


@pytest.mark.parametrize(
    ("exempt", "networks", "what", "advice"),
    [
        ("none", (), "your machines' networks are not", "PerSourcePenaltyExemptList 10.0.0.0/8 in"),
        ("none", ("10.77.0.0/24",), "10.77.0.0/24 are not exempt", "ExemptList 10.77.0.0/24 in"),
        ("10.0.0.0/16", ("10.0.0.0/8",), "10.0.0.0/8 are not", "ExemptList 10.0.0.0/16,10.0.0.0/8 in"),
        ("10.0.0.0/8", ("10.1.0.0/16", "2001:db8::/32"), "2001:db8::/32 are", "10.0.0.0/8,2001:db8::/32 in"),
        ("*.univ-brest.fr", ("10.0.0.0/8",), "10.0.0.0/8 are not exempt", "*.univ-brest.fr,10.0.0.0/8 in"),
    ],
)
def test_machines_that_are_not_exempt_are_named_with_the_setting(
    tmp_path: Path, exempt: str, networks: tuple[str, ...], what: str, advice: str
) -> None:
    facts = facts_with(tmp_path, options(exempt), *networks)

    (found,) = examine(Check("x", penalty_checks.penalties, "chmod it"), facts)

    assert found.level is Level.YELLOW
    assert what in found.what
    assert advice in found.advice
