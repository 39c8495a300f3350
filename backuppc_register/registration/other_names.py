"""Find the host under which a machine is backed up already, if that is another one of the machine's names."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from backuppc_register import names
from backuppc_register.backuppc import client_names, hosts
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services
from backuppc_register.protocol.errors import HostsFileError, InvalidDnsName, OtherOwner
from backuppc_register.registration import host_name


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
    found = [*_Search(applicant, server, services).found(file)]
    lines = [line for host in found for line in file.lines_for(host)]
    for line in lines:
        if not applicant.person.has(line.user):
            detail = f"this machine is {line.host} too, and the hosts file says {line.user or 'no owner'}"
            raise OtherOwner(host=applicant.host, logon=applicant.logon, detail=detail)
    usable = [host for host in found if _is_usable(host, applicant, server)]
    if usable:
        return replace(applicant, host=usable[0])
    if not found:
        return applicant
    note = "; ".join(filter(None, (applicant.person.note, f"this machine is {', '.join(found)} too")))
    return replace(applicant, person=replace(applicant.person, note=note))


def _is_usable(host: str, applicant: Applicant, server: Server) -> bool:
    """Tell whether a machine can have the name *host*, and no other machine has registered it."""
    if not names.is_host(host) or not names.is_machine(host):
        return False
    record = server.folders.record(host)
    return record is None or record.by_hand or record.full_name == applicant.full_name


@dataclass(frozen=True)
class _Search:
    """The search for the hosts that are the applicant's machine."""

    applicant: Applicant
    server: Server
    services: Services

    def found(self, file: HostsFile) -> Iterator[str]:
        """Yield the hosts of *file* to which the machine's names or address lead."""
        known = dict.fromkeys(line.host for line in file.lines)
        aliases = client_names.of(known, self.server.backuppc.config_dir)
        unclear = [host for host, written in aliases.items() if self._is_unclear(written)]
        clients = self._clients(unclear) if unclear else {}
        for host in known:
            targets = clients.get(host) or aliases.get(host) or self._registered(host)
            if host == self.applicant.full_name or any(map(self._leads_here, targets)):
                yield host

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
        """Tell whether *target* is a name of the machine; raises DnsUnavailable in doubt."""
        name, full_name = target.lower().removesuffix("."), self.applicant.full_name
        if name == full_name or self._is_address(name):
            return True
        if not self._is_like(name):
            return False
        if "." not in name:
            short = replace(self.server.config.dns, host_name="short")
            return host_name.host_of(full_name, short) == name and not self._has_twin(name)
        return self.applicant.address in self._addresses(name)

    def _has_twin(self, label: str) -> bool:
        """Tell whether another domain has a machine of this *label*: the short name may be that one's."""
        domains = self.server.config.dns.domains
        found = [self._addresses(name) for name in (f"{label}.{domain.lower()}" for domain in domains)]
        return any(each and self.applicant.address not in each for each in found)

    def _addresses(self, name: str) -> tuple[str, ...]:
        try:
            return self.services.resolver().addresses_of(name, self.services.for_questions())
        except InvalidDnsName:  # an alias that never ends
            return ()


def _label(name: str) -> str:
    return name.lower().partition(".")[0]
