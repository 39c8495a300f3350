"""The name of a peer, from a real NSD, and from impostors that do what only a broken server does."""

import ipaddress
import re
import socket
import string
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from services.dnsmasq import ADDRESS, dnsmasq
from services.nsd import LOOPBACK, Nsd, free_port, reverse_name

from backuppc_register.config import Dns
from backuppc_register.network import dns_transport, reverse_dns
from backuppc_register.network.reverse_dns import ReverseDns
from backuppc_register.protocol import request
from backuppc_register.protocol.errors import DnsUnavailable, InvalidDnsName

SECOND = "127.0.0.2"
MAYBE = f" ({reverse_dns.HIDDEN})"
PEER = ipaddress.ip_address("10.0.0.9")

# A PTR in the form of a zone file, and why it is refused. Each of them is confirmed by an A record.
ATTACKS = {
    r"a\032b.univ-brest.fr.": "not a host name",
    r"dormeur\010.univ-brest.fr.": "not a host name",
    r"dormeur\013\010x.univ-brest.fr.": "not a host name",
    r"dormeur\000.univ-brest.fr.": "not a host name",
    r"dormeur\000.univ-brest.fr.univ-brest.fr.": "not a host name",
    r"\.\..univ-brest.fr.": "not a host name",
    r"\.\./etc.univ-brest.fr.": "not a host name",
    r"a\.b.univ-brest.fr.": "not a host name",
    r"\$\(id\).univ-brest.fr.": "not a host name",
    r"`id`.univ-brest.fr.": "not a host name",
    r"x\;id.univ-brest.fr.": "not a host name",
    r"x|id.univ-brest.fr.": "not a host name",
    r"a\"b.univ-brest.fr.": "not a host name",
    r"a\\b.univ-brest.fr.": "not a host name",
    r"%n.univ-brest.fr.": "not a host name",
    r"*.univ-brest.fr.": "not a host name",
    r"-x.univ-brest.fr.": "not a host name",
    r"x-.univ-brest.fr.": "not a host name",
    r"ok.-x.univ-brest.fr.": "not a host name",
    r"under_score.univ-brest.fr.": "not a host name",
    r"_x.univ-brest.fr.": "not a host name",
    r"\195\169t\195\169.univ-brest.fr.": "not a host name",
    r"\226\132\170elvin.univ-brest.fr.": "not a host name",
    r"\255.univ-brest.fr.": "not a host name",
    r"dormeur=x.univ-brest.fr.": "not a host name",
    r"dormeur\.univ-brest.fr.": "outside the domains",
    r"dormeur\.univ-brest\.fr.": "outside the domains",
    r"dormeur.univ-brest.fr\010.": "outside the domains",
    r"dormeur.univ-brest.fr\032.": "outside the domains",
    r"dormeur.\226\132\170.fr.": "outside the domains",
    "dormeur.evil-univ-brest.fr.": "outside the domains",
    "evil-univ-brest.fr.": "outside the domains",
    "univ-brest.fr.example.net.": "outside the domains",
    "dormeur.univ-brest.fr.example.net.": "outside the domains",
    "dormeur.univ-brest.com.": "outside the domains",
    "dormeur.fr.": "outside the domains",
    "dormeur.": "outside the domains",
    "univ-brest.": "outside the domains",
    "univ-brest.fr.": "outside the domains",
    "Univ-Brest.FR.": "outside the domains",
    "lab.univ-brest.fr.": "outside the domains",
    "fr.": "outside the domains",
    ".": "outside the domains",
}

FORWARD = (
    r"""
dormeur     A 10.0.0.9
dormeur     A 192.0.2.1
dormeur     AAAA 2001:db8::9
GRINCHEUX   A 10.0.0.10
timide.lab  A 10.0.0.11
prof        CNAME bureau
bureau      CNAME bureau.example.net.
simplet     A 10.0.0.99
simplet     A 10.0.0.98
joyeux      TXT "no address"
atchoum     AAAA 2001:db8::15
perdu       CNAME nowhere
rond        CNAME carre
carre       CNAME rond
ailleurs    CNAME x.refused.test.
first       A 10.0.0.30
second      A 10.0.0.30
under_score A 10.0.0.32
lent        A 10.0.0.60
accent      A 10.0.0.35
accent      A 10.0.0.36
accent      A 10.0.0.37
accent      A 10.0.0.39
accent      A 10.0.0.50
accent      AAAA 2001:db8::c
accent.lab  A 10.0.0.38
ac_cent     A 10.0.0.39
"""
    + f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 47} A 10.0.0.61\n"
)

