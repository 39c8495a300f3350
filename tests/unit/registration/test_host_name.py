"""The name that a machine is registered under, and the names that none gets."""

import re
import socket
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backuppc_register.config import Dns
from backuppc_register.protocol.errors import InvalidDnsName
from backuppc_register.registration.host_name import host_of

SITE = Dns(domains=("univ-brest.fr",))
FULL = replace(SITE, host_name="full")
NESTED = Dns(domains=("univ-brest.fr", "lab.univ-brest.fr"))

label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


def test_a_machine_right_below_the_domain_gets_its_first_label():
    assert host_of("dormeur.univ-brest.fr", SITE) == "dormeur"


def test_a_machine_of_a_deeper_sub_domain_keeps_its_full_name():
    assert host_of("dormeur.lab.univ-brest.fr", SITE) == "dormeur.lab.univ-brest.fr"


def test_a_site_that_wants_full_names_gets_them():
    assert host_of("dormeur.univ-brest.fr", FULL) == "dormeur.univ-brest.fr"


@pytest.mark.parametrize("domains", [NESTED.domains, NESTED.domains[::-1]])
def test_the_longest_domain_that_fits_decides(domains):
    settings = replace(SITE, domains=domains)

    assert host_of("dormeur.lab.univ-brest.fr", settings) == "dormeur"
    assert host_of("dormeur.univ-brest.fr", settings) == "dormeur"


def test_letter_case_of_name_and_domain_does_not_matter():
    assert host_of("DORMEUR.Univ-Brest.fr", Dns(domains=("UNIV-BREST.FR",))) == "dormeur"


@pytest.mark.parametrize("full_name", ["univ-brest.fr", "lab.univ-brest.fr", "LAB.univ-brest.fr"])
def test_a_domain_itself_is_no_host(full_name):
    with pytest.raises(InvalidDnsName, match="not below a configured domain"):
        host_of(full_name, NESTED)


@pytest.mark.parametrize(
    "full_name",
    ["dormeur.evil-univ-brest.fr", "univ-brest.fr.example.net", "dormeur.univ-brest.fr.example.net", "a.fr"],
)
def test_a_name_outside_the_domains_is_refused(full_name):
    with pytest.raises(InvalidDnsName, match="not below a configured domain"):
        host_of(full_name, SITE)


@pytest.mark.parametrize("settings", [SITE, FULL])
@pytest.mark.parametrize(
    "never",
    [
        "config", "localconfig", "host", "localhost", "localhost6", "ip6-localhost", "ip6-loopback",
        "CONFIG", "LocalHost",
    ],
)  # fmt: skip
def test_a_name_that_means_something_else_is_never_registered(never, settings):
    with pytest.raises(InvalidDnsName, match="never registered"):
        host_of(f"{never}.univ-brest.fr", settings)


@pytest.mark.parametrize("settings", [SITE, FULL])
@pytest.mark.parametrize(
    "number",
    [
        "0", "00", "08", "1234", "2130706433", "99999999999", "017700000001", "0x7f000001",
        "0X7F000001", "0x", "0xcafe",
    ],
)  # fmt: skip
def test_what_reads_as_a_number_is_never_registered(number, settings):
    with pytest.raises(InvalidDnsName, match="reads as a number"):
        host_of(f"{number}.univ-brest.fr", settings)


def test_what_reads_as_an_address_is_never_registered():
    with pytest.raises(InvalidDnsName, match="reads as a number"):
        host_of("1.2.3.4", Dns(domains=("3.4",)))


@pytest.mark.parametrize(
    "fit",
    ["cafe", "beef", "1e5", "3com", "pc", "pc12", "pool", "cpool", "log", "hosts", "config2", "a", "x0x1",
     "localhosts", "xn--caf-dma", "0xg", "10-0-0-9"],
)  # fmt: skip
def test_a_name_that_only_resembles_such_a_one_is_registered(fit):
    assert host_of(f"{fit}.univ-brest.fr", SITE) == fit


@pytest.mark.parametrize(
    "attack",
    [
        "", ".", "dormeur", "-x.univ-brest.fr", "x-.univ-brest.fr", "a_b.univ-brest.fr", "a b.univ-brest.fr",
        "dormeur.univ-brest.fr\n", "dormeur.univ-brest.fr.", "..univ-brest.fr", "../x.univ-brest.fr",
        "a..univ-brest.fr", "$(id).univ-brest.fr", "x;id.univ-brest.fr", "é.univ-brest.fr",
        "\u212a.univ-brest.fr", "x\0.univ-brest.fr", f"{'a' * 64}.univ-brest.fr",
        f"{'a.' * 100}univ-brest.fr", "%2e.univ-brest.fr",
    ],
)  # fmt: skip
def test_what_is_no_host_name_is_refused(attack):
    with pytest.raises(InvalidDnsName, match="not a host name"):
        host_of(attack, SITE)


@pytest.mark.parametrize(
    ("pattern", "full_name"),
    [
        ("dhcp-*", "dhcp-12.univ-brest.fr"),
        ("DHCP-*", "dhcp-12.univ-brest.fr"),
        ("vpn*", "VPN.univ-brest.fr"),
        ("wifi-??", "wifi-07.lab.univ-brest.fr"),
        ("*.wifi.univ-brest.fr", "dormeur.wifi.univ-brest.fr"),
        ("dormeur", "dormeur.univ-brest.fr"),
    ],
)
@pytest.mark.parametrize("host_name", ["short", "full"])
def test_a_pattern_of_the_site_refuses_a_name_by_its_first_label_or_as_a_whole(pattern, full_name, host_name):
    settings = replace(SITE, refuse=("no-such-*", pattern), host_name=host_name)

    with pytest.raises(InvalidDnsName, match="refuse: ") as caught:
        host_of(full_name, settings)

    assert pattern in caught.value.detail


@pytest.mark.parametrize("pattern", ["dhcp", "hcp-*", "*.fr.", "dhcp-?"])
def test_a_pattern_must_fit_the_whole_name(pattern):
    assert host_of("dhcp-12.univ-brest.fr", replace(SITE, refuse=(pattern,))) == "dhcp-12"


@given(st.text() | st.builds("{}.univ-brest.fr".format, st.text() | label))
@example("\n.univ-brest.fr")
def test_whatever_the_name_is_the_host_is_plain_text_or_refused(full_name):
    try:
        host = host_of(full_name, NESTED)
    except InvalidDnsName:
        return

    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", host)
    assert host in (full_name.lower(), full_name.lower().partition(".")[0])


@given(label, label, label)
def test_a_short_name_is_never_the_name_of_two_depths(first, second, third):
    deeper = f"{first}.{second}.univ-brest.fr"
    above = f"{third}.univ-brest.fr"
    try:
        names = {host_of(deeper, SITE), host_of(above, SITE)}
    except InvalidDnsName:
        return

    assert len(names) == 2


@given(st.from_regex(r"(0x?)?[0-9a-f.]{1,12}", fullmatch=True))
@example("017700000001")
def test_no_host_is_an_address_to_the_systems_own_functions(first):
    try:
        host = host_of(f"{first}.univ-brest.fr", SITE)
    except InvalidDnsName:
        return

    with pytest.raises(OSError, match="illegal IP address"):
        socket.inet_aton(host)
