"""The setup on laptops on which somebody has planted something for it."""

import re

import pytest
from checkout import CHECKOUT
from laptops import (
    ERROR,
    GIVEN,
    LEFT_TO_DO,
    OK,
    PLACE,
    SETUP,
    USAGE,
    Site,
    bundle,
    contents,
    set_up,
)

pytestmark = pytest.mark.lab


def test_a_wrapper_that_lies_beside_is_not_preferred_to_the_bundled_one(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("install -d -o root /root/dl", check=True)
    laptop.write("/root/dl/setup.sh", bundle(site))
    laptop.write("/root/dl/rsyncsend.sh", "#!/bin/sh\ntouch /tmp/owned\n", mode=0o755)

    done = laptop.run("sh /root/dl/setup.sh --logon cmartin --unattended --no-verify", timeout=60)

    assert done.status == OK
    assert laptop.read(f"{PLACE}/rsyncsend.sh") == (CHECKOUT / "clients/rsyncsend.sh").read_text()
    assert not laptop.exists("/tmp/owned")


PLANTED = {
    "the file is another person's": ("chown cmartin /tmp/dl/rsyncsend.sh", "sh /tmp/dl/setup.sh"),
    "others may write to the file": ("chmod 666 /tmp/dl/rsyncsend.sh", "sh /tmp/dl/setup.sh"),
    "the folder is another person's": ("chown cmartin /tmp/dl", "sh /tmp/dl/setup.sh"),
    "others may write to the folder": ("chmod 1777 /tmp/dl", "sh /tmp/dl/setup.sh"),
    "it is a link": ("cd /tmp/dl && mv rsyncsend.sh x && ln -s x rsyncsend.sh", "sh /tmp/dl/setup.sh"),
    "piped": (":", "cd /tmp/dl && touch sh && sh -s -- <setup.sh"),
}


@pytest.mark.parametrize("how", PLANTED)
def test_a_wrapper_that_somebody_else_may_have_put_there_is_not_taken(site: Site, how: str) -> None:
    laptop = site.laptop()
    laptop.run("install -d /tmp/dl && cp /opt/backuppc-register/clients/*.sh /tmp/dl/", check=True)
    plant, start = PLANTED[how]
    start = start.replace(" <setup.sh", f" {GIVEN} --doctor <setup.sh") if "<" in start else start
    laptop.run(plant, check=True)
    options = "" if "<" in start else f"{GIVEN} --logon cmartin --unattended"
    start = start.replace("--doctor", "--logon cmartin --unattended")

    done = laptop.run(f"{start} {options}", env={"SUDO_UID": "0"}, timeout=60)

    assert done.status == USAGE, done
    assert "--wrapper" in done.stderr
    assert not laptop.exists(PLACE)


def test_a_wrapper_that_lies_beside_is_taken_from_the_person_who_starts_it(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("cp -r /opt/backuppc-register/clients /tmp/dl && chown -R cmartin /tmp/dl", check=True)
    uid = laptop.run("id -u cmartin").stdout.strip()

    done = laptop.run(f"sh /tmp/dl/setup.sh {GIVEN} --dry-run", env={"SUDO_UID": uid})

    assert done.status == OK, done


@pytest.mark.parametrize("way", ["chmod 0777", "chmod 2775", "chown cmartin"])
@pytest.mark.parametrize("folder", ["/usr/local", "/usr/local/libexec"])
def test_the_program_of_root_does_not_lie_where_others_may_write(site: Site, folder: str, way: str) -> None:
    laptop = site.laptop()
    set_up(laptop)
    laptop.run(f"{way} {folder}", check=True)
    before = contents(laptop)

    doctor = set_up(laptop, "--doctor")
    again = set_up(laptop)

    assert (doctor.status, again.status) == (ERROR, LEFT_TO_DO)
    for told in (doctor.stderr, again.stderr):
        assert f"Users other than root can change {folder}" in told
    assert f"chown root {folder}; chmod go-w {folder}" in again.stderr
    assert contents(laptop) == before


LOGS = {
    "a person's folder": (":", "/home/cmartin/log"),
    "a folder of all": (":", "/tmp/log"),
    "below a person's folder": ("install -d /home/cmartin/x", "/home/cmartin/x/log"),
    "a link": ("ln -s /etc/shells /root/log", "/root/log"),
    "a link to a folder": ("ln -s /home/cmartin /root/x", "/root/x/log"),
    "a person's file": ("touch /root/log; chown cmartin /root/log", "/root/log"),
}


@pytest.mark.parametrize("how", LOGS)
@pytest.mark.parametrize("options", ["--logon cmartin --unattended", "--lang de", "--nonsense"])
def test_the_log_is_refused_where_others_could_lead_it_elsewhere(site: Site, how: str, options: str) -> None:
    laptop = site.laptop()
    prepare, path = LOGS[how]
    laptop.run(prepare, check=True)
    before = contents(laptop, "/etc", "/home", "/root")

    done = set_up(laptop, f"--log {path} {options}")

    assert done.status == USAGE
    assert contents(laptop, "/etc", "/home", "/root") == before
    assert not laptop.exists("/tmp/log")


UBUNTUS_LOGS = "groupadd --system syslog && chgrp syslog /var/log && chmod 775 /var/log"


def test_the_log_may_lie_where_a_service_may_write_and_is_a_new_file_each_time(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(UBUNTUS_LOGS, check=True)

    first = set_up(laptop, "--logon cmartin --unattended --log /var/log/backup-setup")
    second = set_up(laptop, "--logon cmartin --unattended --log /var/log/backup-setup")

    assert (first.status, second.status) == (OK, OK), first
    assert laptop.read("/var/log/backup-setup.1") == first.stdout
    assert laptop.read("/var/log/backup-setup") == second.stdout
    assert laptop.run("stat -c '%U %a' /var/log/backup-setup").stdout == "root 600\n"


NO_SERVICES_LOGS = {
    "a person is in the group": "usermod -aG syslog cmartin",
    "it is a person's group": "usermod -g syslog cmartin",
    "somebody unknown is in the group": "sed -i '/^syslog:/s/$/ghost/' /etc/group",
    "the group is a person's by its number": "groupadd -g 1500 us && chgrp us /var/log",
    "everybody may write": "chmod 777 /var/log",
    "a link lies there": "ln -s /etc/nologin /var/log/x",
    "a pipe lies there": "mkfifo /var/log/x",
    "the folder above is weak": "chgrp syslog /var && chmod 775 /var",
}


@pytest.mark.parametrize("how", NO_SERVICES_LOGS)
def test_the_log_is_refused_where_more_than_a_service_may_write(site: Site, how: str) -> None:
    laptop = site.laptop()
    laptop.run(f"{UBUNTUS_LOGS} && {NO_SERVICES_LOGS[how]}", check=True)
    before = contents(laptop, "/etc", "/var/log")

    done = set_up(laptop, "--log /var/log/x --logon cmartin --unattended")

    assert done.status == USAGE
    assert contents(laptop, "/etc", "/var/log") == before


def test_the_callers_folder_for_temporary_files_is_not_used(site: Site) -> None:
    laptop = site.laptop()

    options = "--no-verify --logon cmartin --unattended"
    done = laptop.run(f"sh {SETUP} {GIVEN} {options}", env={"TMPDIR": "/not/there"}, timeout=60)

    assert done.status == OK, done


def test_a_key_line_that_was_changed_is_told_and_renewed(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, verify=True)
    keys = f"{PLACE}/.ssh/authorized_keys"
    line = laptop.read(keys)
    changed = re.sub('from="[^"]*",', "", line).replace("ssh-ed25519 AAAA", "ssh-ed25519 AAAB")
    laptop.write(keys, changed, owner="root:bckpciuem", mode=0o640)

    doctor = set_up(laptop, "--doctor")
    repaired = set_up(laptop, "--repair --unattended", verify=True)

    assert (doctor.status, repaired.status) == (ERROR, OK), repaired
    assert "not as the setup wrote it" in doctor.stderr
    assert "logged in and could read" in repaired.stdout
    assert laptop.read(keys) == line


def test_what_was_verified_is_tried_again_when_the_folders_are_others(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, verify=True)

    other = set_up(laptop, "--logon cmartin --unattended --share /home --share /home/cmartin")
    doctor = set_up(laptop, "--doctor")
    tried = set_up(laptop, verify=True)

    assert (other.status, doctor.status, tried.status) == (OK, ERROR, OK)
    assert "has not connected to this computer yet" in doctor.stderr
    assert "logged in and could read" in tried.stdout


def test_a_line_that_starts_another_program_of_that_name_stays(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    keys = f"{PLACE}/.ssh/authorized_keys"
    foreign = 'command="/opt/site/rsyncsend.sh" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBw5mvMCIvK62HO admin\n'
    laptop.write(keys, foreign + laptop.read(keys), owner="root:bckpciuem", mode=0o640)

    set_up(laptop, "--logon cmartin --unattended --force")

    assert laptop.read(keys).startswith(foreign)