REVERSE = (
    r"""
9   PTR dormeur.univ-brest.fr.
10  PTR Grincheux.UNIV-Brest.fr.
11  PTR timide.lab.univ-brest.fr.
12  PTR prof.univ-brest.fr.
13  PTR simplet.univ-brest.fr.
14  PTR joyeux.univ-brest.fr.
15  PTR atchoum.univ-brest.fr.
16  PTR ghost.univ-brest.fr.
17  PTR perdu.univ-brest.fr.
18  PTR rond.univ-brest.fr.
19  PTR ailleurs.univ-brest.fr.
20  TXT "no name"
21  CNAME 22
22  CNAME 21
23  CNAME nowhere
24  PTR x.broken.test.
30  PTR first.univ-brest.fr.
30  PTR second.univ-brest.fr.
31  PTR grincheux.example.net.
31  PTR dormeur.univ-brest.fr.
31  PTR univ-brest.fr.
32  PTR dormeur.univ-brest.fr.
32  PTR under_score.univ-brest.fr.
33  PTR dormeur.univ-brest.fr.
33  PTR DORMEUR.univ-brest.FR.
34  PTR ghost.univ-brest.fr.
34  PTR grincheux.univ-brest.fr.
35  PTR ghost.univ-brest.fr.
35  PTR accent.univ-brest.fr.
36  PTR accent.univ-brest.fr.
36  PTR grincheux.univ-brest.fr.
37  PTR accent.univ-brest.fr.
37  PTR rond.univ-brest.fr.
38  PTR accent.univ-brest.fr.
38  PTR accent.lab.univ-brest.fr.
39  PTR ac_cent.univ-brest.fr.
39  PTR accent.univ-brest.fr.
50  PTR accent.univ-brest.fr.
50  PTR ailleurs.univ-brest.fr.
51  PTR ailleurs.univ-brest.fr.
51  PTR ghost.univ-brest.fr.
40  CNAME 40.40/29
40.40/29 PTR dormeur.univ-brest.fr.
41  CNAME 41.example.net.
42  CNAME 42.elsewhere.test.
"""
    + f"61 PTR {'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 47}.univ-brest.fr.\n"
)

CROWD = "".join(f"1 PTR virtual-host-number-{n}.example.net.\n" for n in range(400))

INSIDE = "".join(f"3 PTR dormeur-{n}.univ-brest.fr.\n" for n in range(40))


def attack_zones() -> dict[str, str]:
    reverse = "".join(f"{number} PTR {name}\n" for number, name in enumerate(ATTACKS))
    confirmed = "".join(f"{name} A 10.0.1.{number}\n" for number, name in enumerate(ATTACKS))
    return {"1.0.10.in-addr.arpa": reverse, ".": confirmed}


ZONES = {
    "univ-brest.fr": FORWARD,
    "0.0.10.in-addr.arpa": REVERSE,
    "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": (
        f"{reverse_name('2001:db8::9')} PTR dormeur.univ-brest.fr.\n"
        f"{reverse_name('2001:db8::a')} PTR grincheux.univ-brest.fr.\n"
        f"{reverse_name('2001:db8::c')} PTR accent.univ-brest.fr.\n"
        f"{reverse_name('2001:db8::c')} PTR dormeur.univ-brest.fr.\n"
    ),
    "2.0.10.in-addr.arpa": CROWD + INSIDE + "1 PTR dormeur.univ-brest.fr.\n2 PTR dormeur.univ-brest.fr.\n",
    "3.0.10.in-addr.arpa": "this is ( no zone file\n",
    "broken.test": "nor ( is this\n",
    "example.net": "bureau A 10.0.0.12\n41 PTR dormeur.univ-brest.fr.\n",
}
"""What the first server knows: 10.9.0.0/16 and refused.test are not its own."""


@pytest.fixture(scope="module")
def nsd() -> Iterator[Nsd]:
    with Nsd(ZONES, port=free_port((*LOOPBACK, SECOND))) as server:
        yield server


@pytest.fixture
def site(nsd: Nsd) -> Dns:
    return Dns(domains=("univ-brest.fr", "lab.univ-brest.fr"), nameservers=("127.0.0.1",), port=nsd.port)


def name_of(address: str, site: Dns, within: float = 5.0) -> str:
    return ReverseDns(site).name_of(ipaddress.ip_address(address), within)


def refusal(address: str, site: Dns) -> str:
    with pytest.raises(InvalidDnsName) as caught:
        name_of(address, site)
    return caught.value.detail


def fault(address: str, site: Dns, within: float = 5.0) -> str:
    with pytest.raises(DnsUnavailable) as caught:
        name_of(address, site, within)
    return caught.value.detail


# What a good zone says


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        ("10.0.0.9", "dormeur.univ-brest.fr"),
        ("2001:db8::9", "dormeur.univ-brest.fr"),
        ("10.0.0.10", "grincheux.univ-brest.fr"),
        ("10.0.0.11", "timide.lab.univ-brest.fr"),
        ("10.0.0.12", "prof.univ-brest.fr"),
        ("10.0.0.61", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 47}.univ-brest.fr"),
    ],
)
def test_a_peer_has_its_forward_confirmed_name_in_lower_case(peer, name, site):
    assert name_of(peer, site) == name


def test_an_ipv4_mapped_peer_is_asked_for_as_the_ipv4_address(site):
    peer = request.connection("::ffff:10.0.0.9 50000 ::ffff:10.0.0.1 22").peer

    assert ReverseDns(site).name_of(peer, 5.0) == "dormeur.univ-brest.fr"


