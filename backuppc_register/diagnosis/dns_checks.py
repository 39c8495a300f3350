"""The check of the DNS."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.protocol.errors import InvalidDnsName, RegisterError

# The check needs dnspython and imports it late: without it, all others still tell.
if TYPE_CHECKING:
    from backuppc_register.network.reverse_dns import ReverseDns

_WITHIN = 5.0  # seconds for one question
_SLOW = 1.0  # seconds, after which an answer is worth a word


@otherwise("See [dns] nameservers and /etc/resolv.conf.")
def dns(situation: Situation) -> Iterator[Answer]:
    """Ask each nameserver for this server's own name, both ways."""
    from backuppc_register.network.reverse_dns import ReverseDns

    settings = situation.config.dns
    name = socket.getfqdn()
    if "." not in name:
        yield yellow(f"this server is called {name}, without a domain", "See /etc/hosts and /etc/hostname.")
        return
    # As for a machine, but for a server that may be outside the machines' domains and networks.
    own = replace(settings, domains=(name.partition(".")[2],), networks=())
    for server in settings.nameservers or ("",):
        asking = ReverseDns(replace(own, nameservers=(server,) if server else ()))
        where = server or "the nameserver of /etc/resolv.conf"
        try:
            yield from _both_ways(asking, name, where, situation)
        except RegisterError as error:
            yield red(f"{where}: {error.detail}", "See [dns] nameservers; machines are told to try again.")


def _both_ways(asking: "ReverseDns", name: str, where: str, situation: Situation) -> Iterator[Answer]:
    began = time.monotonic()
    addresses = asking.addresses_of(name, _WITHIN)
    if not addresses:
        yield yellow(f"{where} knows no address of {name}", "See /etc/hostname: machines come to it by name.")
        return
    for address in addresses:
        try:
            back = asking.name_of(ip_address(address), _WITHIN)
        except InvalidDnsName as error:
            advice = (
                f"Give it a PTR (dig -x {address}) that its name confirms: machines may look up who connects."
            )
            yield yellow(f"{where}: {address} does not give {name} back: {error.detail}", advice)
            continue
        if back != name.lower():
            yield yellow(f"{where}: {address} is {back}, not {name}", f"Is that meant? dig -x {address}")
    if time.monotonic() - began > _SLOW:
        yield yellow(
            f"{where} took {time.monotonic() - began:.1f} s", "See [dns] nameservers: a request has 28 s."
        )
    yield green(f"{where} knows {name}")


CHECKS = {
    "dns": dns,
}
