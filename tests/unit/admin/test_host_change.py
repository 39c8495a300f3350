"""The verbs that change a registration, as an administrator types them."""

import json
import os
import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from admin_door import PYTHON, admin_site

from backuppc_register.state.host_folder import HostFolders


@pytest.fixture
def site():
    with admin_site() as made:
        yield made


def test_a_purge_that_leaves_a_stray_thing_behind_is_told_and_logged_as_done(site):
    site.add_host("dormeur")
    doomed = site.folder / "data/pc/~purged"
    doomed.mkdir()
    (doomed / "stray").touch()

    done = site.run("purge", "dormeur", "--yes", "dormeur")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"note: {doomed}/stray" in done.stdout
    assert any(" purge request=" in line and "host=dormeur" in line for line in site.logged())


def test_the_daily_sweep_ends_with_1_where_something_stays(site):
    assert site.run("purge", "--due").returncode == 0
    doomed = site.folder / "data/pc/~purged"
    doomed.mkdir()
    (doomed / "stray").touch()

    done = site.run("purge", "--due")

    assert done.returncode == 1
    assert f"{doomed}/stray" in done.stdout


def test_a_host_that_was_made_by_hand_is_retired_shown_resumed_and_purged(site):
    made = "$Conf{XferMethod} = 'smb';\n"
    (site.folder / "etc/labpc.pl").write_text(made)
    site.add_line("labpc 0 jdoe friend")
    site.add_backups("labpc", ("full", 1, 5, 0))

    assert "record: none: manually added" in re.sub(" +", " ", site.run("show", "labpc").stdout)
    done = site.run("retire", "LABPC")
    assert (done.returncode, done.stderr) == (0, "")
    assert "BackupsDisable" in (site.folder / "etc/labpc.pl").read_text()
    assert re.search("labpc +jdoe .*manually added, retired", site.run("list").stdout)
    assert "record: of jdoe: manually added" in re.sub(" +", " ", site.run("show", "labpc").stdout)
    assert site.run("retire", "labpc").stdout == "labpc is retired already.\n"
    assert site.run("reconcile").returncode == 0

    assert site.run("resume", "labpc").returncode == 0
    assert (site.folder / "etc/labpc.pl").read_text() == made
    assert site.run("resume", "labpc").stdout == "labpc is not retired.\n"

    assert site.run("purge", "labpc", "--days", "0", "--yes", "labpc").returncode == 0
    assert site.run("purge", "--due").returncode == 0
    assert "labpc" not in site.hosts.read_text()
    assert not (site.folder / "data/pc/labpc").exists()
    assert site.run("reconcile").returncode == 0


def test_a_host_that_nobody_knows_is_told_as_such(site):
    for verb in (["retire"], ["resume"], ["purge"], ["show"]):
        done = site.run(*verb, "nobody")

        assert done.returncode == 1
        assert "nobody" in done.stdout + done.stderr


def in_shell(site, command):
    """Run *command*, in which ADMIN is the program."""
    site.as_the_owner()
    program = f"{PYTHON} -I {site.program} --config {site.config}"
    return site.start(["bash", "-c", command.replace("ADMIN", program), "bash"])


def made_due(site, host):
    """Let a purge that was asked be due, as if its days had passed."""
    path = site.state / f"hosts/{host}/record.json"
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"purge": past, "purge_wait": ""}))


@pytest.mark.parametrize("verb", ["retire dormeur", "resume dormeur", "purge dormeur --yes dormeur"])
def test_what_was_done_is_logged_before_it_is_printed(site, verb):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    if verb.startswith("resume"):
        site.run("retire", "dormeur")
        site.logged()

    done = in_shell(site, f"PYTHONUNBUFFERED=1 ADMIN {verb} > /dev/full")

    if not verb.startswith("purge"):  # that one could not show its plan, and did nothing
        (line,) = site.logged()
        assert f" {verb.split()[0]} request=" in line
    assert done.returncode == 1


