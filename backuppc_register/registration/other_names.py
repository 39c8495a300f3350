"""Find the host under which a machine is backed up already, if that is another one of the machine's names."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address

from backuppc_register import names
from backuppc_register.backuppc import client_names, hosts
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services
from backuppc_register.protocol.errors import (
    DnsUnavailable,
    HostsFileError,
    InvalidDnsName,
    OtherOwner,
    StateError,
)
from backuppc_register.protocol.escaping import first_of
from backuppc_register.registration import host_name
from backuppc_register.system.deadline import Deadline

_MOST_ASKED = 500  # names of other hosts that the DNS is asked for, for one newcomer
_FOR_OTHERS, _FOR_ONE = 3.0, 1.0  # seconds for all of these questions, and for one of them


def chosen(applicant: Applicant, server: Server, services: Services) -> Applicant:
    """Return *applicant*, with the host that the same person has for this machine under another name.

    A machine that is known by its own name is not looked for, so that its requests stay cheap.

    Raises OtherOwner if such a host is another person's; HostsFileError, StateError, Misconfigured or
    DnsUnavailable in doubt.
    """
    if server.folders.record(applicant.host) is not None:
        return applicant
    file = hosts.read(server.backuppc.hosts)
    if file.lines_for(applicant.host):
        return applicant
    search, doubt = _Search(applicant, server, services, file), ""
    if not (found := [*search.found()]):
        found, doubt = search.resolved()
    lines = [line for one in found for line in file.lines_for(one.host)]
    for line in lines:
        if not applicant.person.has(line.user):
            detail = f"this machine is {line.host} too, and the hosts file says {line.user or 'no owner'}"
            raise OtherOwner(host=applicant.host, logon=applicant.logon, detail=detail)
    usable = [each for one in found if (each := _as_host(one, applicant, server))]
    too = f"this machine is {', '.join(one.host for one in found)} too" if found and not usable else ""
    note = "; ".join(filter(None, (applicant.person.note, too, doubt)))
    return replace(usable[0] if usable else applicant, person=replace(applicant.person, note=note))


@dataclass(frozen=True)
class _Found:
    """A host that is the applicant's machine; *by_alias*: its ClientNameAlias is the machine's own name."""

    host: str
    by_alias: bool = False


def _as_host(found: _Found, applicant: Applicant, server: Server) -> Applicant | None:
    """Return *applicant* with the host that was *found*, None if it cannot be the host of this machine.

    If an administrator gives the new name of a renamed machine to the person's host, that host goes on.
    """
    if not names.is_host(found.host) or not names.is_machine(found.host):
        return None
    record, taken = server.folders.record(found.host), replace(applicant, host=found.host)
    if record is None or record.by_hand or record.full_name == applicant.full_name:
        return taken
    if found.by_alias and applicant.person.has(record.person):
        return replace(taken, earlier_name=record.full_name)
    return None


@dataclass(frozen=True)
class _Search:
    """The search for the hosts of *file* that are the applicant's machine."""

    applicant: Applicant
    server: Server
    services: Services
    file: HostsFile

    @cached_property
    def _hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line.host for line in self.file.lines))

    @cached_property
    def _written(self) -> dict[str, tuple[str, ...] | None]:
        return client_names.of(self._hosts, self.server.backuppc.config_dir)

    @cached_property
    def _certain(self) -> dict[str, tuple[str, ...]]:
        """The names that BackupPC uses for hosts with a .pl that is not clear, or may name the machine."""
        unclear = [host for host, written in self._written.items() if self._is_unclear(written)]
        return self._clients(unclear) if unclear else {}

    def _aliases(self, host: str) -> tuple[str, ...]:
        return self._certain.get(host) or self._written.get(host) or ()

    def found(self) -> Iterator[_Found]:
        """Yield the hosts that have a name or the address of the machine, or one with its first label."""
        for host in self._hosts:
            targets = self._aliases(host) or self._registered(host)
            if host == self.applicant.full_name or any(map(self._leads_here, targets)):
                yield _Found(host, any(map(self._is_own_name, self._certain.get(host, ()))))

    def resolved(self) -> tuple[list[_Found], str]:
        """Return the hosts of other names that the DNS leads to the machine, and which hosts are in doubt.

        A doubt about the host of another machine refuses no newcomer.
        """
        time, asked = Deadline(min(_FOR_OTHERS, self.services.for_questions())), 0
        found: list[_Found] = []
        in_doubt: dict[str, bool] = {}
        for host in self._hosts:
            here: list[str | None] = []
            for name in self._foreign_names(host) if time.remaining() and asked < _MOST_ASKED else (None,):
                asked += 1
                match self._resolves_here(name, time):
                    case None:
                        in_doubt[host] = True
                    case True:
                        here.append(name)
            if here and self._is_certain(host, here):
                found.append(_Found(host))
        return found, _doubt(in_doubt)

    def _is_certain(self, host: str, here: Collection[str | None]) -> bool:
        """Tell whether BackupPC uses one of the names *here* for *host*; raises as `_clients` does."""
        if not self._aliases(host) or host in self._certain:
            return True
        return not {*here}.isdisjoint(map(_plain, self._clients([host])[host]))

    def _foreign_names(self, host: str) -> tuple[str | None, ...]:
        """Return the names of *host* that only the DNS can compare, None for names that are not known.

        The name of a machine that has registered is known.
        """
        if not names.is_host(host) or not names.is_machine(host):
            return ()
        try:
            record = self.server.folders.record(host)
        except StateError:
            return (None,)
        known = record.full_name if record else ""
        targets = self._aliases(host) or (() if known else (host,))
        return tuple(name for name in map(_plain, targets) if name != known and not _is_numeric(name))

    def _resolves_here(self, name: str | None, time: Deadline) -> bool | None:
        """Tell whether the DNS leads *name* here, and a short name to no other machine; None in doubt."""
        if name is None:
            return None
        domains, full_name, here = self.server.config.dns.domains, self.applicant.full_name, False
        own_first = sorted(domains, key=lambda domain: not full_name.endswith(f".{domain.lower()}"))
        for each in [name] if "." in name else [f"{name}.{domain.lower()}" for domain in own_first]:
            try:
                addresses = self._addresses(each, min(_FOR_ONE, time.remaining()))
            except DnsUnavailable:
                return None
            if addresses and self.applicant.address not in addresses:
                return False
            here |= bool(addresses)
        return here

    def _is_unclear(self, written: tuple[str, ...] | None) -> bool:
        """Tell whether only BackupPC's Perl can tell if a .pl with these names leads to the machine."""
        return written is None or any(self._is_like(name) for name in written)

    def _clients(self, unclear: list[str]) -> dict[str, tuple[str, ...]]:
        """Return the names that BackupPC uses for hosts; raises HostsFileError in doubt, Misconfigured."""
        from backuppc_register.backuppc.settings import Settings, SettingsReader  # rarely needed

        settings = SettingsReader(self.server.backuppc).each(unclear, self.services.for_questions())
        clients = {}
        for host in unclear:
            read = settings.get(host, "it took too long")
            if not isinstance(read, Settings):
                raise HostsFileError(detail=f"it is not known which machine {host} is: {read}")
            clients[host] = read.clients
        return clients

    def _registered(self, host: str) -> tuple[str, ...]:
        """Return the name of a host without another name: that of its machine, or its own."""
        if not self._is_like(host) or not names.is_host(host) or not names.is_machine(host):
            return ()
        record = self.server.folders.record(host)
        return (record.full_name if record and record.full_name else host,)

    def _is_like(self, name: str) -> bool:
        """Tell whether *name* begins with the machine's first label, or is its address."""
        return _label(name) == _label(self.applicant.full_name) or self._is_address(name)

    def _is_address(self, name: str) -> bool:
        try:
            return ip_address(name) == ip_address(self.applicant.address)
        except ValueError:
            return False

    def _leads_here(self, target: str) -> bool:
        """Tell whether *target* leads to the machine; raises DnsUnavailable in doubt."""
        name = _plain(target)
        if self._is_own_name(name) or self._is_address(name):
            return True
        return "." in name and self._is_like(name) and self.applicant.address in self._addresses(name)

    def _is_own_name(self, target: str) -> bool:
        """Tell whether *target* is the machine's full name, or its short one; raises DnsUnavailable."""
        name, full_name = _plain(target), self.applicant.full_name
        if name == full_name or "." in name or not self._is_like(name):
            return name == full_name
        short = replace(self.server.config.dns, host_name="short")
        return host_name.host_of(full_name, short) == name and not self._has_twin(name)

    def _has_twin(self, label: str) -> bool:
        """Tell whether another domain has a machine of this *label*: the short name may be that one's."""
        domains = self.server.config.dns.domains
        found = [self._addresses(name) for name in (f"{label}.{domain.lower()}" for domain in domains)]
        return any(each and self.applicant.address not in each for each in found)

    def _addresses(self, name: str, within: float | None = None) -> tuple[str, ...]:
        try:
            time = self.services.for_questions() if within is None else within
            return self.services.resolver().addresses_of(name, time)
        except InvalidDnsName:  # an alias that never ends
            return ()


def _doubt(in_doubt: Collection[str]) -> str:
    """Return which hosts may be the machine, for the log."""
    return f"it is not known whether this machine is {first_of([*in_doubt])} too" if in_doubt else ""


def _label(name: str) -> str:
    return name.lower().partition(".")[0]


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_numeric(name: str) -> bool:
    """Tell whether *name* is an address, for which the DNS is not asked."""
    try:
        return bool(ip_address(name))
    except ValueError:
        return False
