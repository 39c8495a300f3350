"""The names of the lab: zones as a site has them, and NSD which serves them."""

import contextlib
import ipaddress
import secrets
import socket
from collections import defaultdict
from collections.abc import Callable

from .host import Host
from .service import Service

ZONES = ("univ-brest.fr", "example.net", "in-addr.arpa", "ip6.arpa", "")
FOLDER = "/etc/nsd/lab"
CONTROL = "/run/nsd-lab.ctl"
SERVER = f"""\
server:
    ip-address: 0.0.0.0
    ip-address: ::
    username: nsd
    zonesdir: {FOLDER}
    database: ""
    zonelistfile: /run/nsd-lab.list
    xfrdfile: ""
    pidfile: ""
    server-count: 1
    rrl-ratelimit: 0
    xfrd-reload-timeout: 0
remote-control:
    control-enable: yes
    control-interface: {CONTROL}
"""


class Names:
    """What the lab's DNS says, whether its server runs or not: owner name → type → values, as in a zone file.

    There is a zone for each of `ZONES`, as at a real site. A name that is nowhere is NXDOMAIN.
    """

    def __init__(self) -> None:
        self._records: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.version = 1
        self.changed: Callable[[], None] = lambda: None

    def publish(self, fqdn: str, *addresses: str) -> None:
        """Let *fqdn* and each of its *addresses* name each other (A or AAAA, and PTR)."""
        for address in addresses:
            self._put(fqdn, "AAAA" if ":" in address else "A", address)
            self._put(reverse(address), "PTR", f"{fqdn}.")
        self._change()

    def point(self, address: str, *targets: str) -> None:
        """Let the PTR of *address* be *targets*, as zone file text (`\\032` is a blank), and nothing else."""
        self._records.pop(reverse(address), None)
        for target in targets:
            self._put(reverse(address), "PTR", f"{target}.")
        self._change()

    def add(self, name: str, kind: str, value: str) -> None:
        """Add one record: *name* without its final dot, *value* as a zone file has it."""
        self._put(name, kind, value)
        self._change()

    def forget(self, name: str) -> None:
        """Drop all records of *name*."""
        self._records.pop(name, None)
        self._change()

    def zone_files(self) -> dict[str, str]:
        """Give file name → text for every zone."""
        head = f"@ SOA ns.invalid. hostmaster.invalid. {self.version} 3600 600 86400 0"
        zones = {zone: [f"$ORIGIN {zone}.", "$TTL 0", head, "@ NS ns.invalid."] for zone in ZONES}
        zones[""].append(f"{self.proof} A 127.0.0.1")
        for name, kinds in self._records.items():
            zones[zone_of(name)] += [f"{name}. {kind} {value}" for kind in kinds for value in kinds[kind]]
        return {
            file_of(zone): f"$ORIGIN {zone}.\n$TTL 0\n" + "\n".join(lines) + "\n"
            for zone, lines in zones.items()
        }

    @property
    def proof(self) -> str:
        """Give the name that only this version of the zones has."""
        return f"version-{self.version}"

    def _put(self, name: str, kind: str, value: str) -> None:
        if value not in self._records[name][kind]:
            self._records[name][kind].append(value)

    def _change(self) -> None:
        self.version += 1
        self.changed()


class NameServer(Service):
    """NSD on port 53 of a host; it follows every change of *names*."""

    def __init__(self, host: Host, names: Names) -> None:
        super().__init__(host, "nsd", ["nsd", "-d", "-c", f"{FOLDER}/nsd.conf"], self._current)
        self._names = names
        self._here = host
        zones = "".join(
            f'zone:\n    name: "{zone or "."}"\n    zonefile: {file_of(zone)}\n' for zone in ZONES
        )
        host.write(f"{FOLDER}/nsd.conf", SERVER + zones)
        names.changed = self.follow

    def launch(self) -> None:
        """Write the zones and start."""
        self._here.write_all(FOLDER, self._names.zone_files())
        super().launch()

    def follow(self) -> None:
        """Serve the names as they are now; done when the server answers from them. Raises LabError."""
        if self.running:
            self._here.write_all(FOLDER, self._names.zone_files())
            self._here.run(["nsd-control", "-s", CONTROL, "-c", f"{FOLDER}/nsd.conf", "reload"], check=True)
            self.await_ready()

    def _current(self) -> bool:
        return self._here.in_network(lambda: knows("127.0.0.1", self._names.proof))


def knows(server: str, name: str) -> bool:
    """Ask *server* for the A of the one label *name*; silence for a tenth of a second is a no."""
    number = secrets.token_bytes(2)
    question = bytes([len(name)]) + name.encode() + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
        udp.settimeout(0.1)
        udp.connect((server, 53))
        udp.send(number + b"\0\0\0\1\0\0\0\0\0\0" + question)
        answer = udp.recv(512)
        return answer[:2] == number and answer[7] > 0
    return False


def reverse(address: str) -> str:
    """Give the name that the PTR of *address* stands at."""
    return ipaddress.ip_address(address).reverse_pointer


def zone_of(name: str) -> str:
    """Give the zone that *name* is in."""
    return max((zone for zone in ZONES if not zone or f".{name}".endswith(f".{zone}")), key=len)


def file_of(zone: str) -> str:
    """Give the name of the zone's file."""
    return f"{zone or 'root'}.zone"