def test_a_nameserver_is_reached_over_ipv6(site):
    assert name_of("10.0.0.9", replace(site, nameservers=("::1",))) == "dormeur.univ-brest.fr"


@pytest.mark.parametrize("peer", ["10.0.0.31", "10.0.0.33"])
def test_of_several_names_the_one_inside_the_domains_counts_however_spelt(peer, nsd, site):
    confirming = {**ZONES, "univ-brest.fr": FORWARD + "dormeur A 10.0.0.31\ndormeur A 10.0.0.33\n"}

    with Nsd(confirming) as other:
        assert name_of(peer, replace(site, port=other.port)) == "dormeur.univ-brest.fr"


def test_letter_case_of_a_configured_domain_does_not_matter(site):
    assert name_of("10.0.0.9", replace(site, domains=("UNIV-Brest.FR",))) == "dormeur.univ-brest.fr"


def test_many_stale_names_do_not_hide_the_one_that_leads_back(site):
    stale = "".join(f"9 PTR old-{n}.univ-brest.fr.\n" for n in range(31))
    crowded = {**ZONES, "0.0.10.in-addr.arpa": stale + "9 PTR dormeur.univ-brest.fr.\n"}

    with Nsd(crowded) as other:
        assert name_of("10.0.0.9", replace(site, port=other.port)) == "dormeur.univ-brest.fr"


@pytest.mark.parametrize("peer", ["10.0.0.40", "10.0.0.41"])
def test_a_ptr_behind_an_alias_is_followed_in_its_own_and_in_another_zone(peer, site):
    confirming = {**ZONES, "univ-brest.fr": FORWARD + "dormeur A 10.0.0.40\ndormeur A 10.0.0.41\n"}

    with Nsd(confirming) as other:
        assert name_of(peer, replace(site, port=other.port)) == "dormeur.univ-brest.fr"


def test_the_target_of_an_alias_is_asked_for_where_the_answer_does_not_hold_it(nsd, site):
    elsewhere = {"elsewhere.test": "42 PTR here\nhere A 10.0.0.42\n"}
    both = replace(site, nameservers=("127.0.0.1", SECOND), domains=("elsewhere.test",))

    with Nsd(elsewhere, addresses=(SECOND,), port=nsd.port):
        assert name_of("10.0.0.42", both) == "here.elsewhere.test"


def test_an_answer_that_is_too_long_for_a_datagram_comes_over_tcp(nsd, site):
    confirming = {**ZONES, "univ-brest.fr": "dormeur A 10.0.2.1\n"}
    question = dns.message.make_query(reverse_name("10.0.2.1"), "PTR").to_wire()

    with Nsd(confirming) as other:
        datagram = dns_transport._over_udp("127.0.0.1", other.port, question, 5)
        assert datagram[2] & 2, "the answer fits a datagram: the test proves nothing"

        assert name_of("10.0.2.1", replace(site, port=other.port)) == "dormeur.univ-brest.fr"


# What is a definite no


@pytest.mark.parametrize(("name", "why"), ATTACKS.items())
def test_a_ptr_that_is_no_host_name_of_ours_is_refused_although_confirmed(name, why, attacked):
    peer = f"10.0.1.{list(ATTACKS).index(name)}"

    assert why in refusal(peer, attacked)


@pytest.fixture(scope="module")
def attacked() -> Iterator[Dns]:
    with Nsd(attack_zones()) as server:
        yield Dns(("univ-brest.fr", "lab.univ-brest.fr"), ("127.0.0.1",), server.port)


@pytest.mark.parametrize(
    ("peer", "detail"),
    [
        ("10.0.0.200", "10.0.0.200 has no PTR"),
        ("10.0.0.20", "10.0.0.20 has no PTR"),
        ("10.0.0.23", "10.0.0.23 has no PTR"),
        ("2001:db8::b", "2001:db8::b has no PTR"),
        ("10.0.0.13", "A of simplet.univ-brest.fr is 10.0.0.98, 10.0.0.99, not 10.0.0.13"),
        ("2001:db8::a", "grincheux.univ-brest.fr, the PTR of 2001:db8::a, has no AAAA" + MAYBE),
        ("10.0.0.14", "joyeux.univ-brest.fr, the PTR of 10.0.0.14, has no A" + MAYBE),
        ("10.0.0.15", "atchoum.univ-brest.fr, the PTR of 10.0.0.15, has no A" + MAYBE),
        ("10.0.0.16", "ghost.univ-brest.fr, the PTR of 10.0.0.16, has no A"),
        ("10.0.0.17", "perdu.univ-brest.fr, the PTR of 10.0.0.17, has no A"),
        ("10.0.0.18", "A of rond.univ-brest.fr is an alias without an end"),
        ("10.0.0.21", "PTR of 21.0.0.10.in-addr.arpa is an alias without an end"),
    ],
)
def test_what_the_dns_says_or_does_not_have_is_a_no_and_told_to_the_administrator(peer, detail, site):
    said = refusal(peer, site)

    # A server may turn the order of the addresses.
    assert sorted(said.replace(",", "").split()) == sorted(detail.replace(",", "").split())