def test_an_accepted_key_is_logged_before_it_is_printed(site):
    site.add_host("dormeur")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4Tjb8jWwHSRJm4nJpN7cQrDGW4bvmKwLWPsZ0EZ0BA"
    (site.state / "hosts/dormeur/offered_key").write_text(f"{key}\n")
    told = site.run("accept-key", "dormeur", "SHA256:x", "--dry-run").stdout
    fingerprint = re.search(r"SHA256:\S+[^.\s]", told)[0]

    in_shell(site, f"PYTHONUNBUFFERED=1 ADMIN accept-key dormeur {fingerprint} > /dev/full")

    (line,) = site.logged()
    assert " accept-key request=" in line


@pytest.mark.lab
def test_work_that_a_fault_ends_half_way_is_logged_with_its_code(site):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    (site.folder / "etc/dormeur.pl").write_text("1;\n")
    site.as_the_owner()
    (site.folder / "etc").chmod(0o555)
    (site.folder / "etc/LOCK").touch()
    os.chown(site.folder / "etc/LOCK", 65534, 65534)

    done = site.run("purge", "dormeur", "--yes", "dormeur")

    assert (done.returncode, "could not generate config file" in done.stderr) == (1, True)
    (line,) = site.logged()
    assert " purge was not finished request=- code=no-config-file host=dormeur " in line
    assert "retire dormeur" in site.run("reconcile").stdout
    assert "dormeur" in site.run("diagnose", "--only", "undecided").stdout


@pytest.mark.parametrize("verb", ["retire dormeur", "purge dormeur --yes dormeur", "reconcile --quiet"])
def test_where_no_log_is_reached_the_administrator_is_told(site, verb):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    site.run("reconcile")
    if verb.startswith("reconcile"):
        site.hosts.write_text("host\tdhcp\tuser\n")
    site.nobody_logs()

    done = site.run(*verb.split())

    assert f"note: {site.folder}/log takes no log" in done.stderr
    assert done.stderr.count("\n") == (2 if verb.startswith("reconcile") else 1)
    assert done.returncode == (1 if verb.startswith("reconcile") else 0)


def test_a_terminal_that_goes_away_ends_no_work_half_way(site):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    code = """if True:
        import os, signal, sys
        sys.path.insert(0, sys.argv.pop(1))
        from backuppc_register import admin
        from backuppc_register.backuppc import retired_config
        put = retired_config.put
        def gone(*arguments):
            os.kill(os.getpid(), signal.SIGHUP)
            put(*arguments)
        retired_config.put = gone
        sys.exit(admin.main(sys.argv[1:], os.environ))
    """
    site.as_the_owner()

    done = site.start([PYTHON, "-I", "-c", code, site.folder / "opt", "retire", "dormeur"])

    assert (done.returncode, done.stderr) == (0, "")
    (line,) = site.logged()
    assert " retire request=" in line


def test_options_that_would_have_no_effect_are_a_usage_error(site):
    for options in (["--days", "3"], ["--yes", "dormeur"]):
        done = site.run("purge", "--due", *options)

        assert (done.returncode, done.stdout) == (2, "")
        assert "--days and --yes go with a HOST" in done.stderr


def test_a_name_in_capitals_is_the_same_name_when_it_is_typed_again(site):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))

    assert site.run("purge", "DORMEUR", "--yes", "DORMEUR").returncode == 0
    assert site.run("purge", "dormeur", typed="Dormeur\n").returncode == 0
    assert site.run("purge", "dormeur", "--yes", "dormeu").returncode == 1


def test_what_cancels_a_purge_is_said_where_there_is_one_to_cancel(site):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    site.add_host("calmar")
    record = site.add_host("sirene", retired="2026-11-22T10:00:00+00:00")
    archive = "sirene_20261122"
    HostFolders(site.state).put_record(replace(record, host=archive, archive_of="sirene"))
    site.add_line(f"{archive} 0 cmartin")
    site.add_backups(archive, ("full", 1, 5, 0))

    asked = [site.run("purge", host, "--yes", host).stdout for host in ("dormeur", archive, "calmar")]

    assert "`backuppc-register-admin resume dormeur` cancels the purge; so does a registration" in asked[0]
    assert f"`backuppc-register-admin resume {archive}` cancels the purge.\n" in asked[1]
    assert "cancels" not in asked[2]
    assert "calmar has no backups to wait for, and is forgotten at once" in asked[2]


