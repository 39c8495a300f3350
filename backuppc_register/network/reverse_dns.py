"""Who a peer is by the DNS: its forward-confirmed name inside the site's domains.

Of dnspython only what reads and writes messages is used, and the bytes travel by `nameserver`: dns.query
and dns.resolver import ssl and, where a machine has them, HTTP and QUIC libraries, their time is the wall
clock's, and 2.3 gives up at the first forged datagram.
"""

import ipaddress
import re
import struct
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.PTR import PTR

from backuppc_register.config import Dns
from backuppc_register.network import dns_transport
from backuppc_register.network.timeout import with_timeout
from backuppc_register.protocol.errors import DnsUnavailable, InvalidDnsName, RegisterError
from backuppc_register.protocol.request import Address
from backuppc_register.system.deadline import Deadline

RESOLV_CONF = Path("/etc/resolv.conf")

_LABEL = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MOST_QUESTIONS = 8  # for one record: each after the first is for the target of a CNAME
# Strangers own reverse zones: 64 KiB of names with 120 labels cost dnspython seven seconds, these one. What
# costs more all the same, as a record that holds thousands of names, is given up when its time is over.
_MOST_RECORDS = 500
_MOST_SHOWN = 3
_LONGEST_SHOWN = 100

Labels = tuple[bytes, ...]


class _NoAnswer(Exception):
    """What a nameserver sent says nothing about the question."""


class _Enquiry:
    """The questions about one peer: whom they go to, and until when."""

    def __init__(self, servers: Sequence[str], port: int, deadline: Deadline) -> None:
        self._servers = list(servers)
        self._port = port
        self._deadline = deadline

    def records(self, name: dns.name.Name, kind: RdataType) -> list[Rdata]:
        """Return the records of *kind* at *name*, or at what it is an alias of (RFC 2317); maybe none.

        A nameserver need not know the target of an alias in another zone: then the target is asked for. An
        alias without an end is no silence, it is what the zone says, and there is no name in it.

        Raises InvalidDnsName for such an alias, and DnsUnavailable.
        """
        asked = name
        for _ in range(_MOST_QUESTIONS):
            records, target = self._word(asked, kind)
            if target is None:
                return records
            asked = target
        raise _endless(name, kind)

    def _word(self, name: dns.name.Name, kind: RdataType) -> tuple[list[Rdata], dns.name.Name | None]:
        """Return the first nameserver's word that is one, as `_read` does.

        A share of the time each, so that one that swallows questions leaves time for the next; it is asked
        last from then on.
        """
        failures = []
        for left in range(len(self._servers), 0, -1):
            server = self._servers[0]
            # Without EDNS: the answers are short, TCP carries the long ones, and no old server stumbles.
            question = dns.message.make_query(name, kind, use_edns=False)
            try:
                share = Deadline(self._deadline.remaining() / left)
                wire = dns_transport.ask(server, self._port, question.to_wire(), share.remaining())
                return with_timeout(share.remaining(), partial(_read, wire, question))
            except RegisterError:
                raise
            except Exception as error:
                failures.append(f"{server}: {_reason(error)}")
                self._servers.append(self._servers.pop(0))
        raise DnsUnavailable(detail=f"{kind.name} of {_shown([name])}: {'; '.join(failures)}")


class ReverseDns:
    """Asks the configured nameservers, or the system's, for the name of a peer."""

    def __init__(self, settings: Dns) -> None:
        self._settings = settings
        self._domains = {tuple(domain.lower().encode().split(b".")) for domain in settings.domains}
        self._networks = [ipaddress.ip_network(network) for network in settings.networks]

    def name_of(self, peer: Address, timeout: float) -> str:
        """Return the full name of *peer*, in lower case and without a final dot.

        It is the peer's PTR, the only one inside the domains, and its A or AAAA gives the address back.
        All questions together take *timeout* seconds and the configured timeout at most.

        Raises InvalidDnsName where there is no such name, DnsUnavailable where that cannot be known.
        """
        self._refuse_without_asking(peer)
        try:
            enquiry = _Enquiry(
                self._settings.nameservers or _system_nameservers(),
                self._settings.port,
                Deadline(min(timeout, self._settings.timeout)),
            )
            name = self._claimed_name(peer, enquiry)
            _confirm(name, peer, enquiry)
        except RegisterError:
            raise
        except Exception as error:
            # The answers are strangers' bytes: what they make the library raise says nothing about the name.
            raise DnsUnavailable(detail=f"asking for {peer}: {_reason(error)}") from error
        return name

    def addresses_of(self, name: str, timeout: float) -> tuple[str, ...]:
        """Return the addresses of *name*, IPv4 first, none where it has none.

        Raises DnsUnavailable where that cannot be known, InvalidDnsName for an alias without an end.
        """
        try:
            enquiry = _Enquiry(
                self._settings.nameservers or _system_nameservers(),
                self._settings.port,
                Deadline(min(timeout, self._settings.timeout)),
            )
            asked = dns.name.from_text(name)
            kinds = (RdataType.A, RdataType.AAAA)
            return tuple(one.to_text() for kind in kinds for one in enquiry.records(asked, kind))
        except RegisterError:
            raise
        except Exception as error:
            raise DnsUnavailable(detail=f"asking for {name[:_LONGEST_SHOWN]}: {_reason(error)}") from error

    def _refuse_without_asking(self, peer: Address) -> None:
        if peer.is_link_local or peer.is_multicast or peer.is_unspecified or getattr(peer, "scope_id", None):
            raise InvalidDnsName(detail=f"{peer} is no address of a machine in the DNS")
        if self._networks and not any(peer in network for network in self._networks):
            raise InvalidDnsName(detail=f"{peer} is outside the networks")

    def _claimed_name(self, peer: Address, enquiry: _Enquiry) -> str:
        """Return what the PTR says, once it is proven to be one host name inside the domains."""
        records = enquiry.records(dns.name.from_text(peer.reverse_pointer), RdataType.PTR)
        told = [record.target for record in records if isinstance(record, PTR)]
        if not told:
            raise InvalidDnsName(detail=f"{peer} has no PTR")
        # One name in two spellings is one name.
        inside = {labels for labels in map(_labels, told) if self._is_inside(labels)}
        if not inside:
            raise InvalidDnsName(detail=f"PTR of {peer} is {_shown(told)}, outside the domains")
        if len(inside) > 1:
            raise InvalidDnsName(detail=f"PTR of {peer} is {_shown(told)}, not one name inside the domains")
        labels = inside.pop()
        # That the whole is no longer than 253 is the wire format's own limit.
        if not all(_LABEL.fullmatch(label) for label in labels):
            raise InvalidDnsName(detail=f"PTR of {peer} is {_shown(told)}, not a host name")
        return b".".join(labels).decode("ascii")

    def _is_inside(self, labels: Labels) -> bool:
        """Tell whether a name is below a domain by whole labels; a domain itself is no host's name."""
        if labels in self._domains:
            return False
        return any(labels[-len(domain) :] == domain for domain in self._domains)


