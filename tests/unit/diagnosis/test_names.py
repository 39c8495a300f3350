"""Owners in another letter case, and machines under two names, as `diagnose` finds them."""

from dataclasses import replace

import pytest
from broken_server import bad, facts_of

from backuppc_register.backuppc.settings import Settings
from backuppc_register.diagnosis import backuppc_checks, hosts_file_checks, ldap_checks
from backuppc_register.diagnosis.finding import Level
from backuppc_register.network.ldap import Ldap
from backuppc_register.network.reverse_dns import ReverseDns
from backuppc_register.person import Person
from backuppc_register.protocol.errors import BadUser, DirectoryUnavailable, DnsUnavailable


@pytest.fixture
def facts(tmp_path):
    return facts_of(tmp_path)


def lines(facts, *rows):
    with facts.config.backuppc.hosts.open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


def in_lower_case(facts):
    config = facts.config
    server = replace(config.server, lower_case_logons=True)
    return replace(facts, server=replace(facts.server, config=replace(config, server=server)))


def test_lines_that_the_directory_spells_differently_are_named(facts, mocker):
    def find(self, logon, timeout):
        if logon == "gone":
            raise BadUser(logon=logon)
        return Person("Adupont" if logon.lower() == "adupont" else logon.lower())

    mocker.patch.object(Ldap, "find", find)
    lines(facts, "sirene 0 ADUPONT x", "rouget 0 Adupont", "merlu 0 gone", "MULET 0 CMartin", "x 0 no/logon")

    (found,) = bad(ldap_checks.persons, facts)

    assert found[0] is Level.YELLOW
    shown = found[1].removeprefix("logons in another letter case than the directory's: ")
    assert sorted(shown.split("), ")) in (
        ["mulet (CMartin, not cmartin", "sirene (ADUPONT, not Adupont)"],
        ["mulet (CMartin, not cmartin)", "sirene (ADUPONT, not Adupont"],
    )
    (found,) = bad(ldap_checks.persons, in_lower_case(facts))
    assert "rouget (Adupont, not adupont)" in found[1]


def test_a_directory_in_doubt_names_no_one(facts, mocker):
    mocker.patch.object(Ldap, "find", side_effect=DirectoryUnavailable(detail="down"))
    lines(facts, "sirene 0 ADUPONT")

    assert bad(ldap_checks.persons, facts) == []


def test_capitals_are_named_if_the_site_has_logons_in_lower_case(facts):
    lines(facts, "sirene 0 Adupont CMARTIN")

    assert not [what for _, what in bad(hosts_file_checks.hosts_file, facts) if "lower_case" in what]
    found = [
        what for _, what in bad(hosts_file_checks.hosts_file, in_lower_case(facts)) if "lower_case" in what
    ]
    assert found == ["[server] lower_case_logons is true, but these are not: sirene (Adupont)"]


ADDRESSES = {
    "dormeur.univ-brest.fr": ("10.0.0.5", "2001:db8::9"),
    "nains.univ-brest.fr": ("10.0.0.5", "2001:db8::9"),
    "poste12.univ-brest.fr": ("10.0.0.77",),
    "pc.example.org": ("10.0.0.8", "10.0.0.77"),
}
READ = Settings("rsync", False, (), "", None, (), ())


@pytest.mark.parametrize(
    ("rows", "clients", "found"),
    [
        (["dormeur.univ-brest.fr 0 a"], {}, "dormeur and dormeur.univ-brest.fr"),
        (["poste12 0 a"], {"poste12": "DORMEUR.univ-brest.fr."}, "dormeur and poste12"),
        (["x 0 a", "y 0 b"], {"x": "10.0.0.9", "y": "10.0.0.9"}, "x and y"),
        (["dormeur.iuem.fr 0 a"], {}, ""),
        (["dormeur.univ-brest.fr 0 a"], {"dormeur": "dormeur.iuem.fr"}, ""),
        (["dormeur_20261122 0 cmartin"], {}, ""),
        (["poste12 0 a", "poste13 0 b"], {"poste13": "pc.example.org"}, "poste12 and poste13"),
        (["nains.univ-brest.fr 0 a"], {}, "dormeur and nains.univ-brest.fr"),
        (["x 0 a"], {"x": "10.0.0.5"}, "dormeur and x"),
        (["down 0 a", "poste12 0 a"], {}, ""),
    ],
)
def test_two_hosts_that_are_one_machine_are_named(facts, mocker, rows, clients, found):
    def addresses_of(self, name, timeout):
        if name.startswith("down"):
            raise DnsUnavailable(detail="SERVFAIL")
        return ADDRESSES.get(name, ())

    mocker.patch.object(ReverseDns, "addresses_of", addresses_of)
    mocker.patch.object(backuppc_checks, "clock", return_value=0)
    lines(facts, *rows)
    facts.__dict__["_settings"] = {"MaxBackups": 4}
    facts.__dict__["host_settings"] = {host: replace(READ, clients=(one,)) for host, one in clients.items()}
    (facts.config.backuppc.config_dir / "dormeur.pl").touch()

    said = bad(backuppc_checks.host_settings, facts)

    assert said == ([(Level.YELLOW, f"hosts that are one machine: {found}")] if found else [])
