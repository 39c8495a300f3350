"""The setup and the wrapper on laptops of the lab: stories of people, of mishaps and of attackers."""

import itertools
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, Laptop, Result, Server, Terminal
from lab.backuppc import Backup

pytestmark = pytest.mark.lab

BEING_DONE = "It is being done:\n"
CHECKOUT = Path(__file__).resolve().parents[1]
SETUP = "/opt/backuppc-register/clients/setup.sh"
PLACE = "/var/lib/bckpciuem"
GIVEN = "--server dugong.univ-brest.fr --register-key /root/register-key --known-hosts /root/known_hosts"
OURS = ("/etc", "/var/lib/bckpciuem", "/var/lib/bckpciuem-restore", "/usr/local", "/home")
OK, ERROR, USAGE, REFUSED, UNREACHABLE, IMPOSTOR, LEFT_TO_DO, NOT_VERIFIED = 0, 1, 2, 4, 5, 6, 7, 8
# The server of before `check` and `error:`, as the original describes its replies.
ORIGINAL_SERVER = """#!/bin/sh
echo "$SSH_ORIGINAL_COMMAND" >>/tmp/asked
case $SSH_ORIGINAL_COMMAND in
    linux:cmartin)
        printf 'success\\nurl: http://dugong/backuppc/?host=dormeur\\nkey: %s\\n' "$(cat /srv/host.pub)" ;;
    *) printf '%s ostype is unknown\\n' "$SSH_CONNECTION" ;;
esac
"""


class Site:
    """The server, and laptops one after the other, each with a name and an address of its own."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.dugong: Server = lab.server("dugong.univ-brest.fr")
        self.dugong.configure("[state]", "[limits]\nper_address = 0\n[state]")
        self._numbers = itertools.count(20)

    def laptop(self, *, ipv6: bool = False, known_hosts: str = "") -> Laptop:
        number = next(self._numbers)
        address6 = f"fd77::{number}" if ipv6 else None
        laptop = self.lab.laptop(f"portable{number}.univ-brest.fr", f"10.77.0.{number}", address6=address6)
        laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        laptop.write("/root/known_hosts", known_hosts or self.dugong.known_hosts)
        return laptop

    def log_of(self, laptop: Laptop) -> list[str]:
        return [line for line in self.dugong.syslog() if any(f" {a} " in line for a in laptop.addresses)]

    def is_registered(self, laptop: Laptop) -> bool:
        return re.search(rf"^{laptop.name}\s", self.dugong.hosts(), re.MULTILINE) is not None

    def key_path(self, laptop: Laptop) -> str:
        return f"/var/lib/backuppc-register/hosts/{laptop.name}/key"

    def ssh(self, laptop: Laptop) -> str:
        return f"ssh -F /var/lib/backuppc-register/hosts/{laptop.name}/ssh_config"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        yield Site(lab)


def set_up(
    laptop: Laptop, options: str = "--logon cmartin --unattended", lang: str = "C", *, verify: bool = False
) -> Result:
    """Set up; without the way back where the story is another, or BackupPC would begin a backup each time."""
    way_back = "" if verify else "--no-verify"
    return laptop.run(f"sh {SETUP} {GIVEN} {way_back} {options}", env={"LANG": lang}, timeout=60)


def sit_down(laptop: Laptop, options: str = "--no-verify", lang: str = "C") -> Terminal:
    """Start the setup at a terminal, and agree to what it will do."""
    terminal = laptop.terminal(f"sh {SETUP} {GIVEN} {options}", env={"LANG": lang})
    french = lang.startswith("fr")
    terminal.answer(r"\((yes/no|oui/non)\) ?\? $", "oui" if french else "yes")
    return terminal


def contents(laptop: Laptop, *folders: str) -> dict[str, str]:
    """What stands below *folders*, without the times of anything."""
    there = [folder for folder in folders or OURS if laptop.exists(folder)]
    picture = laptop.picture(*there)
    return {path: re.sub(r" [0-9]+\.[0-9]+(?= |$)", "", what) for path, what in picture.items()}


# ---------------------------------------------------------------- the happy way


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
        rf'restrict,from="10\.77\.0\.1,fd77::1",command="{PLACE}/rsyncsend\.sh" ssh-ed25519 [A-Za-z0-9+/=]+ '
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
    assert site.log_of(laptop) == log


def test_registering_again_by_force_changes_nothing_either(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    before, log = contents(laptop), site.log_of(laptop)

    again = set_up(laptop, "--logon cmartin --unattended --force")

    assert again.status == OK
    assert contents(laptop) == before
    assert len(site.log_of(laptop)) == len(log) + 2
    assert "status=unchanged" in site.log_of(laptop)[-1]


def touched(laptop: Laptop) -> list[str]:
    """Give all on the laptop's disk whose inode has changed since the last `stamp`; /tmp held a folder."""
    return laptop.run("find / -xdev -newercc /run/stamp ! -path /tmp; ls -A /tmp", timeout=60).lines


def stamp(laptop: Laptop) -> None:
    # The first look into a merged folder may change its inode: overlayfs notes there what it found.
    laptop.run("find / -xdev >/dev/null; touch /run/stamp", timeout=60, check=True)


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
    assert "making the account bckpciuem" in fresh.stdout
    assert "making" not in second.stdout


