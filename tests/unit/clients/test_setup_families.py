"""setup.sh on other systems than Debian: its logic, with their own tools replaced by shims that record.

The shims answer as the real tools are known to; more than that cannot be told from here. None of this has run
on a Mac, a Fedora, an openSUSE or an Arch: docs/manual-checklist.md says what to try there.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from setup_functions import FUNCTIONS, SCRIPT

UNSUPPORTED = 77
# What the functions use of a system without changing it.
TOOLS = ("awk", "cat", "chmod", "cmp", "cut", "grep", "head", "ls", "mkdir", "mktemp", "mv", "printf", "rm",
         "rmdir", "sed", "sh", "sort", "tail", "tr", "true", "touch")  # fmt: skip

OS_RELEASE = {
    "debian": "ID=debian\n",
    "ubuntu": "ID=ubuntu\nID_LIKE=debian\n",
    "a derivative": 'ID=soplos\nID_LIKE="ubuntu debian"\n',
    "fedora": "ID=fedora\n",
    "rocky": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
    "centos 7": 'ID="centos"\nID_LIKE="rhel fedora"\n',
    "tumbleweed": 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n',
    "arch": "ID=arch\n",
    "manjaro": "ID=manjaro\nID_LIKE=arch\n",
    "nameless": "",
    "debian with dnf": "ID=debian\n",
    "nixos": "ID=nixos\n",
    "steamos": "ID=steamos\nID_LIKE=arch\n",
    "microos": 'ID="opensuse-microos"\nID_LIKE="suse opensuse"\n',
    "slackware": "ID=slackware\n",
}
MOUNTS = "/dev/sda2 / btrfs HOW,relatime,errors=remount-ro 0 0\nproc /proc proc ro 0 0\n"


@dataclass
class Place:
    """A folder with shims that come before everything else, and what they were asked."""

    folder: Path

    def shim(self, name: str, script: str = "") -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >>{self.folder}/asked\n{script}\n")
        path.chmod(0o755)

    def greets(self, condition: str = "true") -> None:
        """Let an ssh server greet at "ADDRESS PORT", which is $door, if *condition* holds."""
        self.shim("timeout", 'shift 4; exec "$@"')
        self.shim("bash", f'door="$4 $5"; if {condition}; then echo SSH-2.0-OpenSSH; fi')

    def run(self, code: str, *, system: str = "Linux") -> subprocess.CompletedProcess[str]:
        """Run *code*, in which the setup's functions are known, with no tool but shims and TOOLS."""
        self.shim("uname", f"echo {system}")
        prelude = (
            f". {self.folder}/functions; defaults; WORK={self.folder}/work; STATE_DIR={self.folder}/place\n"
            f"RECEIPT=$STATE_DIR/receipt; OS_RELEASE={self.folder}/os-release; OSTREE={self.folder}/ostree\n"
            f"MOUNTS={self.folder}/mounts; SSHD_DROP_IN={self.folder}/sshd_config.d/90-bckpciuem.conf\n"
            f"SYSTEMD={self.folder}/systemd; SUDOERS_MAIN={self.folder}/sudoers; VERIFY=no; SERVER=dugong\n"
        )
        return subprocess.run(
            ["/bin/sh", "-c", prelude + code], capture_output=True, text=True, check=False, timeout=30,
            stdin=subprocess.DEVNULL, env={"PATH": f"{self.folder}/bin"},
        )  # fmt: skip

    def asked(self, *of: str) -> list[str]:
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split()[0] in of]

    @property
    def receipt(self) -> list[str]:
        path = self.folder / "place/receipt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for name in ("bin", "work", "place"):
        (tmp_path / name).mkdir()
    (tmp_path / "functions").write_text(FUNCTIONS)
    for tool in TOOLS:
        path = next(path for path in (Path("/usr/bin", tool), Path("/bin", tool)) if path.exists())
        (tmp_path / "bin" / tool).symlink_to(path)
    yield Place(tmp_path)


# ---------------------------------------------------------------- which system


@pytest.mark.parametrize(
    ("name", "managers", "family"),
    [
        ("debian", "apt-get", "debian"), ("ubuntu", "apt-get", "debian"),
        ("a derivative", "apt-get", "debian"),
        ("fedora", "dnf", "redhat"), ("rocky", "dnf yum", "redhat"), ("centos 7", "yum", "redhat"),
        ("tumbleweed", "zypper", "suse"), ("tumbleweed", "zypper transactional-update", "suse"),
        ("arch", "pacman", "arch"), ("manjaro", "pacman", "arch"),
        ("nameless", "zypper", "suse"), ("debian with dnf", "dnf apt-get zypper", "debian"),
        ("slackware", "", ""), ("nixos", "", "immutable"), ("steamos", "pacman", "immutable"),
        ("microos", "zypper transactional-update", "immutable"),
    ],
)  # fmt: skip
def test_a_system_is_known_by_what_it_is_like_and_by_its_package_manager(
    place: Place, name: str, managers: str, family: str
) -> None:
    (place.folder / "os-release").write_text(OS_RELEASE[name])
    (place.folder / "mounts").write_text(MOUNTS.replace("HOW", "ro" if name == "microos" else "rw"))
    for manager in managers.split():
        place.shim(manager)

    supported = "linux" if family not in {"", "immutable"} else "unsupported"

    done = place.run('detect_system; printf "%s %s" "$OS" "$FAMILY"')

    assert done.stdout == f"{supported} {family}"


@pytest.mark.parametrize("name", ["nixos", "steamos", "fedora"])
@pytest.mark.parametrize("tongue", ["en", "fr"])
def test_a_system_that_the_setup_must_not_change_gets_a_pointer_to_the_manual_steps(
    place: Place, name: str, tongue: str
) -> None:
    (place.folder / "os-release").write_text(OS_RELEASE[name])
    (place.folder / "ostree").touch()
    place.shim("dnf")

    done = place.run(f"UI_LANG={tongue}; check_system")

    assert done.returncode == UNSUPPORTED
    page = f"docs/client/linux.{tongue}.md"
    assert page in done.stderr
    for needed in ("rpm-ostree install", "users.users.bckpciuem", "PasswordAuthentication = false"):
        assert needed in (SCRIPT.parents[1] / page).read_text()