def test_several_names_that_lead_back_are_refused(site):
    both = "first.univ-brest.fr, second.univ-brest.fr"

    assert refusal("10.0.0.30", site) == f"PTR of 10.0.0.30 is {both}, which all lead back to it"


def test_of_several_names_none_counts_that_does_not_lead_back_or_is_no_host_name(site):
    assert refusal("10.0.0.32", site) == "A of dormeur.univ-brest.fr is 10.0.0.9, 192.0.2.1, not 10.0.0.32"
    none = refusal("10.0.0.34", site)
    assert "ghost.univ-brest.fr, the PTR of 10.0.0.34, has no A; A of grincheux" in none


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        ("10.0.0.35", "accent.univ-brest.fr"),  # the stale name has no A
        ("10.0.0.36", "accent.univ-brest.fr"),  # ... has another machine's A
        ("10.0.0.37", "accent.univ-brest.fr"),  # ... is an alias without an end
        ("10.0.0.38", "accent.lab.univ-brest.fr"),  # ... is in another of the domains
        ("10.0.0.39", "accent.univ-brest.fr"),  # ... is no host name, and leads back
        ("2001:db8::c", "accent.univ-brest.fr"),
    ],
)
def test_of_several_names_inside_the_domains_the_one_that_leads_back_counts(peer, name, site):
    assert name_of(peer, site) == name


@pytest.mark.parametrize("peer", ["10.0.0.50", "10.0.0.51"])
def test_a_doubt_about_one_of_several_names_is_no_no(peer, site):
    assert "REFUSED" in fault(peer, site)


def test_a_crowd_of_names_inside_the_domains_is_refused_without_asking_for_each(site, mocker):
    asked = mocker.spy(dns_transport, "ask")

    assert "40 names inside the domains" in refusal("10.0.2.3", site)
    assert asked.call_count == 1


def test_a_name_outside_the_domains_is_told_to_the_administrator(site):
    detail = refusal("10.0.0.9", replace(site, domains=("example.net",)))

    assert detail == "PTR of 10.0.0.9 is dormeur.univ-brest.fr, outside the domains"


def test_a_crowd_of_names_is_told_in_few_words(site):
    detail = refusal("10.0.2.1", replace(site, domains=("univ-nantes.fr",)))

    assert detail.endswith(" and 398 more, outside the domains")
    assert len(detail) < 500


@pytest.mark.parametrize(
    "peer",
    ["fe80::1", "fe80::1%eth0", "2001:db8::9%eth0", "169.254.1.1", "0.0.0.0", "::", "224.0.0.1", "ff02::1"],
)
def test_a_peer_that_no_dns_can_name_is_refused_without_asking(peer, site, mocker):
    asked = mocker.patch.object(dns_transport, "ask")

    assert "no address of a machine" in refusal(peer, site)
    assert not asked.called


@pytest.mark.parametrize("peer", ["10.0.0.9", "2001:db8::9"])
def test_a_peer_outside_the_networks_is_refused_without_asking(peer, site, mocker):
    asked = mocker.patch.object(dns_transport, "ask")

    assert "outside the networks" in refusal(peer, replace(site, networks=("10.0.1.0/24", "2001:db8:1::/48")))
    assert not asked.called


@pytest.mark.parametrize("peer", ["10.0.0.9", "2001:db8::9"])
def test_a_peer_inside_one_of_the_networks_is_asked_for(peer, site):
    inside = replace(site, networks=("192.0.2.0/24", "10.0.0.9", "2001:db8::/32"))

    assert name_of(peer, inside) == "dormeur.univ-brest.fr"


# What is no answer


@pytest.mark.parametrize(
    ("peer", "what"),
    [
        ("10.9.0.1", "PTR of 1.0.9.10.in-addr.arpa: 127.0.0.1: REFUSED"),
        ("10.0.3.1", "PTR of 1.3.0.10.in-addr.arpa: 127.0.0.1: SERVFAIL"),
        ("10.0.0.19", "A of x.refused.test: 127.0.0.1: REFUSED"),
    ],
)
def test_a_server_that_refuses_or_fails_is_no_no(peer, what, site):
    assert fault(peer, site) == what


def test_a_failing_forward_zone_is_no_no(site):
    detail = fault("10.0.0.24", replace(site, domains=("broken.test",)))

    assert detail == "A of x.broken.test: 127.0.0.1: SERVFAIL"


def test_another_nameserver_is_asked_where_one_refuses(nsd, site):
    both = replace(site, nameservers=(SECOND, "127.0.0.1"))

    with Nsd({"refused.test": ""}, addresses=(SECOND,), port=nsd.port):
        assert name_of("10.0.0.9", both) == "dormeur.univ-brest.fr"


