"""The setup where a site has hardened sudo: ANSSI's R39, CIS and the like ask for most of these settings."""

import pytest
from lab import Laptop
from laptops import ERROR, OK, Site, set_up

pytestmark = [pytest.mark.lab, pytest.mark.long]

SUDOERS = "/etc/sudoers.d/bckpciuem"
HELPER = "/usr/local/libexec/bckpciuem/rsync-helper"
OLD_LINES = f"# Made by setup.sh: an earlier one.\nbckpciuem ALL=(root) NOPASSWD: {HELPER}\n"
R39 = "Defaults noexec,requiretty,use_pty,umask=0077,ignore_dot,env_reset\n"
EACH = [
    "Defaults noexec", "Defaults requiretty", "Defaults>root noexec", "Defaults!ALL noexec,requiretty",
    "Defaults intercept", "Defaults intercept,log_subcmds", "Defaults command_timeout=1",
    "Defaults fdexec=always", "Defaults runas_default=nobody", "Defaults use_pty,log_input,log_output",
    "Defaults targetpw",
    "Defaults rootpw,timestamp_timeout=0", "Defaults lecture=always,passwd_tries=1", "Defaults mail_always",
    "Defaults !env_reset,secure_path=/nonexistent", "Defaults closefrom_override,closefrom=3",
    "Defaults umask=0777,umask_override",
]  # fmt: skip
PROBE = "env SSH_ORIGINAL_COMMAND=probe /var/lib/bckpciuem/rsyncsend.sh"


@pytest.fixture(scope="module")
def laptop(site: Site) -> Laptop:
    """Give a laptop that was set up under R39, and that the server has verified."""
    laptop = site.laptop()
    harden(laptop, R39 + "Defaults log_input,log_output\n")
    done = set_up(laptop, verify=True)
    assert done.status == OK, done
    return laptop


def harden(laptop: Laptop, text: str) -> None:
    laptop.write("/etc/sudoers.d/aa-site", text, mode=0o440)
    laptop.run(["visudo", "-c"], check=True)


def probe(laptop: Laptop) -> list[str]:
    return laptop.run(PROBE, user="bckpciuem").lines


def test_backups_and_restores_leave_nothing_in_sudos_log_of_what_goes_through(
    site: Site, laptop: Laptop
) -> None:
    harden(laptop, R39 + "Defaults log_input,log_output\nDefaults log_stdin,log_stdout\n")

    full = site.dugong.full_backup(laptop.name)
    site.dugong.restore(laptop.name, "/home", "/cmartin/.netrc", to="/var/lib/bckpciuem-restore")

    assert (full.files > 0, full.errors) == (True, 0)
    assert not laptop.exists("/var/log/sudo-io")


@pytest.mark.parametrize("setting", EACH)
def test_no_setting_of_the_site_keeps_the_backup_program_from_its_work(laptop: Laptop, setting: str) -> None:
    harden(laptop, f"{setting}\n")

    assert {"share:/home", "wall:namespace"} <= {*probe(laptop)}


@pytest.mark.parametrize("options", ["--logon cmartin --unattended", "--repair --unattended"])
def test_the_lines_of_an_older_setup_are_replaced(laptop: Laptop, options: str) -> None:
    lines = laptop.read(SUDOERS)
    harden(laptop, R39)
    laptop.write(SUDOERS, OLD_LINES, mode=0o440)

    ill = set_up(laptop, "--doctor")
    mended = set_up(laptop, options, verify=True)

    assert (ill.status, mended.status) == (ERROR, OK)
    assert f"The lines for sudo in {SUDOERS} are not those of this setup" in ill.stderr
    assert laptop.read(SUDOERS) == lines
    assert f"Defaults!{HELPER} !requiretty, !noexec, " in lines


@pytest.mark.parametrize("lang", ["C", "fr_FR.UTF-8"])
def test_a_check_that_cannot_run_finds_nothing_wrong_with_the_laptop(laptop: Laptop, lang: str) -> None:
    lines = laptop.read(SUDOERS)
    harden(laptop, R39.replace("requiretty,", ""))
    laptop.write(SUDOERS, OLD_LINES, mode=0o440)

    ill = set_up(laptop, "--doctor", lang)
    laptop.write(SUDOERS, lines, mode=0o440)

    assert ill.status == ERROR
    assert "ls cannot be run (status 126): does sudo forbid it (noexec)" in ill.stderr
    assert "others than root can change" not in ill.stderr


LATER = "Settings in {} come after those of this setup, so sudo prefers them"


@pytest.mark.parametrize("setting", ["noexec", "requiretty", "log_output", "command_timeout=1"])
def test_settings_that_sudo_reads_after_ours_are_told_with_their_file(laptop: Laptop, setting: str) -> None:
    harden(laptop, "Defaults !lecture\n")
    laptop.write("/etc/sudoers.d/zz-site", f"Defaults!ALL {setting}\n", mode=0o440)

    doctor = set_up(laptop, "--doctor")
    laptop.run("rm /etc/sudoers.d/zz-site", check=True)
    harden(laptop, f"Defaults!ALL {setting}\n")
    first = set_up(laptop, "--doctor")

    stopped = setting in {"noexec", "requiretty"}
    assert (doctor.status, first.status) == (ERROR if stopped else OK, OK), (doctor, first)
    assert LATER.format("/etc/sudoers.d/zz-site") in doctor.stderr
    assert LATER[:12] not in first.stderr


def test_a_person_whose_sudo_forbids_programs_is_told_so(laptop: Laptop) -> None:
    harden(laptop, "Defaults noexec\ncmartin ALL=(root) NOPASSWD: ALL\n")

    done = laptop.run("sudo -n sh /opt/backuppc-register/clients/setup.sh --doctor", user="cmartin")

    assert (done.status, done.stdout) == (ERROR, "")
    assert done.stderr.startswith("This shell may not start programs, perhaps because sudo forbids it")
    assert done.stderr.count("\n") == 1
