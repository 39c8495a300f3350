"""The setup on laptops of the lab: the way that it is meant to go."""

import re

import pytest
from checkout import CHECKOUT
from lab import Laptop
from lab.backuppc import Backup
from laptops import (
    GIVEN,
    OK,
    OURS,
    PLACE,
    SETUP,
    USAGE,
    Site,
    bundle,
    contents,
    set_up,
    sit_down,
    stamp,
    touched,
)

pytestmark = [pytest.mark.lab, pytest.mark.long]

BEING_DONE = "Applying changes:\n"


def first_backup(site: Site, laptop: Laptop) -> Backup:
    """Wait for the full backup that a first verification has queued."""
    dugong = site.dugong
    job = f'"{laptop.name}"'
    dugong.wait_for(lambda: job not in dugong.message("status queues jobs"), "a backup", timeout=60)
    (backup,) = dugong.backups(laptop.name)
    return backup


FRENCH = {"logon": r"Votre identifiant \[\] : $", "person": r"personne : Christophe Martin \(cmartin\)",
          "right": r"\(oui/non\) \? $", "yes": "oui", "done": "C\u2019est fait.",
          "verified": "les sauvegardes marcheront"}  # fmt: skip
ENGLISH = {"logon": r"Your logon \[\]: $", "person": r"person: Christophe Martin \(cmartin\)",
           "right": r"\(yes/no\)\? $", "yes": "yes", "done": "Done.",
           "verified": "backups will work"}  # fmt: skip


@pytest.mark.parametrize(("lang", "words"), [("fr_FR.UTF-8", FRENCH), ("en_GB.UTF-8", ENGLISH)])
def test_a_person_answers_two_questions_and_is_backed_up(
    site: Site, lang: str, words: dict[str, str]
) -> None:
    laptop = site.laptop()

    with sit_down(laptop, "", lang=lang) as terminal:
        terminal.answer(words["logon"], "cmartin")
        terminal.expect(words["person"])
        terminal.answer(words["right"], words["yes"])
        assert terminal.wait() == OK

    assert words["done"] in terminal.shown
    assert words["verified"] in terminal.shown
    assert f"https://dugong.univ-brest.fr/backuppc/index.cgi?host={laptop.name}" in terminal.shown
    assert site.dugong.owner_of(laptop.name) == "cmartin"
    backup = first_backup(site, laptop)
    assert (backup.files > 0, backup.errors) == (True, 0)
    assert "/cmartin/.netrc" in site.dugong.files_of(laptop.name, "/home")


@pytest.mark.parametrize(
    ("tongue", "lang", "yes"), [("en", "en_GB.UTF-8", "yes"), ("fr", "fr_FR.UTF-8", "oui")]
)
def test_the_docs_show_the_screen_as_it_is(site: Site, tongue: str, lang: str, yes: str) -> None:
    laptop = site.laptop()
    laptop.write("/root/setup.sh", bundle(site))
    page = (CHECKOUT / f"docs/client/linux.{tongue}.md").read_text()

    env = {"LANG": lang, "SUDO_USER": "cmartin", "TERM": "dumb"}
    with laptop.terminal("sh /root/setup.sh", env=env) as terminal:
        terminal.answer(r"\) ?\? $", yes)
        terminal.answer(r"\[cmartin\] ?: $", "")
        terminal.answer(r"\) ?\? $", yes)
        terminal.wait()

    shown = "\n".join(line.rstrip() for line in terminal.shown.rstrip().split("\n"))
    told = page.split("<!-- screen -->\n```\n")[1].split("\n```\n")[0]
    fingerprint = re.search("SHA256:[^ \n]+", told)
    assert fingerprint
    shown = re.sub("SHA256:[^ \n]+", lambda _: fingerprint[0], shown)
    assert told == shown.replace(laptop.name, "dormeur")


def test_whoever_started_it_with_sudo_is_proposed(site: Site) -> None:
    laptop = site.laptop()

    with laptop.terminal(f"sh {SETUP} {GIVEN} --no-verify", env={"SUDO_USER": "cmartin"}) as terminal:
        terminal.answer("yes/no", "yes")
        terminal.answer(r"Your logon \[cmartin\]: $", "")
        terminal.answer("yes/no", "yes")
        assert terminal.wait() == OK

    assert site.dugong.owner_of(laptop.name) == "cmartin"