def test_a_closed_port_is_told_at_once(site):
    started = time.monotonic()

    detail = fault("10.0.0.9", replace(site, nameservers=("127.0.0.1", "::1"), port=free_port()))

    assert detail.count("refused") == 2
    assert time.monotonic() - started < 2


class Impostor:
    """A nameserver that does with a question what the test says; *stream* gets connections over TCP."""

    def __init__(
        self,
        reply: Callable[[bytes], list[bytes]],
        address: str = "127.0.0.1",
        port: int = 0,
        stream: Callable[[socket.socket, bytes], None] | None = None,
    ) -> None:
        self.address, self.port = address, port or free_port((address,))
        self.questions: list[bytes] = []
        self._reply, self._stream, self._done = reply, stream, threading.Event()
        self._threads = [threading.Thread(target=self._datagrams)]
        if stream:
            self._threads.append(threading.Thread(target=self._connections))

    def __enter__(self) -> "Impostor":
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._udp.bind((self.address, self.port))
        self._tcp.bind((self.address, self.port))
        if self._stream:
            self._tcp.listen()
        for channel in (self._udp, self._tcp):
            channel.settimeout(0.05)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _datagrams(self) -> None:
        while not self._done.is_set():
            try:
                question, sender = self._udp.recvfrom(4096)
            except TimeoutError:
                continue
            self.questions.append(question)
            for answer in self._reply(question):
                self._udp.sendto(answer, sender)

    def _connections(self) -> None:
        assert self._stream
        while not self._done.is_set():
            try:
                connection, _ = self._tcp.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                size = int.from_bytes(connection.recv(2))
                try:
                    self._stream(connection, connection.recv(size))
                except OSError:
                    continue


def swallow(question: bytes) -> list[bytes]:
    return []


def answer(question: bytes, *lines: str, rcode: int = dns.rcode.NOERROR, flags: int = 0) -> bytes:
    """Make an answer to *question* with these records, those that begin with `!` in the authority section."""
    response = dns.message.make_response(dns.message.from_wire(question))
    response.set_rcode(dns.rcode.Rcode(rcode))
    response.flags |= flags
    for line in lines:
        name, kind, value = line.removeprefix("!").split(" ", 2)
        section = response.authority if line.startswith("!") else response.answer
        section.append(dns.rrset.from_text(name, 60, "IN", kind, value))
    return response.to_wire()


def truth(question: bytes) -> bytes:
    """Answer as a good server does about the one machine that the impostors know."""
    if asks_ptr(question):
        return answer(question, f"{reverse_name('10.0.0.9')} PTR dormeur.univ-brest.fr.")
    return answer(question, "dormeur.univ-brest.fr. A 10.0.0.9")


def asks_ptr(question: bytes) -> bool:
    return b"\4arpa\0\0\x0c" in question


def asking(*servers: Impostor, timeout: int = 5) -> Dns:
    return Dns(
        domains=("univ-brest.fr",),
        nameservers=tuple(server.address for server in servers),
        port=servers[0].port,
        timeout=timeout,
    )


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def test_a_first_nameserver_that_swallows_questions_leaves_time_for_the_second(nsd, site):
    both = replace(site, nameservers=(SECOND, "127.0.0.1"), timeout=2)

    with Impostor(swallow, SECOND, nsd.port) as black_hole, at_most(3):
        assert name_of("10.0.0.9", both) == "dormeur.univ-brest.fr"

    assert not any(not asks_ptr(question) for question in black_hole.questions), "it was asked first again"


def test_nameservers_that_all_swallow_questions_cost_the_timeout_and_no_more():
    port = free_port((*LOOPBACK, SECOND))
    with Impostor(swallow, port=port) as one, Impostor(swallow, SECOND, port) as other, at_most(3):
        detail = fault("10.0.0.9", asking(one, other, timeout=1))

    assert detail.count("did not answer in time") == 2
    assert one.questions and other.questions


def test_the_caller_may_leave_less_time_than_the_configuration():
    with Impostor(swallow) as black_hole, at_most(2):
        assert "did not answer in time" in fault("10.0.0.9", asking(black_hole), within=0.3)


def test_a_caller_without_time_gets_a_fault_at_once(site):
    with at_most(1):
        assert "did not answer in time" in fault("10.0.0.9", site, within=0.0)


def test_a_lost_datagram_is_sent_again():
    lost = []

    def lose_the_first(question: bytes) -> list[bytes]:
        lost.append(question)
        return [] if len(lost) == 1 else [truth(question)]

    with Impostor(lose_the_first) as server, at_most(2):
        assert name_of("10.0.0.9", asking(server, timeout=2)) == "dormeur.univ-brest.fr"


def test_a_slow_answer_counts_although_the_question_was_sent_again():
    def slow_at_first(question: bytes) -> list[bytes]:
        if len(server.questions) == 1:
            time.sleep(1)  # a second after two thirds of one
        return [truth(question)]

    with Impostor(slow_at_first) as server:
        assert name_of("10.0.0.9", asking(server, timeout=2)) == "dormeur.univ-brest.fr"

    assert server.questions[0] == server.questions[1]