@pytest.mark.parametrize("tongue", ["en", "fr"])
def test_the_wrapper_for_nixos_finds_bash_and_sudo_where_nixos_has_them(tongue: str) -> None:
    page = (SCRIPT.parents[1] / f"docs/client/linux.{tongue}.md").read_text()
    wrapper = SCRIPT.with_name("rsyncsend.sh")

    changing = page[page.index("    sed -e") : page.index(" >", page.index("rsyncsend.sh >"))]
    changed = subprocess.run(
        ["sh", "-c", changing], cwd=wrapper.parent, capture_output=True, text=True, check=True
    ).stdout  # fmt: skip

    before, after = wrapper.read_text().splitlines(), changed.splitlines()
    differing = [line for line, old in zip(after, before, strict=True) if line != old]
    assert differing == [
        "#!/run/current-system/sw/bin/bash -p", "PATH=/run/wrappers/bin:/run/current-system/sw/bin",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "known"),
    [("12.7.6", True), ("15.4", True), ("26.0", True), ("11.7", False), ("10.15.7", False), ("", False)],
)
def test_macos_is_known_from_12_on(place: Place, version: str, known: bool) -> None:
    place.shim("sw_vers", f"echo {version}")
    place.shim("id", "echo 0")

    assert place.run("check_system", system="Darwin").returncode == (0 if known else UNSUPPORTED)


# ---------------------------------------------------------------- packages


INSTALLED = {
    "debian": ["apt-get -q -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "
               "libc-bin mount openssh-client openssh-server passwd rsync sudo util-linux"],
    "fedora": ["dnf --assumeyes --quiet install "
               "glibc-common openssh openssh-clients openssh-server rsync shadow-utils sudo util-linux"],
    "centos 7": ["yum --assumeyes --quiet install "
                 "glibc-common openssh openssh-clients openssh-server rsync shadow-utils sudo util-linux"],
    "tumbleweed": ["zypper --non-interactive --quiet install --no-recommends "
                   "glibc openssh rsync shadow sudo util-linux"],
    "arch": ["pacman --sync --needed --noconfirm glibc openssh rsync shadow sudo util-linux"],
}  # fmt: skip


@pytest.mark.parametrize("name", INSTALLED)
def test_what_is_missing_is_installed_by_the_names_of_the_family(place: Place, name: str) -> None:
    (place.folder / "os-release").write_text(OS_RELEASE[name])
    manager = INSTALLED[name][0].split()[0]
    place.shim(manager)
    place.shim("bash")
    place.shim("chown")

    done = place.run("detect_system; open_receipt() { :; }; install_packages")

    assert done.returncode == 0, done.stderr
    assert place.asked(manager) == INSTALLED[name]
    packages = [line for line in place.receipt if line.startswith("package ")]
    assert [f"package {word}" for word in INSTALLED[name][0].split()[-4:]] == packages[-4:]


DROP_IN = "sshd_config.d/90-bckpciuem.conf"


@pytest.mark.parametrize("there", [False, True])
def test_an_sshd_that_comes_for_the_backups_takes_no_passwords_and_another_is_left_as_it_is(
    place: Place, there: bool
) -> None:
    (place.folder / "os-release").write_text(OS_RELEASE["fedora"])
    place.shim("dnf", f"cat {place.folder}/{DROP_IN} >{place.folder}/seen")
    place.shim("chown")
    if there:
        place.shim("sshd")

    place.run("detect_system; open_receipt() { :; }; install_packages")

    seen = (place.folder / "seen").read_text().splitlines()
    expected = [] if there else ["PasswordAuthentication no", "KbdInteractiveAuthentication no"]
    assert [line for line in seen if not line.startswith("#")] == expected
    assert (f"file {place.folder}/{DROP_IN}" in place.receipt) is not there


def test_an_administrators_file_of_that_name_is_left_as_it_is(place: Place) -> None:
    (place.folder / "os-release").write_text(OS_RELEASE["fedora"])
    (place.folder / DROP_IN).parent.mkdir()
    (place.folder / DROP_IN).write_text("PasswordAuthentication yes\n")
    place.shim("dnf")
    place.shim("chown")

    place.run("detect_system; open_receipt() { :; }; install_packages")

    assert (place.folder / DROP_IN).read_text() == "PasswordAuthentication yes\n"
    assert f"file {place.folder}/{DROP_IN}" not in place.receipt


@pytest.mark.parametrize(("goes_on", "left"), [(True, True), (False, False)])
def test_an_sshd_that_came_for_the_backups_is_switched_off_and_takes_no_passwords_where_it_goes_on(
    place: Place, goes_on: bool, left: bool
) -> None:
    drop_in = place.folder / DROP_IN
    drop_in.parent.mkdir()
    drop_in.touch()
    (place.folder / "systemd").mkdir()
    (place.folder / "place/receipt").write_text(f"file {drop_in}\n")
    place.shim("sshd")
    off = "" if goes_on else f"case $* in *disable*) touch {place.folder}/off;; esac"
    units = "case $1 in is-enabled) exit 1;; list-unit-files) echo ssh.service enabled;; esac"
    place.shim("systemctl", f"{off}\n{units}")
    place.greets(f"[ ! -e {place.folder}/off ]")

    place.run("start_sshd")
    remembered = place.receipt
    done = place.run(f"undo enabled ssh.service; undo file {drop_in}; undo folder {drop_in.parent}")

    assert remembered == [f"file {drop_in}", "enabled ssh.service"]
    assert drop_in.exists() is left
    assert drop_in.parent.exists()
    assert ("still runs" in done.stdout) is left


@pytest.mark.parametrize(
    ("line", "read"),
    [("@includedir /etc/sudoers.d", True), ("#includedir /etc/sudoers.d/", True),
     ("@includedir sudoers.d", True), ("@includedir /private/etc/sudoers.d", True),
     ("# includedir /etc/sudoers.d", False), ("@includedir /etc/other.d", False), ("", False)],
)  # fmt: skip
def test_whether_sudo_reads_our_file_is_judged_as_sudo_does(place: Place, line: str, read: bool) -> None:
    (place.folder / "sudoers").write_text(f"root ALL=(ALL) ALL\n{line}\n")
    place.shim("visudo")

    done = place.run("put_file() { :; }; allow_sudo")

    assert done.returncode == (0 if read else 7)


def test_where_selinux_enforces_its_tools_are_installed_too(place: Place) -> None:
    (place.folder / "os-release").write_text(OS_RELEASE["fedora"])
    place.shim("dnf")
    place.shim("getenforce", "echo Enforcing")
    place.shim("chown")

    place.run("detect_system; open_receipt() { :; }; install_packages")

    assert "policycoreutils policycoreutils-python-utils" in place.asked("dnf")[0]


# ---------------------------------------------------------------- SELinux, services, firewalls


