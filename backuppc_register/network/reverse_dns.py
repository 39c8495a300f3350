"""Find the DNS name of a peer: its PTR, confirmed by the addresses of that name.

Of dnspython it uses only what reads and writes messages; `dns_transport` says why.
"""

import ipaddress
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
from backuppc_register.protocol.escaping import first_of
from backuppc_register.protocol.request import Address
from backuppc_register.system.deadline import Deadline

RESOLV_CONF = Path("/etc/resolv.conf")
HIDDEN = "or does the nameserver hide private addresses?"
"""What may be the matter if a private address has a PTR, and its name no address."""

_LABEL = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MOST_QUESTIONS = 8  # for one record: each after the first is for the target of a CNAME
# Strangers own reverse zones: 64 KiB of names with 120 labels cost dnspython seven seconds, these one. A
# single record with thousands of names costs more: reading it is given up when its time is over.
_MOST_RECORDS = 500
_MOST_NAMES = 32  # inside the domains, for one peer: each costs a question, of the same time
_LONGEST_SHOWN = 100

Labels = tuple[bytes, ...]


class _NoAnswer(Exception):
    """A nameserver sent something that does not answer the question."""


class _Lookup:
    """The questions about one peer: the nameservers to ask, and the time that is left.

    *is_absent*: there is no such name as that of the last question. *may_be_hidden*: an address may be.
    """

    def __init__(self, servers: Sequence[str], port: int, deadline: Deadline) -> None:
        self._servers = list(servers)
        self._port = port
        self._deadline = deadline
        self.is_absent = False
        self.may_be_hidden = False

    def records(self, name: dns.name.Name, kind: RdataType) -> list[Rdata]:
        """Return the records of *kind* at *name*, or at the target of its alias (RFC 2317); [] if none.

        A nameserver may not know the target of an alias in another zone: then ask for the target.

        Raises DnsUnavailable, and InvalidDnsName if the alias never ends: the zone itself says so.
        """
        asked = name
        for _ in range(_MOST_QUESTIONS):
            records, target = self._ask(asked, kind)
            if target is None:
                self.is_absent = records is None
                return records or []
            asked = target
        raise _endless(name, kind)

    def _ask(self, name: dns.name.Name, kind: RdataType) -> tuple[list[Rdata] | None, dns.name.Name | None]:
        """Return what the first nameserver with a usable answer says, as `_read` does.

        Each has a share of the time, so that a silent one leaves time for the next; after a failure it is
        asked last.
        """
        failures = []
        for left in range(len(self._servers), 0, -1):
            server = self._servers[0]
            # Without EDNS: the answers are short, TCP carries the long ones, and old servers cope.
            question = dns.message.make_query(name, kind, use_edns=False)
            share = Deadline(self._deadline.remaining() / left)
            try:
                wire = dns_transport.ask(server, self._port, question.to_wire(), share.remaining())
                return with_timeout(share.remaining(), partial(_read, wire, question))
            except RegisterError:
                raise
            except Exception as error:
                failures.append(f"{server}: {_reason(error)}")
                self._servers.append(self._servers.pop(0))
        raise DnsUnavailable(detail=f"{kind.name} of {_shown([name])}: {'; '.join(failures)}")


class ReverseDns:
    """Asks the configured nameservers, or the system's."""

    def __init__(self, settings: Dns) -> None:
        self._settings = settings
        self._domains = {tuple(domain.lower().encode().split(b".")) for domain in settings.domains}
        self._networks = [ipaddress.ip_network(network) for network in settings.networks]

    def name_of(self, peer: Address, timeout: float) -> str:
        """Return the full name of *peer*, in lower case and without a final dot.

        It is the only PTR of the peer inside the domains that leads back to the peer by an A or AAAA.
        All questions together take at most *timeout* seconds, and at most the configured timeout.

        Raises InvalidDnsName if there is no such name, DnsUnavailable if that cannot be known.
        """
        self._refuse_without_asking(peer)
        with self._lookup(str(peer), timeout) as lookup:
            return _confirmed(self._claimed_names(peer, lookup), peer, lookup)

    def addresses_of(self, name: str, timeout: float) -> tuple[str, ...]:
        """Return the addresses of *name*, IPv4 first, () if it has none.

        Raises DnsUnavailable if that cannot be known, InvalidDnsName if an alias never ends.
        """
        with self._lookup(name, timeout) as lookup:
            asked = dns.name.from_text(name)
            kinds = (RdataType.A, RdataType.AAAA)
            return tuple(one.to_text() for kind in kinds for one in lookup.records(asked, kind))

    @contextmanager
    def _lookup(self, subject: str, timeout: float) -> Iterator[_Lookup]:
        """Give a `_Lookup` that ends after *timeout* seconds; a library's error becomes DnsUnavailable."""
        try:
            servers = self._settings.nameservers or _system_nameservers()
            yield _Lookup(servers, self._settings.port, Deadline(min(timeout, self._settings.timeout)))
        except RegisterError:
            raise
        except Exception as error:
            # Strangers write the answers: an error of the library says nothing about the name.
            detail = f"asking for {subject[:_LONGEST_SHOWN]}: {_reason(error)}"
            raise DnsUnavailable(detail=detail) from error

    def _refuse_without_asking(self, peer: Address) -> None:
        if peer.is_link_local or peer.is_multicast or peer.is_unspecified or getattr(peer, "scope_id", None):
            raise InvalidDnsName(detail=f"{peer} is no address of a machine in the DNS")
        if self._networks and not any(peer in network for network in self._networks):
            raise InvalidDnsName(detail=f"{peer} is outside the networks")

    def _claimed_names(self, peer: Address, lookup: _Lookup) -> list[str]:
        """Return the PTRs of *peer* that are host names inside the domains, sorted."""
        records = lookup.records(dns.name.from_text(peer.reverse_pointer), RdataType.PTR)
        names = [record.target for record in records if isinstance(record, PTR)]
        if not names:
            raise InvalidDnsName(detail=f"{peer} has no PTR")
        claim = f"PTR of {peer} is {_shown(names)}"
        # Two spellings of one name are one name.
        inside = {labels for labels in map(_labels, names) if self._is_inside(labels)}
        if not inside:
            raise InvalidDnsName(detail=f"{claim}, outside the domains")
        if len(inside) > _MOST_NAMES:
            raise InvalidDnsName(detail=f"{claim}: {len(inside)} names inside the domains")
        # The wire format itself limits the whole name to 253 characters.
        possible = [labels for labels in inside if all(_LABEL.fullmatch(label) for label in labels)]
        if not possible:
            raise InvalidDnsName(detail=f"{claim}, not a host name")
        return sorted(b".".join(labels).decode("ascii") for labels in possible)

    def _is_inside(self, labels: Labels) -> bool:
        """Tell whether a name is below a domain, by whole labels; a domain itself is not."""
        if labels in self._domains:
            return False
        return any(labels[-len(domain) :] == domain for domain in self._domains)


