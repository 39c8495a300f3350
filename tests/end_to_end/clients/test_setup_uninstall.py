"""The setup killed and taken back: the laptop is as it was before."""

import re
import time

import pytest
from lab import Laptop
from laptops import (
    ACCOUNTS_FILES,
    GIVEN,
    OK,
    PLACE,
    SETUP,
    Site,
    contents,
    receipt,
    set_up,
    without_accounts_files,
)

pytestmark = [pytest.mark.lab, pytest.mark.long]


def test_uninstalled_the_laptop_is_as_before_and_can_register_again(site: Site) -> None:
    laptop = site.laptop()
    accounts = "getent passwd; getent group; getent shadow"
    before, people = without_accounts_files(laptop), laptop.run(accounts).stdout
    set_up(laptop)
    installed = without_accounts_files(laptop)

    planned = set_up(laptop, "--uninstall --dry-run")
    untouched = without_accounts_files(laptop) == installed
    done = laptop.run(f"sh {SETUP} --uninstall --yes")
    place = [laptop.exists("/run/bckpciuem")]
    after, people_after = without_accounts_files(laptop), laptop.run(accounts).stdout
    nothing_left = laptop.run(f"sh {SETUP} --uninstall --yes")
    again = set_up(laptop)
    place.append(laptop.exists("/run/bckpciuem"))

    assert (planned.status, done.status, nothing_left.status, again.status) == (OK, OK, OK, OK)
    assert untouched
    assert place == [False, True]  # where the wall around rsync is built
    assert (after, people_after) == (before, people)
    assert f"retire {laptop.name}" in done.stdout
    assert site.is_registered(laptop)
    assert without_accounts_files(laptop) == installed
    assert site.dugong.full_backup(laptop.name).errors == 0


# Stands in for a program that changes something, and kills the setup before that program's turn.
KILLER = """#!/bin/sh
turn=$(($(cat /run/turn) - 1))
echo "$turn" >/run/turn
if [ "$turn" -eq 0 ]; then kill -9 "$(cat /run/setup)"; exit 1; fi
exec "$(PATH=/usr/bin:/usr/sbin command -v "${0##*/}")" "$@"
"""
NEVER = 9999
DOING = ("mkdir", "chown", "mv", "useradd")
UNDOING = ("mv", "rm", "rmdir", "userdel")
UNATTENDED = f"{GIVEN} --logon cmartin --unattended --no-verify"


def killed_at(laptop: Laptop, turn: int, options: str) -> int:
    """Run the setup, to be killed before its *turn*-th deed; give how many deeds it did or began."""
    laptop.write("/run/turn", str(turn))
    laptop.run(f"echo $$ >/run/setup; exec sh {SETUP} {options}", timeout=60)
    return turn - int(laptop.read("/run/turn"))


def tree(laptop: Laptop, folders: str = "/etc /home /root /srv /tmp /usr/local /var") -> dict[str, str]:
    """Give all names below *folders*: type, mode, owner, link; and digests where we write."""
    every = f"find {folders} -xdev -printf '%p\\t%y %m %u:%g %l\\n'"
    shown = laptop.run(every, timeout=60, check=True).stdout
    names = dict(line.split("\t", 1) for line in shown.splitlines())
    files = {path: what for path, what in contents(laptop).items() if not what.startswith("d ")}
    own = re.compile(rf"{ACCOUNTS_FILES}|/etc/\.pwd\.lock")
    return {path: what for path, what in (names | files).items() if not own.fullmatch(path)}


def mortal(site: Site, deeds: tuple[str, ...]) -> Laptop:
    """A laptop on which the setup can be killed before any of *deeds*."""
    laptop = site.laptop()
    for deed in deeds:
        laptop.write(f"/usr/local/sbin/{deed}", KILLER, mode=0o755)
    laptop.write("/run/turn", str(NEVER))
    return laptop


def test_killed_before_any_of_its_changes_it_can_be_undone_without_a_trace(site: Site) -> None:
    laptop = mortal(site, DOING)
    whole, before = tree(laptop, "/ /tmp"), tree(laptop)
    deeds = killed_at(laptop, NEVER, UNATTENDED)
    laptop.run(f"sh {SETUP} --uninstall --yes", check=True)
    left = {"undisturbed": tree(laptop).items() ^ before.items()}

    for turn in range(1, deeds + 1):
        killed_at(laptop, turn, UNATTENDED)
        laptop.write("/run/turn", str(NEVER))
        laptop.run(f"sh {SETUP} --uninstall --yes", check=True)
        left[f"before deed {turn}"] = tree(laptop).items() ^ before.items()

    assert deeds > 25
    assert {when: what for when, what in left.items() if what} == {}
    assert tree(laptop, "/ /tmp") == whole


def test_an_uninstall_that_is_killed_before_any_of_its_changes_is_finished_by_the_next(site: Site) -> None:
    laptop = mortal(site, UNDOING)
    before = tree(laptop)
    killed_at(laptop, NEVER, UNATTENDED)
    deeds = killed_at(laptop, NEVER, "--uninstall --yes")

    left = {}
    for turn in range(1, deeds + 1):
        killed_at(laptop, NEVER, UNATTENDED)
        killed_at(laptop, turn, "--uninstall --yes")
        laptop.write("/run/turn", str(NEVER))
        laptop.run(f"sh {SETUP} --uninstall --yes", check=True)
        left[turn] = tree(laptop).items() ^ before.items()

    assert deeds > 10
    assert {when: what for when, what in left.items() if what} == {}


