"""A laptop with Debian 13 and sudo-rs in the place of sudo: set up, backed up, restored, looked at, undone.

mmdebstrap makes that system from the mirror that apt uses here; `bin/test --debian-13` runs nothing else.
"""

from collections.abc import Callable, Iterator

import pytest
from lab import Lab, Laptop, Server, System
from lab.lab import PACKAGED_LIMITS, SSHD_LIMITS

from backuppc_register.diagnosis.sshd_limit_checks import lacking

pytestmark = [pytest.mark.lab, pytest.mark.long]

SETUP = "/opt/backuppc-register/clients/setup.sh"
GIVEN = "--server dugong.univ-brest.fr --register-key /root/register-key --known-hosts /root/known_hosts"
PACKAGES = "openssh-server,rsync,sudo,sudo-rs,passwd,procps,iproute2"
# As Ubuntu has it: sudo's own sudoers and PAM files, and its programs are those of sudo-rs, nothing else.
SUDO_RS_ONLY = """
rm -r "$1/usr/libexec/sudo" "$1/usr/bin/sudo" "$1/usr/sbin/visudo"
ln -s ../lib/cargo/bin/sudo "$1/usr/bin/sudo"
ln -s ../lib/cargo/bin/visudo "$1/usr/sbin/visudo"
"""
RESTORED = "/var/lib/bckpciuem-restore"
OURS = ("/etc", "/var/lib/bckpciuem", "/usr/local", "/home")
HELPER = "/usr/local/libexec/bckpciuem/rsync-helper"


@pytest.fixture(scope="module")
def debian_13(root_of: Callable[[System], str]) -> str:
    return root_of(System("trixie", PACKAGES, SUDO_RS_ONLY))


@pytest.fixture(scope="module")
def site(debian_13: str) -> Iterator[tuple[Server, Laptop]]:
    """Give the server and the laptop, of which the setup has just said that backups will work."""
    with Lab() as lab:
        dugong = lab.server("dugong.univ-brest.fr")
        laptop = lab.laptop("rouille.univ-brest.fr", "10.77.0.20", root=debian_13)
        laptop.write("/root/register-key", dugong.register_key, mode=0o600)
        laptop.write("/root/known_hosts", dugong.known_hosts)
        done = laptop.run(f"sh {SETUP} {GIVEN} --logon cmartin --unattended", timeout=60)
        assert (done.status, "backups will work" in done.stdout) == (0, True), done
        dugong.wait_for(lambda: '"rouille"' not in dugong.message("status queues jobs"), "a backup", 60)
        yield dugong, laptop


def test_its_sudo_is_sudo_rs_and_takes_our_line(site: tuple[Server, Laptop]) -> None:
    _, laptop = site

    assert laptop.read("/etc/debian_version").startswith("13")
    for program in ("sudo", "visudo"):
        assert laptop.run(f"readlink -f $(command -v {program})").lines == [f"/usr/lib/cargo/bin/{program}"]
    checked = laptop.run(["visudo", "-c"])
    assert (checked.status, checked.stderr) == (0, "")
    assert HELPER in laptop.read("/etc/sudoers.d/bckpciuem")


def test_the_account_may_start_the_helper_and_nothing_else(site: tuple[Server, Laptop]) -> None:
    dugong, laptop = site
    ssh = f"ssh -F /var/lib/backuppc-register/hosts/{laptop.name}/ssh_config {laptop.fqdn}"
    attempts = ["true", "-s", "-u cmartin true", f"{HELPER} id", f"{HELPER} 'rsync --server -r . /etc/'"]

    probe = dugong.run(f"{ssh} probe", user="backuppc")
    refused = dugong.run(f"{ssh} id", user="backuppc")
    let = [words for words in attempts if laptop.run(f"sudo -n {words}", user="bckpciuem").status == 0]

    assert (probe.status, {"share:/home", "wall:namespace"} <= {*probe.lines}, probe.stderr) == (0, True, "")
    assert (refused.status, refused.stdout) == (64, "")
    assert let == []


def test_the_sshd_of_that_system_accepts_the_limits_of_a_server(site: tuple[Server, Laptop]) -> None:
    _, laptop = site
    laptop.write(SSHD_LIMITS, PACKAGED_LIMITS.read_text())
    asked = "user=backuppc,host=localhost,addr=127.0.0.1"

    told = laptop.run(["/usr/sbin/sshd", "-T", "-C", asked])
    laptop.run(["rm", SSHD_LIMITS], check=True)

    assert (told.status, told.stderr) == (0, "")
    options = dict(line.split(" ", 1) for line in told.lines if " " in line)
    assert lacking(options) == []
    assert (options["persourcemaxstartups"], options["persourcenetblocksize"]) == ("20", "32:64")