def test_answers_with_another_number_are_forgeries_and_are_not_listened_to():
    def forge_first(question: bytes) -> list[bytes]:
        forged = bytes([question[0] ^ 1]) + answer(question, rcode=dns.rcode.NXDOMAIN)[1:]
        return [b"", b"\0", forged, forged, truth(question)]

    with Impostor(forge_first) as server:
        assert name_of("10.0.0.9", asking(server)) == "dormeur.univ-brest.fr"


def another_question(question: bytes) -> bytes:
    other = dns.message.make_query("9.9.9.9.in-addr.arpa.", "PTR", id=int.from_bytes(question[:2]))
    return answer(other.to_wire(), "9.9.9.9.in-addr.arpa. PTR dormeur.univ-brest.fr.")


def contradiction(question: bytes) -> bytes:
    return answer(question, f"{reverse_name('10.0.0.9')} PTR a.b.", rcode=dns.rcode.NXDOMAIN)


def referral(question: bytes) -> bytes:
    return answer(question, "!in-addr.arpa. NS a.in-addr-servers.arpa.")


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (lambda question: question, "answered another question"),
        (another_question, "answered another question"),
        (lambda question: question[:2] + b"\x81\x80garbage garbage garbage", "127.0.0.1: "),
        (lambda question: truth(question)[:-3], "127.0.0.1: "),
        (lambda question: truth(question) + b"more", "127.0.0.1: "),
        (lambda question: question[:3], "127.0.0.1: "),
        (lambda question: answer(question, rcode=dns.rcode.SERVFAIL), "SERVFAIL"),
        (lambda question: answer(question, rcode=dns.rcode.FORMERR), "FORMERR"),
        (lambda question: answer(question, rcode=dns.rcode.NOTIMP), "NOTIMP"),
        (lambda question: answer(question, rcode=dns.rcode.YXDOMAIN), "YXDOMAIN"),
        (referral, "only names other nameservers"),
        (contradiction, "AnswerForNXDOMAIN"),
    ],
    ids=range(12),
)  # fmt: skip
def test_an_answer_that_is_none_is_a_fault_and_the_next_nameserver_is_asked(reply, what, nsd, site):
    with Impostor(lambda question: [reply(question)], SECOND, nsd.port) as impostor:
        assert what.replace("127.0.0.1", SECOND) in fault("10.0.0.9", asking(impostor))

        both = replace(site, nameservers=(SECOND, "127.0.0.1"))
        assert name_of("10.0.0.9", both) == "dormeur.univ-brest.fr"


@pytest.mark.parametrize(
    "reply",
    [
        lambda question: answer(question, rcode=dns.rcode.NXDOMAIN),
        lambda question: answer(question, flags=dns.flags.RA),
        answer,
        lambda question: answer(question, "!in-addr.arpa. SOA a. b. 1 1 1 1 1", "!in-addr.arpa. NS a."),
        lambda question: answer(question, "!in-addr.arpa. NS a.", flags=dns.flags.AA),
        lambda question: answer(question, "other.arpa. PTR dormeur.univ-brest.fr."),
        lambda question: answer(question, f"{reverse_name('10.0.0.9')} A 10.0.0.9"),
    ],
    ids=range(7),
)
def test_an_answer_without_the_record_is_a_no(reply):
    with Impostor(lambda question: [reply(question)]) as server:
        assert refusal("10.0.0.9", asking(server)) == "10.0.0.9 has no PTR"


def test_an_alias_of_a_name_that_does_not_exist_is_a_no_at_once():
    def gone(question: bytes) -> list[bytes]:
        return [answer(question, f"{reverse_name('10.0.0.9')} CNAME x.arpa.", rcode=dns.rcode.NXDOMAIN)]

    with Impostor(gone) as server:
        assert refusal("10.0.0.9", asking(server)) == "10.0.0.9 has no PTR"

    assert len(server.questions) == 1


def test_an_alias_that_leads_ever_further_is_a_no_after_few_questions():
    def further(question: bytes) -> list[bytes]:
        name = dns.message.from_wire(question).question[0].name
        return [answer(question, f"{name} CNAME x{len(server.questions)}.arpa.")]

    with Impostor(further) as server:
        assert "an alias without an end" in refusal("10.0.0.9", asking(server))

    assert len(server.questions) == 8


def cut_short(question: bytes) -> list[bytes]:
    return [answer(question, f"{reverse_name('10.0.0.9')} PTR dormeur.univ-brest.fr.", flags=dns.flags.TC)]


def send(connection: socket.socket, message: bytes) -> None:
    connection.sendall(len(message).to_bytes(2) + message)


def drip(connection: socket.socket, question: bytes) -> None:
    connection.sendall(b"\0\xff")
    for _ in range(40):
        connection.sendall(question[:1])
        time.sleep(0.1)


def hang_up(connection: socket.socket, question: bytes) -> None:
    connection.sendall(b"\0\xff" + question[:5])


