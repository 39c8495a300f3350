"""The verb `init` without a server to make ready: its answers, and where root does not write."""

import io
import tomllib
from pathlib import Path

import pytest
from admin_door import PYTHON, admin_site

from backuppc_register import admin, config
from backuppc_register.admin import init
from backuppc_register.admin.context import Start
from backuppc_register.errors import CouldNotRegister, Misconfigured

TOLD = [
    "--url", "https://dugong.univ-brest.fr/?host={host}", "--ldap", "ldaps://ldap1.univ-brest.fr",
    "--base", "ou=people,dc=univ-brest,dc=fr", "--domain", "univ-brest.fr",
]  # fmt: skip


def composed(*arguments, typed=""):
    """Give the configuration that options and answers make, "" where it is none, and what was said."""
    options = admin.verb_parser("init", init).parse_args(arguments)
    out = io.StringIO()
    text = init._composed(Start(Path("/c"), "jdoe", out, io.StringIO(typed)), options)
    return text and config.check(tomllib.loads(text)), out.getvalue()


@pytest.fixture(autouse=True)
def own_name(mocker):
    mocker.patch.object(init.socket, "getfqdn", return_value="dugong.univ-brest.fr")


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
    settings, said = composed(typed="\nldaps://a.univ-brest.fr ldaps://b.univ-brest.fr\n\n\n")

    assert "[https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}]" in said
    assert settings.server.url == "https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}"
    assert settings.directory.servers == ("ldaps://a.univ-brest.fr", "ldaps://b.univ-brest.fr")
    assert settings.directory.base == "ou=people,dc=univ-brest,dc=fr"
    assert settings.dns.domains == ("univ-brest.fr",)


@pytest.mark.parametrize("typed", ["", "\n", "\n\n\n\n"])
def test_where_nobody_answers_nothing_is_guessed(typed):
    settings, said = composed(typed=typed)

    assert settings == ""
    assert "--ldap" in said


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
    init._trusted(Path("/etc"))

    with pytest.raises(Misconfigured, match="not root's alone"):
        init._trusted(tmp_path)


def test_root_does_not_follow_a_link_to_a_folder(mocker):
    mocker.patch.object(init.stat, "S_ISLNK", return_value=True)

    with pytest.raises(Misconfigured, match="not root's alone"):
        init._trusted(Path("/etc"))


@pytest.mark.lab
def test_it_takes_root():
    with admin_site() as site:
        site.as_the_owner()
        before = site.picture()

        done = site.start([PYTHON, "-I", site.program, "init"], user=65534)

        assert done.returncode == 2
        assert "init is root's work" in done.stdout
        assert site.picture() == before


BEFORE = b"$Conf{Language} = 'en';\n"
AFTER = b"$Conf{SshPath} = '/usr/bin/ssh';\n"


def test_the_web_editor_is_closed_once_and_all_else_stays(tmp_path):
    path = tmp_path / "config.pl"
    path.write_bytes(BEFORE.removesuffix(b"\n"))

    first = init._hardened(path)
    path.write_bytes(first + AFTER)

    assert first == BEFORE + init.BEGIN + init._snippet() + init.END
    assert init._hardened(path) is None


def test_an_older_version_of_our_settings_is_replaced_where_it_stands(tmp_path):
    path = tmp_path / "config.pl"
    path.write_bytes(BEFORE + init.BEGIN + b"# older\n" + init.END + AFTER)

    assert init._hardened(path) == BEFORE + init.BEGIN + init._snippet() + init.END + AFTER


def test_our_settings_put_there_by_hand_are_enough(tmp_path):
    path = tmp_path / "config.pl"
    path.write_bytes(BEFORE + init._snippet() + AFTER)

    assert init._hardened(path) is None


@pytest.mark.parametrize("content", [None, BEFORE + init.BEGIN, init.END + init.BEGIN])
def test_a_config_pl_that_is_missing_or_cut_short_is_a_fault(tmp_path, content):
    path = tmp_path / "config.pl"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CouldNotRegister):
        init._hardened(path)
