"""A laptop on which PAM, the ageing of passwords or a file system refuses the account of the backups."""

import re

import pytest
from lab import Laptop
from laptops import ERROR, LEFT_TO_DO, NOT_VERIFIED, OK, PLACE, Site, contents, set_up

pytestmark = [pytest.mark.lab, pytest.mark.long]

UNATTENDED = "--logon cmartin --unattended"
SSHD_PAM = "/etc/pam.d/sshd"
ACCESS = "/etc/security/access.conf"


@pytest.fixture(scope="module")
def laptop(site: Site) -> Laptop:
    """Give a laptop that the server has verified."""
    laptop = site.laptop()
    done = set_up(laptop, verify=True)
    assert done.status == OK, done
    return laptop


# ---------------------------------------------------------------- the account itself

WAYS = {
    "its last day": ("chage -E 2025-01-01 bckpciuem", "or its password has expired"),
    "the day on which chage ends it at once": ("chage -E 0 bckpciuem", "or its password has expired"),
    "a password that must be changed": ("chage -d 0 bckpciuem", "or its password has expired"),
    "no shell": ("usermod --shell /usr/sbin/nologin bckpciuem", "has a wrong shell"),
}


@pytest.mark.parametrize("why", WAYS)
def test_an_account_that_may_not_log_in_is_named_and_mended(laptop: Laptop, why: str) -> None:
    how, told = WAYS[why]
    laptop.run(how, check=True)
    before = contents(laptop)

    doctor = set_up(laptop, "--doctor", verify=True)
    unchanged = contents(laptop) == before
    tested = set_up(laptop, "--verify", verify=True)
    repaired = set_up(laptop, "--repair --unattended", verify=True)

    statuses = [done.status for done in (doctor, tested, repaired)]
    left = NOT_VERIFIED if why == "no shell" else LEFT_TO_DO
    assert (statuses, unchanged) == ([ERROR, left, OK], True), (doctor, tested, repaired)
    assert f"The account bckpciuem {told}" in doctor.stderr
    assert why == "no shell" or told in tested.stderr
    assert "cannot write in" not in doctor.stderr
    assert "error:not-reachable" in tested.stderr
    assert repaired.stdout.count("No problem was found on this computer")


def test_an_account_that_will_expire_is_told_and_the_next_run_prevents_it(laptop: Laptop) -> None:
    laptop.run("chage -M 365 -E 2099-01-01 bckpciuem", check=True)

    doctor = set_up(laptop, "--doctor", verify=True)
    again = set_up(laptop, verify=True)
    last = set_up(laptop, verify=True)

    assert (doctor.status, again.status, last.status) == (OK, OK, OK)
    assert "The account bckpciuem or its password will expire" in doctor.stderr
    assert "repairing the account bckpciuem" in again.stdout
    assert "nothing was changed" in last.stdout


