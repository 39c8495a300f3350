"""The verb `init` without a server to make ready: its answers, and where root does not write."""

import io
import os
import pwd
import re
import shlex
import shutil
import socket
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from admin_door import PYTHON, admin_site
from checkout import CHECKOUT

from backuppc_register import admin, config, syslog_line
from backuppc_register.admin import init
from backuppc_register.admin.context import Start
from backuppc_register.admin.init import configuration, log_rules, root_files, timers, web_editor
from backuppc_register.admin.init.step import NotDone, Plan, owner_of
from backuppc_register.config.directory_kinds import KINDS
from backuppc_register.protocol.errors import HostsFileError, Misconfigured
from backuppc_register.system import log_daemons

TOLD = [
    "--url", "https://dugong.univ-brest.fr/?host={host}", "--ldap", "ldaps://ldap1.univ-brest.fr",
    "--base", "ou=people,dc=univ-brest,dc=fr", "--domain", "univ-brest.fr",
]  # fmt: skip


def composed(*arguments, typed=""):
    """Give the configuration that options and answers make, "" where it is none, and what was said."""
    options = admin.verb_parser("init", init).parse_args(arguments)
    out = io.StringIO()
    text = configuration.composed(Start(Path("/c"), "jdoe", out, io.StringIO(typed)), options)
    return text and config.check(tomllib.loads(text)), out.getvalue()


@pytest.fixture(autouse=True)
def own_name(mocker):
    mocker.patch.object(socket, "getfqdn", return_value="dugong.univ-brest.fr")


def test_options_make_a_configuration_without_a_question():
    settings, said = composed(*TOLD, "--domain", "example.org", "--backups-from", "134.158.240.3")

    assert said == ""
    assert settings.server.url == "https://dugong.univ-brest.fr/?host={host}"
    assert settings.server.sources == ("134.158.240.3",)
    assert settings.directory.servers == ("ldaps://ldap1.univ-brest.fr",)
    assert settings.dns.domains == ("univ-brest.fr", "example.org")
    assert settings.backuppc.hosts == Path("/etc/backuppc/hosts")
    assert settings.backuppc.data_dir == Path("/var/lib/backuppc")
    assert settings.state.directory == Path("/var/lib/backuppc-register")


def test_what_is_not_told_is_asked_for_with_a_likely_answer():
    settings, said = composed(typed="\nldaps://a.univ-brest.fr ldaps://b.univ-brest.fr\n\n\n\n")

    assert "[https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}]" in said
    assert settings.server.url == "https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}"
    assert settings.directory.servers == ("ldaps://a.univ-brest.fr", "ldaps://b.univ-brest.fr")
    assert settings.directory.base == "ou=people,dc=univ-brest,dc=fr"
    assert settings.directory.kind == "openldap"
    assert settings.dns.domains == ("univ-brest.fr",)


@pytest.mark.parametrize("typed", ["", "\n", "\n\n\n\n"])
def test_where_nobody_answers_nothing_is_guessed(typed):
    settings, said = composed(typed=typed)

    assert settings == ""
    assert "--ldap" in said


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("openldap", "ou=people,dc=univ-brest,dc=fr"),
        ("ad", "dc=univ-brest,dc=fr"),
        ("freeipa", "cn=users,cn=accounts,dc=univ-brest,dc=fr"),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_a_kind_of_directory_brings_its_filter_and_its_base(kind, base, asked):
    told = TOLD[:4] + TOLD[6:] + ([] if asked else ["--directory", kind])

    settings, said = composed(*told, typed=f"{kind}\n\n" if asked else "\n")

    assert ("Kind of directory" in said) == asked
    assert (settings.directory.kind, settings.directory.base) == (kind, base)
    assert settings.directory.filter == KINDS[kind].filter


@pytest.mark.parametrize("kind", ["AD", "windows", "openldap ad"])
def test_another_kind_of_directory_is_refused(kind):
    with pytest.raises(Misconfigured, match=r"\[directory\] kind"):
        composed(*TOLD, "--directory", kind)


def test_the_account_that_reads_the_directory_is_in_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ca.pem", "password"):
        Path(name).write_text("x")
        Path(name).chmod(0o600)
    told = ["--directory", "ad", "--bind-dn", "UBO\\lookup"]

    settings, _ = composed(*TOLD, *told, "--bind-password-file", "password", "--ca-file", "ca.pem")

    assert settings.directory.bind_dn == "UBO\\lookup"
    assert settings.directory.bind_password_file == str(tmp_path / "password")
    assert settings.directory.ca_file == str(tmp_path / "ca.pem")