def test_what_the_setup_makes_is_roots_and_no_more_than_it_must_be(site: Site) -> None:
    laptop = site.laptop()

    assert set_up(laptop).status == OK

    made = (f"{PLACE} {PLACE}/.ssh {PLACE}/.ssh/authorized_keys {PLACE}/rsyncsend.sh {PLACE}/receipt "
            f"{PLACE}-restore /etc/bckpciuem.conf /etc/sudoers.d/bckpciuem "
            "/usr/local/libexec/bckpciuem/rsync-helper")  # fmt: skip
    stat = laptop.run(f"stat -c '%n %U:%G %a' {made}", check=True)
    assert stat.lines == [
        f"{PLACE} root:bckpciuem 750",
        f"{PLACE}/.ssh root:bckpciuem 750",
        f"{PLACE}/.ssh/authorized_keys root:bckpciuem 640",
        f"{PLACE}/rsyncsend.sh root:root 755",
        f"{PLACE}/receipt root:root 600",
        f"{PLACE}-restore root:bckpciuem 770",
        "/etc/bckpciuem.conf root:root 644",
        "/etc/sudoers.d/bckpciuem root:root 440",
        "/usr/local/libexec/bckpciuem/rsync-helper root:root 755",
    ]
    entry = laptop.run("getent passwd bckpciuem; getent shadow bckpciuem | cut -d: -f1,2").lines
    assert re.fullmatch(rf"bckpciuem:x:\d{{3}}:\d{{3}}:BackupPC:{PLACE}:/bin/sh", entry[0])
    assert entry[1] == "bckpciuem:*"
    key = laptop.read(f"{PLACE}/.ssh/authorized_keys")
    assert re.fullmatch(
        rf'restrict,from="10\.77\.0\.1,fd77::1",command="/bin/bash -p {PLACE}/rsyncsend\.sh" '
        rf"ssh-ed25519 [A-Za-z0-9+/=]+ "
        rf"backuppc server to client {laptop.name} ssh key\n", key,
    )  # fmt: skip
    assert not laptop.exists(f"{PLACE}/register-key")