@pytest.mark.parametrize(
    ("stream", "what"),
    [
        (None, "refused"),
        (drip, "did not answer in time"),
        (hang_up, "hung up"),
        (lambda connection, question: send(connection, b"\0\0" + truth(question)[2:]), "another question"),
        (lambda connection, question: send(connection, b""), "another question"),
        (lambda connection, question: send(connection, cut_short(question)[0]), "cut its answer short"),
        (lambda connection, question: send(connection, question[:2] + b"\x81"), "ShortHeader"),
    ],
    ids=["closed", "dripping", "hanging up", "wrong number", "empty", "cut short again", "short"],
)
def test_an_answer_that_was_cut_short_is_never_believed(stream, what):
    with Impostor(cut_short, stream=stream) as server, at_most(3):
        assert what in fault("10.0.0.9", asking(server, timeout=1))


def monstrous(question: bytes) -> bytes:
    """Make an answer of 64 KiB: 3600 names of 120 labels, of which all but the first point into the first."""
    tail = b"\1a" * 119 + b"\0"
    header = b"\xc0\x0c\0\x0c\0\1\0\0\0\x3c"
    first = header + (len(tail)).to_bytes(2) + tail
    pointer = (0xC000 + len(question) + 12).to_bytes(2)
    others = (header + b"\0\6\3" + n.to_bytes(3) + pointer for n in range(3600))
    return question[:2] + b"\x85\x80\0\1" + (3601).to_bytes(2) + question[8:] + first + b"".join(others)


def test_more_records_than_a_machine_has_are_refused_before_reading_them_costs_seconds():
    def stream(connection: socket.socket, question: bytes) -> None:
        send(connection, monstrous(question))

    with Impostor(cut_short, stream=stream) as server, at_most(2):
        detail = refusal("10.0.0.9", asking(server))

    assert detail == "PTR of 9.0.0.10.in-addr.arpa has too many records"


def many_names_in_one(question: bytes) -> bytes:
    """Make an answer of 64 KiB with one HIP record of 30,000 servers with 120 labels each."""
    servers = (0xC000 + len(question)).to_bytes(2) * 30_000
    data = b"\1\1\0\1xy" + servers
    record = b"\1a" * 119 + b"\0\0\x37\0\1\0\0\0\x3c" + len(data).to_bytes(2) + data
    return question[:2] + b"\x85\x80\0\1\0\0\0\0\0\1" + question[12:] + record


def test_an_answer_that_takes_the_library_too_long_to_read_is_given_up_and_is_no_no():
    def stream(connection: socket.socket, question: bytes) -> None:
        send(connection, many_names_in_one(question))

    with Impostor(cut_short, stream=stream) as server, at_most(5):
        told = fault("10.0.0.9", asking(server, timeout=1))

    # dnspython 2.9 refuses it at once, 2.3 would read for half a minute.
    assert "did not answer in time" in told or "DecompressionForbidden" in told


def test_a_library_that_reads_on_and_on_is_left_alone(site, mocker):
    released = threading.Event()
    mocker.patch("dns.message.from_wire", side_effect=lambda *_, **__: released.wait())

    with at_most(3):
        assert "did not answer in time" in fault("10.0.0.9", site, within=1)

    released.set()


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), AttributeError("y"), ValueError()])
def test_whatever_the_library_raises_is_a_fault(error, site, mocker):
    mocker.patch("dns.message.from_wire", side_effect=error)

    assert type(error).__name__ in fault("10.0.0.9", site)


def test_whatever_is_raised_outside_of_a_question_is_a_fault_too(site, mocker):
    mocker.patch("dns.name.from_text", side_effect=KeyError("x"))

    assert fault("10.0.0.9", site) == "asking for 10.0.0.9: KeyError: 'x'"


# The system's nameservers


@pytest.fixture
def resolv_conf(tmp_path, monkeypatch):
    path = tmp_path / "resolv.conf"
    monkeypatch.setattr(reverse_dns, "RESOLV_CONF", path)
    return path


def test_without_configured_nameservers_the_systems_are_asked_and_its_search_list_is_not(resolv_conf, site):
    resolv_conf.write_text(
        "; old style\n#nameserver 192.0.2.1\nsearch example.net\ndomain x\noptions ndots:5 é\n"
        "nameserver\nnameserver not-an-address\nnameserver\t127.0.0.1 # ours\nnameserver ::1\n"
    )

    assert name_of("10.0.0.9", replace(site, nameservers=())) == "dormeur.univ-brest.fr"


@pytest.mark.parametrize("text", [None, "", "search x.fr\n", "#nameserver 127.0.0.1\n", "nameserver\n"])
def test_without_any_nameserver_nothing_is_known(text, resolv_conf, site):
    if text is not None:
        resolv_conf.write_text(text)

    assert str(resolv_conf) in fault("10.0.0.9", replace(site, nameservers=()))


# Whatever a zone holds