def test_other_folders_are_in_the_configuration():
    told = ["--config-dir", "/srv/bpc/etc", "--data-dir", "/srv/bpc/data", "--state", "/srv/register"]

    settings, _ = composed(*TOLD, *told)

    assert settings.backuppc.hosts == Path("/srv/bpc/etc/hosts")
    assert settings.backuppc.data_dir == Path("/srv/bpc/data")
    assert settings.state.directory == Path("/srv/register")


def test_nothing_that_is_answered_makes_a_line_of_its_own():
    settings, _ = composed(*TOLD[:4], "--base", 'dc="x"\n[server]\nos = []', "--domain", "univ-brest.fr")

    assert settings.directory.base == 'dc="x"\n[server]\nos = []'


def test_answers_that_are_wrong_are_told_by_section_and_key():
    with pytest.raises(Misconfigured) as problem:
        composed(*TOLD[:6], "--domain", "not a domain")

    assert "[dns] domains" in problem.value.detail


def test_root_does_not_write_where_others_can_bend_the_way(tmp_path):
    root_files.trusted(Path("/etc"))
    tmp_path.chmod(0o777)

    with pytest.raises(Misconfigured, match=r"others can change .*\. Root does not write below it"):
        root_files.trusted(tmp_path)


@pytest.mark.lab
def test_it_takes_root():
    with admin_site() as site:
        site.as_the_owner()
        before = site.picture()

        done = site.start([PYTHON, "-I", site.program, "init"], user=65534)

        assert done.returncode == 2
        assert "Only root can run init" in done.stdout
        assert site.picture() == before


BEFORE = b"$Conf{Language} = 'en';\n"
AFTER = b"$Conf{SshPath} = '/usr/bin/ssh';\n"


def test_the_web_editor_is_closed_once_and_all_else_stays(tmp_path):
    path = tmp_path / "config.pl"
    path.write_bytes(BEFORE.removesuffix(b"\n"))

    first = web_editor.hardened(path)
    path.write_bytes(first + AFTER)

    assert first == BEFORE + web_editor.BEGIN + web_editor.snippet() + web_editor.END
    assert web_editor.hardened(path) is None


def test_an_older_version_of_our_settings_is_replaced_where_it_stands(tmp_path):
    path = tmp_path / "config.pl"
    path.write_bytes(BEFORE + web_editor.BEGIN + b"# older\n" + web_editor.END + AFTER)

    ours = web_editor.BEGIN + web_editor.snippet() + web_editor.END
    assert web_editor.hardened(path) == BEFORE + ours + AFTER


def test_our_settings_put_there_by_hand_are_enough(tmp_path):
    path = tmp_path / "config.pl"
    path.write_bytes(BEFORE + web_editor.snippet() + AFTER)

    assert web_editor.hardened(path) is None


@pytest.mark.parametrize("content", [None, BEFORE + web_editor.BEGIN, web_editor.END + web_editor.BEGIN])
def test_a_config_pl_that_is_missing_or_cut_short_is_a_fault(tmp_path, content):
    path = tmp_path / "config.pl"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(HostsFileError):
        web_editor.hardened(path)


@pytest.fixture
def plan():
    """A plan for a server whose BackupPC has another account and whose configuration is elsewhere."""
    text = configuration.composed(
        Start(Path("/c"), "jdoe", io.StringIO(), io.StringIO()),
        admin.verb_parser("init", init).parse_args(TOLD),
    )
    settings = config.check(tomllib.loads(text))
    options = admin.verb_parser("init", init).parse_args([])
    return Plan(Path("/srv/50% $off/config.toml"), settings, text, pwd.getpwnam("daemon"), options)


@pytest.fixture
def places(tmp_path, mocker):
    """Systemd's folder and cron's, with neither of them there."""
    mocker.patch.object(timers, "SYSTEMD_RUNS", tmp_path / "run")
    mocker.patch.object(timers, "UNITS", tmp_path / "units")
    mocker.patch.object(timers, "PACKAGED_UNITS", (tmp_path / "packaged",))
    mocker.patch.object(timers, "CRON", tmp_path / "cron.d/backuppc-register")
    written = {}
    noted = lambda path, text: written.setdefault(path.name, text)  # noqa: E731
    mocker.patch.object(timers, "file_step", side_effect=noted)
    mocker.patch.object(sys, "argv", [str(CHECKOUT / "bin/backuppc-register-admin")])
    return tmp_path, written


