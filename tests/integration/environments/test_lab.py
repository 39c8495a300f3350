"""The lab keeps its promises: hosts apart from the machine and each other, and nothing left of them."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import Lab, LabError, Laptop, Server, end, kept, sweep
from lab.host import CHECKOUT, CHECKOUT_AT

pytestmark = pytest.mark.lab

SHARE = "/home/cmartin"
# The least that BackupPC needs to read a laptop: no part of the project has a hand in it.
BARE_CLIENT = """
set -eu
useradd --system --create-home --home-dir /var/lib/plain --shell /bin/sh --password '*' plain
echo 'plain ALL=(root) NOPASSWD: /usr/bin/rsync' > /etc/sudoers.d/plain
install -d -o plain -m 700 /var/lib/plain/.ssh
install -o plain -m 600 /dev/stdin /var/lib/plain/.ssh/authorized_keys
"""
BARE_HOST = f"""
$Conf{{XferMethod}} = 'rsync';
$Conf{{RsyncShareName}} = ['{SHARE}'];
$Conf{{RsyncClientPath}} = 'sudo /usr/bin/rsync';
$Conf{{RsyncSshArgs}} = [
    '-e', '$sshPath -i /var/lib/backuppc/plain -o StrictHostKeyChecking=accept-new -l plain'];