def test_selinux_is_told_what_the_key_is_and_only_once(place: Place) -> None:
    place.shim("getenforce", "echo Enforcing")
    known = f"{place.folder}/known"
    place.shim("semanage", f'case $2 in -l) cat {known};; -a) echo "$5" >{known};; esac')
    place.shim("restorecon", f"case $1 in -RFnv) [ -e {place.folder}/done ] || echo Would relabel;; "
               f"*) touch {place.folder}/done; esac")  # fmt: skip
    (place.folder / "known").touch()

    first, second = place.run("label_files"), place.run("label_files")

    pattern = f"{place.folder}/place/\\.ssh(/.*)?"
    assert (first.returncode, second.returncode, second.stdout) == (0, 0, "")
    assert [line for line in place.asked("semanage") if " -a " in line] == [
        f"semanage fcontext -a -t ssh_home_t {pattern}"
    ]
    assert len([line for line in place.asked("restorecon") if " -RF " in line]) == 1
    assert place.receipt == [f"selinux {pattern}"]


def test_without_selinux_nothing_is_labelled(place: Place) -> None:
    place.shim("getenforce", "echo Permissive")
    place.shim("restorecon")

    place.run("label_files")

    assert place.asked("restorecon") == []


@pytest.mark.parametrize(
    ("enabled", "units", "started"),
    [("ssh.socket", "ssh.service", "ssh.socket"), ("", "ssh.service", "ssh.service"),
     ("", "sshd.service", "sshd.service")],
)  # fmt: skip
def test_sshd_is_started_by_the_unit_that_the_system_has(
    place: Place, enabled: str, units: str, started: str
) -> None:
    (place.folder / "systemd").mkdir()
    place.greets("false")
    place.shim("sshd")
    answers = f"is-enabled) [ $2 = '{enabled}' ];; list-unit-files) [ $2 = {units} ] && echo $2 enabled;;"
    answers += " is-active) exit 3;;"
    place.shim("systemctl", f"case $1 in {answers} esac")

    done = place.run('start_sshd; printf "%s" "$LEFT_TO_DO"')

    assert f"systemctl --quiet enable --now {started}" in place.asked("systemctl")
    assert place.receipt == ([] if enabled else [f"enabled {started}"])
    assert done.stdout.endswith("yes")


def test_ubuntus_socket_is_switched_off_with_what_it_has_started(place: Place) -> None:
    place.shim("systemctl")

    place.run("undo enabled ssh.socket")

    assert place.asked("systemctl") == ["systemctl --quiet disable --now ssh.socket ssh.service"]


@pytest.mark.parametrize(
    ("ours", "password", "told"),
    [(True, "yes", True), (True, "no", False), (False, "yes", False)],
)  # fmt: skip
def test_an_sshd_of_ours_that_takes_passwords_all_the_same_is_told(
    place: Place, ours: bool, password: str, told: bool
) -> None:
    """As before OpenSSH 8.2, which has no Include."""
    drop_in = place.folder / DROP_IN
    drop_in.parent.mkdir()
    drop_in.touch()
    (place.folder / "place/receipt").write_text(f"file {drop_in}\n" if ours else "")
    (place.folder / "work/sshd").write_text(f"passwordauthentication {password}\n")

    done = place.run("warn_of_passwords")

    assert ("accepts passwords from the network" in done.stderr) is told


UFW = "Status: active\n\nTo                         Action      From\n--                         ------\n"


@pytest.mark.parametrize(
    ("rules", "added"),
    [
        ("", ["10.77.0.1", "fd77::1"]),
        ("22/tcp                     ALLOW       Anywhere\n", ["fd77::1"]),
        ("OpenSSH ALLOW Anywhere\nOpenSSH (v6) ALLOW       Anywhere (v6)\n", []),
        ("22/tcp                     ALLOW       10.77.0.1   # by hand\n", ["fd77::1"]),
        ("22/tcp                     DENY        Anywhere\n", ["10.77.0.1", "fd77::1"]),
        ("22/tcp                     ALLOW       10.77.0.12\n", ["10.77.0.1", "fd77::1"]),
        ("80/tcp                     ALLOW       Anywhere\n", ["10.77.0.1", "fd77::1"]),
    ],
)
def test_ufw_lets_the_server_in_and_nobody_else(place: Place, rules: str, added: list[str]) -> None:
    (place.folder / "rules").write_text(UFW + rules)
    place.shim("ufw", f"[ $1 != status ] || cat {place.folder}/rules")

    done = place.run("FROM=10.77.0.1,fd77::1; open_firewall")

    assert done.returncode == 0, done.stderr
    assert [line for line in place.asked("ufw") if "allow" in line] == [
        f"ufw allow from {address} to any port 22 proto tcp" for address in added
    ]
    assert place.receipt == [f"firewall ufw 22 {address}" for address in added]


@pytest.mark.parametrize(
    ("rules", "blocked"), [("OpenSSH ALLOW Anywhere\n", ["fd77::1"]), ("", ["10.77.0.1", "fd77::1"])]
)
def test_the_doctor_marks_each_address_of_the_server_that_the_firewall_blocks(
    place: Place, rules: str, blocked: list[str]
) -> None:
    (place.folder / "rules").write_text(UFW + rules)
    place.shim("ufw", f"cat {place.folder}/rules")

    done = place.run('FROM=10.77.0.1,fd77::1; doctor_firewall; printf "%s" "$LEFT_TO_DO"')

    assert done.stdout == "yes"
    assert [line.split()[-1] for line in done.stderr.splitlines()] == [f"{address}." for address in blocked]
    assert place.receipt == []


NETWORK = "10.0.0.0/8"
NAMES = f"REPLY_FROM=10.77.0.1,{NETWORK},fd77::1/128"


@pytest.mark.parametrize("answer", ["yes", "no", "not asked", "option"])
def test_a_network_gets_into_the_firewall_only_if_a_person_asked_for_it(place: Place, answer: str) -> None:
    place.shim("ufw", f"[ $1 != status ] || printf '%s' '{UFW}'")
    says, asks = answer == "yes", answer != "not asked"
    asking = f'yes_or_no() {{ echo "asked $2"; {str(says).lower()}; }}; can_ask() {{ {str(asks).lower()}; }}'
    given = f"FROM=10.77.0.1,{NETWORK}; " if answer == "option" else f"{NAMES}; "

    done = place.run(f"{asking}; {given} open_firewall")
    doctor = place.run(f"{asking}; {given} doctor_firewall")

    opened = [line.split()[3] for line in place.asked("ufw") if "allow" in line]
    assert done.returncode == 0, done.stderr
    assert (NETWORK in opened) is (answer in {"yes", "option"})
    assert opened[0] == "10.77.0.1"
    assert (f"asked {NETWORK}" in done.stdout) is (answer in {"yes", "no"})
    assert ("stays closed for the network 10.0.0.0/8" in done.stderr) is (answer in {"no", "not asked"})
    assert ("stays closed for the network 10.0.0.0/8" in doctor.stderr) is (answer in {"no", "not asked"})
    assert "asked" not in doctor.stdout


