"""The verb `bundle`: one self-contained file for a machine."""

import os
import subprocess

import pytest
from admin_door import CHECKOUT, PYTHON, admin_site

from backuppc_register.admin import bundle
from backuppc_register.errors import Misconfigured

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1"


@pytest.fixture
def site():
    with admin_site() as made:
        yield made


@pytest.fixture
def with_key(site):
    site.run("register-key", "add", "main", "--authorized-keys", site.authorized_keys)
    return site


def bundled(site, *arguments, os="linux"):
    output = site.folder / "setup.sh"
    common = ["--os", os, "-o", output, "--authorized-keys", site.authorized_keys]
    return output, site.run("bundle", *common, "--server", "dugong.univ-brest.fr", *arguments)


def part(text, name):
    """Give what the setup's own shell reads as the part *name*."""
    start, end = text.index("bundled() {"), "\n    esac\n}\n"
    script = text[start : text.index("=== wrapper ===\n            ;;", start)]
    script += f"=== wrapper ===\n            ;;{end}bundled {name}\n"
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("os", ["linux", "mac"])
def test_the_setup_holds_all_that_it_would_otherwise_be_given(os):
    text = bundle.filled(os, "dugong.univ-brest.fr", KEY, [HOST_KEY]).decode()

    assert "\nSERVER='dugong.univ-brest.fr'\n" in text
    assert part(text, "register-key") == KEY
    names = "dugong.univ-brest.fr,[dugong.univ-brest.fr]:*,dugong"
    assert part(text, "known-hosts") == f"{names} {HOST_KEY}\n"
    assert part(text, "wrapper") == (CHECKOUT / "clients/rsyncsend.sh").read_text()
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize("name", ["dugong.univ-brest.fr", "[dugong.univ-brest.fr]:2222", "dugong"])
def test_ssh_finds_the_servers_host_key_under_each_of_its_names(name, tmp_path):
    text = bundle.filled("linux", "dugong.univ-brest.fr", KEY, [HOST_KEY]).decode()
    (tmp_path / "known_hosts").write_text(part(text, "known-hosts"))

    found = subprocess.run(["ssh-keygen", "-F", name, "-f", tmp_path / "known_hosts"], check=False)

    assert found.returncode == 0


@pytest.mark.parametrize("private", ["", "no newline", "a\n=== register-key ===\nrm -rf /\n"])
def test_what_would_break_the_setup_is_refused(private):
    with pytest.raises(Misconfigured):
        bundle.filled("linux", "dugong.univ-brest.fr", private, [HOST_KEY])


def test_the_file_is_for_everybody_to_read(with_key):
    output, done = bundled(with_key)

    assert done.returncode == 0, done.stderr
    assert output.stat().st_mode & 0o777 == 0o644
    assert output.stat().st_uid == os.geteuid()  # who asked for it wrote it
    private = (with_key.state / "register-keys/main/key").read_text()
    assert part(output.read_text(), "register-key") == private


def test_a_link_in_the_files_place_is_not_followed(with_key):
    target = with_key.folder / "precious"
    target.write_text("precious")
    (with_key.folder / "setup.sh").symlink_to(target)

    _, done = bundled(with_key)

    assert done.returncode == 1
    assert target.read_text() == "precious"


def test_without_a_register_key_there_is_no_bundle(site):
    output, done = bundled(site)

    assert done.returncode == 1
    assert "register-key add" in done.stdout
    assert not output.exists()


def test_of_several_register_keys_one_is_chosen(with_key):
    with_key.run("register-key", "add", "spring", "--authorized-keys", with_key.authorized_keys)

    output, unsure = bundled(with_key)
    assert (unsure.returncode, output.exists()) == (1, False)
    assert "--key main or spring" in unsure.stdout

    output, done = bundled(with_key, "--key", "spring")
    assert done.returncode == 0
    spring = (with_key.state / "register-keys/spring/key").read_text()
    assert part(output.read_text(), "register-key") == spring


def test_a_revoked_register_key_is_in_no_bundle(with_key):
    with_key.run("register-key", "revoke", "main", "--authorized-keys", with_key.authorized_keys)

    output, done = bundled(with_key, "--key", "main")

    assert (done.returncode, output.exists()) == (1, False)


def test_a_register_key_without_its_line_is_in_no_bundle(with_key):
    with_key.authorized_keys.write_text("")

    output, done = bundled(with_key)

    assert (done.returncode, output.exists()) == (1, False)


def here_string(text, name):
    """Give the text between PowerShell's @' and '@, whose last line end belongs to the mark."""
    return text.split(f"\n$Bundled{name} = @'\n")[1].split("\n'@\n")[0] + "\n"


def test_the_setup_for_windows_holds_the_same_in_its_own_way(with_key):
    output, done = bundled(with_key, os="windows")

    assert done.returncode == 0, done.stderr
    text = output.read_bytes().decode("utf-8")
    assert text.startswith("\ufeff")  # PowerShell 5.1 would take it for Windows-1252
    assert "\n    [string]$Server = 'dugong.univ-brest.fr',\n" in text
    private = (with_key.state / "register-keys/main/key").read_text()
    assert here_string(text, "RegisterKey") == private
    assert here_string(text, "KnownHosts").startswith("dugong.univ-brest.fr,[dugong.univ-brest.fr]:*,dugong ")
    assert here_string(text, "Wrapper") == (CHECKOUT / "clients/rsyncsend.sh").read_text()


@pytest.mark.parametrize("private", ["", "no newline", "a\n'@\nRemove-Item x\n", "a\n\u2019@\n", "'@\n"])
def test_what_would_break_the_setup_for_windows_is_refused(private):
    with pytest.raises(Misconfigured):
        bundle.filled("windows", "dugong.univ-brest.fr", private, [HOST_KEY])


@pytest.mark.parametrize("name", ["", "dugong'; rm -rf /; '", "a b", "-x", "dugong."])
def test_a_server_name_that_is_none_is_a_usage_error(with_key, name):
    output, done = bundled(with_key, "--server", name)

    assert (done.returncode, output.exists()) == (2, False)


def test_started_as_backuppcs_account_it_works_too(with_key):
    owner = with_key.state.stat().st_uid
    (with_key.folder / "out").mkdir()
    with_key.as_the_owner()
    output = with_key.folder / "out/setup.sh"
    command = [PYTHON, "-I", with_key.program, "bundle", "--os", "mac", "-o", output, "--server", "dugong"]

    done = with_key.start([*command, "--authorized-keys", with_key.authorized_keys], user=owner)

    assert done.returncode == 0, done.stderr
    assert output.stat().st_uid == owner