def test_a_second_run_changes_nothing_and_says_so(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    before, log = laptop.picture(*OURS), site.log_of(laptop)

    second = set_up(laptop)
    third = set_up(laptop, "")

    assert (second.status, third.status) == (OK, OK)
    assert "nothing was changed" in second.stdout
    assert "nothing was changed" in third.stdout
    assert laptop.picture(*OURS) == before
    asked = site.log_of(laptop)[len(log) :]
    assert [line.partition("detail=")[2] for line in asked] == ["a check: nothing was changed"] * 2


def test_registering_again_by_force_changes_nothing_either(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    before, log = contents(laptop), site.log_of(laptop)

    again = set_up(laptop, "--logon cmartin --unattended --force")

    assert again.status == OK
    assert contents(laptop) == before
    assert len(site.log_of(laptop)) == len(log) + 2
    assert "status=unchanged" in site.log_of(laptop)[-1]


def test_a_dry_run_leaves_the_file_system_as_it_is(site: Site) -> None:
    laptop = site.laptop()

    stamp(laptop)
    fresh = set_up(laptop, "--dry-run")
    by_fresh = touched(laptop)
    set_up(laptop)
    by_real_run = touched(laptop)
    stamp(laptop)
    second = set_up(laptop, "--dry-run --logon cmartin")
    by_second = touched(laptop)

    assert (fresh.status, by_fresh, second.status, by_second) == (OK, [], OK, [])
    assert PLACE in by_real_run
    assert "creating the account bckpciuem" in fresh.stdout
    assert "creating" not in second.stdout


@pytest.mark.parametrize(("env", "bold"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_no_color_leaves_the_text_plain(site: Site, env: dict[str, str], bold: bool) -> None:
    laptop = site.laptop()

    with laptop.terminal(f"sh {SETUP} {GIVEN} --dry-run", env=env) as terminal:
        assert terminal.wait() == OK

    assert ("\x1b[1m" in terminal.shown) is bold


def test_a_dry_run_tells_what_the_real_run_then_does(site: Site) -> None:
    laptop = site.laptop()

    told = [line for line in set_up(laptop, "--dry-run").lines if re.match("  (creating|writing)", line)]
    planned, done = (
        [line for line in part.split("\n") if re.match("  (creating|writing)", line)]
        for part in set_up(laptop, "--logon cmartin --yes").stdout.split(BEING_DONE)
    )

    assert planned == told
    assert [line for line in done if line not in told] == [
        f"  writing {PLACE}/known_hosts",
        f"  writing {PLACE}/.ssh/authorized_keys",
    ]
    assert [line for line in told if line not in done] == []


def test_piped_into_sh_it_asks_on_the_terminal(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/tmp/bundle", bundle(site))

    with laptop.terminal("cat /tmp/bundle | sh -s -- --no-verify") as terminal:
        terminal.answer("yes/no", "yes")
        terminal.answer("Your logon", "cmartin")
        terminal.answer("yes/no", "y")
        status = terminal.wait()

    assert status == OK
    assert site.dugong.full_backup(laptop.name).errors == 0


def test_piped_into_bash_without_a_terminal_it_needs_the_options(site: Site) -> None:
    laptop = site.laptop()

    silent = laptop.run("bash -s", input=bundle(site), timeout=60)
    made = laptop.exists(PLACE)
    told = laptop.run("bash -s -- --unattended --logon cmartin --no-verify", input=bundle(site), timeout=60)

    assert (silent.status, told.status) == (USAGE, OK)
    assert "no terminal" in silent.stderr
    assert not made
    assert site.is_registered(laptop)


QUESTIONS = ["", "--yes", "--yes --force", "--logon cmartin", "--yes --logon cmartin --restore full"]


@pytest.mark.parametrize("options", QUESTIONS)
def test_without_a_terminal_it_stops_before_it_changes_anything(site: Site, options: str) -> None:
    laptop = site.laptop()
    stamp(laptop)

    done = set_up(laptop, options)

    assert done.status == USAGE
    assert "no terminal" in done.stderr
    assert touched(laptop) == []


def test_registering_again_by_force_without_a_logon_is_for_the_same_person(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)

    again = set_up(laptop, "--yes --force")

    assert again.status == OK
    assert "person: Christophe Martin (cmartin)" in again.stdout


def test_a_program_that_somebody_laid_beside_the_bundle_is_not_taken(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("install -d -m 1777 /tmp/dl", check=True)
    laptop.write("/tmp/dl/setup.sh", bundle(site))
    for name in ("rsyncsend.sh", "bash", "sh"):
        laptop.write(f"/tmp/dl/{name}", "#!/bin/sh\ntouch /root/pwned\n", mode=0o755, owner="cmartin")

    options = "--unattended --logon cmartin --no-verify"
    named = laptop.run(f"cd /tmp/dl && sh setup.sh {options}", timeout=60)
    piped = laptop.run(f"cd /tmp/dl && cat setup.sh | bash -s -- --force {options}", timeout=60)

    assert (named.status, piped.status) == (OK, OK)
    helper = laptop.read("/usr/local/libexec/bckpciuem/rsync-helper")
    assert helper == (CHECKOUT / "clients/rsyncsend.sh").read_text()
    assert not laptop.exists("/root/pwned")


def test_without_a_bundle_a_program_that_others_could_change_is_not_taken(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("install -d -m 1777 /tmp/dl", check=True)
    laptop.write("/tmp/dl/setup.sh", (CHECKOUT / "clients/setup.sh").read_text())
    laptop.write("/tmp/dl/rsyncsend.sh", "#!/bin/sh\n", mode=0o755, owner="cmartin")
    laptop.write("/root/k", site.dugong.register_key, mode=0o600)
    laptop.write("/root/h", site.dugong.known_hosts)

    given = "--server dugong --register-key /root/k --known-hosts /root/h --unattended --logon cmartin"
    done = laptop.run(f"cd /tmp/dl && sh setup.sh {given}", timeout=60)

    assert done.status == USAGE
    assert "Other users can change" in done.stderr
    assert not laptop.exists("/usr/local/libexec/bckpciuem/rsync-helper")


def test_the_log_keeps_what_was_said(site: Site) -> None:
    laptop = site.laptop()

    done = set_up(laptop, "--logon cmartin --unattended --log /root/setup.log")

    assert laptop.read("/root/setup.log") == done.stdout