@pytest.mark.parametrize("flag", ["UNATTENDED=yes; YES=yes", "YES=yes"])
def test_an_unattended_run_opens_the_firewall_for_addresses_only(place: Place, flag: str) -> None:
    place.shim("ufw", f"[ $1 != status ] || printf '%s' '{UFW}'")
    place.shim("getent", "echo 10.77.0.9 STREAM")

    done = place.run(f"can_ask() {{ :; }}; {flag}; REPLY_FROM={NETWORK}; open_firewall")

    assert done.returncode == 0, done.stderr
    assert [line.split()[3] for line in place.asked("ufw") if "allow" in line] == ["10.77.0.9"]


def test_what_an_earlier_setup_let_in_is_told_and_closed_again(place: Place) -> None:
    place.shim("ufw", f"[ $1 != status ] || printf '%s' '{UFW}'")
    wide, narrow = "firewall ufw 22 128.0.0.0/1", "firewall ufw 22 10.77.0.1"
    (place.folder / "place/receipt").write_text(f"{wide}\n{narrow}\n")

    given = "FROM=; named_by_server() { echo 0.0.0.0/0; }; replace_file() { cat <$1 >$2; }"
    doctor = place.run(f"{given}; doctor_firewall")
    done = place.run(f"{given}; FROM=10.77.0.1; open_firewall")

    assert "The firewall lets in 128.0.0.0/1" in doctor.stderr
    assert "accepted from 0.0.0.0/0" in doctor.stderr
    assert done.returncode == 0, done.stderr
    assert [line for line in place.asked("ufw") if "delete" in line] == [
        "ufw --force delete allow from 128.0.0.0/1 to any port 22 proto tcp"
    ]
    assert place.receipt == [narrow]


@pytest.mark.parametrize(("task", "status"), [("--doctor", 0), ("--uninstall", 0), ("--repair", 2)])
def test_a_wide_network_of_an_earlier_setup_hinders_neither_doctor_nor_uninstall(
    place: Place, task: str, status: int
) -> None:
    (place.folder / "place/receipt").write_text("registered dugong cmartin\nfrom 0.0.0.0/0\n")

    done = place.run(f"options --server dugong {task}; check_options")

    assert done.returncode == status, done.stderr


def test_what_was_opened_in_ufw_is_closed_again(place: Place) -> None:
    place.shim("ufw")

    place.run("undo firewall 'ufw 22 fd77::1'")

    assert place.asked("ufw") == ["ufw --force delete allow from fd77::1 to any port 22 proto tcp"]


def test_firewalld_gets_a_rule_for_now_and_for_later(place: Place) -> None:
    place.shim("firewall-cmd", "case $* in *query*) exit 1;; esac")

    done = place.run("FROM=fd77::1; open_firewall; undo firewall 'firewalld 22 fd77::1'")

    rule = 'rule family="ipv6" source address="fd77::1" port port="22" protocol="tcp" accept'
    assert done.returncode == 0, done.stderr
    assert [line for line in place.asked("firewall-cmd") if "rich" in line and "query" not in line] == [
        f"firewall-cmd --quiet --permanent --add-rich-rule={rule}",
        f"firewall-cmd --quiet --add-rich-rule={rule}",
        f"firewall-cmd --quiet --permanent --remove-rich-rule={rule}",
        f"firewall-cmd --quiet --remove-rich-rule={rule}",
    ]
    assert place.receipt == ["firewall firewalld 22 fd77::1"]


@pytest.mark.parametrize("state", ["ufw", "firewall-cmd", "none", "option"])
def test_a_firewall_that_is_not_active_is_left_alone(place: Place, state: str) -> None:
    place.shim("ufw", "echo Status: inactive" if state != "option" else "echo Status: active")
    place.shim("firewall-cmd", "exit 252")

    done = place.run(f"FROM=10.77.0.1; [ {state} != option ] || FIREWALL=no; open_firewall")

    assert (done.returncode, done.stdout, place.receipt) == (0, "", [])


# ---------------------------------------------------------------- macOS


USERS = "_sandbox 60\nroot 0\nnobody -2\ncmartin 501\n_taken 499\n"
GROUPS = "wheel 0\n_alsotaken 498\nstaff 20\n"
DSCL = """
case "$2 $3" in
    "-list /Users") cat FOLDER/users ;;
    "-list /Groups") cat FOLDER/groups ;;
    -read*) [ -e FOLDER/made ] && cat FOLDER/made || exit 56 ;;
esac
"""


@pytest.fixture
def mac(place: Place) -> Place:
    (place.folder / "users").write_text(USERS)
    (place.folder / "groups").write_text(GROUPS)
    place.shim("dscl", DSCL.replace("FOLDER", str(place.folder)))
    place.shim("sw_vers", "echo 15.4")
    place.shim("id", "exit 1")
    place.shim("sshd")
    return place


def test_a_mac_account_gets_the_highest_free_number_below_500_and_no_password(mac: Place) -> None:
    done = mac.run("detect_system; add_account", system="Darwin")

    made = [line.removeprefix("dscl . -create ") for line in mac.asked("dscl") if "-create" in line]
    home = f"{mac.folder}/place"
    assert done.returncode == 0, done.stderr
    assert made == [
        "/Groups/bckpciuem", "/Groups/bckpciuem Password *", "/Groups/bckpciuem PrimaryGroupID 497",
        "/Users/bckpciuem", "/Users/bckpciuem Password *", "/Users/bckpciuem RealName BackupPC",
        "/Users/bckpciuem UserShell /bin/sh", f"/Users/bckpciuem NFSHomeDirectory {home}",
        "/Users/bckpciuem IsHidden 1", "/Users/bckpciuem PrimaryGroupID 497", "/Users/bckpciuem UniqueID 497",
    ]  # fmt: skip


def test_a_mac_without_a_free_number_is_told(mac: Place) -> None:
    (mac.folder / "users").write_text("".join(f"_u{n} {n}\n" for n in range(200, 500)))

    assert mac.run("detect_system; add_account", system="Darwin").returncode == 1


