"""The laptop's door as the server finds it, and a server that closes its own."""

import pytest
from laptops import GIVEN, OK, PLACE, SETUP, USAGE, Site, set_up

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
