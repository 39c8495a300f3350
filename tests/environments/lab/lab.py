"""The lab: hosts on one network that live as long as a `with` statement, or as the program that opened it."""

import functools
import itertools
import os
import re
import shutil
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar

from .host import CHECKOUT, PATH, Host, Plan, User
from .laptop import MARTIN, Laptop
from .names import Names
from .network import Switch
from .parts import LabError, processes_one
from .server import Server

DOMAIN = "univ-brest.fr"
LACKS = {  # what of a complaint tells what the machine, or a container on it, does not have or not allow
    "unshare failed": "no namespaces", "mount overlay": "no overlayfs", "mknod": "no device files",
    " type bridge": "no bridge", " type veth": "no cable to it",
}  # fmt: skip
SSHD_LIMITS = "/etc/ssh/sshd_config.d/backuppc-register.conf"
PACKAGED_LIMITS = CHECKOUT / "packaging/sshd.conf"
NAMESERVERS = ("10.77.0.1", "fd77::1")
TOOLS = ("unshare", "nsenter", "ip", "setpriv", "setsid", "tar")

HostT = TypeVar("HostT", bound=Host)

_numbers = itertools.count(1)


class Lab:
    """A private network and its hosts.

    Everything is held by processes that end when this program does, however that happens, and by the
    namespaces that end with them: no bridge, mount or folder has a name on the machine to be left behind.
    """

    def __init__(self) -> None:
        self.name = f"{os.getpid()}.{next(_numbers)}"
        self.hosts: list[Host] = []
        self.names = Names()
        self._switch: Switch | None = None

    def __enter__(self) -> Self:
        sweep()
        self._switch = Switch(self.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def switch(self) -> Switch:
        """Give the switch. Raises LabError where the lab is not up."""
        if not self._switch:
            raise LabError("the lab is not up: use it in a `with` statement")
        return self._switch

    def host(self, fqdn: str, *addresses: str) -> Host:
        """Add a bare host: nothing runs on it."""
        return self._add(Host(self.name, self.switch, Plan(fqdn, addresses)))

    def server(self, fqdn: str, *addresses: str) -> Server:
        """Add the backup server; without *addresses* at those that every laptop asks for names."""
        addresses = addresses or NAMESERVERS
        self.names.publish(fqdn, *addresses)
        files = {"/etc/resolv.conf": resolv_conf(["127.0.0.1"]), SSHD_LIMITS: PACKAGED_LIMITS.read_text()}
        plan = Plan(fqdn, addresses, files=files)
        return self._add(Server(self.name, self.switch, plan, self.names))

    def laptop(
        self,
        fqdn: str,
        address: str,
        *,
        address6: str | None = None,
        users: Sequence[User] = (MARTIN,),
        published: bool = True,
        root: str = "",
    ) -> Laptop:
        """Add a laptop with its sshd and its people's files; where *published* the DNS knows it both ways.

        *address* may be of IPv6: then it has nothing else, and no way to what has not.
        Its system is the machine's own, or the one in the folder *root*.
        """
        addresses = [address] + ([address6] if address6 else [])
        if published:
            self.names.publish(fqdn, *addresses)
        files = {"/etc/resolv.conf": resolv_conf(_within_reach(addresses))}
        plan = Plan(fqdn, addresses, users, files, root)
        return self._add(Laptop(self.name, self.switch, plan))

    def down(self) -> None:
        """End every host and the network."""
        processes = [host.process for host in self.hosts] + ([self._switch.process] if self._switch else [])
        for process in processes:
            process.kill()
        for process in processes:
            process.end()
        self.hosts, self._switch = [], None

    def keep(self) -> list[str]:
        """Let the lab outlive this program, until `end(name)`; give the commands that enter its hosts."""
        for process in [*(host.process for host in self.hosts), self.switch.process]:
            process.keep()
        return [f"{' '.join(host.entry)}   # {host.name}" for host in self.hosts]

    def _add(self, host: HostT) -> HostT:
        self.hosts.append(host)
        return host


def resolv_conf(nameservers: Sequence[str]) -> str:
    """Give a resolv.conf that asks *nameservers* and does not wait long for them."""
    lines = [
        f"search {DOMAIN}",
        "options timeout:1 attempts:2",
        *(f"nameserver {server}" for server in nameservers),
    ]
    return "\n".join(lines) + "\n"


def _within_reach(addresses: Sequence[str]) -> list[str]:
    """Give the nameservers to which a host with these *addresses* has a way."""
    versions = {":" in address for address in addresses}
    return [server for server in NAMESERVERS if (":" in server) in versions]


def sweep() -> None:
    """End the labs that have lost their program and yet live: someone else holds their lifelines."""
    for one in processes_one():
        if one.orphaned and not one.kept:
            one.kill()


def kept() -> set[str]:
    """Give the names of the labs that were kept."""
    return {one.lab for one in processes_one() if one.kept}


def end(lab: str) -> None:
    """End the lab of that name, kept or not."""
    for one in processes_one():
        if one.lab == lab:
            one.kill()


@functools.cache
def available() -> str:
    """Tell why no lab can be here, in a few words; an empty text if one can. Really starts a host to know."""
    if os.geteuid():
        return "the lab needs root"
    if missing := [tool for tool in TOOLS if not shutil.which(tool, path=PATH)]:
        return f"the lab needs {', '.join(missing)}"
    try:
        with Lab() as lab:
            lab.host("probe", "10.77.255.1", "fd77::ff").run(["true"], check=True)
    except (LabError, OSError) as error:
        return f"the lab cannot start here: {_reason(str(error))}"
    return ""


def _reason(complaint: str) -> str:
    """Give *complaint* in one line, without the way that Python came by, behind what the machine lacks."""
    noise = r".* did not start:\n|Traceback .*\n\w+: (\[Errno \d+\] )?"
    told = " ".join(re.sub(noise, "", complaint, flags=re.DOTALL).split())
    return next((f"{lack}: {told}" for sign, lack in LACKS.items() if sign in told), told)
