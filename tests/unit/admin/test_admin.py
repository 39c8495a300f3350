"""The administrators' door: arguments, accounts, exit statuses, and what a table looks like."""

import argparse
import io
import os
import re
from pathlib import Path

import pytest
from admin_door import NOBODY, PYTHON, admin_site, options_of
from checkout import CHECKOUT

from backuppc_register import admin
from backuppc_register.admin import context

MAN = CHECKOUT / "packaging/backuppc-register-admin.8"


@pytest.fixture
def site():
    with admin_site() as made:
        yield made


@pytest.mark.parametrize("arguments", [[], ["dance"], ["--dance"], ["show"], ["list", "--dance"], ["lis"]])
def test_a_usage_error_is_told_on_standard_error_with_status_2(site, arguments):
    done = site.run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "usage:" in done.stderr
    assert "rest" not in done.stderr


def test_help_lists_every_verb_and_ends_with_0(site):
    done = site.run("--help")

    assert done.returncode == 0
    assert all(re.search(rf"^  {verb} +\S", done.stdout, re.M) for verb in admin.VERBS)


@pytest.mark.parametrize("verb", admin.VERBS)
def test_every_verb_has_help_with_an_example_that_it_understands(verb):
    module = admin.load(verb)
    text = admin.verb_parser(verb, module).format_help()

    assert "example:" in text
    assert module.EXAMPLE in text
    words = context_words(module.EXAMPLE)
    assert words[:2] == ["backuppc-register-admin", verb]
    admin.verb_parser(verb, module).parse_args(words[2:])


def context_words(example):
    """Give the words of the first command of an example."""
    import shlex

    command = example.replace("\\\n", " ").split("\n")[0].split("    (")[0]
    return shlex.split(command)


def test_what_a_register_key_can_be_done_with_has_examples_too():
    module = admin.load("register-key")
    parser = admin.verb_parser("register-key", module)
    (actions,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))

    for name, action in actions.choices.items():
        words = context_words(action.format_help().partition("example:\n  ")[2])
        assert words[:3] == ["backuppc-register-admin", "register-key", name]
        parser.parse_args(words[2:])


@pytest.mark.parametrize("verb", admin.VERBS)
def test_every_verb_runs_in_exactly_one_way(verb):
    module = admin.load(verb)

    assert hasattr(module, "run") != hasattr(module, "run_alone")


def test_a_broken_configuration_is_one_line_and_status_1(site):
    site.config.write_text("[server]\n")

    done = site.run("list")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("backuppc-register-admin: the server is misconfigured (")
    assert done.stderr.count("\n") == 1


@pytest.mark.lab
@pytest.mark.parametrize("mode", [0o644, 0o640])
@pytest.mark.parametrize("verb", [["list"], ["log"], ["bundle", "--os", "linux", "-o", "/tmp/never"]])
def test_a_third_account_is_told_which_one_it_takes(site, verb, mode):
    site.as_the_owner()
    site.config.chmod(mode)

    done = site.start([PYTHON, "-I", site.program, *verb], user=12345)

    assert (done.returncode, done.stdout) == (2, "")
    assert "start it as that account" in done.stderr


@pytest.mark.lab
def test_started_as_root_it_writes_as_backuppcs_account(site):
    site.run("register-key", "add", "new", "--authorized-keys", site.authorized_keys)

    made = [site.authorized_keys, *(site.state / "register-keys").rglob("*")]
    assert {path.stat().st_uid for path in made} == {NOBODY}


def test_the_config_may_stand_before_the_verb_or_behind_it(site):
    site.as_the_owner()

    done = [
        site.start([PYTHON, "-I", site.program, *where])
        for where in (["list"], ["register-key", "list"], ["--config", site.config, "list"])
    ]

    assert [one.returncode for one in done] == [0, 0, 0]


@pytest.mark.parametrize(
    ("environment", "login"), [({"SUDO_USER": "jdoe"}, "jdoe"), ({"SUDO_USER": ""}, None), ({}, None)]
)
def test_the_administrator_is_sudos_caller_or_else_who_started_it(environment, login):
    import pwd

    assert context.administrator(environment) == (login or pwd.getpwuid(os.getuid()).pw_name)


def test_the_administrators_login_is_in_the_log(site):
    add = ["register-key", "add", "new", "--authorized-keys", site.authorized_keys]
    site.run(*add, env={"SUDO_USER": "jdoe"})

    (line,) = site.logged()
    assert " register-key add request=- code=- " in line
    assert "detail=by jdoe label new" in line


def in_shell(site, command):
    """Run *command*, in which ADMIN is the program; the status is of the program, and not of its reader."""
    site.as_the_owner()
    said = command.replace("ADMIN", f"{PYTHON} -I {site.program} --config {site.config}")
    return site.start(["bash", "-c", f"set -o pipefail; {said}; exit $?", "bash"])


@pytest.mark.parametrize("lines", [1, 3000])
@pytest.mark.parametrize("arguments", ["list", "--help", "list --help", "show h0", "diagnose --only lock"])
def test_who_closes_the_pipe_early_gets_no_complaint(site, arguments, lines):
    site.hosts.write_text("host dhcp user\n" + "".join(f"h{n} 0 cmartin\n" for n in range(lines)))

    done = in_shell(site, f"ADMIN {arguments} | true")

    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("arguments", ["list", "--help", "list --help", "diagnose --only lock"])
def test_what_cannot_be_written_is_told_once_with_status_1(site, arguments):
    done = in_shell(site, f"ADMIN {arguments} > /dev/full")

    assert done.returncode == 1
    assert done.stderr == "backuppc-register-admin: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [("list", 0), ("--help", 0), ("list --help", 0), ("diagnose --only lock", 0), ("dance", 2)],
)
def test_without_a_place_to_print_to_the_status_tells(site, arguments, status, closed):
    done = in_shell(site, f"ADMIN {arguments} {closed}")

    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_without_a_place_to_print_to_no_file_takes_what_is_printed(site):
    site.add_host("dormeur")

    done = in_shell(site, "ADMIN retire dormeur <&- >&- 2>&-")

    assert done.returncode == 0
    assert "dormeur" in site.hosts.read_text()
    written = [path for path in site.folder.rglob("*") if path.is_file() and "opt" not in path.parts]
    assert not [path for path in written if b"is retired" in path.read_bytes()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Céline", "Céline"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb", r"a\x0ab"),
        ("\udce9", r"\xe9"),
        ("\u202e", r"\xe2\x80\xae"),
    ],
)
def test_what_could_move_a_cursor_is_escaped(text, shown):
    assert context.printable(text) == shown


@pytest.mark.parametrize(
    ("typed", "given", "confirmed"),
    [
        ("dormeur\n", None, True),
        ("yes\n", None, False),
        ("", None, False),
        ("", "dormeur", True),
        ("dormeur\n", "dormeur1", False),
    ],
)
def test_what_destroys_needs_the_hosts_name_again(typed, given, confirmed):
    start = context.Start(Path("c"), "jdoe", io.StringIO(), io.StringIO(typed))

    assert start.confirmed("dormeur", given) is confirmed


def test_the_manual_page_has_every_verb_and_option():
    manual = MAN.read_text().replace("\\-", "-")

    for verb in admin.VERBS:
        assert re.search(rf"^\.SS {verb}\b", manual, re.M), verb
        section = re.split(r"^\.S[SH] ", manual.split(f"\n.SS {verb}", 1)[1], flags=re.M)[0]
        for option in options_of(admin.verb_parser(verb, admin.load(verb))):
            assert option in section, f"{verb} {option}"