def test_a_mac_account_from_a_directory_is_not_adopted(mac: Place) -> None:
    mac.shim("id", "echo 300")

    done = mac.run("detect_system; set_up_account", system="Darwin")

    assert done.returncode == 1
    assert "directory" in done.stderr
    assert not [line for line in mac.asked("dscl") if "-create" in line]


MAC_GROUP = """
case "$1 $2 $3" in
    ". -read /Groups/bckpciuem")
        case $4 in
            PrimaryGroupID) echo "PrimaryGroupID: NUMBER" ;;
            GroupMembership) MEMBERS ;;
        esac ;;
    "/Search -read /Groups/bckpciuem") echo "PrimaryGroupID: NUMBER" ;;
    ". -list /Users") printf '_www 70\\ncmartin OWN\\n' ;;
    ". -list /Groups") printf 'wheel 0\\nbckpciuem NUMBER\\n' ;;
esac
"""


@pytest.mark.parametrize(
    ("number", "own", "members", "told"),
    [
        ("497", "20", ":", ""),
        ("497", "20", "echo 'GroupMembership: bckpciuem'; echo 'No such key: NestedGroups'", ""),
        ("497", "20", "echo 'GroupMembership: bckpciuem cmartin'", ": cmartin."),
        ("497", "20", "printf 'NestedGroups:\\n ABCD-EF12\\nRecordName: us\\n'", ": ABCD-EF12."),
        ("497", "497", ":", ": cmartin."),
        ("501", "20", ":", "number 501"),
        ("0", "20", ":", "number 0"),
    ],
)  # fmt: skip
def test_a_group_of_a_mac_is_taken_only_if_nobody_is_in_it(
    mac: Place, number: str, own: str, members: str, told: str
) -> None:
    script = MAC_GROUP.replace("NUMBER", number).replace("OWN", own).replace("MEMBERS", members)
    mac.shim("dscl", script)

    done = mac.run("detect_system; check_account", system="Darwin")

    assert done.returncode == (1 if told else 0), done.stderr
    assert told in done.stderr


def test_a_group_of_a_macs_directory_is_not_taken(mac: Place) -> None:
    mac.shim("dscl", 'case "$1 $2" in "/Search -read") echo "PrimaryGroupID: 300" ;; *) exit 56 ;; esac')

    done = mac.run("detect_system; check_account", system="Darwin")

    assert (done.returncode, "directory" in done.stderr) == (1, True)


def test_an_account_of_a_directory_is_not_adopted_on_linux_either(place: Place) -> None:
    entry = "bckpciuem:x:300:300::$STATE_DIR:/bin/sh"
    place.shim("getent", f'case "$*" in "passwd bckpciuem") echo "{entry}" ;; *) exit 2 ;; esac')

    done = place.run("check_account")

    assert (done.returncode, "directory" in done.stderr) == (1, True)


@pytest.mark.parametrize(("uid", "gid", "taken"), [(999, 999, True), (1000, 999, False), (999, 1000, False)])
def test_a_number_of_a_person_is_not_taken(place: Place, uid: int, gid: int, taken: bool) -> None:
    """UID_MIN and GID_MIN are 1000 in Debian's /etc/login.defs, and everywhere where that file is silent."""
    account = f"bckpciuem:x:{uid}:{gid}:BackupPC:{place.folder}/place:/bin/sh"
    shim = f'case "$*" in *passwd*) echo "{account}" ;; *group*) echo "bckpciuem:x:{gid}:" ;; esac'
    place.shim("getent", shim)
    place.shim("id", "echo bckpciuem")

    assert place.run("check_account").returncode == (0 if taken else 1)


def test_where_login_defs_is_silent_people_begin_at_1000(place: Place) -> None:
    (place.folder / "bin/sed").unlink()
    place.shim("sed")

    assert place.run("os first_person_id UID_MIN").stdout == "1000"


def test_a_group_of_a_directory_is_not_taken(place: Place) -> None:
    place.shim("getent", 'case "$*" in "group bckpciuem") echo "bckpciuem:*:300:" ;; *) exit 2 ;; esac')

    done = place.run("check_account")

    assert (done.returncode, "directory" in done.stderr) == (1, True)


def test_a_member_that_only_a_directory_tells_of_is_a_member(place: Place) -> None:
    """Entries of files and of LDAP are merged where nsswitch.conf says so."""
    files = '"-s files group bckpciuem") echo "bckpciuem:x:300:" ;;'
    merged = '"group bckpciuem") echo "bckpciuem:x:300:cmartin" ;;'
    place.shim("getent", f'case "$*" in {files} {merged} *) exit 2 ;; esac')

    done = place.run("check_account")

    assert (done.returncode, ": cmartin." in done.stderr) == (1, True)


def test_a_mac_has_its_var_lib_made_with_the_place_and_taken_away_with_it(mac: Place) -> None:
    var = mac.folder / "var"
    var.mkdir()
    mac.shim("chown")
    mac.shim("sync")
    code = f"detect_system; STATE_DIR={var}/lib/bckpciuem; RECEIPT=$STATE_DIR/receipt; keys_file() {{ :; }}"

    made = mac.run(f"{code}; group_is_local_macos() {{ false; }}; open_receipt", system="Darwin")
    receipt = (var / "lib/bckpciuem/receipt").read_text()
    undone = mac.run(f"{code}; undo_folder $STATE_DIR; undo_folder {var}/lib", system="Darwin")

    assert (made.returncode, undone.returncode) == (0, 0), (made.stderr, undone.stderr)
    assert receipt == f"folder {var}/lib\nfolder {var}/lib/bckpciuem\n"
    assert list(var.iterdir()) == []


def test_half_a_mac_account_is_undone_too(mac: Place) -> None:
    half = '"-read RecordName") echo "RecordName: bckpciuem" ;;'
    mac.shim("dscl", f'case "$2 $4" in {half} -read*) exit 56 ;; esac')

    done = mac.run("detect_system; undo account bckpciuem; undo group bckpciuem", system="Darwin")

    assert done.returncode == 0, done.stderr
    deleted = [line for line in mac.asked("dscl") if "-delete" in line]
    assert deleted == ["dscl . -delete /Users/bckpciuem", "dscl . -delete /Groups/bckpciuem"]


WAYS = {
    "bootstrap": "case $1 in enable) exit 1;; bootstrap) touch FOLDER/listening;; esac",
    "load": 'case $1 in load) touch FOLDER/listening; echo "Load failed: 5";; *) exit 3;; esac',
    "systemsetup": "exit 1",
    "none": "exit 1",
}