@pytest.mark.parametrize(("env", "bold"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_no_color_leaves_the_text_plain(site: Site, env: dict[str, str], bold: bool) -> None:
    laptop = site.laptop()

    with laptop.terminal(f"sh {SETUP} {GIVEN} --dry-run", env=env) as terminal:
        assert terminal.wait() == OK

    assert ("\x1b[1m" in terminal.shown) is bold


def test_a_dry_run_tells_what_the_real_run_then_does(site: Site) -> None:
    laptop = site.laptop()

    told = [line for line in set_up(laptop, "--dry-run").lines if re.match("  (making|writing)", line)]
    planned, done = (
        [line for line in part.split("\n") if re.match("  (making|writing)", line)]
        for part in set_up(laptop, "--logon cmartin --yes").stdout.split(BEING_DONE)
    )

    assert planned == told
    assert [line for line in done if line not in told] == [
        f"  writing {PLACE}/known_hosts",
        f"  writing {PLACE}/.ssh/authorized_keys",
    ]
    assert [line for line in told if line not in done] == []


def bundle(site: Site) -> str:
    """The setup with the server's name, its host keys, the register-key and the wrapper inside."""
    text = (CHECKOUT / "clients/setup.sh").read_text().replace("SERVER=''", "SERVER=dugong.univ-brest.fr", 1)
    files = {
        "register-key": site.dugong.register_key,
        "known-hosts": site.dugong.known_hosts,
        "wrapper": (CHECKOUT / "clients/rsyncsend.sh").read_text(),
    }
    for name, content in files.items():
        text = text.replace(f"\n=== {name} ===\n", f"\n{content}=== {name} ===\n", 1)
    return text


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
    assert "can be changed by others" in done.stderr
    assert not laptop.exists("/usr/local/libexec/bckpciuem/rsync-helper")


def test_the_log_keeps_what_was_said(site: Site) -> None:
    laptop = site.laptop()

    done = set_up(laptop, "--logon cmartin --unattended --log /root/setup.log")

    assert laptop.read("/root/setup.log") == done.stdout


# ---------------------------------------------------------------- what others may have planted


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
    laptop.run("install -d /tmp/dl && cp /opt/backuppc-register/clients/* /tmp/dl/", check=True)
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
        assert f"{folder} can be changed by others than root" in told
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
    assert "it came in and could read" in repaired.stdout
    assert laptop.read(keys) == line


def test_what_was_verified_is_tried_again_when_the_folders_are_others(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, verify=True)

    other = set_up(laptop, "--logon cmartin --unattended --share /home --share /home/cmartin")
    doctor = set_up(laptop, "--doctor")
    tried = set_up(laptop, verify=True)

    assert (other.status, doctor.status, tried.status) == (OK, ERROR, OK)
    assert "has not come back here yet" in doctor.stderr
    assert "it came in and could read" in tried.stdout


def test_a_line_that_starts_another_program_of_that_name_stays(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    keys = f"{PLACE}/.ssh/authorized_keys"
    foreign = 'command="/opt/site/rsyncsend.sh" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBw5mvMCIvK62HO admin\n'
    laptop.write(keys, foreign + laptop.read(keys), owner="root:bckpciuem", mode=0o640)

    set_up(laptop, "--logon cmartin --unattended --force")

    assert laptop.read(keys).startswith(foreign)


# ---------------------------------------------------------------- refusals and mishaps


def test_a_logon_that_nobody_has_may_be_corrected(site: Site) -> None:
    laptop = site.laptop()

    with sit_down(laptop) as terminal:
        terminal.answer("Your logon", "c martin")
        terminal.answer("letters, digits.*Your logon", "cmartim")
        terminal.answer("no such logon.*Your logon", "CMartin")
        terminal.answer("yes/no", "yes")
        assert terminal.wait() == OK

    assert site.dugong.owner_of(laptop.name) == "cmartin"


@pytest.mark.parametrize("lang", ["fr_FR.UTF-8", "C"])
def test_three_wrong_logons_are_enough(site: Site, lang: str) -> None:
    laptop = site.laptop()

    with sit_down(laptop, lang=lang) as terminal:
        for _ in range(3):
            terminal.answer(r"(logon|identifiant) \[", "nobody")
        assert terminal.wait() == REFUSED

    assert "bad user request : nobody" in terminal.shown
    assert len(site.log_of(laptop)) == 3
    assert not laptop.exists(f"{PLACE}/.ssh/authorized_keys")
    assert not site.is_registered(laptop)


def test_whoever_says_no_is_not_registered(site: Site) -> None:
    laptop = site.laptop()

    with sit_down(laptop, "--logon adupont --no-verify") as terminal:
        terminal.answer("yes/no", "perhaps")
        terminal.answer("yes/no", "no")
        assert terminal.wait() == ERROR

    assert not site.is_registered(laptop)
    assert not laptop.exists(f"{PLACE}/.ssh/authorized_keys")


def test_another_persons_laptop_is_refused_and_keeps_its_key(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    before = contents(laptop)

    done = set_up(laptop, "--logon adupont --unattended --lang fr")

    assert done.status == REFUSED
    assert "refusing to re-register client host with username" in done.stderr
    assert "au nom de quelqu\u2019un d\u2019autre" in done.stderr
    assert contents(laptop) == before


def test_a_server_with_another_host_key_gets_nothing(site: Site) -> None:
    stranger = site.laptop()
    laptop = site.laptop(known_hosts=f"dugong.univ-brest.fr {stranger.ssh_host_keys[0]}\n")

    done = set_up(laptop)

    assert done.status == IMPOSTOR
    assert site.log_of(laptop) == []
    assert not laptop.exists(f"{PLACE}/.ssh/authorized_keys")
    assert not laptop.exists(f"{PLACE}/register-key")


def test_a_server_without_a_known_host_key_is_not_even_called(site: Site) -> None:
    laptop = site.laptop(known_hosts="elsewhere ssh-ed25519 AAAA\n")

    assert set_up(laptop).status == USAGE
    assert site.log_of(laptop) == []


def test_a_server_that_does_not_answer_is_told_from_one_that_refuses(site: Site) -> None:
    laptop = site.laptop()
    site.dugong.sshd.stop()
    try:
        done = set_up(laptop)
    finally:
        site.dugong.sshd.start()

    assert done.status == UNREACHABLE
    assert set_up(laptop).status == OK


def test_a_register_key_that_was_revoked_is_told(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("rm /root/register-key; ssh-keygen -q -t ed25519 -N '' -f /root/register-key", check=True)

    done = set_up(laptop)

    assert done.status == REFUSED
    assert "new copy" in done.stderr


def test_a_laptop_without_an_ipv6_name_registers_over_ipv4(site: Site) -> None:
    laptop = site.laptop(ipv6=True)
    site.lab.names.point(laptop.addresses[1])

    done = set_up(laptop)

    assert done.status == OK
    assert [line.split(": ", 1)[1].split()[0] for line in site.log_of(laptop)] == [
        laptop.addresses[1], laptop.addresses[0], laptop.addresses[0],
    ]  # fmt: skip


def another_server(site: Site, laptop: Laptop, program: str) -> Laptop:
    """Give a host where the register-key, which is now *laptop*'s, starts *program*."""
    server = site.laptop()
    folders = "install -d -m 755 -o backuppc /var/lib/backuppc /var/lib/backuppc/.ssh"
    server.run(f"ssh-keygen -q -t ed25519 -N '' -f /srv/key && chmod 755 /srv && {folders}", check=True)
    server.write("/usr/local/bin/answer", program, mode=0o755)
    line = f'command="/usr/local/bin/answer" {server.read("/srv/key.pub")}'
    server.write("/var/lib/backuppc/.ssh/authorized_keys", line, owner="backuppc", mode=0o600)
    laptop.write("/root/register-key", server.read("/srv/key"), mode=0o600)
    laptop.write("/root/known_hosts", server.known_hosts)
    return server


def test_the_original_server_is_still_understood(site: Site) -> None:
    laptop = site.laptop()
    old = another_server(site, laptop, ORIGINAL_SERVER)
    comment = "backuppc server to client dormeur ssh key"
    old.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", comment, "-f", "/srv/host"])

    asking = f"sh {SETUP} {GIVEN} --no-verify --server {old.fqdn} --no-from"
    with laptop.terminal(asking, env={"LANG": "C"}) as terminal:
        terminal.answer(r"Shall this be done \(yes/no\)\? $", "yes")
        terminal.answer(r"Your logon \[\]: $", "cmartin")
        terminal.expect(r"person: cmartin \(the server tells no name\)")
        terminal.expect("This person will be able to read every backed-up file")
        terminal.answer(r"Is that right \(yes/no\)\? $", "no")
        assert terminal.wait() == ERROR
    assert old.read("/tmp/asked") == "check:linux:cmartin\n"
    old.run("rm /tmp/asked", check=True)

    done = set_up(laptop, f"--server {old.fqdn} --logon cmartin --unattended --no-from")

    assert done.status == OK, done
    assert old.read("/tmp/asked") == "check:linux:cmartin\nlinux:cmartin\n"
    assert "http://dugong/backuppc/?host=dormeur" in done.stdout
    assert laptop.read(f"{PLACE}/.ssh/authorized_keys").startswith(
        f'restrict,command="{PLACE}/rsyncsend.sh" ssh-rsa '
    )


def test_keys_of_others_are_kept_and_ours_is_replaced(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    foreign = "# by hand\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBw5mvMCIvK62HOzSKbblt4n7L admin"
    old = f'command="{PLACE}/rsyncsend.sh" ssh-ed25519 AAAAold old\n'
    laptop.write(f"{PLACE}/.ssh/authorized_keys", old + foreign, owner="root:bckpciuem", mode=0o640)

    done = set_up(laptop, "--logon cmartin --unattended --force")

    lines = laptop.read(f"{PLACE}/.ssh/authorized_keys").splitlines()
    assert done.status == OK
    assert "left as they are" in done.stdout
    assert lines[:2] == foreign.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("restrict,from=")


def test_an_sshd_that_keeps_the_server_out_is_told_and_left_alone(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/ssh/sshd_config.d/site.conf", "AllowUsers cmartin\n")
    before = contents(laptop, "/etc/ssh")

    done = set_up(laptop)

    assert done.status == LEFT_TO_DO
    assert "AllowUsers" in done.stderr
    assert contents(laptop, "/etc/ssh") == before


def test_an_sshd_that_listens_on_another_address_is_let_be(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/ssh/sshd_config.d/site.conf", f"ListenAddress {laptop.addresses[0]}\n")
    laptop.sshd.restart()
    laptop.run("mkdir -p /run/systemd/system", check=True)
    laptop.write("/usr/local/sbin/systemctl", "#!/bin/sh\necho $* >>/run/asked\n", mode=0o755)

    done = set_up(laptop, verify=True)
    gone = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert (done.status, gone.status) == (OK, OK), done
    assert "starting sshd" not in done.stdout
    assert not laptop.exists("/run/asked")


def test_settings_of_sshd_that_ask_for_its_own_address_are_read(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/ssh/sshd_config.d/site.conf", "Match LocalPort 22\n    DenyUsers bckpciuem\n")

    done = set_up(laptop)

    assert done.status == LEFT_TO_DO
    assert "DenyUsers" in done.stderr


def test_an_sshd_that_is_not_running_is_started(site: Site) -> None:
    laptop = site.laptop()
    laptop.sshd.stop()

    done = set_up(laptop)

    assert done.status == OK
    assert "starting sshd" in done.stdout
    assert laptop.listens(22)
    assert site.dugong.full_backup(laptop.name).errors == 0


APT = """#!/bin/sh
printf '%s\\n' "$DEBIAN_FRONTEND $*" >>/tmp/apt
case $* in
    *update*) touch /tmp/updated ;;
    *) [ -e /tmp/updated ] && mv /usr/bin/hidden /usr/bin/rsync ;;
esac
"""


# Debian's package starts sshd as soon as it is there.
APT_WITH_SSHD = """#!/bin/sh
ls /etc/ssh/sshd_config.d >/run/seen
mv /usr/sbin/hidden /usr/sbin/sshd
exec service ssh start
"""
DROP_IN = "/etc/ssh/sshd_config.d/90-bckpciuem.conf"


def ways_in(laptop: Laptop) -> str:
    """Give what sshd answers to a person who has nothing to show: the ways in that it offers."""
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PreferredAuthentications=none"
    return laptop.run(f"ssh {options} -o BatchMode=yes cmartin@127.0.0.1").stderr


def test_an_sshd_that_comes_for_the_backups_lets_nobody_in_by_password(site: Site) -> None:
    laptop = site.laptop()
    before = ways_in(laptop)
    laptop.sshd.stop()
    laptop.run("mv /usr/sbin/sshd /usr/sbin/hidden", check=True)
    laptop.write("/usr/local/sbin/apt-get", APT_WITH_SSHD, mode=0o755)

    planned = set_up(laptop, "--dry-run")
    done = set_up(laptop)
    after = ways_in(laptop)
    gone = laptop.run(f"sh {SETUP} --uninstall --yes")
    left = laptop.exists(DROP_IN), ways_in(laptop)
    laptop.run("service ssh stop", check=True)

    assert (planned.status, done.status, gone.status) == (OK, OK, OK), done
    for said in (planned.stdout, done.stdout):
        assert "let nobody in by password" in said
        assert f"writing {DROP_IN}" in said
    assert DROP_IN.rsplit("/", 1)[1] in laptop.read("/run/seen")
    assert "Permission denied (publickey,password" in before
    assert "Permission denied (publickey)." in after
    assert left[0]
    assert "Permission denied (publickey)." in left[1]
    assert "stays, which lets nobody in by password" in gone.stdout


def test_a_missing_tool_is_installed_without_a_question(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("mv /usr/bin/rsync /usr/bin/hidden", check=True)
    laptop.write("/usr/local/sbin/apt-get", APT, mode=0o755)

    planned = set_up(laptop, "--dry-run")
    done = set_up(laptop)

    install = "noninteractive -q -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends rsync"
    update = "noninteractive -q -o DPkg::Lock::Timeout=120 update"
    assert (planned.status, done.status) == (OK, OK)
    assert "installing rsync" in planned.stdout
    assert laptop.read("/tmp/apt").splitlines() == [install, update, install]
    assert "package rsync" in laptop.read(f"{PLACE}/receipt").splitlines()


def test_a_tool_that_cannot_be_installed_ends_it_before_anything_else(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("rm /usr/bin/rsync", check=True)
    laptop.write("/usr/local/sbin/apt-get", "#!/bin/sh\necho 'E: no such mirror' >&2\nexit 100\n", mode=0o755)

    done = set_up(laptop)

    assert done.status == ERROR
    assert "E: no such mirror" in done.stderr
    assert laptop.run("getent passwd bckpciuem").stdout == ""


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("useradd --uid 1500 bckpciuem", "number 1500"),
        ("useradd --system --home-dir /home/bckpciuem bckpciuem", "/home/bckpciuem"),
        (f"useradd --system --home-dir {PLACE} --gid users bckpciuem", "group"),
        ("sed -i '1s/^/bckpciuem:x:0:0::\\/root:\\/bin\\/sh\\n/' /etc/passwd", "number 0"),
    ],
)
def test_an_account_that_is_not_ours_is_not_adopted(site: Site, account: str, said: str) -> None:
    laptop = site.laptop()
    laptop.run(account, check=True)
    before = contents(laptop, "/etc", "/usr/local")

    done = set_up(laptop)

    assert done.status == ERROR
    assert said in done.stderr
    assert contents(laptop, "/etc", "/usr/local") == before


GROUPS = {
    "a member": ("groupadd --system -U cmartin bckpciuem", "cmartin"),
    "a person's own group": ("groupadd --system bckpciuem && usermod -g bckpciuem cmartin", "cmartin"),
    "another name of it": (
        "groupadd --system bckpciuem && groupadd -o -g $(getent group bckpciuem | cut -d: -f3) us", "us",
    ),
    "an administrator of it": ("groupadd --system bckpciuem && gpasswd -A cmartin bckpciuem", "cmartin"),
    "a password": ("groupadd --system bckpciuem && groupmod -p '$6$x$y' bckpciuem", "(password)"),
    "a person's number": ("groupadd --gid 1500 bckpciuem", "number 1500"),
    "root's number": ("groupadd -o --gid 0 bckpciuem", "number 0"),
    "a member beside the account": (
        f"useradd --system --home-dir {PLACE} --shell /bin/sh bckpciuem && usermod -aG bckpciuem cmartin",
        "cmartin",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", GROUPS)
def test_a_group_that_others_are_in_is_not_taken(site: Site, how: str) -> None:
    laptop = site.laptop()
    prepare, said = GROUPS[how]
    laptop.run(prepare, check=True)
    stamp(laptop)

    done = set_up(laptop)

    assert done.status == ERROR
    assert "group bckpciuem" in done.stderr
    assert said in done.stderr
    assert touched(laptop) == []


def test_a_group_of_that_name_that_nobody_is_in_is_taken(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("groupadd --system bckpciuem", check=True)

    done = set_up(laptop)
    laptop.run(f"sh {SETUP} --uninstall --yes", check=True)

    assert done.status == OK, done
    assert laptop.run("getent group bckpciuem").status == 0


def test_a_locked_account_of_an_older_setup_is_mended(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(f"useradd --system --home-dir {PLACE} --shell /usr/sbin/nologin bckpciuem", check=True)

    done = set_up(laptop)

    entry = laptop.run("getent passwd bckpciuem | cut -d: -f7; getent shadow bckpciuem | cut -d: -f2").lines
    assert (done.status, entry) == (OK, ["/bin/sh", "*"])
    assert site.dugong.full_backup(laptop.name).errors == 0


LINKED = ["/etc/bckpciuem.conf", "/etc/sudoers.d/bckpciuem", f"{PLACE}/rsyncsend.sh", f"{PLACE}/receipt"]


@pytest.mark.parametrize("path", LINKED)
def test_a_link_where_a_file_should_be_is_not_followed(site: Site, path: str) -> None:
    laptop = site.laptop()
    laptop.write("/home/cmartin/victim", "mine\n", owner="cmartin")
    laptop.run(f"mkdir -p {PLACE} && ln -s /home/cmartin/victim {path}", check=True)

    done = set_up(laptop)

    assert done.status == ERROR
    assert path in done.stderr
    assert laptop.read("/home/cmartin/victim") == "mine\n"


def test_what_an_administrator_has_put_in_our_place_is_shown_and_left(site: Site) -> None:
    laptop = site.laptop()
    rule = "backup ALL=(root) NOPASSWD: /usr/bin/rsync\n"
    laptop.write("/etc/sudoers.d/bckpciuem", rule, mode=0o440)
    stamp(laptop)

    done = set_up(laptop)
    undone = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert (done.status, undone.status) == (ERROR, OK)
    assert rule in done.stderr
    assert touched(laptop) == []


def test_a_lost_receipt_is_told_and_found_again_by_another_run(site: Site) -> None:
    laptop = site.laptop()
    before = without_accounts_files(laptop)
    set_up(laptop)
    laptop.run(f"rm {PLACE}/receipt", check=True)

    told = laptop.run(f"sh {SETUP} --uninstall --yes")
    again = set_up(laptop)
    undone = laptop.run(f"sh {SETUP} --uninstall --yes")
    after = without_accounts_files(laptop)

    assert (told.status, again.status, undone.status) == (ERROR, OK, OK)
    assert "/etc/sudoers.d/bckpciuem" in told.stderr
    assert laptop.run("getent passwd bckpciuem; getent group bckpciuem").stdout == ""
    assert {path for path, what in after.items() if what.startswith("f ")} == {
        path for path, what in before.items() if what.startswith("f ")
    }
    assert not laptop.exists(PLACE)


def test_addresses_that_were_given_are_kept_until_others_are(site: Site) -> None:
    laptop = site.laptop()
    keys = f"{PLACE}/.ssh/authorized_keys"
    set_up(laptop)
    named = laptop.read(keys)

    narrower = set_up(laptop, "--logon cmartin --unattended --from 10.77.0.1")
    given = laptop.read(keys)
    second = set_up(laptop)
    repaired = set_up(laptop, "--repair --unattended")
    after_repair = laptop.read(keys)
    anywhere = set_up(laptop, "--logon cmartin --unattended --no-from")
    open_to_all = laptop.read(keys)
    as_at_first = set_up(laptop, "--logon cmartin --unattended --from server")

    runs = (narrower, second, repaired, anywhere, as_at_first)
    assert [run.status for run in runs] == [OK, OK, ERROR, OK, OK], repaired
    assert 'from="10.77.0.1,fd77::1"' in named
    assert 'from="10.77.0.1",' in given
    assert after_repair == given
    assert "nothing was changed" in second.stdout
    assert "from=" not in open_to_all
    assert laptop.read(keys) == named


def test_a_folder_that_the_account_cannot_write_in_is_no_folder_for_restores(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("mkdir '/srv/re stored' /srv/good && chgrp 0 /srv/good", check=True)
    options = "--logon cmartin --unattended --restore-dir '/srv/re stored' --restore-dir /srv/good/"

    refused, registered = set_up(laptop, options, verify=True), site.is_registered(laptop)
    laptop.run("chgrp bckpciuem /srv/*; chmod 770 /srv/*", check=True)
    taken = set_up(laptop, options)

    laptop.run("chmod 750 /srv/good", check=True)
    ill = set_up(laptop, "--doctor")

    assert (refused.status, registered, taken.status, ill.status) == (LEFT_TO_DO, False, OK, ERROR)
    for folder in ("/srv/re stored", "/srv/good"):
        assert f"cannot write in {folder}" in refused.stderr
    assert "cannot write in /srv/good" in ill.stderr
    assert "/srv/re stored" not in ill.stderr
    assert "restore-dir=/srv/re stored\nrestore-dir=/srv/good\n" in laptop.read("/etc/bckpciuem.conf")


def test_two_setups_at_once_do_not_meet(site: Site) -> None:
    laptop = site.laptop()

    with sit_down(laptop) as first:
        first.expect("Your logon")
        second = set_up(laptop)
        doctor = set_up(laptop, "--doctor")
        first.type("cmartin")
        first.answer("yes/no", "yes")
        status = first.wait()

    assert (second.status, doctor.status, status) == (ERROR, ERROR, OK)
    assert "at work here" in second.stderr


def test_the_lock_of_a_run_that_is_gone_counts_for_nothing(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("ln -s 99999999 /var/run/bckpciuem.lock", check=True)

    done = set_up(laptop)

    assert done.status == OK, done
    assert laptop.run("ls -d /var/run/bckpciuem*").stdout == ""


@pytest.mark.parametrize(
    ("lang", "told"), [("C", "/tmp cannot be written"), ("fr_FR.UTF-8", "Impossible d\u2019\u00e9crire /tmp")]
)
@pytest.mark.parametrize("options", ["--logon cmartin --unattended", "--doctor", "--uninstall --yes"])
def test_a_full_tmp_is_told_before_anything_is_done(site: Site, options: str, lang: str, told: str) -> None:
    laptop = site.laptop()
    laptop.run("mount -t tmpfs -o size=64k tmpfs /tmp", check=True)
    stamp(laptop)

    done = set_up(laptop, options, lang)

    assert done.status == ERROR
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
    assert touched(laptop) == []


def test_a_server_that_never_ends_its_answer_is_left(site: Site) -> None:
    laptop = site.laptop()
    hung = another_server(site, laptop, "#!/bin/sh\nyes >&2 &\nexec sleep 1000\n")
    text = (CHECKOUT / "clients/setup.sh").read_text()
    laptop.write("/root/setup.sh", text.replace("PATIENCE=150", "PATIENCE=3"))
    given = GIVEN.replace("dugong.univ-brest.fr", hung.fqdn)

    done = laptop.run(
        f"sh /root/setup.sh {given} --wrapper /opt/backuppc-register/clients/rsyncsend.sh "
        "--logon cmartin --unattended", timeout=60,
    )  # fmt: skip

    assert done.status == UNREACHABLE, done
    assert "within 3 seconds" in done.stderr
    assert len(done.stderr) < 200_000
    assert laptop.run("pgrep -u bckpciuem").stdout == ""


def test_a_closed_pipe_ends_it_and_leaves_no_key(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)

    laptop.run(f"sh {SETUP} {GIVEN} --no-verify --repair --unattended | head -n 1")

    assert not laptop.exists(f"{PLACE}/register-key")
    assert laptop.run("ls -A /tmp").stdout == ""


MADE_BY_HAND = """# Of the site, not to be lost.
#   indented
restore=off

share=/home
rsync=/usr/local/bin/rsync
# before the second folder
share=/srv
restore-delete=no
"""


def test_what_an_administrator_has_written_stays_unless_an_option_says_otherwise(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("install /usr/bin/rsync /usr/local/bin/rsync", check=True)
    laptop.write("/etc/bckpciuem.conf", MADE_BY_HAND)

    kept = set_up(laptop)
    as_it_was = laptop.read("/etc/bckpciuem.conf")
    second = set_up(laptop)
    asked = set_up(laptop, "--logon cmartin --unattended --share /home --share /opt --restore dirs")
    changed = laptop.read("/etc/bckpciuem.conf")

    assert [kept.status, second.status, asked.status] == [OK, OK, OK], kept
    assert as_it_was == MADE_BY_HAND
    assert "nothing was changed" in second.stdout
    expected = MADE_BY_HAND.replace("restore=off", "restore=dirs").replace("share=/srv\n", "")
    expected = expected.replace("share=/home", "share=/home\nshare=/opt") + f"restore-dir={PLACE}-restore\n"
    assert changed == expected
    assert site.dugong.full_backup(laptop.name).errors == 0


def test_a_line_that_is_not_understood_stays_and_is_told(site: Site) -> None:
    laptop = site.laptop()
    text = "share=/home\nrestore=off\nflavour=strawberry\n"
    laptop.write("/etc/bckpciuem.conf", text)

    done = set_up(laptop)

    assert done.status == ERROR
    assert "flavour=strawberry" in done.stderr
    assert laptop.read("/etc/bckpciuem.conf") == text
    assert not site.is_registered(laptop)


def test_an_rsync_that_is_gone_is_replaced(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/bckpciuem.conf", "# mine\nrsync=/usr/local/bin/rsync\nshare=/home\nrestore=off\n")

    done = set_up(laptop)

    assert done.status == OK, done
    assert laptop.read("/etc/bckpciuem.conf") == "# mine\nrsync=/usr/bin/rsync\nshare=/home\nrestore=off\n"


def receipt(laptop: Laptop) -> list[str]:
    """Give the lines of the receipt, but for those that no two laptops have in common."""
    lines = laptop.read(f"{PLACE}/receipt").splitlines()
    return sorted(line for line in lines if not line.startswith(("key ", "host ", "url ")))


def test_killed_again_and_again_it_ends_where_an_undisturbed_run_ends(site: Site) -> None:
    undisturbed, disturbed = site.laptop(), site.laptop()
    set_up(undisturbed)
    whole = [line for line in set_up(site.laptop()).lines if line.startswith("  ")]

    for line in whole:
        process = disturbed.start(f"sh {SETUP} {GIVEN} --logon cmartin --unattended --no-verify")
        process.close()
        while process.alive() and line not in process.output():
            time.sleep(0.002)
        process.kill()
    last = set_up(disturbed)

    assert last.status == OK
    assert site.dugong.full_backup(disturbed.name).errors == 0
    expected = {path: what for path, what in contents(undisturbed).items() if undisturbed.name not in what}
    got = contents(disturbed)
    differing = {path for path, what in expected.items() if got.get(path) != what}
    assert differing <= {
        "/etc/hostname", "/etc/hosts", f"{PLACE}/.ssh/authorized_keys", f"{PLACE}/receipt",
    } | {path for path in expected if path.startswith("/etc/ssh/ssh_host_")}  # fmt: skip
    assert receipt(disturbed) == receipt(undisturbed)
    assert disturbed.run(f"find {PLACE} /etc /usr/local -name '*.setup'").stdout == ""


@pytest.mark.parametrize(("key", "statuses"), [("\x03", {130, -2}), ("\x1c", {131, -3})])
def test_an_interrupt_at_a_question_leaves_no_key_behind(site: Site, key: str, statuses: set[int]) -> None:
    laptop = site.laptop()

    with sit_down(laptop) as terminal:
        terminal.expect("Your logon")
        terminal.press(key)
        status = terminal.wait()

    assert status in statuses
    # What holds the terminal may be gone before the setup is.
    laptop.wait_for(lambda: laptop.run("pgrep -f setup[.]sh").stdout == "", "the end of the setup")
    assert not laptop.exists(f"{PLACE}/register-key")
    assert laptop.run("ls -A /tmp").stdout == ""


# ---------------------------------------------------------------- plan, way back, doctor, undoing


def test_whoever_does_not_agree_to_the_plan_keeps_the_laptop_as_it_is(site: Site) -> None:
    laptop = site.laptop()
    before = contents(laptop)

    with laptop.terminal(f"sh {SETUP} {GIVEN}") as terminal:
        terminal.answer(r"Shall this be done \(yes/no\)\? $", "no")
        status = terminal.wait()

    assert status == ERROR
    assert "making the account bckpciuem" in terminal.shown
    assert contents(laptop) == before


ENGLISH_PLAN = {
    "": ["it may read what is in /home", f"it may put restored files into {PLACE}-restore",
         "it may write nowhere else, and nothing as root"],
    "--restore off": ["it may read what is in /home", "it may write nothing here"],
    "--share /home --share /srv": ["it may read what is in /home", "it may read what is in /srv",
                                   "chosen on its web page for this computer; at first that is usually"],
    "--restore full": ["it may write there too, anywhere, as root"],
}  # fmt: skip
FRENCH_PLAN = {
    "": ["il peut lire ce que contient /home",
         "il ne peut écrire nulle part ailleurs, et rien en tant que root"],
    "--restore off": ["il ne peut rien écrire ici"],
    "--restore full": ["il peut aussi y écrire, partout, en tant que root"],
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


@pytest.mark.parametrize("options", ["", "--yes --logon cmartin"])
def test_full_restore_is_asked_for_in_words(site: Site, options: str) -> None:
    laptop = site.laptop()

    with laptop.terminal(f"sh {SETUP} {GIVEN} --restore full {options}") as terminal:
        terminal.answer(r"the server becomes root here.*\? $", "no")
        status = terminal.wait()

    assert status == ERROR
    assert not laptop.exists(PLACE)


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
    assert "does not let the account bckpciuem in" in failed.stderr
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
        assert "may read /srv/lé data, and does not save it" in told
        assert "RsyncShareName" in told
    assert [second.status, third.status, healthy.status] == [OK, OK, OK], second.stderr
    assert "nothing was changed" in third.stdout
    assert f"index.cgi?host={laptop.name}" in third.stdout


def test_a_folder_that_is_saved_and_not_given_is_told_with_both_ways_out(site: Site) -> None:
    laptop = site.laptop()

    done = set_up(laptop, "--logon cmartin --unattended --share /srv", verify=True)

    assert done.status == NOT_VERIFIED
    assert "is to save /home, which this machine does not give" in done.stderr
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
    assert "Sa nouvelle clef, pour l\u2019administrateur" in refused.stderr
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
    assert healthy.stdout.endswith("Nothing is wrong.\n")
    assert healthy.stderr == ""
    assert unchanged
    for word in ("home or shell", "copies", "sudo does not let", "sshd does not answer", "key is not where"):
        assert word in ill.stderr, word
    assert repaired.stdout.endswith("Nothing is wrong.\n")
    assert site.dugong.full_backup(laptop.name).errors == 0


SHUTS_OUT = """
import socket
with socket.create_server(("127.0.0.1", 22)) as listener:
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

    assert "  sshd answers\n" in doctor.stdout
    assert "sshd does not answer" not in doctor.stderr


WRONG_RIGHTS = {
    f"chmod 777 {PLACE}/.ssh": f"{PLACE}/.ssh has other permissions",
    f"chmod 666 {PLACE}/.ssh/authorized_keys": f"{PLACE}/.ssh/authorized_keys has other permissions",
    f"chown cmartin {PLACE}/.ssh/authorized_keys": f"{PLACE}/.ssh/authorized_keys has other permissions",
    "chmod 666 /etc/bckpciuem.conf": "/etc/bckpciuem.conf has other permissions",
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


ACCOUNTS_FILES = r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)([-+]|\.lock|\.[0-9]+)?"


def without_accounts_files(laptop: Laptop) -> dict[str, str]:
    """Give what stands on the laptop, but for what useradd and userdel leave behind (passwd-, subuid).

    Killed at work they leave a lock (passwd.lock), its other name (passwd.PID) or half a file (passwd+).
    """
    own = re.compile(rf"{ACCOUNTS_FILES}|/etc/\.pwd\.lock|/etc|/etc/ssh/.*")
    return {path: what for path, what in contents(laptop).items() if not own.fullmatch(path)}


def test_uninstalled_the_laptop_is_as_before_and_can_register_again(site: Site) -> None:
    laptop = site.laptop()
    accounts = "getent passwd; getent group; getent shadow"
    before, people = without_accounts_files(laptop), laptop.run(accounts).stdout
    set_up(laptop)
    installed = without_accounts_files(laptop)

    planned = set_up(laptop, "--uninstall --dry-run")
    untouched = without_accounts_files(laptop) == installed
    done = laptop.run(f"sh {SETUP} --uninstall --yes")
    after, people_after = without_accounts_files(laptop), laptop.run(accounts).stdout
    nothing_left = laptop.run(f"sh {SETUP} --uninstall --yes")
    again = set_up(laptop)

    assert (planned.status, done.status, nothing_left.status, again.status) == (OK, OK, OK, OK)
    assert untouched
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
    while process.alive() and "comes back here" not in process.output():
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
    assert "ending what runs as bckpciuem" in done.stdout
    assert "for root alone" in done.stderr
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


# ---------------------------------------------------------------- the wrapper, with real privileges


@pytest.fixture(scope="module")
def registered(site: Site) -> Laptop:
    """A laptop with a folder for restored files that is a person's own, beside the usual one."""
    laptop = site.laptop()
    laptop.run("install -d -o cmartin -g cmartin /home/cmartin/restored", check=True)
    done = set_up(laptop, "--logon cmartin --unattended --restore-dir /home/cmartin/restored")
    assert done.status == OK
    config = laptop.read("/etc/bckpciuem.conf") + f"restore-dir={PLACE}-restore\n"
    laptop.write("/etc/bckpciuem.conf", config)
    laptop.run(f"install -d -m 770 -g bckpciuem {PLACE}-restore", check=True)
    return laptop


def rsync(site: Site, laptop: Laptop, words: str) -> Result:
    """Run rsync on the server, as BackupPC's account and with this laptop's key; @ is the laptop."""
    words = words.replace("@", f"{laptop.fqdn}:")
    return site.dugong.run(f"cd /tmp && rsync -s -e {shlex.quote(site.ssh(laptop))} {words}", user="backuppc")


def ask(site: Site, laptop: Laptop, command: str) -> Result:
    ssh = [*site.ssh(laptop).split(), laptop.fqdn, *([command] if command else [])]
    return site.dugong.run(ssh, user="backuppc")


def test_probe_goes_the_whole_way(site: Site, registered: Laptop) -> None:
    result = ask(site, registered, "probe")

    assert result.status == 0
    assert "share:/home" in result.lines
    assert "user:bckpciuem" in result.lines


def privileges(site: Site, laptop: Laptop, command: str) -> dict[str, str]:
    """What an rsync that is started for *command* may do, by /proc/self/status."""
    config = laptop.read("/etc/bckpciuem.conf")
    laptop.write("/usr/local/bin/show", "#!/bin/sh\ncat /proc/$$/status >&2\n", mode=0o755)
    laptop.write("/etc/bckpciuem.conf", config.replace("/usr/bin/rsync", "/usr/local/bin/show"))
    shown = ask(site, laptop, command).stderr
    laptop.write("/etc/bckpciuem.conf", config)
    return dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)


READ_ANY_FILE = f"{1 << 2:016x}"  # CAP_DAC_READ_SEARCH
NOTHING = f"{0:016x}"


def test_a_backup_runs_with_the_right_to_read_and_no_other(site: Site, registered: Laptop) -> None:
    got = privileges(site, registered, "rsync --server --sender -re.iLsfxC . /home/")

    uid = registered.run("id -u bckpciuem").stdout.strip()
    assert got["Uid"].split() == [uid] * 4
    assert {got[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {READ_ANY_FILE}
    assert got["NoNewPrivs"] == "1"
    assert got["Groups"].strip() == ""


@pytest.mark.parametrize(("target", "owner"), [(f"{PLACE}-restore/", "bckpciuem")])
def test_a_restore_runs_with_no_right_at_all(
    site: Site, registered: Laptop, target: str, owner: str
) -> None:
    got = privileges(site, registered, f"rsync --server -re.iLsfxC . {target}")

    uid = registered.run(["id", "-u", owner]).stdout.strip()
    assert got["Uid"].split() == [uid] * 4
    assert {got[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {NOTHING}
    assert got["NoNewPrivs"] == "1"


def test_files_come_back_into_their_own_folder(site: Site, registered: Laptop) -> None:
    pulled = rsync(site, registered, "-a @/home/cmartin/ pulled/")
    pushed = rsync(site, registered, f"-aR --super --numeric-ids pulled/./Documents @{PLACE}-restore/")

    assert (pulled.status, pushed.status) == (0, 0)
    names = "ls Documents"
    assert registered.run(f"cd {PLACE}-restore && {names}").stdout == registered.run(
        f"cd /home/cmartin && {names}"
    ).stdout
    owners = registered.run(f"find {PLACE}-restore -mindepth 1 -printf '%u:%g\\n' | sort -u").lines
    assert owners == ["bckpciuem:bckpciuem"]
    assert registered.run(f"ls {PLACE}-restore", user="cmartin").status != 0


def test_files_come_back_into_a_persons_folder_as_that_persons(site: Site, registered: Laptop) -> None:
    pushed = rsync(site, registered, "-aR --super --numeric-ids /etc/./issue @/home/cmartin/restored/")

    assert pushed.status == 0
    owner = registered.run("stat -c %U:%G /home/cmartin/restored/issue").stdout
    assert owner == "cmartin:cmartin\n"


def test_a_planted_link_leads_nobody_out_of_a_persons_folder(site: Site, registered: Laptop) -> None:
    site.dugong.run("mkdir -p /tmp/a/x /tmp/b/x/link && ln -s /home/cmartin/Documents /tmp/a/x/link && "
                    "echo evil >/tmp/b/x/link/evil", user="backuppc", check=True)  # fmt: skip
    planted = rsync(site, registered, "-rlR a/./x @/home/cmartin/restored/")

    through_list = rsync(
        site, registered, "-rlR --no-implied-dirs b/./x/link/evil @/home/cmartin/restored/"
    )
    through_path = rsync(site, registered, "-rl b/x/link/evil @/home/cmartin/restored/x/link/")

    assert planted.status == 0
    assert through_list.status != 0
    assert through_path.status != 0
    assert not registered.exists("/home/cmartin/Documents/evil")


ATTACKS = ["", "sh", "id", "scp -t /tmp", "/usr/lib/openssh/sftp-server", "rsync --server --daemon .",
           "rsync --server --sender -re.iLsfxC . /etc/", "rsync --server --sender -re.iLsfxC . /home/../etc/",
           "rsync --server -re.iLsfxC . /home/cmartin/", "rsync --server -re.iLsfxC . /etc/",
           "$(touch /tmp/owned)", "`touch /tmp/owned`", "probe; touch /tmp/owned"]  # fmt: skip


@pytest.mark.parametrize("command", ATTACKS)
def test_the_key_of_the_server_opens_nothing_else(site: Site, registered: Laptop, command: str) -> None:
    before = contents(registered)

    result = ask(site, registered, command)

    assert (result.status, result.stdout) == (64, "")
    assert contents(registered) == before
    assert not registered.exists("/tmp/owned")


@pytest.mark.parametrize(
    "words",
    ["-r evil @/home/cmartin/", "-r evil @/etc/cron.d/", "-r evil @/var/lib/bckpciuem/.ssh/",
     "-r --remove-source-files @/home/cmartin/Documents/ /tmp/taken/", "-r @/etc/ /tmp/taken/",
     "-r @/root/ /tmp/taken/", "-r --delete evil/ @/home/cmartin/restored/",
     "-r --rsync-path='sh -c id; rsync' @/home/ /tmp/taken/", "--daemon -r @/home/ /tmp/taken/"],
)  # fmt: skip
def test_a_real_rsync_gets_no_further(site: Site, registered: Laptop, words: str) -> None:
    site.dugong.run("mkdir -p /tmp/evil && touch /tmp/evil/evil", user="backuppc", check=True)
    before = contents(registered)

    result = rsync(site, registered, words)

    assert result.status != 0
    assert contents(registered) == before


def test_the_account_itself_can_do_no_more_than_the_key(registered: Laptop) -> None:
    attempts = [
        "sudo -n id", "sudo -n rsync --version", "sudo -n /usr/local/libexec/bckpciuem/rsync-helper 'sh'",
        f"echo x >>{PLACE}/.ssh/authorized_keys", f"rm -f {PLACE}/rsyncsend.sh", f"touch {PLACE}/.bashrc",
        "cat /home/cmartin/.netrc", f"cat {PLACE}/receipt",
        "BASH_ENV=/tmp/x sudo -n -E /usr/local/libexec/bckpciuem/rsync-helper probe",
    ]  # fmt: skip
    before = contents(registered)

    assert [command for command in attempts if registered.run(command, user="bckpciuem").status == 0] == []
    assert contents(registered) == before


def test_a_full_restore_puts_a_lost_file_back_in_its_place(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, "--logon cmartin --unattended --restore full")
    site.dugong.full_backup(laptop.name)
    lost = "/home/cmartin/Documents/rapport 2024.txt"
    before = contents(laptop, lost)
    laptop.run(["rm", lost], check=True)

    site.dugong.restore(laptop.name, "/home", "/cmartin/Documents/rapport 2024.txt")

    assert contents(laptop, lost) == before


REQUEST = """%RestoreReq = (num => {number}, hostSrc => '{name}', shareSrc => '/home', pathHdrSrc => '/',
    hostDest => '{name}', shareDest => '{place}', pathHdrDest => '/', user => 'cmartin', reqTime => 1,
    fileList => ['/cmartin/Documents', '/cmartin/.netrc']);
"""


def test_backuppc_restores_into_the_folder_for_that(site: Site) -> None:
    """What a person gets who chooses another share in BackupPC's restore page: that of the restored files."""
    laptop, dugong = site.laptop(), site.dugong
    set_up(laptop)
    number = dugong.full_backup(laptop.name).number
    request = REQUEST.format(number=number, name=laptop.name, place=f"{PLACE}-restore")
    dugong.write(f"/var/lib/backuppc/pc/{laptop.name}/restoreReq.0.1", request, owner="backuppc:backuppc")

    dugong.message(f"restore {laptop.name} {laptop.name} cmartin restoreReq.0.1")
    done = f"/var/lib/backuppc/pc/{laptop.name}/restores"
    dugong.wait_for(lambda: dugong.exists(done) and dugong.read(done))

    assert dugong.read(done).split("\t")[3] == "ok"
    restored = laptop.run(f"cd {PLACE}-restore/cmartin && sha256sum Documents/* .netrc").stdout
    assert restored == laptop.run("cd /home/cmartin && sha256sum Documents/* .netrc").stdout


def test_every_run_leaves_one_line_in_the_laptops_log(site: Site, registered: Laptop) -> None:
    registered.run("rm -f /dev/log")
    listener = registered.start(["python3", "-c", LISTENER])
    registered.wait_for(lambda: registered.serves("/dev/log"))
    ask(site, registered, "probe")
    ask(site, registered, "id")
    rsync(site, registered, "-r @/home/cmartin/Documents/ /tmp/pulled2/")
    registered.wait_for(lambda: listener.output().count("bckpciuem: ") >= 3)
    listener.kill()

    lines = [line.split("bckpciuem: ")[1] for line in listener.output().splitlines() if "bckpciuem: " in line]
    assert lines == [
        "probe from=10.77.0.1",
        "refused from=10.77.0.1 not a backup: id",
        "backup from=10.77.0.1 path=/home/cmartin/Documents",
    ]


LISTENER = """
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('/dev/log'); os.chmod('/dev/log', 0o666)
while True: print(s.recv(8192).decode(errors='replace').rstrip(), flush=True)
"""