COMMAND = f"{shlex.quote(f'{CHECKOUT}/bin/backuppc-register-admin')} --config '/srv/50% $off/config.toml'"


def test_where_systemd_runs_each_timer_has_this_servers_program_and_account(plan, places):
    folder, written = places
    (folder / "run").mkdir()
    (folder / "cron.d").mkdir()

    list(timers.steps(plan))

    names = ("reconcile.service", "purge.service", "reconcile.timer", "purge.timer")
    assert list(written) == [f"backuppc-register-{name}" for name in names]
    (command,) = re.findall(r"^ExecStart=(.*)$", written["backuppc-register-purge.service"], re.M)
    escaped = COMMAND.replace("%", "%%").replace("$", "$$")
    assert command == f"{shlex.quote(sys.executable)} -I {escaped} purge --due"
    assert "\nUser=daemon\n" in written["backuppc-register-reconcile.service"]
    assert list(timers.next_lines(plan)) == [
        "Next: systemctl daemon-reload; systemctl enable --now"
        " backuppc-register-reconcile.timer backuppc-register-purge.timer"
    ]


def test_units_of_a_package_and_timers_that_are_enabled_are_let_alone(plan, places):
    folder, _ = places
    for name in ("run", "packaged", "units/timers.target.wants"):
        (folder / name).mkdir(parents=True)
    for name in ("reconcile.service", "reconcile.timer", "purge.service", "purge.timer"):
        (folder / f"packaged/backuppc-register-{name}").touch()
        (folder / f"units/timers.target.wants/backuppc-register-{name}").touch()

    assert list(timers.steps(plan)) == []
    assert list(timers.next_lines(plan)) == []


def test_where_there_is_cron_alone_it_gets_one_file_and_two_lines(plan, places):
    folder, written = places
    (folder / "cron.d").mkdir()

    list(timers.steps(plan))

    lines = [line for line in written["backuppc-register"].splitlines() if line and line[0] in "0123456789"]
    escaped = COMMAND.replace("%", "\\%")
    assert [line.split("  ", 1)[1] for line in lines] == [
        f"daemon  {shlex.quote(sys.executable)} -I {escaped} reconcile --quiet",
        f"daemon  {shlex.quote(sys.executable)} -I {escaped} purge --due",
    ]


def test_a_file_of_crons_that_is_there_is_the_sites_choice(plan, places, mocker):
    folder, _ = places
    (folder / "run").mkdir()
    (folder / "cron.d").mkdir()
    (folder / "cron.d/backuppc-register").touch()

    mocker.patch.object(shutil, "which", return_value="/usr/sbin/cron")

    assert list(timers.steps(plan)) == []
    assert list(timers.next_lines(plan)) == []


def test_a_file_of_crons_without_a_cron_is_told(plan, places, mocker):
    folder, _ = places
    (folder / "cron.d").mkdir()
    (folder / "cron.d/backuppc-register").touch()
    mocker.patch.object(shutil, "which", return_value=None)

    (told,) = timers.next_lines(plan)

    assert told.startswith("Next: apt-get install cron")


def test_where_nothing_runs_by_itself_what_to_run_is_told(plan, places):
    told = "\n".join(timers.next_lines(plan))

    assert list(timers.steps(plan)) == []
    assert f"{COMMAND} reconcile --quiet" in told
    assert f"{COMMAND} purge --due" in told
    assert "as daemon" in told


@pytest.fixture
def daemons(tmp_path, mocker):
    """The daemons, with their rules and settings below the test's folder; install them by name."""
    for one in log_daemons.DAEMONS:
        (tmp_path / one.name / "conf.d").mkdir(parents=True)
        (tmp_path / one.name / "conf").write_text("source s_src { system(); };\n")
    places = tuple(
        replace(one, rule=tmp_path / one.name / "conf.d/our.conf", settings=tmp_path / one.name / "conf")
        for one in log_daemons.DAEMONS
    )
    mocker.patch.object(log_daemons, "DAEMONS", places)
    mocker.patch.object(log_daemons, "_FOLDERS", (str(tmp_path / "sbin"),))
    mocker.patch.object(log_rules, "LOGROTATE", tmp_path / "backuppc-register")
    mocker.patch.object(root_files, "trusted")

    def install(*programs):
        (tmp_path / "sbin").mkdir(exist_ok=True)
        for program in programs:
            (tmp_path / "sbin" / program).touch(0o755)
        return tmp_path

    return install


