"""The setup's plan, the server's way back, the doctor and the repair."""

import re

import pytest
from laptops import ERROR, GIVEN, LEFT_TO_DO, NOT_VERIFIED, OK, PLACE, SETUP, Site, contents, set_up

pytestmark = [pytest.mark.lab, pytest.mark.long]


def test_whoever_does_not_agree_to_the_plan_keeps_the_laptop_as_it_is(site: Site) -> None:
    laptop = site.laptop()
    before = contents(laptop)

    with laptop.terminal(f"sh {SETUP} {GIVEN}") as terminal:
        terminal.answer(r"Continue \(yes/no\)\? $", "no")
        status = terminal.wait()

    assert status == ERROR
    assert "creating the account bckpciuem" in terminal.shown
    assert contents(laptop) == before


ENGLISH_PLAN = {
    "": ["the server may read /home", f"it may put restored files into {PLACE}-restore",
         "it may write nowhere else, and nothing as root"],
    "--restore off": ["the server may read /home", "it may write nothing here"],
    "--share /home --share /srv": ["the server may read /home", "the server may read /srv",
                                   "set on its web page for this computer; at first usually"],
    "--restore full": ["it may write there too, anywhere, as root"],
    "--restore owner": ["it may write there too, each file as the owner of the folder that it goes to",
                        "it may write nowhere else, and nothing as root"],
}  # fmt: skip
FRENCH_PLAN = {
    "": ["le serveur peut lire /home",
         "il ne peut écrire nulle part ailleurs, et rien en tant que root"],
    "--restore off": ["il ne peut rien écrire ici"],
    "--restore full": ["il peut aussi y écrire, partout, en tant que root"],
    "--restore owner": ["chaque fichier en tant que propriétaire du dossier où il va"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("lang", "options", "told"),
    [("C", *plan) for plan in ENGLISH_PLAN.items()] + [("fr_FR", *plan) for plan in FRENCH_PLAN.items()],
)
def test_the_plan_tells_what_is_read_where_restores_go_and_where_the_key_comes_from(
    site: Site, lang: str, options: str, told: list[str]
) -> None:
    laptop = site.laptop()

    with laptop.terminal(f"sh {SETUP} {GIVEN} {options}", env={"LANG": lang}) as terminal:
        terminal.expect(r"(yes/no|oui/non)\) ?\? $")

    for sentence in told:
        assert re.search(f"^  .*{re.escape(sentence)}", terminal.shown, re.MULTILINE)
    fingerprints = laptop.run("ssh-keygen -lf /root/known_hosts").stdout
    (shown,) = re.findall("SHA256:[^ \n]+", terminal.shown)
    assert f" {shown} " in fingerprints
    assert not laptop.exists(PLACE)


IN_PLACE = (
    r"whoever this computer is registered for can change every (file|person.s files) in the shared folders"
)
EN_PLACE = r"la personne pour qui cet ordinateur est enregistré peut modifier (tous )?les fichiers"


@pytest.mark.parametrize(
    ("options", "asked"),
    [("full", IN_PLACE), ("full --yes --logon cmartin", IN_PLACE), ("owner --yes --logon cmartin", IN_PLACE),
     ("full --lang fr", EN_PLACE), ("owner --lang fr", EN_PLACE)],
)  # fmt: skip
def test_a_restore_in_place_is_asked_for_in_words(site: Site, options: str, asked: str) -> None:
    laptop = site.laptop()

    with laptop.terminal(f"sh {SETUP} {GIVEN} --restore {options}") as terminal:
        terminal.answer(rf"{asked}.*\? ?\? $|{asked}.*\? $", "no")
        status = terminal.wait()

    assert status == ERROR
    assert not laptop.exists(PLACE)


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_setuid_comes_back_to_a_whole_system_only_if_the_person_says_yes(site: Site, answer: str) -> None:
    laptop = site.laptop()
    words = f"sh {SETUP} {GIVEN} --restore full --share / --yes --logon cmartin --no-verify"

    with laptop.terminal(words) as terminal:
        terminal.answer(rf"{IN_PLACE}.*\? $", "yes")
        terminal.answer(r"setuid programs, devices and file capabilities.*\? $", answer)
        status = terminal.wait()
    unattended = set_up(laptop)

    assert (status, unattended.status) == (OK, OK)
    lines = laptop.read("/etc/bckpciuem.conf").splitlines()
    assert {"share=/", "restore=full", f"restore-privileged={answer}"} <= {*lines}


def test_an_unattended_run_agrees_to_no_setuid(site: Site) -> None:
    laptop = site.laptop()

    done = set_up(laptop, "--logon cmartin --unattended --restore full --share /")

    assert done.status == OK
    assert "restore-privileged=no" in laptop.read("/etc/bckpciuem.conf").splitlines()
    assert re.search(IN_PLACE, done.stderr)


def test_an_unattended_run_takes_the_logon_from_a_file_and_restores_to_its_own_folder(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/root/logon", b"\xef\xbb\xbfcmartin\r\n")

    done = set_up(laptop, "--logon-file /root/logon --unattended")

    assert done.status == OK
    assert "restore=dirs" in laptop.read("/etc/bckpciuem.conf").splitlines()
    assert site.dugong.owner_of(laptop.name) == "cmartin"


def test_a_server_that_cannot_come_back_is_told_and_can_try_again(site: Site) -> None:
    laptop = site.laptop()
    unattended = "--logon cmartin --unattended"

    failed = set_up(laptop, f"{unattended} --from 10.77.0.99", verify=True)
    again = set_up(laptop, "--verify", verify=True)
    moved = set_up(laptop, f"{unattended} --from server", verify=True)
    last = set_up(laptop, unattended, verify=True)

    assert [done.status for done in (failed, again, moved, last)] == [NOT_VERIFIED, NOT_VERIFIED, OK, OK]
    assert site.is_registered(laptop)
    assert "error:not-reachable" in failed.stderr
    assert "refuses the account bckpciuem" in failed.stderr
    assert "--verify" in failed.stderr
    assert "nothing was changed" in last.stdout
    assert "verified dugong.univ-brest.fr cmartin\n" in laptop.read(f"{PLACE}/receipt")


def test_a_folder_that_the_server_does_not_save_is_told_until_it_does(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("mkdir '/srv/lé data' && touch '/srv/lé data/x'", check=True)
    options = "--logon cmartin --unattended --share /home --share '/srv/lé data'"

    first = set_up(laptop, options, verify=True)
    doctor = set_up(laptop, "--doctor", verify=True)
    pl = site.dugong.read(f"/etc/backuppc/{laptop.name}.pl")
    as_the_editor = "RsyncShareName} = ['/home', \"/srv/l\\x{e9} data/\"]"
    wider = pl.replace("RsyncShareName} = ['/home']", as_the_editor)
    site.dugong.write(f"/etc/backuppc/{laptop.name}.pl", wider, owner="backuppc:backuppc", mode=0o640)
    second = set_up(laptop, options, verify=True)
    third = set_up(laptop, options, verify=True)
    healthy = set_up(laptop, "--doctor", verify=True)

    assert wider != pl
    assert [first.status, doctor.status] == [LEFT_TO_DO, ERROR], first
    for told in (first.stderr, doctor.stderr):
        assert "may read /srv/lé data but does not back it up" in told
        assert "RsyncShareName" in told
    assert [second.status, third.status, healthy.status] == [OK, OK, OK], second.stderr
    assert "nothing was changed" in third.stdout
    assert f"index.cgi?host={laptop.name}" in third.stdout


def test_a_folder_that_is_saved_and_not_given_is_told_with_both_ways_out(site: Site) -> None:
    laptop = site.laptop()

    done = set_up(laptop, "--logon cmartin --unattended --share /srv", verify=True)

    assert done.status == NOT_VERIFIED
    assert "should save /home, but this machine does not share it" in done.stderr
    assert "--share for each folder" in done.stderr
    assert "RsyncShareName" in done.stderr


def test_a_laptop_that_was_installed_anew_waits_until_its_key_is_accepted(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, verify=True)
    laptop.run("rm /etc/ssh/ssh_host_* && ssh-keygen -A", check=True)
    laptop.sshd.restart()

    refused = set_up(laptop, "--verify --lang fr", verify=True)
    fingerprint = re.search("SHA256:[^ \n]+", refused.stderr)
    assert fingerprint
    admin = f"{laptop_admin()} accept-key {laptop.name} {fingerprint[0]}"
    accepted = site.dugong.run(admin)
    verified = set_up(laptop, "--verify", verify=True)

    assert refused.status == NOT_VERIFIED
    assert "error:host-key-changed" in refused.stderr
    assert "La nouvelle clef d\u2019hôte, pour l\u2019administrateur" in refused.stderr
    assert (accepted.status, verified.status) == (OK, OK), accepted


def laptop_admin() -> str:
    return "/usr/bin/python3 -I /opt/backuppc-register/bin/backuppc-register-admin"


def test_what_breaks_is_told_by_the_doctor_and_mended_by_repair(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, verify=True)
    healthy = set_up(laptop, "--doctor", verify=True)
    laptop.run(
        "rm /etc/sudoers.d/bckpciuem; usermod --shell /bin/false bckpciuem;"
        f"echo x >>/usr/local/libexec/bckpciuem/rsync-helper; : >{PLACE}/.ssh/authorized_keys",
        check=True,
    )
    laptop.sshd.stop()
    before = contents(laptop)

    ill = set_up(laptop, "--doctor", verify=True)
    unchanged = contents(laptop) == before
    repaired = set_up(laptop, "--repair --unattended", verify=True)

    assert (healthy.status, ill.status, repaired.status) == (OK, ERROR, OK)
    assert healthy.stdout.endswith("is tested by: sudo sh setup.sh --verify\n")
    assert healthy.stderr == ""
    assert unchanged
    for word in ("a wrong shell", "copies", "sudo does not let", "sshd does not answer", "key is not where"):
        assert word in ill.stderr, word
    assert "No problem was found" in repaired.stdout
    assert site.dugong.full_backup(laptop.name).errors == 0


SHUTS_OUT = """
import socket
with socket.create_server(("", 22)) as listener:
    while True:
        with listener.accept()[0] as connection:
            connection.sendall(b"Not allowed at this time\\r\\n")
"""


def test_an_sshd_that_shuts_out_who_looks_too_often_is_no_sshd_that_is_down(site: Site) -> None:
    """OpenSSH 9.8 and later do so, after a few looks of the setup's too."""
    laptop = site.laptop()
    set_up(laptop)
    laptop.sshd.stop()
    laptop.start(["python3", "-c", SHUTS_OUT])
    laptop.wait_for(lambda: laptop.listens(22))

    doctor = set_up(laptop, "--doctor")

    assert "  sshd answers at " in doctor.stdout
    assert "sshd does not answer" not in doctor.stderr


WRONG_RIGHTS = {
    f"chmod 777 {PLACE}/.ssh": f"{PLACE}/.ssh has wrong permissions",
    f"chmod 666 {PLACE}/.ssh/authorized_keys": f"{PLACE}/.ssh/authorized_keys has wrong permissions",
    f"chown cmartin {PLACE}/.ssh/authorized_keys": f"{PLACE}/.ssh/authorized_keys has wrong permissions",
    "chmod 666 /etc/bckpciuem.conf": "/etc/bckpciuem.conf has wrong permissions",
}


@pytest.mark.parametrize("how", WRONG_RIGHTS)
def test_wrong_permissions_are_told_by_the_doctor_and_mended_by_a_second_run(site: Site, how: str) -> None:
    laptop = site.laptop()
    set_up(laptop)
    right = contents(laptop, PLACE, "/etc/bckpciuem.conf")
    laptop.run(how, check=True)

    ill = set_up(laptop, "--doctor")
    set_up(laptop)

    assert ill.status == ERROR
    assert WRONG_RIGHTS[how] in ill.stderr
    assert contents(laptop, PLACE, "/etc/bckpciuem.conf") == right


def test_the_doctor_tells_a_server_that_is_another_one_or_not_there(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    pinned = laptop.read(f"{PLACE}/known_hosts")
    laptop.write(f"{PLACE}/known_hosts", f"dugong.univ-brest.fr {laptop.ssh_host_keys[0]}\n")
    stranger = set_up(laptop, "--doctor")
    laptop.write(f"{PLACE}/known_hosts", pinned)
    site.dugong.sshd.stop()
    try:
        gone = set_up(laptop, "--doctor")
    finally:
        site.dugong.sshd.start()

    assert (stranger.status, gone.status) == (ERROR, ERROR)
    assert "another host key" in stranger.stderr
    assert "cannot be reached" in gone.stderr


def test_the_doctor_has_nobody_to_see_where_nothing_was_set_up(site: Site) -> None:
    assert set_up(site.laptop(), "--doctor").status == ERROR


def test_a_sudo_that_is_locked_is_told_before_anything_is_registered(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/sudoers.d/zz-locked", "bckpciuem ALL=(ALL) !ALL\n", mode=0o440)

    done = set_up(laptop)

    assert done.status == ERROR
    assert "cannot start the backup program" in done.stderr
    assert not site.is_registered(laptop)