def _read(wire: bytes, question: dns.message.Message) -> tuple[list[Rdata], dns.name.Name | None]:
    """Return the records that *wire* answers *question* with, and the name that is to be asked for instead.

    Raises _NoAnswer or anything of dnspython's where it is no answer, InvalidDnsName where it never ends.
    """
    if not question.is_response(dns.message.from_wire(wire, question_only=True)):
        raise _NoAnswer("answered another question")
    asked = question.question[0]
    if sum(struct.unpack_from("!3H", wire, 6)) > _MOST_RECORDS:
        raise InvalidDnsName(detail=f"{asked.rdtype.name} of {_shown([asked.name])} has too many records")
    response = dns.message.from_wire(wire)
    if not isinstance(response, dns.message.QueryMessage):
        raise _NoAnswer("answered another question")
    if response.flags & dns.flags.TC:
        raise _NoAnswer("cut its answer short")
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise _NoAnswer(dns.rcode.to_text(response.rcode()))
    try:
        chain = response.resolve_chaining()
    except dns.message.ChainTooLong as error:
        raise _endless(asked.name, asked.rdtype) from error
    if chain.answer is not None:
        return list(chain.answer), None
    if response.rcode() == dns.rcode.NXDOMAIN:
        return [], None
    if chain.cnames:
        return [], chain.canonical_name
    if _is_referral(response):
        raise _NoAnswer("only names other nameservers")
    return [], None


def _is_referral(response: dns.message.Message) -> bool:
    """Tell whether an empty answer says "ask them", not "there is none" (RFC 2308, section 2.2)."""
    kinds = {rrset.rdtype for rrset in response.authority}
    authoritative = bool(response.flags & dns.flags.AA)
    return not authoritative and RdataType.NS in kinds and RdataType.SOA not in kinds


def _confirm(name: str, peer: Address, enquiry: _Enquiry) -> None:
    """Check that the addresses of *name* give *peer* back. Raises InvalidDnsName, DnsUnavailable."""
    kind = RdataType.A if peer.version == 4 else RdataType.AAAA
    addresses = [record.to_text() for record in enquiry.records(dns.name.from_text(name), kind)]
    if not addresses:
        raise InvalidDnsName(detail=f"{name}, the PTR of {peer}, has no {kind.name}")
    if peer not in map(ipaddress.ip_address, addresses):
        raise InvalidDnsName(detail=f"{kind.name} of {name} is {_few(addresses)}, not {peer}")


def _endless(name: dns.name.Name, kind: RdataType) -> InvalidDnsName:
    return InvalidDnsName(detail=f"{kind.name} of {_shown([name])} is an alias without an end")


def _system_nameservers() -> list[str]:
    """Return the nameservers of resolv.conf(5); without one there is nobody to ask, and no guess is made."""
    lines = RESOLV_CONF.read_text(encoding="ascii", errors="replace").split("\n")
    words = [line.split() for line in lines]
    servers = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    if not servers:
        raise DnsUnavailable(detail=f"{RESOLV_CONF} names no nameserver")
    return servers


def _labels(name: dns.name.Name) -> Labels:
    return tuple(label.lower() for label in name.labels[:-1])


def _shown(names: Iterable[dns.name.Name]) -> str:
    """Return names for the log, odd bytes as dnspython writes them."""
    return _few([str(name).removesuffix(".") for name in names])


def _few(texts: Sequence[str]) -> str:
    shown = ", ".join(text[:_LONGEST_SHOWN] for text in texts[:_MOST_SHOWN])
    more = len(texts) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _reason(error: Exception) -> str:
    """Return what went wrong in a few words."""
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    own_words = isinstance(error, (OSError, _NoAnswer))
    return str(error) if own_words else f"{type(error).__name__}: {error}"