def test_a_record_that_cannot_be_read_is_told_and_the_others_are_purged(site):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    assert site.run("purge", "dormeur", "--days", "0", "--yes", "dormeur").returncode == 0
    site.add_host("calmar")
    (site.state / "hosts/calmar/record.json").write_text("")
    (site.state / "hosts/stray").touch()

    done = site.run("purge", "--due")

    assert (done.returncode, done.stderr) == (1, "")
    assert "whether the purge of calmar is due cannot be read: " in done.stdout
    assert "whether the purge of stray is due cannot be read: " in done.stdout
    assert "dormeur" not in site.hosts.read_text()
    assert not (site.folder / "data/pc/dormeur").exists()


def test_a_due_host_that_is_backed_up_again_is_left_alone_with_status_1(site):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    assert site.run("purge", "dormeur", "--yes", "dormeur").returncode == 0
    made_due(site, "dormeur")
    (site.folder / "etc/dormeur.pl").write_text("1;\n")

    done = site.run("purge", "--due")

    assert done.returncode == 1
    assert "dormeur is not purged: dormeur is not disabled" in done.stdout
    assert (site.folder / "data/pc/dormeur/backups").exists()


@pytest.mark.parametrize("typed", ["advised", r"my\ host", "MY HOST"])
def test_a_host_with_a_blank_in_its_name_is_forgotten_as_it_is_advised(site, typed):
    site.add_line(r"my\ host 0 cmartin")
    site.run("reconcile")
    site.hosts.write_text("host\tdhcp\tuser\tmoreUsers\n")
    advice = site.run("reconcile").stdout
    site.hosts.write_text("host\tdhcp\tuser\tmoreUsers\n")
    words = shlex.split(re.search("backuppc-register-admin (.*)", advice)[1])
    assert words == ["reconcile", "--forget", "my host"]

    name = words[-1] if typed == "advised" else typed
    done = site.run("reconcile", "--forget", name, "--yes", name)

    assert done.returncode == 0, done
    assert site.run("reconcile").returncode == 0
    assert "my" not in site.hosts.read_text()


@pytest.mark.parametrize("name", ["../dormeur", "", "..", "d\u00f6rmeur", "dormeur\n"])
def test_what_no_host_is_called_is_not_forgotten(site, name):
    site.add_host("dormeur")
    site.run("reconcile")
    before = site.picture()

    done = site.run("reconcile", "--forget", name, "--yes", name)

    assert done.returncode == 1
    assert site.picture() == before


def test_a_host_is_given_to_backuppcs_account_without_asking_the_directory(site):
    site.add_host("dormeur")
    site.as_the_owner()
    account = site.hosts.owner()

    both = site.run("transfer", "dormeur", account, "--purge", "3", "--yes", "dormeur")
    planned = site.run("transfer", "dormeur", account, "--dry-run")
    wrong = site.run("transfer", "dormeur", account, "--yes", "sirene")

    assert (both.returncode, "--purge goes with a person" in both.stderr) == (2, True)
    assert f"would: dormeur is {account}'s: only administrators read its backups" in planned.stdout
    assert (wrong.returncode, "nothing was changed" in wrong.stdout) == (1, True)
    assert "dormeur 0 cmartin" in re.sub(r"\s+", " ", site.hosts.read_text())
    done = site.run("transfer", "dormeur", account, "--yes", "dormeur")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"dormeur 0 {account}" in re.sub(r"\s+", " ", site.hosts.read_text())
    assert any(" transfer request=" in line and f"user={account}" in line for line in site.logged())
    assert re.search(f"dormeur +{account} .* retired\n", site.run("list").stdout)
    assert "no key pair" not in site.run("list", "--person", account).stdout
    again = site.run("transfer", "dormeur", account, "--yes", "dormeur")
    assert (again.returncode, f"is {account}'s already" in again.stderr) == (1, True)


def test_what_is_refused_because_backups_are_missing_says_what_to_do(site):
    site.add_host("dormeur")
    site.add_backups("dormeur", ("full", 1, 5, 0))
    site.run("reconcile")
    (site.folder / "data/pc/dormeur").rename(site.folder / "elsewhere")

    done = site.run("purge", "dormeur", "--yes", "dormeur")

    assert done.returncode == 1
    assert "they are missing. Is the disk of" in done.stderr
    assert "reconcile --forget dormeur" in done.stderr