"""


def test_what_a_host_changes_is_not_on_the_machine_nor_on_another_host(lab: Lab) -> None:
    one, other = lab.host("one.example.net", "10.77.1.1"), lab.host("other.example.net", "10.77.1.2")

    one.run(
        "useradd -m visitor && touch /etc/lab-was-here /usr/bin/lab-was-here /run/lab-was-here", check=True
    )

    assert one.run(["id", "visitor"]).status == 0
    assert other.run(["id", "visitor"]).status == 1
    for folder in ("/etc", "/usr/bin", "/run"):
        assert one.exists(f"{folder}/lab-was-here")
        assert not other.exists(f"{folder}/lab-was-here")
        assert not Path(folder, "lab-was-here").exists()


def test_a_host_sees_the_packages_of_the_machine_and_none_of_its_peoples_files(lab: Lab) -> None:
    host = lab.host("one.example.net", "10.77.1.1")

    assert host.run(["/usr/sbin/sshd", "-V"]).stderr
    assert host.run("ls -A /root /home /srv /var/log /etc/sudoers.d | grep -v :$").lines == ["", "", "", ""]
    assert host.run("ls -A /opt").lines == ["backuppc-register"]
    assert not host.exists(str(CHECKOUT))
    assert host.run(["id", "bckpciuem"]).status == 1


def test_the_checkout_is_readable_by_an_account_that_cannot_read_roots_home(lab: Lab) -> None:
    host = lab.host("one.example.net", "10.77.1.1")

    found = host.run(
        ["find", CHECKOUT_AT, "!", "-user", "root", "-o", "!", "-readable"], user="backuppc", check=True
    )

    assert found.stdout == ""
    assert host.run(["cat", f"{CHECKOUT_AT}/pyproject.toml"], user="backuppc").stdout == Path(
        CHECKOUT, "pyproject.toml"
    ).read_text(encoding="utf-8")


def test_hosts_have_names_addresses_and_a_switch_of_their_own(lab: Lab) -> None:
    machine = _network()
    one = lab.host("one.example.net", "10.77.1.1", "fd77::1:1")
    far = lab.host("far.example.org", "192.0.2.66", "2001:db8::66")

    assert [one.run("hostname").stdout, one.run("hostname -f").stdout] == ["one\n", "one.example.net\n"]
    assert one.run("ping -c1 -W5 192.0.2.66 && ping -c1 -W5 2001:db8::66").status == 0
    far.unplug()
    assert one.run("ping -c1 -W1 192.0.2.66").status == 1
    far.plug()
    assert one.run("ping -c1 -W5 192.0.2.66").status == 0
    assert _network() == machine


def test_two_labs_can_have_the_same_hosts_side_by_side(lab: Lab) -> None:
    here = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    with Lab() as second:
        there = second.laptop("dormeur.univ-brest.fr", "10.77.0.11")

        assert not set(here.ssh_host_keys) & set(there.ssh_host_keys)

    assert here.run(["true"]).status == 0
    assert not there.process.alive()


def test_what_a_host_logs_stays_in_its_own_dev_log(lab: Lab) -> None:
    dugong, other = lab.server("dugong.univ-brest.fr"), lab.host("other.univ-brest.fr", "10.77.1.2")

    assert not other.exists("/dev/log")
    other.run(["logger", "-p", "local3.notice", "from the other"])
    dugong.run(["logger", "-p", "local3.notice", "from here"], check=True)
    dugong.wait_for(dugong.syslog, "a line in syslog")

    assert [line.partition("root: ")[2] for line in dugong.syslog()] == ["from here"]


def test_a_command_gets_its_input_its_user_and_its_home_and_gives_both_streams_and_its_status(
    lab: Lab,
) -> None:
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")

    result = dormeur.run('cat; id -un; echo "$HOME" >&2; exit 7', user="cmartin", input=b"\xff\n")

    assert (result.stdout.encode(errors="surrogateescape"), result.stderr) == (
        b"\xff\ncmartin\n",
        "/home/cmartin\n",
    )
    assert result.status == 7
    assert dormeur.run(["cat", "/root/x"], user="cmartin").stderr.endswith("Permission denied\n")
    with pytest.raises(LabError, match="ended with 1"):
        dormeur.run("exit 1", check=True)


def test_a_command_that_takes_too_long_is_killed(lab: Lab) -> None:
    host = lab.host("one.example.net", "10.77.1.1")

    with pytest.raises(LabError, match="not done after"):
        host.run("sleep 4711 & sleep 4711", input=b"never read" * 100_000, timeout=0.3)

    assert "4711" not in host.run("ps ax -o args").stdout


def test_a_person_at_a_terminal_is_asked_and_answers(lab: Lab) -> None:
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")

    with dormeur.terminal(
        'tty; printf "logon? "; read -r x </dev/tty; echo "<$x>"; exit 3', user="cmartin"
    ) as tty:
        tty.expect("/dev/pts/0\n")
        tty.answer(r"logon\? $", "é cmartin")
        tty.expect("<é cmartin>\n")

        assert tty.wait() == 3


def test_an_interrupt_and_a_hang_up_end_what_runs_on_a_terminal(lab: Lab) -> None:
    host = lab.host("one.example.net", "10.77.1.1")
    with host.terminal(["cat"]) as tty:
        tty.type("hello")
        tty.expect("hello\nhello")
        tty.press("\x03")
        assert tty.wait(5) == 130

    with host.terminal(["cat"]) as tty:
        tty.type("hello")
        tty.expect("hello\nhello")

    assert "cat" not in host.run("ps ax -o comm").lines


def test_files_are_written_and_a_picture_shows_every_change(lab: Lab) -> None:
    host = lab.host("one.example.net", "10.77.1.1")
    host.write("/srv/deep/secret é", "été\n", mode=0o640, owner="backuppc:www-data")
    before = host.picture("/srv")

    assert host.read("/srv/deep/secret é") == "été\n"
    assert host.run(["stat", "-c", "%a %U:%G", "/srv/deep/secret é"]).lines == ["640 backuppc:www-data"]
    assert host.picture("/srv") == before
    host.run(
        [
            "sh",
            "-c",
            'touch -r "$0" /tmp/t; printf "ete\\n\\n" > "$0"; touch -r /tmp/t "$0"',
            "/srv/deep/secret é",
        ]
    )
    assert host.picture("/srv").keys() == before.keys()
    assert host.picture("/srv") != before


def test_a_host_that_is_killed_takes_all_its_processes_along(lab: Lab) -> None:
    host = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    host.run("setsid sleep 4713 </dev/null >/dev/null 2>&1 &", check=True)
    inside = _processes_in(host)

    host.kill()

    assert len(inside) > 2
    assert [pid for pid in inside if Path(f"/proc/{pid}").exists()] == []


def test_nothing_is_left_of_a_lab_whose_program_is_killed() -> None:
    machine = _network(), _mounts()
    story = """
