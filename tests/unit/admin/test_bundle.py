"""The verb `bundle`: one self-contained file for a machine."""

import hashlib
import os
import re
import subprocess

import pytest
from admin_door import PYTHON, admin_site
from checkout import CHECKOUT

from backuppc_register.admin import bundle
from backuppc_register.protocol.errors import Misconfigured

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
    output = site.download / "setup.sh"
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
    (with_key.download / "setup.sh").symlink_to(target)

    _, done = bundled(with_key)

    assert done.returncode == 1
    assert target.read_text() == "precious"


def bundled_into(site, folder):
    common = ["--os", "linux", "--server", "dugong", "--authorized-keys", site.authorized_keys]
    return folder / "setup.sh", site.run("bundle", *common, "-o", folder / "setup.sh")


def everybodys(site):
    site.download.chmod(0o777)
    return site.download, "its mode is 0777"


def everybodys_above(site):
    (site.download / "below").mkdir(mode=0o755)
    site.download.chmod(0o757)
    return site.download / "below", "its mode is 0757"


def like_tmp(site):
    site.download.chmod(0o1777)
    return site.download, "its mode is 1777"


def through_a_link(site):
    (site.folder / "real").mkdir()
    (site.download / "link").symlink_to(site.folder / "real")
    return site.download / "link", "is a link"


def below_a_link(site):
    (site.download / "real/below").mkdir(parents=True)
    (site.download / "link").symlink_to(site.download / "real")
    return site.download / "link/below", "is a link"


def back_through_a_link(site):
    (site.folder / "real").mkdir()
    (site.download / "link").symlink_to(site.folder / "real")
    return site.download / "link/../download", "is a link"


@pytest.mark.parametrize(
    "spoil", [everybodys, everybodys_above, like_tmp, through_a_link, below_a_link, back_through_a_link]
)
def test_a_folder_that_others_can_change_gets_no_bundle(with_key, spoil):
    folder, words = spoil(with_key)

    output, done = bundled_into(with_key, folder)

    assert (done.returncode, output.exists()) == (1, False)
    assert words in done.stderr
    assert "choose a folder that only root can change" in done.stderr


def test_an_earlier_bundle_of_another_account_is_replaced_and_its_other_names_are_not(with_key):
    output, _ = bundled(with_key)
    output.chmod(0o666)
    if os.geteuid() == 0:
        os.chown(output, 33, 33)
    os.link(output, with_key.download / "other")
    (with_key.download / "other").write_text("#!/bin/sh\n# setup.sh - theirs")

    output, done = bundled(with_key)

    assert done.returncode == 0, done.stderr
    assert (output.stat().st_mode & 0o777, output.stat().st_uid) == (0o644, os.geteuid())
    assert output.stat().st_nlink == 1
    assert (with_key.download / "other").read_text().endswith("theirs")


def test_the_checksum_for_the_help_desk_is_that_of_the_file(with_key):
    with_key.logged()

    output, done = bundled(with_key)

    checksum = hashlib.sha256(output.read_bytes()).hexdigest()
    assert f"SHA256: {checksum} " in done.stdout
    assert f"SHA256 {checksum}" in with_key.logged()[-1]


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


def line_of(site, label):
    """Give the line of authorized_keys that has *label*."""
    lines = site.authorized_keys.read_text().splitlines(keepends=True)
    return next(line for line in lines if f"--register-key {label}" in line)


def revoked(site):
    site.run("register-key", "revoke", "main", "--authorized-keys", site.authorized_keys)
    return "no valid register-key main"


def unlined(site):
    site.authorized_keys.write_text("")
    return "has no line in authorized_keys"


def of_another(site):
    site.run("register-key", "add", "spring", "--authorized-keys", site.authorized_keys)
    private = site.state / "register-keys/main/key"
    private.write_bytes((site.state / "register-keys/spring/key").read_bytes())
    return "and the private half here is of SHA256:"