@pytest.mark.parametrize("way", WAYS)
def test_remote_login_is_switched_on_by_what_works_and_judged_by_the_port(mac: Place, way: str) -> None:
    mac.greets(f"[ -e {mac.folder}/listening ]")
    mac.shim("launchctl", '[ "$1" != print ] || exit 113\n' + WAYS[way].replace("FOLDER", str(mac.folder)))
    mac.shim("systemsetup", f"[ {way} = none ] || touch {mac.folder}/listening")

    done = mac.run('detect_system; start_sshd; printf "%s" "$LEFT_TO_DO"', system="Darwin")

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("yes" if way == "none" else "no")
    assert bool(mac.asked("systemsetup")) is (way in {"systemsetup", "none"})
    assert mac.receipt == ["enabled remote-login"]
    assert ("Remote Login" in done.stderr) is (way == "none")


def test_remote_login_that_was_on_and_does_not_answer_is_not_switched_off_again(mac: Place) -> None:
    mac.greets("false")
    mac.shim("launchctl", "exit 0")
    mac.shim("systemsetup")

    mac.run("detect_system; start_sshd", system="Darwin")

    assert mac.receipt == []


def test_an_sshd_that_was_running_and_does_not_answer_is_not_switched_off_again(place: Place) -> None:
    (place.folder / "systemd").mkdir()
    place.greets("false")
    place.shim("sshd")
    place.shim("systemctl", "case $1 in is-enabled) exit 1;; esac")

    place.run("start_sshd")

    assert place.receipt == []


@pytest.mark.parametrize(
    ("told", "doors"),
    [
        ("listenaddress 0.0.0.0:2222\nlistenaddress [::]:2222", ["127.0.0.1 2222", "::1 2222"]),
        ("listenaddress 10.77.0.24:22", ["10.77.0.24 22"]),
        ("listenaddress [fd77::1]:22", ["fd77::1 22"]),
        ("port 22", ["127.0.0.1 22"]),
    ],
)
def test_sshd_is_looked_for_where_it_says_that_it_listens(place: Place, told: str, doors: list[str]) -> None:
    place.shim("sshd", f"printf '{told}\\n'")

    assert place.run("sshd_listeners").stdout.splitlines() == doors


OWN = """case $4 in
    10.77.0.1) echo "10.77.0.1 dev eth0 src 10.77.0.24 uid 0" ;;
    fd77::1) echo "fd77::1 src fd77::24" ;;
esac"""
ANY = "listenaddress 0.0.0.0:22"
DOORS = [
    # where sshd answers, the addresses of the server, what sshd says, what the doctor says
    ("10.77.0.24 22", "10.77.0.1", ANY, "10.77.0.24, port 22, to which the server connects"),
    ("127.0.0.1 2222", "10.77.0.1", "listenaddress 0.0.0.0:2222", "elsewhere (127.0.0.1, port 2222)"),
    ("127.0.0.1 22", "10.77.0.1", "listenaddress 127.0.0.1:22", "elsewhere (127.0.0.1, port 22)"),
    ("10.9.9.9 22", "10.77.0.1", "listenaddress 10.9.9.9:22", "elsewhere (10.9.9.9, port 22)"),
    ("::1 22", "10.77.0.1", "listenaddress [::]:22", "elsewhere (::1, port 22)"),
    (
        "fd77::24 22",
        "fd77::1 10.77.0.1",
        "listenaddress [::]:22",
        "fd77::24, port 22, to which the server connects",
    ),
    ("10.77.0.24 22", "fd77::1 10.77.0.1", "listenaddress 10.77.0.24:22", "elsewhere (10.77.0.24, port 22)"),
    ("nowhere", "10.77.0.1", ANY, "does not answer at 10.77.0.24, port 22"),
    ("127.0.0.1 22", "", ANY, "? sshd answers on this computer; not tested"),
    ("nowhere", "", ANY, "sshd does not answer"),
]


@pytest.mark.parametrize(("answers", "server", "told", "said"), DOORS)
def test_the_door_is_tried_where_the_server_comes_to(
    place: Place, answers: str, server: str, told: str, said: str
) -> None:
    place.greets(f'[ "$door" = "{answers}" ]')
    place.shim("sshd", f"echo '{told}'")
    place.shim("ip", OWN)
    place.shim("getent", f"[ $1 != ahosts ] || printf '%s\\n' {server}")

    done = place.run('doctor_sshd; printf "%s" "$LEFT_TO_DO"')

    connects = "to which the server connects" in said
    assert done.stdout.endswith("no" if connects or "not tested" in said else "yes"), done
    assert said in (done.stdout if connects else done.stderr)
    assert ("to which the server connects" in done.stdout) is ("to which" in said)


def test_after_a_test_the_door_is_the_one_that_the_server_has_named(place: Place) -> None:
    place.greets('[ "$door" = "10.77.0.24 2222" ]')
    place.shim("sshd")
    place.shim("ip", OWN)
    place.shim("getent", "echo 10.77.0.1")
    place.shim("date", "echo 0")
    (place.folder / "place/receipt").write_text("door 2222\n")

    done = place.run("doctor_sshd")

    assert "sshd answers at 10.77.0.24, port 2222" in done.stdout
    assert done.stderr == ""


SUDOERS_FILES = {
    # what is in which file of sudoers.d or in the main one, and whether sudo prefers it to our lines
    "all commands, later": ("zz-site", "Defaults!ALL noexec", True),
    "a list of commands, later": ("site", "  Defaults! BACKUPS requiretty", True),
    "our program, later": ("d", "Defaults!/usr/local/libexec/bckpciuem/rsync-helper log_output", True),
    "all commands, earlier": ("aa-site", "Defaults!ALL noexec", False),
    "a capital comes earlier": ("Site", "Defaults!ALL noexec", False),
    "for all users": ("zz-site", "Defaults noexec", False),
    "another program": ("zz-site", "Defaults!/usr/bin/less noexec", False),
    "a comment": ("zz-site", "# Defaults!ALL noexec", False),
    "a file that sudo does not read": ("zz-site.rpmsave", "Defaults!ALL noexec", False),
    "a copy of an editor": ("zz-site~", "Defaults!ALL noexec", False),
    "the main file, after": ("../sudoers", "@includedir /etc/sudoers.d\nDefaults!ALL noexec", True),
    "the main file, before": ("../sudoers", "Defaults!ALL noexec\n#includedir /etc/sudoers.d", False),
}