import time
from lab import Lab
with Lab() as lab:
    lab.server("dugong.univ-brest.fr")
    lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    print("up", flush=True)
    time.sleep(60)
"""
    program = _program(story)
    assert program.stdout
    assert program.stdout.readline() == b"up\n"
    assert len(_processes_of(program)) > 3

    program.kill()
    program.wait()

    _eventually(lambda: not _processes_of(program))
    assert (_network(), _mounts()) == machine


def test_a_lab_whose_lifelines_somebody_else_holds_is_swept_away_by_the_next_one() -> None:
    story = """
import os, subprocess, time
from lab import Lab
lab = Lab().__enter__()
host = lab.host("one.example.net", "10.77.1.1")
holders = [process.process._lifeline.fileno() for process in (host, lab.switch)]
child = subprocess.Popen(["sleep", "60"], pass_fds=holders, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    program = _program(story)
    holder = int(program.communicate()[0])
    left = _processes_of(program)

    with Lab():
        _eventually(lambda: not _processes_of(program))

    os.kill(holder, signal.SIGKILL)
    assert left


def test_a_kept_lab_outlives_its_program_and_every_sweep_until_it_is_ended() -> None:
    story = """
from lab import Lab
lab = Lab().__enter__()
lab.host("one.example.net", "10.77.1.1")
print(lab.name, lab.keep()[0], flush=True)
"""
    program = _program(story)
    name, _, enter = program.communicate()[0].decode().partition("#")[0].partition(" ")
    sweep()

    inside = subprocess.run(f"{enter} hostname", shell=True, stdout=subprocess.PIPE, check=False)

    assert inside.stdout == b"one\n"
    assert name in kept()
    end(name)
    _eventually(lambda: not _processes_of(program))


def test_a_lab_in_a_pid_namespace_of_its_own_is_left_to_that_one() -> None:
    story = """
from lab import Lab
with Lab() as lab:
    host = lab.host("one.example.net", "10.77.1.1")
    print("up", flush=True)
    input()
    print(host.run("hostname").stdout)
"""
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    with _program(story, *apart, stdin=subprocess.PIPE) as program:
        assert program.stdout
        assert program.stdout.readline() == b"up\n"

        sweep()

        assert program.communicate(b"\n")[0] == b"one\n\n"


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        ("sys_admin", "no namespaces: unshare: unshare failed: Operation not permitted"),
        ("net_admin", r"no bridge: ip link add .*: Operation not permitted"),
        ("mknod", "no device files: mknod dev/null: Operation not permitted"),
    ],
)
def test_where_no_lab_can_be_it_is_told_what_is_lacking(capability: str, reason: str) -> None:
    program = _program(
        "from lab import available; print(available(), end='')", "setpriv", f"--bounding-set=-{capability}"
    )

    told = program.communicate()[0].decode()

    assert re.fullmatch(f"the lab cannot start here: {reason}", told)


def test_a_lab_can_be_in_a_chroot_that_is_no_mount_point_and_has_parts_of_its_own(tmp_path: Path) -> None:
    script = f"""
set -eu
mount --make-rprivate /
mount --make-rshared /
cd {shlex.quote(str(tmp_path))}
mkdir usr etc var checkout proc dev tmp home root opt srv run sys mnt media
for folder in usr etc var; do mount --bind /$folder $folder; done
mount --bind {shlex.quote(str(CHECKOUT))} checkout
for name in bin lib lib64 sbin; do ln -s usr/$name $name; done
mount -t proc proc proc
mount --rbind /dev dev
cat /proc/self/mounts > before
chroot . /usr/bin/env PYTHONPATH=/checkout/tests/environments PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -c '
from lab import Lab
with Lab() as lab:
    dugong = lab.server("dugong.univ-brest.fr")
    dugong.run("touch /etc/here /var/lib/here /usr/here", check=True)
    print(dugong.run("hostname; ls -A /home /var/log/").stdout)
    '
cmp before /proc/self/mounts
"""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout.startswith("dugong\n")
    assert not any(Path(folder, "here").exists() for folder in ("/etc", "/var/lib", "/usr"))
    assert not any((tmp_path / "usr").iterdir())


