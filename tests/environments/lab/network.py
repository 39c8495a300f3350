"""The cable room: a bridge in a network namespace of the lab's own, and a cable from it to every host."""

import ctypes
import ipaddress
import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .parts import LabError, ProcessOne

CLONE_NEWNET = 0x40000000
T = TypeVar("T")


class Switch:
    """A bridge that lives in its own process and ends with it; the machine's own network never sees it."""

    def __init__(self, lab: str) -> None:
        self.process = ProcessOne(lab, "switch", ["--net"], {"kind": "switch"})
        self._cables = 0
        self.process.await_ready()
        # Without mcast_snooping 0 a young bridge may drop the first IPv6 neighbour solicitations.
        ip(self.process.pid, "link add name br0 type bridge stp_state 0 mcast_snooping 0", "link set br0 up")

    def plug(self, pid: int, addresses: Sequence[str]) -> str:
        """Join the network namespace of process *pid* to the bridge by an `eth0` with these *addresses*.

        Everything is reached directly, whatever its prefix, so that a stranger's address needs no router.
        Give the name of the cable.
        """
        self._cables += 1
        cable = f"cable{self._cables}"
        ip(
            self.process.pid,
            f"link add name {cable} type veth peer name eth0 netns {pid}",
            f"link set {cable} master br0 up",
        )
        lines = ["link set lo up"]
        for address in map(ipaddress.ip_address, addresses):
            lines.append(
                f"addr add {address}/{address.max_prefixlen} dev eth0" + " nodad" * (address.version == 6)
            )
        lines.append("link set eth0 up")
        for version in sorted({ipaddress.ip_address(address).version for address in addresses}):
            lines.append(f"route add {'0.0.0.0/0' if version == 4 else '::/0'} dev eth0")
        ip(pid, *lines)
        return cable

    def set_cable(self, cable: str, *, plugged: bool) -> None:
        """Pull the *cable* out of the switch, or put it back."""
        ip(self.process.pid, f"link set {cable} {'up' if plugged else 'down'}")


def in_network_of(pid: int, action: Callable[[], T]) -> T:
    """Do *action* in a thread that has joined the network namespace of process *pid*; give what it gives."""
    libc = ctypes.CDLL(None, use_errno=True)

    def join_and_act() -> T:
        with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")
        return action()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(join_and_act).result()


def ip(pid: int, *lines: str) -> None:
    """Run ip(8) commands in the network namespace of process *pid*. Raises LabError."""
    done = subprocess.run(
        ["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"],
        input="\n".join(lines) + "\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise LabError(f"ip {'; '.join(lines)}: {done.stderr.partition('Command failed')[0]}")
