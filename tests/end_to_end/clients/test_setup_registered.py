"""A second run of the setup, and the doctor, ask the server whether the registration still holds."""

import re

import pytest
from lab import Laptop
from laptops import (
    ERROR,
    LEFT_TO_DO,
    OK,
    PLACE,
    REFUSED,
    SETUP,
    UNREACHABLE,
    Site,
    contents,
    set_up,
)

pytestmark = [pytest.mark.lab, pytest.mark.long]

ADMIN = "/usr/bin/python3 -I /opt/backuppc-register/bin/backuppc-register-admin"


def rename(site: Site, laptop: Laptop, name: str) -> None:
    names, address = site.lab.names, laptop.addresses[0]
    names.forget(laptop.fqdn)
    names.point(address)
    names.publish(name, address)


def test_a_renamed_laptop_is_told_and_begins_anew_only_if_a_person_asks_for_it(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, verify=True)
    rename(site, laptop, "nouveau.univ-brest.fr")
    before, hosts = contents(laptop), site.dugong.hosts()

    again = set_up(laptop, verify=True)
    doctor = set_up(laptop, "--doctor")
    repair = set_up(laptop, "--repair --unattended")
    unchanged = (contents(laptop) == before, site.dugong.hosts() == hosts)
    verify = set_up(laptop, "--verify --lang fr", verify=True)
    forced = set_up(laptop, "--logon cmartin --unattended --force", verify=True)
    healthy = set_up(laptop, "--doctor")

    assert [done.status for done in (again, doctor, repair)] == [LEFT_TO_DO, ERROR, LEFT_TO_DO], again
    for done in (again, doctor, repair):
        assert f"This computer is called nouveau now, and is registered as {laptop.name}," in done.stderr
        assert "ClientNameAlias" in done.stderr
    assert "s\u2019appelle maintenant nouveau" in verify.stderr, verify
    assert verify.status == LEFT_TO_DO
    assert "--repair corrects" not in doctor.stdout
    assert unchanged == (True, True)
    assert (forced.status, healthy.status) == (OK, OK), (forced, healthy)
    assert "nouveau" in site.dugong.hosts()


def test_a_renamed_laptop_goes_on_when_its_host_gets_the_new_name(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, verify=True)
    rename(site, laptop, "encore.univ-brest.fr")
    assert set_up(laptop).status == LEFT_TO_DO
    alias = "s/(ClientNameAlias[^=]*=).*/\\1 'encore.univ-brest.fr';/"
    site.dugong.run(f'sed -i -E "{alias}" /etc/backuppc/{laptop.name}.pl', check=True)
    before, hosts = contents(laptop), site.dugong.hosts()

    again, doctor = set_up(laptop), set_up(laptop, "--doctor")
    unchanged = contents(laptop) == before
    verified = set_up(laptop, "--verify", verify=True)

    assert [done.status for done in (again, doctor, verified)] == [OK, OK, OK], (again, doctor, verified)
    assert unchanged
    assert site.dugong.hosts() == hosts
    assert "encore" not in hosts


CHANGES = {
    "retired": (f"{ADMIN} retire HOST", OK, "has stopped the backups of this computer"),
    "transferred": (f"{ADMIN} transfer HOST adupont --yes HOST", REFUSED, "registered for another person"),
    "without its line": (
        "sed -i '/^HOST[[:blank:]]/d' /etc/backuppc/hosts",
        OK,
        "no complete registration|missing or incomplete",
    ),
    "its key revoked": (
        "sed -i 's/^/#/' /var/lib/backuppc/.ssh/authorized_keys",
        REFUSED,
        "no longer accepts the key",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_on_the_server_is_asked_for_and_told(site: Site, change: str) -> None:
    laptop = site.laptop()
    set_up(laptop)
    how, status, told = CHANGES[change]
    site.dugong.run(how.replace("HOST", laptop.name), check=True)

    doctor = set_up(laptop, "--doctor")
    again = set_up(laptop)
    site.dugong.run("sed -i 's/^##*//' /var/lib/backuppc/.ssh/authorized_keys")

    assert (doctor.status, again.status) == (ERROR, status), (doctor, again)
    for done in (doctor, again):
        assert re.search(told, done.stdout + done.stderr), done
    assert "No problem was found on this computer" not in doctor.stdout
    assert site.is_registered(laptop)


def test_a_server_that_cannot_be_asked_is_a_doubt_and_hinders_no_change_here(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    site.lab.names.point(laptop.addresses[0])
    laptop.run(f"rm {PLACE}/rsyncsend.sh", check=True)

    nameless = set_up(laptop)
    doctor = set_up(laptop, "--doctor")
    site.dugong.sshd.stop()
    try:
        away = set_up(laptop)
        alone = set_up(laptop, "--doctor")
    finally:
        site.dugong.sshd.start()

    assert (nameless.status, away.status) == (REFUSED, UNREACHABLE), (nameless, away)
    assert laptop.exists(f"{PLACE}/rsyncsend.sh")
    for done in (nameless, away):
        assert "did not confirm the registration" in done.stderr
        assert "registered with" not in done.stdout.splitlines()[-1]
    assert (doctor.status, alone.status) == (ERROR, ERROR)
    assert (
        "? not tested: whether dugong.univ-brest.fr still knows this computer. It replied: " in doctor.stderr
    )
    assert "cannot be reached from here" in alone.stderr


def test_a_doctor_without_a_register_key_says_what_it_did_not_ask(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    laptop.run(f"echo 'verified dugong.univ-brest.fr cmartin' >>{PLACE}/receipt", check=True)
    before = contents(laptop)

    doctor = laptop.run(f"sh {SETUP} --doctor")

    assert doctor.status == ERROR
    assert "not tested: whether dugong.univ-brest.fr still knows this computer" in doctor.stderr
    assert "not everything could be tested" in doctor.stdout
    assert "--repair" not in doctor.stdout
    assert contents(laptop) == before
