"""Real syslog daemons other than rsyslog, and what `log`, `init` and `diagnose` say of their logs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from checkout import CHECKOUT
from lab import Lab, Server

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("log_daemons")]

ADMIN = "/opt/backuppc-register/bin/backuppc-register-admin"
FORCED = ["/usr/bin/python3", "-I", "/opt/backuppc-register/bin/backuppc-register"]
LOG = "/var/log/backuppc-register.log"
RULE = "/etc/syslog-ng/conf.d/backuppc-register.conf"
# The packages would replace rsyslog, so they are unpacked here.
UNPACK = """
set -eu
for deb in /root/*.deb; do dpkg-deb --fsys-tarfile $deb | tar -x --keep-directory-symlink -C /; done
ldconfig
rm -rf /usr/sbin/rsyslogd /etc/rsyslog.d /etc/logrotate.d/backuppc-register
mkdir -p /etc/logrotate.d
"""
# journald wants cgroups to start.
JOURNALD = """
mkdir -p /run/systemd/journal /run/log/journal /sys/fs/cgroup
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /run/systemd/journal/dev-log /dev/log
exec /lib/systemd/systemd-journald
"""


@pytest.fixture(scope="module")
def dugong() -> Iterator[Server]:
    with Lab() as lab:
        server = lab.server("dugong.univ-brest.fr")
        server.rsyslog.stop()
        for package in sorted((CHECKOUT / ".systems/log-daemons").glob("*.deb")):
            server.copy(package, f"/root/{package.name}")
        server.run(UNPACK, check=True)
        yield server


@contextmanager
def logging_by(server: Server, command: str) -> Iterator[None]:
    """Let this daemon be the only one, without the logs of an earlier one."""
    server.run(f"rm -rf /dev/log {LOG}* /var/log/syslog /var/log/messages /var/log/journal", check=True)
    process = server.start(command)
    server.wait_for(lambda: server.run("[ -e /dev/log ] && [ -S $(readlink -f /dev/log) ]").status == 0)
    try:
        yield
    finally:
        process.stop()
        server.run("rm -rf /dev/log /run/log/journal", check=True)


def ask(server: Server, logon: str) -> None:
    env = {"SSH_CONNECTION": "10.77.0.1 50000 10.77.0.1 22", "SSH_ORIGINAL_COMMAND": f"linux:{logon}:x:y"}
    server.run(FORCED, user="backuppc", env=env)


def log(server: Server, *arguments: str, user: str = "root") -> tuple[int, str]:
    done = server.run([ADMIN, "log", *arguments], user=user, env={"SUDO_USER": "jdoe"})
    return done.status, done.stdout + done.stderr


def connections(server: Server) -> int:
    found: list[object] = json.loads(server.run([ADMIN, "log", "--json"]).stdout)
    return len(found)


def syslog_check(server: Server) -> list[tuple[str, str]]:
    found = json.loads(server.run([ADMIN, "diagnose", "--json", "--only", "syslog"]).stdout)
    return [(one["level"], one["what"]) for one in found]


def arrives(server: Server, number: int) -> None:
    server.wait_for(lambda: connections(server) == number, f"{number} requests in the log")


class TestJournaldAlone:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def journald(cls, dugong: Server) -> Iterator[None]:
        with logging_by(dugong, JOURNALD):
            ask(dugong, "cmartin")
            arrives(dugong, 1)
            yield

    def test_the_journal_is_read_and_diagnose_names_it(self, dugong: Server) -> None:
        assert syslog_check(dugong) == [("green", "a test line arrived in the journal")]
        assert connections(dugong) == 1

    def test_who_may_not_read_the_journal_is_told_so(self, dugong: Server) -> None:
        status, said = log(dugong, user="backuppc")

        assert status == 1
        assert said.startswith("No request found in the last 7 days, but not everything could be read:\n")
        assert "the journal: Hint: You are currently not seeing messages from other users" in said
        assert "try sudo" in said

    def test_the_file_that_a_purged_rsyslog_left_is_read_as_well(self, dugong: Server) -> None:
        row = dugong.run("journalctl -q -o short-iso -t backuppc-register").lines[0]
        older = dugong.run("date -d '-3 days' +%Y-%m-%dT%H:%M:%S%z").stdout.strip()
        dugong.write(LOG, f"{older}{row[len(older) :]}\n{row}\n")
        dugong.run(f"touch -d '-1 day' {LOG}", check=True)

        found, level = connections(dugong), syslog_check(dugong)
        dugong.run(f"touch -d '-30 days' {LOG}; sed -i d {LOG}; touch -d '-30 days' {LOG}", check=True)
        old = connections(dugong)
        dugong.run(f"rm {LOG}", check=True)

        assert (found, old) == (2, 1)
        assert level == [("green", "a test line arrived in the journal")]

    def test_init_writes_no_rule_for_a_daemon_that_is_not_there(self, dugong: Server) -> None:
        dugong.run("mv /usr/sbin/syslog-ng /root/", check=True)
        said = dugong.run([ADMIN, "init", "--dry-run"]).stdout
        dugong.run("mv /root/syslog-ng /usr/sbin/", check=True)

        assert "/etc/logrotate.d" not in said
        assert "conf.d/backuppc-register" not in said


class TestSyslogNg:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def syslog_ng(cls, dugong: Server) -> Iterator[None]:
        with logging_by(dugong, "exec syslog-ng -F --no-caps"):
            yield

    def test_debians_configuration_has_the_lines_in_its_general_files(self, dugong: Server) -> None:
        ask(dugong, "cmartin")
        arrives(dugong, 1)

        assert syslog_check(dugong) == [("green", "a test line arrived in /var/log/syslog")]
        assert log(dugong, "--file", "/var/log/messages")[0] == 0

    def test_init_writes_the_rule_and_after_a_rotation_the_lines_come_into_the_new_file(
        self, dugong: Server
    ) -> None:
        said = dugong.run([ADMIN, "init"], env={"SUDO_USER": "jdoe"}).stdout
        dugong.run("syslog-ng-ctl reload; : > /var/log/syslog; : > /var/log/messages", check=True)
        ask(dugong, "adupont")
        dugong.wait_for(lambda: dugong.exists(LOG))
        dugong.run("logrotate -f /etc/logrotate.d/backuppc-register", check=True)
        dugong.wait_for(lambda: not dugong.exists(LOG) or not dugong.read(LOG))
        level = syslog_check(dugong)

        assert f"{RULE} (there is none)" in said
        assert "Next: systemctl restart syslog-ng" in said
        assert level == [("green", f"a test line arrived in {LOG}")]
        assert "code=ostype-unknown" in dugong.read(f"{LOG}.1")
        assert connections(dugong) >= 1

    def test_a_rule_that_is_not_obeyed_is_told_with_its_daemon(self, dugong: Server) -> None:
        dugong.run(f"sed -i s/local3/local6/ {RULE}; syslog-ng-ctl reload", check=True)

        ((level, what),) = syslog_check(dugong)

        assert level == "yellow"
        assert what == f"a test line arrived in /var/log/syslog, but not in {LOG}"


def test_busyboxs_lines_are_read(dugong: Server) -> None:
    with logging_by(dugong, "exec busybox syslogd -n"):
        dugong.run(f"rm -f {RULE}", check=True)
        ask(dugong, "cmartin")
        arrives(dugong, 1)
        found = syslog_check(dugong)
        named = log(dugong, "--file", "/var/log/messages")

    assert found == [("green", "a test line arrived in /var/log/messages")]
    assert named[0] == 0


def test_without_any_log_that_is_told(dugong: Server) -> None:
    dugong.run(f"rm -rf /dev/log {LOG}* /var/log/syslog* /var/log/messages*", check=True)

    status, said = log(dugong)

    assert status == 1
    assert said.split("\n")[:3] == [
        "No request in the last 7 days. Looked at:",
        f"  {LOG}: there is none",
        "  the journal: there is none",
    ]
    assert "diagnose --only syslog" in said
    assert [level for level, _ in syslog_check(dugong)] == ["red"]
