"""What someone with the register-key can use up of a real server, and what is left to everybody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab import Lab, Laptop
from lab.lab import SSHD_LIMITS
from laptops_to_verify import SSH, Site, changed, outcome
from slowness import within

pytestmark = pytest.mark.lab

SHORT = 4  # seconds instead of 60
SHORTER = f"cp -p {SSHD_LIMITS} /root/limits; sed -i s/60$/{SHORT}/ {SSHD_LIMITS}"
# Sit on a connection of the register-key in one way, and tell for how many seconds that goes on.
SIT = """
import logging, sys, time, paramiko
logging.disable(logging.CRITICAL)
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("10.77.0.1", username="backuppc", key_filename="/root/register-key", look_for_keys=False)
transport, way, began = client.get_transport(), sys.argv[1], time.monotonic()

def sit():
    if way == "sessions without a request":
        opened = []
        try:
            while True:
                opened.append(transport.open_session())
        except paramiko.ChannelException:
            assert len(opened) == 2
        return opened
    if way == "a session that goes on after its answer":
        session = transport.open_session()
        session.exec_command("verify:linux:stranger")
        return session
    if way == "a subsystem":
        session = transport.open_session()
        try:
            session.invoke_subsystem("sftp")
        except paramiko.SSHException:
            pass
        return session
    if way == "a terminal":
        session = transport.open_session()
        try:
            session.get_pty()
            sys.exit("a terminal")
        except paramiko.SSHException:
            return session
    if way == "forwarding":
        try:
            transport.open_channel("direct-tcpip", ("127.0.0.1", 389), ("127.0.0.1", 1))
            sys.exit("forwarded")
        except paramiko.ChannelException:
            pass
    if way == "remote forwarding":
        try:
            transport.request_port_forward("", 8080)
            sys.exit("forwarded")
        except paramiko.SSHException:
            pass

held = sit()
while transport.is_active() and time.monotonic() - began < 60:
    time.sleep(0.1)
print(time.monotonic() - began)
"""
WAYS = re.findall(r'way == "(.*?)"', SIT)
# More connections than sshd lets anyone have by default; none of them says a word.
HOLD = """
import socket, time
opened = [socket.create_connection(("10.77.0.1", 22)) for _ in range(60)]
print("held", flush=True)
time.sleep(60)
"""
# Nine requests on one connection, one after the other, and then as many at once as sshd lets through.
NINE = """
import paramiko
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("10.77.0.1", username="backuppc", key_filename="/root/register-key", look_for_keys=False)
for _ in range(9):
    print(client.exec_command("check:linux:cmartin")[1].readline().strip())
open_, refused = [], 0
for _ in range(9):
    try:
        open_.append(client.exec_command("check:linux:cmartin")[1])
    except paramiko.ChannelException:
        refused += 1
print(len(open_) + refused, refused > 0, {answer.readline().strip() for answer in open_})
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        yield Site(lab)


@pytest.fixture(scope="module")
def dormeur(site: Site) -> Laptop:
    laptop = site.laptop("dormeur", 11)
    assert outcome(site.verify(laptop)) == "verified"
    return laptop


@pytest.fixture(scope="module")
def stranger(site: Site) -> Laptop:
    """Give a machine without a name in the DNS, with many addresses."""
    laptop = site.laptop("inconnu", 200, setup=False, published=False, address6="fd77::200")
    for n in range(20):
        laptop.run(["ip", "address", "add", f"10.77.9.{n}/16", "dev", "eth0"], check=True)
    return laptop


@contextmanager
def limits(site: Site, text: str) -> Iterator[None]:
    site.dugong.configure("per_address = 0\n", text)
    try:
        yield
    finally:
        site.dugong.configure(text, "per_address = 0\n")


def asked(laptop: Laptop, command: str, *, ssh: str = SSH) -> str:
    """Return the status or the code of the answer."""
    return outcome(laptop.run([*ssh.split(), command], timeout=40))


# Connections


def connections(site: Site) -> int:
    """Count the connections of BackupPC's account that have logged in."""
    listed = site.dugong.run("ps -eo args", check=True).stdout
    return len(re.findall(r"^sshd: backuppc(?:@notty)?$", listed, re.M))


