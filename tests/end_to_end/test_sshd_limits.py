"""What someone with the register-key can hold open at a real sshd, and what is left to the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab import Lab, Laptop
from lab.lab import SSHD_LIMITS
from laptops_to_verify import Site, changed, outcome

pytestmark = pytest.mark.lab

ADMIN = "python3 -I /opt/backuppc-register/bin/backuppc-register-admin"
SHORT = 4  # seconds instead of 60
SHORTER = f"cp -p {SSHD_LIMITS} /root/limits; sed -i s/60$/{SHORT}/ {SSHD_LIMITS}"
QUIET = "-x -a -i /root/register-key -o UserKnownHostsFile=/root/known_hosts -o LogLevel=ERROR"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        yield Site(lab)


@pytest.fixture(scope="module")
def dormeur(site: Site) -> Laptop:
    laptop = site.laptop("dormeur", 11)
    assert outcome(site.verify(laptop)) == "verified"
    site.await_first_backup("dormeur")
    return laptop


@contextmanager
def shorter(site: Site) -> Iterator[None]:
    """Let the packaged limits count in seconds rather than in minutes."""
    with changed(site.dugong, SHORTER, f"mv /root/limits {SSHD_LIMITS}"):
        site.dugong.sshd.restart()
        yield
    site.dugong.sshd.restart()


def connections(site: Site) -> int:
    """Count the connections of the account that have logged in."""
    listed = site.dugong.run("ps -eo args", check=True).stdout
    return len(re.findall(r"^sshd: backuppc(?:@notty)?$", listed, re.M))


def test_fifty_connections_that_ask_nothing_end(site: Site, dormeur: Laptop) -> None:
    with shorter(site):
        idle = [dormeur.start(f"ssh -N {QUIET} -l backuppc 10.77.0.1") for _ in range(50)]
        site.dugong.wait_for(lambda: connections(site) >= 20, "connections", 30)

        for one in idle:
            one.wait(60, leave_open=True)

        site.dugong.wait_for(lambda: connections(site) == 0, "their end", 30)
        assert outcome(site.verify(dormeur)) == "verified"
