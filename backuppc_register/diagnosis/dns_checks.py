"""The check of the DNS."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from backuppc_register.diagnosis.finding import Answer, green, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.protocol.errors import InvalidDnsName, RegisterError
from backuppc_register.protocol.request import Address

# The check imports dnspython late: if it is missing, all other checks still run.
if TYPE_CHECKING:
    from backuppc_register.network.reverse_dns import ReverseDns

_TIMEOUT = 5.0  # seconds for one question
_SHOW_PRIVATE = (
    "unbound: private-domain; dnsmasq: rebind-domain-ok, for each of [dns] domains."
    " See docs/reference/messages.md: no machine with a private address can register."
)
_SLOW = 1.0  # seconds


def dns(facts: ServerFacts) -> Iterator[Answer]:
    """Ask each nameserver for this server's addresses, and for the names of these addresses."""
    from backuppc_register.network.reverse_dns import ReverseDns

    settings = facts.config.dns
    name = socket.getfqdn()
    if "." not in name:
        yield yellow(f"this server's name {name} has no domain", "See /etc/hosts and /etc/hostname.")
        return
    # The same questions as for a machine, but this server may be outside the machines' domains and networks.
    own = replace(settings, domains=(name.partition(".")[2],), networks=())
    for server in settings.nameservers or ("",):
        resolver = ReverseDns(replace(own, nameservers=(server,) if server else ()))
        where = server or "the nameserver of /etc/resolv.conf"
        try:
            yield from _hidden(resolver, _private_addresses(facts, name), where)
            yield from _both_ways(resolver, name, where)
        except RegisterError as error:
            advice = "See [dns] nameservers. Until then, registrations fail with the advice to try again."
            yield red(f"{where}: {error.detail}", advice)


def _private_addresses(facts: ServerFacts, name: str) -> list[Address]:
    """Return the private addresses of this server: those in ``from``, and those that its *name* has here."""
    own = {*facts.config.server.sources}
    with suppress(OSError):
        own |= {str(one[4][0]) for one in socket.getaddrinfo(name, None)}
    found = []
    for text in sorted(own):
        with suppress(ValueError):  # a network
            found.append(ip_address(text))
    return [one for one in found if not one.is_global and not one.is_loopback]


def _hidden(resolver: "ReverseDns", addresses: list[Address], where: str) -> Iterator[Answer]:
    """Check that the nameserver does not hide private addresses: no machine could be registered."""
    from backuppc_register.network.reverse_dns import HIDDEN

    for address in addresses:
        try:
            resolver.name_of(address, _TIMEOUT)
        except InvalidDnsName as error:
            if HIDDEN not in error.detail:
                continue
            what = f"{where} gives a PTR of {address}, but no address of that name: {error.detail}"
            yield red(what, _SHOW_PRIVATE)
            return


def _both_ways(resolver: "ReverseDns", name: str, where: str) -> Iterator[Answer]:
    began = time.monotonic()
    addresses = resolver.addresses_of(name, _TIMEOUT)
    if not addresses:
        advice = "See /etc/hostname: machines connect to this server by its name."
        yield yellow(f"{where} knows no address of {name}", advice)
        return
    for address in addresses:
        try:
            back = resolver.name_of(ip_address(address), _TIMEOUT)
        except InvalidDnsName as error:
            advice = f"Add a PTR (dig -x {address}) that leads to {name}: machines may check who connects."
            yield yellow(f"{where}: {address} does not lead back to {name}: {error.detail}", advice)
            continue
        if back != name.lower():
            yield yellow(f"{where}: {address} is {back}, not {name}", f"Is that right? dig -x {address}")
    took = time.monotonic() - began
    if took > _SLOW:
        yield yellow(f"{where} took {took:.1f} s", "See [dns] nameservers: a request has 28 s.")
    yield green(f"{where} knows {name}")