def test_with_the_journal_alone_no_rule_is_made_and_that_is_said(plan, daemons):
    daemons()

    assert list(log_rules.steps(plan)) == []
    assert "neither rsyslog nor syslog-ng" in "".join(log_rules.next_lines([]))


@pytest.mark.parametrize(("program", "name"), [("rsyslogd", "rsyslog"), ("syslog-ng", "syslog-ng")])
def test_the_rule_is_that_of_the_daemon_which_is_there(plan, daemons, program, name):
    folder = daemons(program)
    plan = replace(plan, settings=replace(plan.settings, syslog=config.Syslog(facility="local5")))

    rule, rotation = log_rules.steps(plan)
    rule.make()
    written = (folder / name / "conf.d/our.conf").read_text()

    assert written.count("local5") == 2  # in the comment, too
    assert "local3" not in written
    assert rotation.what == str(folder / "backuppc-register")
    assert list(log_rules.next_lines([rule.what])) == [f"Next: systemctl restart {name}"]


def test_a_syslog_ng_without_debians_source_gets_no_rule_that_would_stop_it(plan, daemons):
    folder = daemons("syslog-ng")
    (folder / "syslog-ng/conf").write_text("source s_sys { system(); };\n")

    rule, _ = log_rules.steps(plan)

    with pytest.raises(NotDone, match=r"no `source s_src`: see packaging/syslog-ng\.conf"):
        rule.make()
    assert not (folder / "syslog-ng/conf.d/our.conf").exists()


def test_options_that_were_not_looked_at_are_named():
    told = [*TOLD, "--from", "10.0.0.0/8", "--state", "/srv/state"]
    options = admin.verb_parser("init", init).parse_args(told)

    assert configuration.options_given(options) == ["--url", "--base", "--state", "--ldap", "--domain"]
    assert configuration.options_given(admin.verb_parser("init", init).parse_args([])) == []


@pytest.mark.parametrize("bound", [("--expires", "2020-01-01"), ("--from", "dugong"), ("--label", "../x")])
def test_a_first_key_that_would_be_good_for_nothing_is_a_usage_error(bound, capsys):
    with pytest.raises(SystemExit) as leaving:
        admin.verb_parser("init", init).parse_args([*TOLD, *bound])

    assert leaving.value.code == 2
    assert bound[0] in capsys.readouterr().err


@pytest.mark.parametrize("folder", [Path("/etc"), Path("/nowhere")])
def test_a_backuppc_that_is_roots_or_not_there_is_told(folder):
    with pytest.raises(Misconfigured, match="config_dir"):
        owner_of(folder)


class Step:
    """A step of `init` that is to be done."""

    def __init__(self, what, problem=None):
        self.what, self.problem, self.made = what, problem, False

    def missing(self):
        return "it is not there"

    def make(self):
        if self.problem:
            raise self.problem
        self.made = True


class Gone(io.StringIO):
    """A terminal that went away."""

    def write(self, text):
        raise BrokenPipeError


@pytest.mark.parametrize("out", [Gone(), io.StringIO()], ids=["nobody watches", "a step fails"])
def test_what_init_has_done_is_logged_whatever_ends_it(mocker, tmp_path, out):
    (tmp_path / "c").touch()
    steps = [Step("the first"), Step("the second", HostsFileError(detail="full"))]
    mocker.patch.object(os, "geteuid", return_value=0)
    mocker.patch.object(init, "_steps", return_value=steps)
    log = mocker.patch.object(syslog_line, "write")
    options = admin.verb_parser("init", init).parse_args([])
    mocker.patch.object(init, "_plan", return_value=mocker.Mock(options=options))

    with pytest.raises((HostsFileError, BrokenPipeError)):
        init.run_alone(Start(tmp_path / "c", "jdoe", out, io.StringIO()), options)

    assert steps[0].made
    assert log.call_args.args[0].detail == "by jdoe the first"