def test_connections_that_ask_nothing_end_and_requests_go_on(
    site: Site, dormeur: Laptop, stranger: Laptop
) -> None:
    idle = [*SSH.split()[:-1], "-N", "-b"]
    stranger.write("/root/sit.py", SIT)
    with changed(site.dugong, SHORTER, f"mv /root/limits {SSHD_LIMITS}"):
        site.dugong.sshd.restart()
        sitting = {way: stranger.start(["python3", "/root/sit.py", way]) for way in WAYS}
        fifty = [stranger.start([*idle, f"10.77.9.{n % 20}", "10.77.0.1"]) for n in range(50)]
        site.dugong.wait_for(lambda: connections(site) >= 40, "connections", 30)

        assert asked(dormeur, "check:linux:cmartin") == "unchanged"
        took = {way: process.wait(90, leave_open=True) for way, process in sitting.items()}
        for process in fifty:
            process.wait(90, leave_open=True)
        site.dugong.wait_for(lambda: connections(site) == 0, "their end", 30)
    site.dugong.sshd.restart()

    assert {way: result.status for way, result in took.items()} == dict.fromkeys(WAYS, 0)
    assert all(float(result.stdout) < 50 for result in took.values())


def test_connections_that_do_not_log_in_take_no_place_of_another_address(
    site: Site, dormeur: Laptop, stranger: Laptop
) -> None:
    held = stranger.start(["python3", "-c", HOLD])
    try:
        stranger.wait_for(lambda: held.output().startswith("held"), "connections")

        told = [asked(dormeur, "check:linux:cmartin") for _ in range(6)]
    finally:
        held.stop()

    assert told == ["unchanged"] * 6


def test_nine_requests_on_one_connection_are_answered_two_at_a_time(site: Site, dormeur: Laptop) -> None:
    told = dormeur.run(["python3", "-W", "ignore", "-c", NINE], check=True, timeout=60).stdout.splitlines()

    assert told[:9] == ["success"] * 9
    assert told[9:] == ["9 True {'success'}"]


# Places


def test_a_verify_of_an_unknown_machine_holds_no_place_while_its_input_is_open(
    site: Site, dormeur: Laptop, stranger: Laptop
) -> None:
    command = [*SSH.split()[:-1], "-b"]
    before = len(site.dugong.syslog())
    with limits(site, "at_once = 10\n"):
        open_ = [
            stranger.start([*command, f"10.77.9.{n % 20}", "10.77.0.1", "verify:linux:cmartin"])
            for n in range(30)
        ]
        told = [asked(dormeur, "check:linux:cmartin") for _ in range(5)]
        answers = [outcome(process.wait(60, leave_open=True)) for process in open_]

    took = [
        int(re.findall(" ms=([0-9]+)", line)[0])
        for line in site.dugong.syslog()[before:]
        if " code=dns-name " in line
    ]
    assert "unchanged" in told
    assert set(answers) <= {"dns-name", "too-many-requests"}
    assert len(took) == answers.count("dns-name") >= 10
    assert within(max(took) / 1000, 4)


# Budgets


def test_malformed_and_unnamed_requests_shut_out_no_machine_of_the_same_subnet(
    site: Site, stranger: Laptop
) -> None:
    addresses = [f"fd77::4:{n}" for n in range(12)]
    for n, address in enumerate(addresses):
        site.lab.names.publish(f"poste{n}.univ-brest.fr", address)
        stranger.run(["ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad"], check=True)
    ssh = SSH.replace("10.77.0.1", "fd77::1")
    with limits(site, "per_address = 3\n"):
        flood = [asked(stranger, command, ssh=ssh) for command in ("mac", "linux:cmartin", "mac:*") * 2]
        a_class = ssh.replace("ssh ", "ssh -b ADDRESS ", 1) + " linux:cmartin"
        every = f"xargs -P 6 -I ADDRESS {a_class}"
        told = stranger.run(every, input="".join(f"{address}\n" for address in addresses), timeout=120).stdout
        late = asked(stranger, "linux:cmartin", ssh=ssh)

    assert flood == ["ostype-unknown", "dns-name", "bad-user"] + ["too-many-requests"] * 3
    assert told.count("success\n") == len(addresses)
    assert late == "too-many-requests"


def test_refusals_of_one_person_shut_out_no_other_one_on_the_same_machine(site: Site) -> None:
    sirene = site.laptop("sirene", 12, setup=False)
    assert asked(sirene, "linux:cmartin") == "new"
    with limits(site, "per_address = 3\n"):
        refused = [asked(sirene, f"linux:{logon}") for logon in ("nobody", "adupont", "adupont") * 2]
        owner = [asked(sirene, "linux:cmartin") for _ in range(4)]

    assert refused == ["bad-user"] + ["other-owner"] * 2 + ["too-many-requests"] * 3
    assert owner == ["unchanged"] * 3 + ["too-many-requests"]