any_label = st.binary(min_size=1, max_size=63) | st.text(
    string.ascii_letters + string.digits + "-_. $", min_size=1, max_size=12
).map(str.encode)
domain = st.sampled_from([(), (b"univ-brest", b"fr"), (b"UNIV-brest", b"FR"), (b"evil-univ-brest", b"fr")])


@given(st.lists(any_label, max_size=3), domain)
@example([b"dormeur"], (b"univ-brest", b"fr"))
@example([b"dormeur\n"], (b"univ-brest", b"fr"))
@settings(deadline=None, max_examples=300)
def test_whatever_labels_a_ptr_has_a_name_is_a_plain_host_name_below_a_domain(first, last):
    labels = [*first, *last, b""]
    if sum(map(len, labels)) + len(labels) > 255:
        return
    told = dns.name.Name(labels)

    def ask(server: str, port: int, question: bytes, timeout: float) -> bytes:
        response = dns.message.make_response(dns.message.from_wire(question))
        asked = response.question[0]
        value = f"PTR {told}" if asks_ptr(question) else "A 10.0.0.9"
        response.answer.append(dns.rrset.from_text(asked.name, 60, "IN", *value.split(" ", 1)))
        return response.to_wire()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dns_transport, "ask", ask)
        try:
            name = name_of("10.0.0.9", Dns(domains=("univ-brest.fr",), nameservers=("127.0.0.1",)))
        except InvalidDnsName:
            assert last not in domain_of_ours or not all(map(is_plain, first)) or not first
            return

    assert re.fullmatch(r"[a-z0-9.-]+\.univ-brest\.fr", name)
    assert name == b".".join(labels[:-1]).decode().lower()


domain_of_ours = {(b"univ-brest", b"fr"), (b"UNIV-brest", b"FR")}


def is_plain(label: bytes) -> bool:
    return label.replace(b"-", b"a").isalnum() and label.isascii() and label.strip(b"-") == label


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_whatever_bytes_an_answer_holds_only_our_own_errors_come_out(data):
    def ask(server: str, port: int, question: bytes, timeout: float) -> bytes:
        wire = bytearray(truth(question))
        for place in data.draw(st.lists(st.integers(2, len(wire) - 1), min_size=1, max_size=6)):
            wire[place] = data.draw(st.integers(0, 255))
        return bytes(wire)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dns_transport, "ask", ask)
        try:
            name = name_of("10.0.0.9", Dns(domains=("univ-brest.fr",), nameservers=("127.0.0.1",)))
        except (InvalidDnsName, DnsUnavailable):
            return

    assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.univ-brest\.fr", name)


# Resolvers that hide private addresses


PRIVATE = {
    "univ-brest.fr": """
dix         A 10.0.0.70
seize       A 172.16.0.70
deux        A 192.168.0.70
six         AAAA fd00::70
mixte       A 10.0.0.71
mixte       A 134.158.0.71
dehors      A 134.158.0.72
perime      A 134.158.0.74
""",
    "0.0.10.in-addr.arpa": """
70 PTR dix.univ-brest.fr.
71 PTR mixte.univ-brest.fr.
73 PTR fantome.univ-brest.fr.
74 PTR perime.univ-brest.fr.
""",
    "16.172.in-addr.arpa": "70.0 PTR seize.univ-brest.fr.\n",
    "168.192.in-addr.arpa": "70.0 PTR deux.univ-brest.fr.\n",
    "158.134.in-addr.arpa": "72.0 PTR dehors.univ-brest.fr.\n75.0 PTR seize.univ-brest.fr.\n",
    "d.f.ip6.arpa": f"{reverse_name('fd00::70')} PTR six.univ-brest.fr.\n",
}


@pytest.fixture(scope="module")
def private() -> Iterator[Nsd]:
    with Nsd(PRIVATE) as server:
        yield server


@pytest.fixture(scope="module")
def hiding(private: Nsd) -> Iterator[Dns]:
    with dnsmasq(private.port, "univ-brest.fr", "--stop-dns-rebind") as port:
        yield Dns(domains=("univ-brest.fr",), nameservers=(ADDRESS,), port=port)


@pytest.mark.parametrize("peer", ["10.0.0.70", "172.16.0.70", "192.168.0.70", "fd00::70", "10.0.0.71"])
def test_a_resolver_that_hides_private_addresses_is_named(peer: str, hiding: Dns, private: Nsd) -> None:
    assert reverse_dns.HIDDEN in refusal(peer, hiding)
    with dnsmasq(
        private.port, "univ-brest.fr", "--stop-dns-rebind", "--rebind-domain-ok=/univ-brest.fr/"
    ) as port:
        assert name_of(peer, replace(hiding, port=port))


@pytest.mark.parametrize("peer", ["10.0.0.73", "134.158.0.75"])
def test_a_name_that_is_gone_and_a_public_address_are_not_blamed_on_it(peer: str, hiding: Dns) -> None:
    assert reverse_dns.HIDDEN not in refusal(peer, hiding)


def test_a_public_address_is_confirmed_all_the_same(hiding: Dns) -> None:
    assert name_of("134.158.0.72", hiding) == "dehors.univ-brest.fr"