@pytest.mark.parametrize("case", SUDOERS_FILES)
def test_settings_that_sudo_reads_after_ours_are_found(place: Place, case: str) -> None:
    name, text, found = SUDOERS_FILES[case]
    folder = place.folder / "sudoers.d"
    folder.mkdir()
    (folder / "bckpciuem").write_text("Defaults!/usr/local/libexec/bckpciuem/rsync-helper !noexec\n")
    (folder / name).write_text(f"{text}\n")

    done = place.run(f"SUDOERS={folder}/bckpciuem; tell_later_settings")

    assert (done.returncode, "so sudo prefers them" in done.stderr) == (0, found), done
    assert (
        not found
        or f"Settings in {folder.parent / 'sudoers' if name[0] == '.' else folder / name} come" in done.stderr
    )


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("broken", ["stat", "cat", "neither"])
@pytest.mark.parametrize("name", ["sudoers", "helper", "wrapper", "conf"])
def test_a_file_that_root_cannot_examine_is_neither_right_nor_wrong(
    place: Place, name: str, broken: str, lang: str
) -> None:
    paths = {each: place.folder / each for each in ("sudoers", "helper", "wrapper", "conf")}
    for path in paths.values():
        path.write_text("as it was\n")
        path.chmod(0o755)
    modes = f"{paths['conf']}) mode=644 ;; {paths['sudoers']}) mode=440 ;; *) mode=755 ;;"
    failing = f"{paths[name]}) exit 1 ;;" if broken == "stat" else ""
    place.shim("stat", f'case $4 in {failing} {modes} esac; echo "root root $mode"')
    place.shim("env", 'exec "$@"')
    place.shim("test", "exit 0")
    if broken == "cat":  # a shim cannot see what its input is, but an absent right is not seen by root
        (place.folder / "bin/cat").unlink()
        here = f"[ /proc/self/fd/0 -ef {paths[name]} ] && exit 1; exec /bin/cat"
        place.shim("cat", here)
    settings = " ".join(
        f"{key}={path}"
        for key, path in zip(("SUDOERS", "HELPER", "WRAPPER", "CONFIG"), paths.values(), strict=True)
    )

    done = place.run(
        f"unsafe_folder() {{ :; }}; given_wrapper() {{ return 1; }}; {settings}; STATE_DIR=/nowhere"
        f"\nUI_LANG={lang}; "
        'doctor_files; printf "%s" "$LEFT_TO_DO $IN_DOUBT"'
    )

    told = {"en": f"? not tested: {paths[name]}, which", "fr": f"? non examiné : {paths[name]}, que"}[lang]
    if broken == "neither":
        assert (done.stdout.endswith("no no"), done.stderr) == (True, ""), done
    else:
        assert (done.stdout.endswith("no yes"), told in done.stderr, done.stderr.count("\n")) == (
            True,
            True,
            1,
        ), done


@pytest.mark.parametrize(
    ("status", "doubted"), [(124, True), (137, True), (142, True), (1, False), (69, False)]
)
def test_a_backup_program_that_gave_no_answer_is_not_called_forbidden(
    place: Place, status: int, doubted: bool
) -> None:
    done = place.run(
        f"probe() {{ : >$WORK/probe-errors; return {status}; }}; doctor_sudo; echo $LEFT_TO_DO $IN_DOUBT"
    )

    assert done.stdout.split() == (["no", "yes"] if doubted else ["yes", "no"]), done


def test_permissions_that_cannot_be_read_are_not_changed_for_ever(place: Place) -> None:
    place.shim("stat", "exit 1")
    place.shim("chown")

    done = place.run(f"put_folder {place.folder}/work root root 750")

    assert (done.returncode, place.receipt, place.asked("chown")) == (1, [], [])
    assert "The permissions of" in done.stderr


UNTRIED = {
    "a container that gives no network": (
        "Linux",
        {"unshare": "echo unshare failed >&2; exit 1"},
        "10.77.0.1",
    ),
    "a container that lets no address be set": (
        "Linux",
        {"unshare": "echo RTNETLINK >&2; exit 2"},
        "10.77.0.1",
    ),
    "no unshare": ("Linux", {}, "10.77.0.1"),
    "an sshd that does not start twice": ("Linux", {"unshare": "echo let-in-not; exit 255"}, "10.77.0.1"),
    "no key for the trial": ("Linux", {"ssh-keygen": "exit 1"}, "10.77.0.1"),
    "networks only": ("Linux", {"unshare": "echo let-in"}, "10.77.0.0/24,fd77::/64"),
    "a Mac": ("Darwin", {}, "10.77.0.1"),
}


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("why", UNTRIED)
def test_the_doctor_says_where_pam_was_not_tried_and_that_alone_is_no_failure(
    place: Place, why: str, lang: str
) -> None:
    system, shims, server = UNTRIED[why]
    place.greets()
    shims = {"sshd": "echo usepam yes", "ip": OWN, "getent": "", "date": "echo 0", "ssh-keygen": ""} | shims
    for name, script in shims.items():
        place.shim(name, script)
    (place.folder / "work/trial").mkdir()
    (place.folder / "work/trial/key.pub").write_text("ssh-ed25519 AAAA\n")
    os = "linux" if system == "Linux" else "macos"

    done = place.run(
        f"UI_LANG={lang} OS={os} FROM={server} SERVER=10.77.0.1; sshd_settings; doctor_pam; conclude"
    )

    told, end = {
        "en": ("not tested: whether PAM lets the account bckpciuem log in", "not everything could be tested"),
        "fr": ("non examiné : si PAM laisse le compte bckpciuem", "tout n\u2019a pas pu être examiné"),
    }[lang]
    assert f"  ? {told}" in done.stderr, done
    assert (done.returncode, end in done.stdout) == (0, True), done


@pytest.mark.parametrize("pam", ["yes", "no"])
def test_the_doctor_doubts_pam_neither_where_it_lets_in_nor_where_sshd_does_not_ask_it(
    place: Place, pam: str
) -> None:
    said = "echo let-in" if pam == "yes" else "exit 1"
    shims = {"sshd": f"echo usepam {pam}", "ip": OWN, "getent": "", "date": "echo 0", "unshare": said}
    for name, script in (shims | {"timeout": 'shift 4; exec "$@"', "ssh-keygen": ""}).items():
        place.shim(name, script)
    (place.folder / "work/trial").mkdir()
    (place.folder / "work/trial/key.pub").write_text("ssh-ed25519 AAAA\n")

    done = place.run("FROM=10.77.0.1 SERVER=10.77.0.1; sshd_settings; doctor_pam; conclude")

    assert (done.returncode, done.stderr) == (0, ""), done
    assert "No problem was found on this computer" in done.stdout