def test_the_ageing_of_a_site_does_not_reach_a_new_account(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(
        "sed -i 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 30/' /etc/login.defs; useradd -D -f 10 -e 2025-01-01"
    )

    done = set_up(laptop)

    assert done.status == OK, done
    assert laptop.run("getent shadow bckpciuem | cut -d: -f5,7,8").stdout == "::\n"


# ---------------------------------------------------------------- what PAM refuses for sshd

NO_LOGIN = "/etc/nologin exists, so nobody but root can log in"
REFUSED = (
    r"PAM does not let the account bckpciuem log in through sshd \(.*Access denied.*account configuration"
)
LIST = "account required pam_listfile.so item=user sense=allow file=/etc/site onerr=fail"
PAM = {
    "pam_access": ("account required pam_access.so", f"{ACCESS}: -:ALL EXCEPT root:ALL", REFUSED),
    "pam_listfile": (LIST, "/etc/site: root", REFUSED),
    "pam_time": (
        "account required pam_time.so", "/etc/security/time.conf: sshd;*;bckpciuem;!Al0000-2400", REFUSED,
    ),
    "pam_succeed_if": ("account required pam_succeed_if.so uid >= 1000", "", REFUSED),
    "nologin": ("", "/etc/nologin: maintenance", NO_LOGIN),
}  # fmt: skip


@pytest.mark.parametrize("rule", PAM)
def test_what_pam_refuses_for_sshd_alone_is_told_by_the_doctor_in_words(laptop: Laptop, rule: str) -> None:
    line, file, told = PAM[rule]
    usual = laptop.read(SSHD_PAM)
    path, _, content = file.partition(": ")
    was = laptop.read(path) if path and laptop.exists(path) else ""
    laptop.write(SSHD_PAM, f"{line}\n{usual}")
    if path:
        laptop.write(path, f"{content}\n")
    before = contents(laptop)

    doctor = set_up(laptop, "--doctor", verify=True)
    unchanged = contents(laptop) == before
    laptop.write(SSHD_PAM, usual)
    if path:
        laptop.write(path, was)
    if rule == "nologin":
        laptop.run(["rm", path], check=True)

    assert (doctor.status, unchanged) == (ERROR, True), doctor
    assert re.search(told, doctor.stderr), doctor
    assert "cannot write in" not in doctor.stderr


def test_a_rule_that_lets_the_servers_address_in_is_no_finding(laptop: Laptop) -> None:
    usual = {path: laptop.read(path) for path in (SSHD_PAM, ACCESS)}
    laptop.write(SSHD_PAM, f"account required pam_access.so\n{usual[SSHD_PAM]}")
    laptop.write(ACCESS, "+:bckpciuem:10.77.0.1\n-:ALL:ALL\n")

    doctor = set_up(laptop, "--doctor", verify=True)
    laptop.write(ACCESS, "+:bckpciuem:10.77.0.99\n-:ALL:ALL\n")
    elsewhere = set_up(laptop, "--doctor", verify=True)
    for path, text in usual.items():
        laptop.write(path, text)

    assert (doctor.status, elsewhere.status) == (OK, ERROR), doctor
    assert "PAM does not let" in elsewhere.stderr


def test_a_new_laptop_on_which_pam_refuses_the_account_is_told_so(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/pam.d/common-account", "account required pam_succeed_if.so user = root\n")

    done = set_up(laptop)

    assert done.status == ERROR
    assert "sudo" in done.stderr
    assert "others than root" not in done.stderr


def test_server_and_setup_name_pam_as_soon_as_it_refuses_a_login(site: Site) -> None:
    laptop = site.laptop()
    usual = laptop.read(SSHD_PAM)
    laptop.write(SSHD_PAM, f"account required pam_access.so\n{usual}")
    laptop.write(ACCESS, "-:ALL EXCEPT root:ALL\n")

    done = set_up(laptop, verify=True)
    doctor = set_up(laptop, "--doctor", verify=True)

    assert (done.status, doctor.status) == (LEFT_TO_DO, ERROR)
    assert re.search(REFUSED, done.stderr)
    assert "PAM or an expired account" in done.stderr
    assert "sshd\u2019s own words are in the log: journalctl -t sshd" in doctor.stdout


# ---------------------------------------------------------------- a file system that starts no programs

NOEXEC = "mount --bind {0} {0} && mount -o remount,bind,noexec {0}"


def test_var_may_be_mounted_noexec(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(NOEXEC.format("/var"), check=True)

    done = set_up(laptop, verify=True)
    site.dugong.wait_for(
        lambda: f'"{laptop.name}"' not in site.dugong.message("status queues jobs"), "a backup", timeout=60
    )
    doctor = set_up(laptop, "--doctor", verify=True)
    site.dugong.restore(laptop.name, "/home", "/cmartin/.netrc", to=f"{PLACE}-restore")

    assert (done.status, doctor.status) == (OK, OK), (done, doctor)
    assert [backup.errors for backup in site.dugong.backups(laptop.name)] == [0]
    assert doctor.stdout.count("No problem was found on this computer")


@pytest.mark.parametrize("options", [UNATTENDED, "--repair --unattended"])
def test_the_key_of_an_older_setup_is_renewed_where_its_program_may_not_start(
    site: Site, laptop: Laptop, options: str
) -> None:
    keys = laptop.read(f"{PLACE}/.ssh/authorized_keys")
    older = keys.replace("/bin/bash -p ", "")
    receipt = laptop.read(f"{PLACE}/receipt")
    laptop.write(f"{PLACE}/.ssh/authorized_keys", older, owner="root:bckpciuem", mode=0o640)
    laptop.write(f"{PLACE}/receipt", receipt.replace("/bin/bash -p ", ""), mode=0o600)

    working = set_up(laptop, "--doctor", verify=True)
    laptop.run(NOEXEC.format(PLACE), check=True)
    doctor = set_up(laptop, "--doctor", verify=True)
    done = set_up(laptop, options, verify=True)
    verified = set_up(laptop, "--verify", verify=True)
    laptop.run(f"umount {PLACE}", check=True)

    assert older != keys
    assert [done.status for done in (working, doctor, done, verified)] == [OK, ERROR, OK, OK], (doctor, done)
    assert f"The file system of {PLACE}/rsyncsend.sh may not start programs (noexec)" in doctor.stderr
    assert "incomplete" not in doctor.stderr
    assert laptop.read(f"{PLACE}/.ssh/authorized_keys") == keys


def test_a_helper_that_may_not_start_is_told_truly(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(NOEXEC.format("/usr/local"), check=True)

    done = set_up(laptop)
    laptop.run("umount /usr/local", check=True)
    set_up(laptop)
    laptop.run(NOEXEC.format("/usr/local"), check=True)
    doctor = set_up(laptop, "--doctor")

    assert (done.status, doctor.status) == (ERROR, ERROR)
    told = "The file system of /usr/local/libexec/bckpciuem/rsync-helper may not start programs (noexec)"
    assert told in done.stderr
    assert told in doctor.stderr
    assert "incomplete" not in doctor.stderr
