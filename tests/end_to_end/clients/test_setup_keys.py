"""Where the server's key goes if sshd's AuthorizedKeysFile is not the usual one, and how it leaves."""

import pytest
from lab import Laptop
from laptops import ERROR, LEFT_TO_DO, OK, PLACE, SETUP, Site, set_up

pytestmark = [pytest.mark.lab, pytest.mark.long]

SHARED, SETTING = "/etc/ssh/all_keys", "/etc/ssh/sshd_config.d/10-keys.conf"
FOREIGN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBw5mvMCIvK62HO admin\n"


def let_sshd_read(laptop: Laptop, *files: str) -> None:
    laptop.write(SETTING, f"AuthorizedKeysFile {' '.join(files)}\n")
    laptop.sshd.restart()


def facts(laptop: Laptop, path: str) -> tuple[str, str]:
    return laptop.read(path), laptop.run(["stat", "-c", "%U:%G %a", path]).stdout.strip()


def test_a_file_of_all_accounts_gets_no_key_and_keeps_its_mode(site: Site) -> None:
    laptop = site.laptop()
    laptop.write(SHARED, FOREIGN, mode=0o600)
    let_sshd_read(laptop, SHARED)

    refused = set_up(laptop)
    doctor = set_up(laptop, "--doctor")
    untouched = facts(laptop, SHARED)
    let_sshd_read(laptop, SHARED, ".ssh/authorized_keys")
    beside = set_up(laptop)

    assert [refused.status, doctor.status, beside.status] == [LEFT_TO_DO, ERROR, OK], beside.stderr
    for told in (refused.stderr, doctor.stderr):
        assert f"sshd reads the keys of all accounts from the same file, {SHARED}" in told
    assert untouched == facts(laptop, SHARED) == (FOREIGN, "root:root 600")
    assert f"{PLACE}/rsyncsend.sh" in laptop.read(f"{PLACE}/.ssh/authorized_keys")
    assert f"keys {PLACE}/.ssh/authorized_keys" in laptop.read(f"{PLACE}/receipt").splitlines()


def test_a_key_of_an_earlier_setup_leaves_such_a_file(site: Site) -> None:
    laptop = site.laptop()
    let_sshd_read(laptop, ".ssh/authorized_keys", SHARED)
    set_up(laptop)
    line = laptop.read(f"{PLACE}/.ssh/authorized_keys")
    laptop.write(SHARED, FOREIGN + line, mode=0o640, owner="root:adm")

    doctor = set_up(laptop, "--doctor")
    repaired = set_up(laptop, "--repair --yes")

    assert f"The server\u2019s key is also in {SHARED}" in doctor.stderr
    assert f"removing the server\u2019s key from {SHARED}" in repaired.stdout
    assert facts(laptop, SHARED) == (FOREIGN, "root:adm 640")
    assert laptop.read(f"{PLACE}/.ssh/authorized_keys") == line


@pytest.mark.parametrize("file", ["/etc/ssh/keys/%u", "/etc/ssh/keys/%U"])
def test_the_key_is_found_by_uninstall_if_the_setting_has_changed_since(site: Site, file: str) -> None:
    laptop = site.laptop()
    laptop.run("mkdir /etc/ssh/keys", check=True)
    let_sshd_read(laptop, file)
    done = set_up(laptop, "--logon cmartin --unattended", verify=True)
    (own,) = laptop.run("ls -A /etc/ssh/keys").lines
    uid = laptop.run("id -u bckpciuem").stdout.strip()
    # As if an administrator's file had been there before, with a line and a mode of its own.
    laptop.run(f"echo '{FOREIGN}' >>/etc/ssh/keys/{own}; chmod 604 /etc/ssh/keys/{own}", check=True)
    laptop.run(f"sed -i '\\|^file /etc/ssh/keys|d' {PLACE}/receipt", check=True)
    let_sshd_read(laptop, ".ssh/authorized_keys")
    doctor = set_up(laptop, "--doctor")
    removed = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert done.status == OK, done.stderr
    assert own == ("bckpciuem" if file.endswith("u") else uid)
    assert f"is also in /etc/ssh/keys/{own}" in doctor.stderr
    assert removed.status == OK, removed.stderr
    assert facts(laptop, f"/etc/ssh/keys/{own}") == (f"{FOREIGN}\n", "root:root 604")
    assert not laptop.exists(PLACE)


def test_an_administrators_file_of_the_account_keeps_its_mode(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/ssh/keys/bckpciuem", FOREIGN, mode=0o604)
    let_sshd_read(laptop, "/etc/ssh/keys/%u")

    done = set_up(laptop)
    again = set_up(laptop)

    text, identity = facts(laptop, "/etc/ssh/keys/bckpciuem")
    assert (done.status, again.status, identity) == (OK, OK, "root:root 604")
    assert text.startswith(FOREIGN)
    assert "nothing was changed" in again.stdout