@pytest.mark.parametrize("status", [23, 24, 25])
def test_rsyncs_exit_status_comes_through_sudo_rs(site: tuple[Server, Laptop], status: int) -> None:
    dugong, laptop = site
    config = laptop.read("/etc/bckpciuem.conf")
    # A script, for which there is no shell behind the wall; so it says that it confines itself.
    script = f'#!/bin/sh\n[ "$1" != --version ] || {{ echo "rsync  version 3.5.0"; exit; }}\nexit {status}\n'
    laptop.write("/usr/local/bin/rsync", script, mode=0o755)
    laptop.run("mv /usr/bin/unshare /usr/bin/unshare.away", check=True)
    laptop.write("/etc/bckpciuem.conf", config.replace("/usr/bin/rsync", "/usr/local/bin/rsync"))

    ssh = f"ssh -F /var/lib/backuppc-register/hosts/{laptop.name}/ssh_config {laptop.fqdn}"
    ended = dugong.run(f"{ssh} rsync --server --sender -re.iLsfxC . /home/", user="backuppc").status
    laptop.write("/etc/bckpciuem.conf", config)
    laptop.run("rm /usr/local/bin/rsync && mv /usr/bin/unshare.away /usr/bin/unshare", check=True)

    assert ended == status


def test_its_backups_are_whole(site: tuple[Server, Laptop]) -> None:
    dugong, laptop = site
    (full,) = dugong.backups(laptop.name)
    laptop.write("/home/cmartin/Documents/nouveau.txt", "Du jour.\n", owner="cmartin")

    incremental = dugong.incremental(laptop.name)

    assert [(backup.kind, backup.errors) for backup in (full, incremental)] == [("full", 0), ("incr", 0)]
    there = laptop.run("cd /home && find * -type f", check=True).lines
    assert {f"/{path}" for path in there} <= {*dugong.files_of(laptop.name, "/home")}
    assert {"cmartin/.netrc", "cmartin/Documents/nouveau.txt"} <= {*there}


def test_what_comes_back_is_what_was_saved(site: tuple[Server, Laptop]) -> None:
    dugong, laptop = site

    dugong.restore(laptop.name, "/home", "/cmartin/Photos", "/cmartin/.netrc", to=RESTORED)

    digests = "cd %s/cmartin && sha256sum Photos/* .netrc"
    restored = laptop.run(digests % RESTORED, check=True).stdout
    assert restored == laptop.run(digests % "/home", check=True).stdout


def test_the_doctor_finds_nothing_and_a_second_run_changes_nothing(site: tuple[Server, Laptop]) -> None:
    _, laptop = site
    before = laptop.picture(*OURS)

    doctor = laptop.run(f"sh {SETUP} {GIVEN} --doctor", timeout=60)
    again = laptop.run(f"sh {SETUP} {GIVEN} --unattended --no-verify", timeout=60)

    assert (doctor.status, again.status) == (0, 0), (doctor, again)
    assert laptop.picture(*OURS) == before


def test_an_sshd_that_shuts_out_who_looks_too_often_is_no_sshd_that_is_down(
    site: tuple[Server, Laptop],
) -> None:
    _, laptop = site
    laptop.wait_for(lambda: not laptop.run("ssh-keyscan -T 3 127.0.0.1").stdout, "being shut out")

    doctor = laptop.run(f"sh {SETUP} {GIVEN} --doctor", timeout=60)

    assert "penalty" in laptop.sshd.log
    assert (doctor.status, doctor.stderr) == (0, "")
    assert "  sshd answers at " in doctor.stdout


def test_the_uninstalled_laptop_has_a_sudo_as_before(site: tuple[Server, Laptop]) -> None:
    _, laptop = site

    laptop.run(f"sh {SETUP} --uninstall --unattended", check=True, timeout=60)

    assert laptop.run(["visudo", "-c"]).status == 0
    assert not any(laptop.exists(path) for path in ("/etc/sudoers.d/bckpciuem", HELPER))
    assert laptop.run(["id", "bckpciuem"]).status == 1