def made_new(site):
    (site.state / "register-keys/main/key").unlink()
    (site.state / "register-keys/main/key.pub").unlink()
    key = site.state / "register-keys/main/key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return "and the private half here is of SHA256:"


def garbled(site):
    (site.state / "register-keys/main/key").write_text("no key\n")
    return "has no private half on this server"


def expired(site):
    line = line_of(site, "main")
    dated = line.replace(" ssh-ed25519", ',expiry-time="20261101" ssh-ed25519')
    site.authorized_keys.write_text(site.authorized_keys.read_text().replace(line, dated))
    return "expired on 20261101"


def loose(site):
    site.authorized_keys.write_text(line_of(site, "main").removeprefix("restrict,"))
    return "is not restricted"


@pytest.mark.parametrize("spoil", [revoked, unlined, of_another, made_new, garbled, expired, loose])
def test_a_register_key_that_would_not_serve_is_in_no_bundle_and_why_is_told(with_key, spoil):
    words = spoil(with_key)

    output, done = bundled(with_key, "--key", "main")

    assert (done.returncode, output.exists()) == (1, False)
    assert words in done.stdout
    assert "No bundle was made" in done.stdout


def test_of_several_the_only_good_one_is_taken(with_key):
    with_key.run("register-key", "add", "spring", "--authorized-keys", with_key.authorized_keys)
    expired(with_key)

    output, done = bundled(with_key)

    assert done.returncode == 0
    spring = (with_key.state / "register-keys/spring/key").read_text()
    assert part(output.read_text(), "register-key") == spring


def test_the_bundles_register_key_is_the_one_that_sshd_knows(with_key, tmp_path):
    output, _ = bundled(with_key)
    (tmp_path / "key").write_text(part(output.read_text(), "register-key"))
    (tmp_path / "key").chmod(0o600)

    command = ["ssh-keygen", "-y", "-f", tmp_path / "key"]
    public = subprocess.run(command, capture_output=True, text=True, check=True)

    assert public.stdout.split()[1] in line_of(with_key, "main")


def test_from_where_and_until_when_a_bundle_is_good_is_told(site):
    limits = ["--from", "10.0.0.0/8", "--expires", "2099-01-01", "--authorized-keys", site.authorized_keys]
    site.run("register-key", "add", "main", *limits)

    _, done = bundled(site)

    assert "register-key main, valid from 10.0.0.0/8 until 20990101" in done.stdout


def test_a_dry_run_makes_nothing_and_a_bundle_leaves_a_line_in_the_log(with_key):
    with_key.logged()
    before = with_key.picture()

    output, planned = bundled(with_key, "--dry-run")
    assert planned.stdout.startswith(f"would make {output}: for linux")
    assert (with_key.picture(), with_key.logged()) == (before, [])

    bundled(with_key)
    (line,) = with_key.logged()
    assert re.search(rf": bundle request=- .* detail=by \S+ {output}: for linux, server dugong\.", line)


@pytest.mark.parametrize("os", ["linux", "mac", "windows"])
def test_an_earlier_bundle_is_replaced_and_a_file_that_is_none_is_not(with_key, os):
    output, done = bundled(with_key, os=os)
    assert (done.returncode, bundled(with_key, os=os)[1].returncode) == (0, 0)

    output.write_text("root:x:0:0::/root:/bin/sh\n")
    _, refused = bundled(with_key, os=os)

    assert refused.returncode == 1
    assert "is no setup of ours" in refused.stderr
    assert output.read_text().startswith("root:")


def here_string(text, name):
    """Give the text between PowerShell's @' and '@, whose last line end belongs to the mark."""
    return text.split(f"\n$Bundled{name} = @'\n")[1].split("\n'@\n")[0] + "\n"


def test_the_setup_for_windows_holds_the_same_in_its_own_way(with_key):
    output, done = bundled(with_key, os="windows")

    assert done.returncode == 0, done.stderr
    text = output.read_bytes().decode("utf-8")
    assert "experimental" in done.stdout
    assert "-CygwinSha256" in done.stdout
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
