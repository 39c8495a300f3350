"""The laptop's door as the server finds it, and a server that closes its own."""

import pytest
from lab import Laptop
from laptops import ERROR, GIVEN, LEFT_TO_DO, OK, PLACE, SETUP, USAGE, Site, set_up

pytestmark = [pytest.mark.lab, pytest.mark.long]

HOLD = """
import socket, sys
held = socket.create_connection(("10.77.0.1", 22))
print(held.recv(9), flush=True)
sys.stdin.read()
"""
ONE_AT_A_TIME = "/etc/ssh/sshd_config.d/one.conf"


def test_a_server_that_takes_no_more_connections_now_is_tried_again(site: Site) -> None:
    laptop = site.laptop()
    site.dugong.write(ONE_AT_A_TIME, "PerSourceMaxStartups 1\n")
    site.dugong.sshd.restart()
    try:
        holder = laptop.start(["python3", "-c", HOLD])
        laptop.wait_for(lambda: "SSH-2.0" in holder.output())
        setup = laptop.start(f"sh {SETUP} {GIVEN} --logon cmartin --unattended --no-verify")
        laptop.wait_for(lambda: "the next try is in" in setup.output(), "a second try", 60)
        holder.wait()
        done = setup.wait(60)
    finally:
        site.dugong.run(f"rm {ONE_AT_A_TIME}")
        site.dugong.sshd.restart()

    assert done.status == OK, done
    assert site.is_registered(laptop)


@pytest.mark.parametrize(
    "how",
    [
        "printf 'x' >>/root/register-key; sed -i 3d /root/register-key",
        "ssh-keygen -q -p -P '' -N locked -f /root/register-key",
    ],
)
def test_a_register_key_that_cannot_work_changes_nothing_and_calls_nobody(site: Site, how: str) -> None:
    laptop = site.laptop()
    laptop.run(how, check=True)

    done = set_up(laptop)

    assert done.status == USAGE, done
    assert "The register-key (/root/register-key) is" in done.stderr
    assert not laptop.exists(PLACE)
    assert site.log_of(laptop) == []


SITE_CONF = "/etc/ssh/sshd_config.d/site.conf"
CERTIFIED = """
set -eu
ssh-keygen -q -t ed25519 -N '' -f /root/ca
ssh-keygen -q -s /root/ca -I host -h -n "$(hostname -f)" /etc/ssh/ssh_host_ed25519_key.pub
"""
WRONG_DOORS = {
    "Port 2222": "127.0.0.1, port 2222",
    "ListenAddress 127.0.0.1": "elsewhere (127.0.0.1, port 22): the server connects to ADDRESS, port 22",
    "AddressFamily inet6": "elsewhere (::1, port 22): the server connects to ADDRESS, port 22",
    "Match LocalPort 22\n PubkeyAuthentication no": "sshd does not accept keys (PubkeyAuthentication no)",
    "Match LocalAddress 10.77.0.0/24 User bckpciuem\n MaxSessions 0": "start a program (MaxSessions 0)",
}
CERTIFICATE_ALONE = """HostKey /etc/ssh/ssh_host_ed25519_key
HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub
HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com"""


@pytest.fixture(scope="module")
def registered(site: Site) -> Laptop:
    laptop = site.laptop()
    laptop.run(CERTIFIED, check=True)
    assert set_up(laptop, verify=True).status == OK
    return laptop


def reopen(laptop: Laptop, settings: str) -> None:
    """Start sshd with *settings*, and wait until it listens somewhere."""
    laptop.sshd.stop()
    laptop.write(SITE_CONF, settings.replace("ADDRESS", laptop.addresses[0]) + "\n")
    laptop.sshd.launch()
    laptop.wait_for(lambda: any(laptop.listens(port) for port in (22, 2222, 2022)))


@pytest.mark.parametrize("settings", WRONG_DOORS)
def test_a_door_that_the_server_does_not_come_to_is_told_by_doctor_and_setup(
    registered: Laptop, settings: str
) -> None:
    reopen(registered, settings)

    doctor = set_up(registered, "--doctor")
    again = set_up(registered)

    assert (doctor.status, again.status) == (ERROR, LEFT_TO_DO), again
    for done in (doctor, again):
        assert WRONG_DOORS[settings].replace("ADDRESS", registered.addresses[0]) in done.stderr
        assert "does not answer" not in done.stderr


@pytest.mark.parametrize("settings", [CERTIFICATE_ALONE, "Port 2222\nPort 22\nMaxSessions 1"])
def test_a_door_that_the_server_comes_to_is_found(registered: Laptop, settings: str) -> None:
    reopen(registered, settings)

    verified = set_up(registered, "--verify", verify=True)
    doctor = set_up(registered, "--doctor")

    assert (verified.status, doctor.status) == (OK, OK), (verified, doctor)
    assert (
        f"sshd answers at {registered.addresses[0]}, port 22, to which the server connects" in doctor.stdout
    )


def test_a_server_that_a_certificate_proves_is_known(site: Site) -> None:
    site.dugong.run(CERTIFIED, check=True)
    certificate = "HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub\n"
    authority = site.dugong.read("/root/ca.pub")
    laptop = site.laptop(known_hosts=f"@cert-authority *.univ-brest.fr {authority}")
    site.dugong.write(SITE_CONF, certificate)
    site.dugong.sshd.restart()
    try:
        done = set_up(laptop)
        doctor = set_up(laptop, "--doctor")
    finally:
        site.dugong.run(f"rm {SITE_CONF}")
        site.dugong.sshd.restart()

    assert done.status == OK, done
    assert "host key is the known one" in doctor.stdout