def test_the_dns_names_every_laptop_both_ways_over_both_protocols(lab: Lab) -> None:
    early = lab.laptop("early.univ-brest.fr", "10.77.0.10", address6="fd77::10")
    dugong = lab.server("dugong.univ-brest.fr")
    late = lab.laptop("late.example.net", "192.0.2.66", address6="2001:db8::66")

    for laptop in (early, late):
        for address in laptop.addresses:
            assert dugong.run(["getent", "hosts", address]).stdout.split() == [address, laptop.fqdn]
    assert early.run(["getent", "ahostsv4", "late.example.net"]).stdout.split()[0] == "192.0.2.66"
    assert late.run(["getent", "ahostsv6", "early"]).stdout.split()[0] == "fd77::10"
    assert dugong.run(["getent", "hosts", "10.99.99.99"]).status == 2


def test_the_dns_can_say_anything_of_an_address(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")

    lab.names.point("10.77.0.11", "evil.example.net")
    assert dugong.run(["getent", "hosts", "10.77.0.11"]).stdout.split()[1:] == ["evil.example.net"]
    lab.names.point("10.77.0.11")
    assert dugong.run(["getent", "hosts", "10.77.0.11"]).status == 2


def test_every_service_of_the_server_stops_and_starts(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    questions = {
        "sshd": ["ssh-keyscan", "-T", "1", "127.0.0.1"],
        "slapd": ["ldapsearch", "-x", "-H", "ldap://[::1]", "-b", "dc=univ-brest,dc=fr", "uid=cmartin", "cn"],
        "nsd": ["getent", "hosts", "10.77.0.1"],
        "BackupPC": ["su", "backuppc", "-c", "/usr/share/backuppc/bin/BackupPC_serverMesg status info"],
        "rsyslogd": ["sh", "-c", "logger -s x 2>/dev/null && test -S /dev/log"],
    }

    for service in [dugong.sshd, *dugong.services]:
        assert dugong.run(questions[service.name]).stdout or service.name == "rsyslogd", service.name
        service.stop()
        answer = dugong.run(questions[service.name])
        assert answer.stdout == "" or answer.status, service.name
        service.start()
        assert dugong.run(questions[service.name]).status == 0, service.name


def test_the_register_key_runs_the_forced_command_and_nothing_else(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    dormeur.write("/root/register-key", dugong.register_key, mode=0o600)
    dormeur.write("/etc/ssh/ssh_known_hosts", dugong.known_hosts)
    ssh = ["ssh", "-x", "-a", "-i", "/root/register-key", "-l", "backuppc", "dugong"]

    result = dormeur.run([*ssh, "id; touch /tmp/lab-was-here"])

    assert "uid=" not in result.stdout
    assert not dugong.exists("/tmp/lab-was-here")
    dugong.wait_for(dugong.syslog, "a line in syslog")
    assert "backuppc-register" in dugong.syslog()[0]
    assert " register_key=lab " in dugong.syslog()[0]


def test_backuppc_backs_a_laptop_up_and_restores_a_file(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    _register_by_hand(dugong, dormeur)
    precious = "/home/cmartin/Documents/été à la mer.txt"
    text = dormeur.read(precious)

    full = dugong.full_backup("dormeur")
    dormeur.write("/home/cmartin/new", "new", owner="cmartin")
    incremental = dugong.incremental("dormeur")
    dormeur.run(["rm", precious], check=True)
    dugong.restore("dormeur", SHARE, "/Documents/été à la mer.txt")

    assert (full.kind, full.errors, full.files > 5) == ("full", 0, True)
    assert (incremental.kind, incremental.errors, incremental.number) == ("incr", 0, 1)
    assert dugong.backups("dormeur")[-1] == incremental
    assert {"/.netrc", '/Documents/it\'s "quoted" $HOME.txt'} < set(dugong.files_of("dormeur", SHARE))
    assert dormeur.read(precious) == text
    assert dormeur.run(["stat", "-c", "%U", precious]).stdout == "cmartin\n"


def test_a_backup_that_cannot_be_says_why(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    _register_by_hand(dugong, dormeur)
    dormeur.unplug()

    with pytest.raises(LabError, match="no ping response"):
        dugong.full_backup("dormeur")


def test_an_owner_cannot_change_what_the_hardening_closes(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    _register_by_hand(dugong, dormeur)
    query = "action=editConfig&host=dormeur&newMenu=xfer"
    forged = {
        "saveAction": "Save",
        "host": "dormeur",
        "action": "editConfig",
        "override_ClientComment": "1",
        "v_zZ_ClientComment": "mine",
        "override_RsyncSshArgs": "1",
        "v_zZ_RsyncSshArgs_zZ_0": "-e",
        "v_zZ_RsyncSshArgs_zZ_1": "/tmp/evil",
    }

    page = dugong.cgi(query, "cmartin")
    dugong.cgi("", "cmartin", forged)

    assert "RsyncShareName" in page
    assert "v_zZ_RsyncSshArgs" not in page
    assert "ClientComment" in dugong.read("/etc/backuppc/dormeur.pl")  # so the form was understood
    assert "-l plain" in dugong.read("/etc/backuppc/dormeur.pl")
    assert "evil" not in dugong.read("/etc/backuppc/dormeur.pl")
    assert "BackupPC: Error" in dugong.cgi("host=dormeur", "adupont")


def test_the_hardening_leaves_owners_what_is_saved_and_nothing_else(lab: Lab) -> None:
    dugong = lab.server("dugong.univ-brest.fr")
    script = (
        "do '/etc/backuppc/config.pl'; die $@ if $@; my $e = $Conf{CgiUserConfigEdit};"
        "print join(' ', sort grep { $e->{$_} } keys %$e)"
    )

    result = dugong.run(["perl", "-e", script], check=True)

    assert result.stdout.split() == [
        "BackupFilesExclude",
        "BackupFilesOnly",
        "ClientComment",
        "ClientShareName2Path",
        "RsyncShareName",
    ]


def _register_by_hand(dugong: Server, dormeur: Laptop) -> None:
    dugong.run("ssh-keygen -q -t ed25519 -N '' -f ~/plain", user="backuppc", check=True)
    dormeur.run(BARE_CLIENT, input=dugong.read("/var/lib/backuppc/plain.pub"), check=True)
    dugong.write("/etc/backuppc/dormeur.pl", BARE_HOST, owner="backuppc:www-data")
    dugong.run(
        "echo 'dormeur 0 cmartin' >> /etc/backuppc/hosts; touch -d +2sec /etc/backuppc/hosts", check=True
    )
    dugong.message("server reload")


def _processes_in(host: Laptop) -> list[int]:
    namespace = Path(f"/proc/{host.pid}/ns/pid").readlink()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "ns/pid").readlink() == namespace:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _program(story: str, *before: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "tests/environments")}
    command = [*before, sys.executable, "-c", story]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, env=environment)


def _processes_of(program: subprocess.Popen[bytes]) -> list[int]:
    owner = f"\0{program.pid}:".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"backuppc-register-lab" in arguments and owner in arguments:
            found.append(int(folder.name))
    return found


def _network() -> str:
    return subprocess.run(["ip", "-br", "address"], capture_output=True, text=True, check=True).stdout


def _mounts() -> str:
    return Path("/proc/self/mounts").read_text(encoding="utf-8")


def _eventually(question: Callable[[], bool], timeout: float = 5) -> None:
    end = time.monotonic() + timeout
    while not question():
        assert time.monotonic() < end
        time.sleep(0.02)
