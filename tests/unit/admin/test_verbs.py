"""What every verb owes an administrator, held over all of them: a verb that is new has to have it too."""

import re
import time

import pytest
from admin_door import admin_site, options_of
from services.slapd import BASE, Slapd

from backuppc_register import admin
from backuppc_register.host_key import HostKey
from backuppc_register.state.host_folder import HostFolders

NEW_KEY = HostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1")
KEYS = "AUTHORIZED_KEYS"

# What each verb is for: it lists, it only looks, or it changes something by each of these command lines.
LISTS = {"register-key", "list", "show", "check", "log", "reconcile", "diagnose"}
LOOKS = {
    "list": ["list"],
    "show": ["show", "dormeur"],
    "check": ["check", "linux:cmartin", "--from", "10.77.0.11"],
    "log": ["log", "--file", "LOGFILE"],
    "remove": ["remove", "dormeur"],
    "register-key": ["register-key", "list", "--authorized-keys", KEYS],
}
CHANGES = {
    "register-key add": ["register-key", "add", "new", "--authorized-keys", KEYS],
    "register-key revoke": ["register-key", "revoke", "main", "--authorized-keys", KEYS],
    "bundle": ["bundle", "--os", "linux", "-o", "SETUP", "--server", "dugong", "--authorized-keys", KEYS],
    "transfer": ["transfer", "dormeur", "adupont", "--yes", "dormeur"],
    "retire": ["retire", "dormeur"],
    "resume": ["resume", "retired"],
    "purge": ["purge", "dormeur", "--yes", "dormeur"],
    "purge --due": ["purge", "--due"],
    "accept-key": ["accept-key", "dormeur", NEW_KEY.fingerprint],
    "reconcile": ["reconcile"],
    "reconcile --forget": ["reconcile", "--forget", "lost", "--yes", "lost"],
}
# Root's alone, in the lab: end_to_end/test_init.py, end_to_end/test_diagnose.py.
IN_THE_LAB = {"init", "diagnose"}


@pytest.fixture(scope="module")
def people():
    with Slapd() as slapd:
        yield slapd


@pytest.fixture
def site(people):
    """A server with one of everything that a verb could be asked to change."""
    with admin_site() as made:
        text = made.config.read_text()
        text = text.replace("ldap://127.0.0.1:1", f"ldap://127.0.0.1:{people.port}")
        made.config.write_text(text.replace('"dc=univ-brest,dc=fr"', f'"{BASE}"'))
        for host in ("dormeur", "lost", "retired", "due"):
            made.add_host(host)
        for host in ("retired", "due"):
            made.add_backups(host, ("full", int(time.time()) - 86400, 3, 0))
        made.run("retire", "retired")
        made.run("purge", "due", "--days", "0", "--yes", "due")
        HostFolders(made.state).offer("dormeur", NEW_KEY)
        (made.folder / "syslog").write_text("")
        made.run("register-key", "add", "main", "--authorized-keys", made.authorized_keys)
        made.run("reconcile", "--quiet")
        made.hosts.write_text(made.hosts.read_text().replace("lost\t0\tcmartin\n", ""))
        made.logged()
        yield made


def started(site, words, *more):
    places = {"SETUP": site.download / "setup.sh", "LOGFILE": site.folder / "syslog"}
    places[KEYS] = site.authorized_keys
    return site.run(*(places.get(word, word) for word in words), *more, env={"SUDO_USER": "jdoe"})


def test_every_verb_is_in_these_tables():
    changing = {line[0] for line in CHANGES.values()}

    assert changing | LOOKS.keys() | IN_THE_LAB == admin.VERBS.keys()


@pytest.mark.parametrize("verb", sorted(LISTS))
def test_what_lists_lists_in_json_too(verb):
    assert "--json" in options_of(admin.verb_parser(verb, admin.load(verb)))


@pytest.mark.parametrize("verb", sorted({line[0] for line in CHANGES.values()} | {"init"}))
def test_what_changes_something_has_a_dry_run(verb):
    assert "--dry-run" in options_of(admin.verb_parser(verb, admin.load(verb)))


@pytest.mark.parametrize("line", CHANGES.values(), ids=CHANGES)
def test_a_dry_run_says_something_and_changes_and_logs_nothing(site, line):
    before = site.picture()

    done = started(site, line, "--dry-run")

    # There is something to report.
    assert (done.returncode, done.stderr) == (1 if line == ["reconcile"] else 0, "")
    assert done.stdout
    assert site.picture() == before
    assert site.logged() == []


@pytest.mark.parametrize(("did", "line"), CHANGES.items(), ids=CHANGES)
def test_what_is_changed_leaves_one_line_with_the_administrators_login(site, did, line):
    before = site.picture()

    done = started(site, line)

    assert (done.returncode, done.stderr) == (1 if did == "reconcile" else 0, ""), done.stdout
    assert site.picture() != before
    (said,) = site.logged()
    outcome = re.search(r"\]: (.*) request=- code=-", said)[1]
    assert outcome == did or (did == "reconcile" and outcome.startswith("reconcile: "))
    assert re.search(r" detail=by jdoe( |$)", said)


@pytest.mark.parametrize("line", LOOKS.values(), ids=LOOKS)
def test_what_only_looks_changes_and_logs_nothing(site, line):
    before = site.picture()

    done = started(site, line)

    assert done.returncode in (0, 1)
    assert site.picture() == before
    assert site.logged() == []


@pytest.mark.parametrize("verb", admin.VERBS)
def test_a_wrong_option_is_status_2_and_help_is_0(site, verb):
    wrong, help_ = site.run(verb, "--dance"), site.run(verb, "--help")

    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert (help_.returncode, help_.stderr) == (0, "")
    assert "example:\n  backuppc-register-admin " in help_.stdout