def test_a_run_that_was_killed_leaves_nothing_to_the_next(site: Site) -> None:
    laptop = mortal(site, DOING)
    deeds = killed_at(laptop, NEVER, UNATTENDED)
    laptop.run(f"sh {SETUP} --uninstall --yes", check=True)
    killed_at(laptop, deeds, UNATTENDED)  # the register-key is there by now
    left = laptop.exists(f"{PLACE}/register-key"), laptop.run("ls /tmp").stdout
    laptop.write("/run/turn", str(NEVER))

    done = laptop.run(f"sh {SETUP} {UNATTENDED}")

    assert left[0]
    assert left[1].startswith("bckpciuem.")
    assert done.status == OK
    assert laptop.run(f"ls /tmp; find / -xdev -name '*.setup'; ls {PLACE}/register-key").stdout == ""


def test_killed_while_the_server_comes_back_nothing_is_called_verified_and_the_next_run_goes_on(
    site: Site,
) -> None:
    laptop = site.laptop()
    process = laptop.start(f"sh {SETUP} {GIVEN} --logon cmartin --unattended")
    process.close()
    while process.alive() and "now connects to this computer" not in process.output():
        time.sleep(0.002)
    process.kill()
    noted = receipt(laptop)

    done = set_up(laptop, verify=True)

    assert not [line for line in noted if line.startswith("verified")]
    assert done.status == OK, done
    assert "backups will work" in done.stdout
    assert "verified dugong.univ-brest.fr cmartin" in receipt(laptop)
    assert laptop.run(f"ls /tmp; ls {PLACE}/register-key").stdout == ""


def test_what_another_setup_works_with_and_what_is_anothers_in_tmp_stays(site: Site) -> None:
    laptop = site.laptop()
    folders = "/tmp/bckpciuem.1.mine /tmp/bckpciuem.99999999.theirs"
    laptop.run(f"mkdir -m 700 {folders}; chown cmartin /tmp/bckpciuem.99999999.theirs", check=True)
    laptop.run("ln -s /home/cmartin /tmp/bckpciuem.99999998.link", check=True)

    set_up(laptop)

    assert laptop.run("ls /tmp").lines == [
        "bckpciuem.1.mine", "bckpciuem.99999998.link", "bckpciuem.99999999.theirs",
    ]  # fmt: skip
    assert laptop.exists("/home/cmartin/.netrc")


def test_a_folder_that_was_there_before_the_setup_stays(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(f"mkdir {PLACE}", check=True)

    set_up(laptop)
    done = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert done.status == OK
    assert laptop.run(f"ls -A {PLACE}").stdout == ""
    assert laptop.exists(PLACE)


def test_an_uninstall_leaves_what_others_have_put_there(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    keys = f"{PLACE}/.ssh/authorized_keys"
    foreign = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBw5mvMCIvK62HOzSKbblt4n7L admin\n"
    laptop.write(keys, foreign + laptop.read(keys), owner="root:bckpciuem", mode=0o640)
    laptop.write(f"{PLACE}-restore/found.txt", "a restored file\n")

    done = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert done.status == OK
    assert laptop.read(keys) == foreign
    assert laptop.read(f"{PLACE}-restore/found.txt") == "a restored file\n"
    assert laptop.run("getent passwd bckpciuem").status == 0
    assert not laptop.exists("/etc/sudoers.d/bckpciuem")


def test_what_was_restored_is_nobody_elses_after_an_uninstall(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    uid = laptop.run("id -u bckpciuem").stdout.strip()
    restored = f"{PLACE}-restore/secret"
    laptop.write(restored, "mine\n", owner="bckpciuem", mode=0o600)
    backup = laptop.start("sleep 1000", user="bckpciuem")

    done = laptop.run(f"sh {SETUP} --uninstall --yes")
    laptop.run(f"useradd --system --uid {uid} newsvc", check=True)

    assert done.status == OK, done
    assert "ending the processes of bckpciuem" in done.stdout
    assert "for root only" in done.stderr
    assert not backup.alive()
    assert laptop.run(["cat", restored], user="newsvc").status != 0
    stat = laptop.run(f"stat -c '%U:%G %a' {PLACE}-restore {restored}").lines
    assert stat == ["root:root 700", "root:root 600"]


def test_a_folder_for_restores_that_was_there_before_is_given_back(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(f"install -d -m 755 {PLACE}-restore", check=True)

    set_up(laptop)
    set_up(laptop, "--logon cmartin --unattended --force")
    laptop.run(f"sh {SETUP} --uninstall --yes", check=True)

    assert laptop.run(f"stat -c '%U:%G %a' {PLACE}-restore").stdout == "root:root 755\n"


def test_an_uninstall_can_keep_the_account_and_undo_it_later(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)

    kept = laptop.run(f"sh {SETUP} --uninstall --keep-user --yes")
    account = laptop.run("getent passwd bckpciuem").status
    gone = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert (kept.status, account, gone.status) == (OK, 0, OK)
    assert laptop.run("getent passwd bckpciuem; getent group bckpciuem").stdout == ""
    assert not laptop.exists(PLACE)