def _read(wire: bytes, question: dns.message.Message) -> tuple[list[Rdata] | None, dns.name.Name | None]:
    """Return the records in the answer *wire* to *question*, and the name to ask for instead, if any.

    There are no records, not even none, if the name does not exist.

    Raises _NoAnswer or any error of dnspython if it is no answer; InvalidDnsName if an alias never ends, or
    if there are too many records.
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
        return None, None
    if chain.cnames:
        return [], chain.canonical_name
    if _is_referral(response):
        raise _NoAnswer("only names other nameservers")
    return [], None


def _is_referral(response: dns.message.Message) -> bool:
    """Tell whether an empty answer means "ask them", not "there is none" (RFC 2308, section 2.2)."""
    kinds = {rrset.rdtype for rrset in response.authority}
    authoritative = bool(response.flags & dns.flags.AA)
    return not authoritative and RdataType.NS in kinds and RdataType.SOA not in kinds


def _confirmed(names: Sequence[str], peer: Address, lookup: _Lookup) -> str:
    """Return the one of *names* that leads back to *peer*.

    Others may be left from machines that had the address before. Whoever writes the PTRs can only choose
    among names that lead back to the address by their own zone.

    Raises InvalidDnsName if none leads back, or several; DnsUnavailable in doubt about one of them.
    """
    confirmed, reasons = [], []
    for name in names:
        try:
            _confirm(name, peer, lookup)
            confirmed.append(name)
        except InvalidDnsName as error:
            reasons.append(error.detail)
    if not confirmed:
        raise InvalidDnsName(detail=_few(reasons, "; ") + f" ({HIDDEN})" * lookup.may_be_hidden)
    if len(confirmed) > 1:
        raise InvalidDnsName(detail=f"PTR of {peer} is {_few(confirmed)}, which all lead back to it")
    return confirmed[0]


def _confirm(name: str, peer: Address, lookup: _Lookup) -> None:
    """Check that *peer* is an address of *name*; raises InvalidDnsName, DnsUnavailable."""
    kind = RdataType.A if peer.version == 4 else RdataType.AAAA
    addresses = [record.to_text() for record in lookup.records(dns.name.from_text(name), kind)]
    known = [*map(ipaddress.ip_address, addresses)]
    if peer in known:
        return
    # Such a nameserver takes the private addresses out of an answer, and leaves the public ones.
    lookup.may_be_hidden |= (
        not peer.is_global and not lookup.is_absent and all(one.is_global for one in known)
    )
    what = f"{kind.name} of {name} is {_few(addresses)}, not {peer}"
    if not addresses:
        what = f"{name}, the PTR of {peer}, has no {kind.name}"
    raise InvalidDnsName(detail=what)


def _endless(name: dns.name.Name, kind: RdataType) -> InvalidDnsName:
    return InvalidDnsName(detail=f"{kind.name} of {_shown([name])} is an alias without an end")


def _system_nameservers() -> list[str]:
    """Return the nameservers of resolv.conf(5); if there are none, guess none."""
    lines = RESOLV_CONF.read_text(encoding="ascii", errors="replace").split("\n")
    words = [line.split() for line in lines]
    servers = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    if not servers:
        raise DnsUnavailable(detail=f"{RESOLV_CONF} names no nameserver")
    return servers


def _labels(name: dns.name.Name) -> Labels:
    return tuple(label.lower() for label in name.labels[:-1])


def _shown(names: Iterable[dns.name.Name]) -> str:
    """Return names for the log, unusual bytes escaped as dnspython does."""
    return _few([str(name).removesuffix(".") for name in names])


def _few(texts: Sequence[str], between: str = ", ") -> str:
    return first_of([text[:_LONGEST_SHOWN] for text in texts], between)


def _reason(error: Exception) -> str:
    """Return *error* in a few words, for the log."""
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    own_words = isinstance(error, (OSError, _NoAnswer))
    return str(error) if own_words else f"{type(error).__name__}: {error}"