def test_a_port_of_the_service_manager_is_told_and_no_sshd_is_started(place: Place) -> None:
    (place.folder / "systemd").mkdir()
    place.greets('[ "$door" = "::1 2022" ]')
    place.shim("sshd", "echo 'listenaddress 0.0.0.0:22'")
    place.shim("ip", OWN)
    place.shim("getent", "echo 10.77.0.1")
    listen = "printf '[::]:2022 (Stream)\\n/run/x (Stream)\\n'"
    place.shim("systemctl", f"case $1 in is-active) echo active;; show) {listen};; esac")

    done = place.run("start_sshd")

    assert "sshd listens elsewhere (::1, port 2022)" in done.stderr
    assert not [line for line in place.asked("systemctl") if " enable " in line]


def test_a_mac_finds_its_own_address_by_the_route_to_the_server(mac: Place) -> None:
    mac.shim("route", "printf '   route to: x\\n  interface: en0\\n'")
    listing = "inet6 fe80::1%en0\\n inet6 fd77::9 temporary\\n inet6 fd77::24 prefixlen 64\\n"
    mac.shim("ifconfig", f"case $2 in inet6) printf '{listing}';; *) echo ' inet 10.77.0.24';; esac")

    done = mac.run("detect_system; os own_address 10.77.0.1; os own_address fd77::1", system="Darwin")

    assert done.stdout.split() == ["10.77.0.24", "fd77::24"]


@pytest.mark.parametrize("old", [False, True])
def test_an_sshd_is_told_the_near_end_too_if_it_knows_that_word(place: Place, old: bool) -> None:
    near = '*,laddr=10.77.0.24,lport=22) echo "forcecommand near";;'
    place.shim(
        "sshd", f"case $3 in {'*laddr*) exit 255;;' if old else near} *) echo 'forcecommand far';; esac"
    )
    place.shim("ip", "echo '10.77.0.1 dev eth0 src 10.77.0.24 uid 0'")

    done = place.run("sshd_effective user=bckpciuem,host=dugong,addr=10.77.0.1")

    assert (done.stdout, done.returncode) == (f"forcecommand {'far' if old else 'near'}\n", 0)


def test_remote_login_that_is_on_is_left_alone(mac: Place) -> None:
    mac.greets()
    mac.shim("launchctl")

    mac.run("detect_system; start_sshd", system="Darwin")

    assert (mac.asked("launchctl"), mac.receipt) == ([], [])


@pytest.mark.parametrize(
    ("group", "member", "added"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_the_access_group_of_a_mac_is_joined_where_there_is_one(
    mac: Place, group: bool, member: bool, added: bool
) -> None:
    answers = f"read) exit {int(not group)};; checkmember) exit {int(not member)};;"
    mac.shim("dseditgroup", f"case $2 in {answers} esac")

    done = mac.run("detect_system; os sshd_allow_account", system="Darwin")

    edits = [line for line in mac.asked("dseditgroup") if " edit " in line]
    expected = ["dseditgroup -o edit -a bckpciuem -t user com.apple.access_ssh"] if added else []
    assert (done.returncode, edits) == (0, expected)
    assert mac.receipt == (["member com.apple.access_ssh"] if added else [])


def test_a_mac_uses_the_rsync_that_is_apples(mac: Place) -> None:
    mac.shim("rsync")

    assert mac.run("detect_system; os rsync_path", system="Darwin").stdout == "/usr/bin/rsync"


@pytest.mark.parametrize(
    ("weak", "told"),
    [("drwxr-xr-x 5 501 80", True), ("drwxrwxr-x 5 0 80", True), ("drwxr-xrwx 5 0 0", True),
     ("drwxr-xr-x 5 0 80", False)],
)  # fmt: skip
def test_what_root_starts_must_not_lie_where_others_may_write(mac: Place, weak: str, told: bool) -> None:
    (mac.folder / "bin/ls").unlink()
    mac.shim("ls", f'case $3 in */homebrew/.) echo "{weak}";; *) echo drwxr-xr-x 5 0 0;; esac')
    (mac.folder / "homebrew/libexec").mkdir(parents=True)

    done = mac.run(
        f"detect_system; HELPER={mac.folder}/homebrew/libexec/bckpciuem/rsync-helper; check_helper_folder",
        system="Darwin",
    )

    assert done.returncode == (7 if told else 0), done.stderr
    assert not told or f"Users other than root can change {mac.folder}/homebrew" in done.stderr


def test_a_mac_is_undone_by_its_own_tools(mac: Place) -> None:
    (mac.folder / "made").write_text("UniqueID: 497\n")
    mac.shim("launchctl")
    mac.shim("dseditgroup")

    done = mac.run(
        "detect_system; undo member com.apple.access_ssh; undo enabled remote-login; undo account bckpciuem; "
        "undo group bckpciuem", system="Darwin",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert mac.asked("launchctl")[0] == "launchctl disable system/com.openssh.sshd"
    assert "dseditgroup -o edit -d bckpciuem -t user com.apple.access_ssh" in mac.asked("dseditgroup")
    deleted = [line for line in mac.asked("dscl") if "-delete" in line]
    assert deleted == ["dscl . -delete /Users/bckpciuem", "dscl . -delete /Groups/bckpciuem"]


# ---------------------------------------------------------------- whether the account expires


@pytest.mark.parametrize(
    ("fields", "expiry"),
    [
        ("19000:0:99999:7::", ""), ("19000::::::", ""), ("::::::", ""), ("19000:-1:-1:-1:-1:-1", ""),
        ("19000:0:99999:7::20001", "later"), ("19000:0:99999:7::20000", "now"), ("19000:0:99999:7::1", "now"),
        ("19000:0:99999:7::0", "now"), ("19000:0:99999:7::-1", ""), ("19000::::::", ""),
        ("0:0:99999:7::", "now"), ("0::::::", "now"),
        ("19999:0:30:7::", "later"), ("19000:0:30:7::", "now"), ("19970:0:30:7:10:", "later"),
        ("19969:0:30:7:10:", "now"), ("19999:0:30:7::19000", "now"), ("20005:0:30:7::", "later"),
    ],
)  # fmt: skip
def test_expiry_and_ageing_are_read_as_pam_reads_them(place: Place, fields: str, expiry: str) -> None:
    place.shim("getent", f"echo 'bckpciuem:*:{fields}'")
    place.shim("date", f"echo {20000 * 86400 + 5}")

    assert place.run("account_expiry_linux").stdout.strip() == expiry


def test_an_account_without_an_entry_in_shadow_does_not_expire(place: Place) -> None:
    place.shim("getent", "exit 2")
    place.shim("date", "echo 0")

    assert place.run("account_expiry_linux").stdout == ""
