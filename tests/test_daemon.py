import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Host, Lab

from backuppc_register.backuppc.daemon import Daemon

PYTHON = "/usr/bin/python3"  # a path without a blank, which no first line of a script can hold
SEED = b"1700000000,1,4242,0\n"
KNOWN = b"%StatusHost = ('state' => 'Status_idle');\n"

Conduct = Callable[[socket.socket], None]


class Fake:
    """A socket that behaves as *conduct* says with each connection; it keeps the messages that it read."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.messages: list[bytes] = []
        self.conduct: Conduct = lambda channel: None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answers(self, *replies: bytes) -> None:
        """Answer each message with the next of *replies*, b"" being a connection closed."""
        left = list(replies)

        def conduct(channel: socket.socket) -> None:
            channel.sendall(SEED)
            self.messages.append(channel.recv(4096).partition(b" ")[2].rstrip(b"\n"))
            channel.sendall(left.pop(0))

        self.conduct = conduct

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                channel, _ = self._listener.accept()
                with channel, contextlib.suppress(OSError):
                    self.conduct(channel)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    fake = Fake(tmp_path / "BackupPC.sock")
    yield fake
    fake.end()


def daemon(fake: Fake, tool: Path = Path("/nowhere/tool")) -> Daemon:
    return Daemon(fake.path, tool)


def a_tool(path: Path, script: str) -> Path:
    path.write_text(f"#!{PYTHON}\nimport os, sys, time\n{script}\n")
    path.chmod(0o755)
    return path


def test_without_a_socket_nobody_is_told() -> None:
    assert Daemon("").announce("dormeur", 1) == ""


def test_hosts_whose_lines_came_back_are_asked_for_after_a_reload(fake: Fake) -> None:
    fake.answers(b"ok\n", KNOWN, b"\n")

    problem = daemon(fake).reread(["dormeur", "lab_1", "odd name", "x)\nserver shutdown"], 5)

    assert fake.messages == [b"server reload", b"status host(dormeur)", b"status host(lab_1)"]
    assert problem == "BackupPC has read its files again and does not know lab_1"


def test_of_ten_thousand_hosts_a_few_are_asked_for(fake: Fake) -> None:
    fake.answers(b"ok\n", *[KNOWN] * 100)

    assert daemon(fake).reread([f"lab{n}" for n in range(10_000)], 5) == ""
    assert len(fake.messages) < 50


def test_where_backuppc_does_not_run_or_is_not_to_be_told_a_reload_is_no_error(tmp_path: Path) -> None:
    assert "not running" in Daemon(str(tmp_path / "nothing")).reread(["dormeur"], 1)
    assert Daemon("").reread(["dormeur"], 1) == ""


def test_a_host_that_is_known_is_no_reason_to_reload(fake: Fake) -> None:
    fake.answers(KNOWN)

    assert daemon(fake).announce("dormeur", 5) == ""
    assert fake.messages == [b"status host(dormeur)"]


def test_a_host_that_is_not_known_makes_it_reload(fake: Fake) -> None:
    fake.answers(b"\n", b"ok\n", KNOWN)

    assert daemon(fake).announce("dormeur.univ-brest.fr", 5) == ""
    assert fake.messages == [
        b"status host(dormeur.univ-brest.fr)",
        b"server reload",
        b"status host(dormeur.univ-brest.fr)",
    ]


def test_a_host_that_is_not_known_after_a_reload_either_is_told(fake: Fake) -> None:
    fake.answers(b"\n", b"ok\n", b"\n")

    assert "does not know dormeur" in daemon(fake).announce("dormeur", 5)


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a)", "a\nserver shutdown", "a\rserver shutdown", "A", "é", "a%0ab", "a\0", "a\n"],
)
def test_what_is_no_name_of_a_host_never_reaches_the_socket(fake: Fake, host: str) -> None:
    fake.answers(KNOWN, KNOWN)

    assert daemon(fake).announce(host, 5) != ""
    assert fake.messages == []


def test_a_daemon_that_does_not_run_is_told(tmp_path: Path) -> None:
    left_over = tmp_path / "left-over.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(left_over))

    assert "not running" in Daemon(str(left_over)).announce("dormeur", 1)
    assert "not running" in Daemon(str(tmp_path / "none.sock")).announce("dormeur", 1)


@pytest.mark.parametrize("path", ["/" + "x" * 200, "/tmp", "/dev/null", "/tmp/\0x", "/etc/passwd/x"])
def test_a_path_that_is_no_socket_is_told(path: str) -> None:
    assert Daemon(path).announce("dormeur", 1).startswith("BackupPC ")


def silent(channel: socket.socket) -> None:
    channel.recv(1)


def silent_after_the_seed(channel: socket.socket) -> None:
    channel.sendall(SEED)
    channel.recv(4096)
    channel.recv(4096)


def dripping(channel: socket.socket) -> None:
    while True:
        channel.sendall(b"x")
        time.sleep(0.02)


def dripping_after_the_seed(channel: socket.socket) -> None:
    channel.sendall(SEED)
    dripping(channel)


@pytest.mark.parametrize("conduct", [silent, silent_after_the_seed, dripping, dripping_after_the_seed])
def test_nobody_waits_longer_than_asked_for(fake: Fake, conduct: Conduct) -> None:
    fake.conduct = conduct
    start = time.monotonic()

    told = daemon(fake).announce("dormeur", 0.4)

    assert "did not answer in time" in told
    assert 0.3 < time.monotonic() - start < 1.5


def endless(channel: socket.socket) -> None:
    channel.sendall(SEED)
    while True:
        channel.sendall(b"x" * 4096)


def test_an_answer_without_an_end_is_not_read_to_its_end(fake: Fake) -> None:
    fake.conduct = endless

    assert "without an end" in daemon(fake).announce("dormeur", 10)


def test_without_time_it_is_not_asked(fake: Fake) -> None:
    fake.answers(KNOWN)

    assert "in time" in daemon(fake).announce("dormeur", 0)
    assert fake.messages == []


@pytest.mark.parametrize(
    "said",
    [
        *(b"HTTP/1.1 400 Bad Request\r\n", b"error: bad command\n", b"\xff\xfe\0\n", b"ok\n"),
        *(b"%Status = ();\n", b"half a line", b"x" * 300_000, b" \n"),
    ],
)
def test_nonsense_is_no_yes(fake: Fake, said: bytes) -> None:
    fake.answers(said)

    assert daemon(fake).announce("dormeur", 5).startswith("BackupPC could not be told: ")
    assert fake.messages == [b"status host(dormeur)"]


@pytest.mark.parametrize("seed", [b"", b"half a seed", b"y" * 300_000])
def test_a_greeting_that_is_none_is_told(fake: Fake, seed: bytes) -> None:
    fake.conduct = lambda channel: channel.sendall(seed)

    assert daemon(fake).announce("dormeur", 5).startswith("BackupPC could not be told: ")


def test_a_refused_digest_is_told_where_BackupPCs_own_tool_is_missing(fake: Fake) -> None:
    fake.answers(b"")

    told = daemon(fake).announce("dormeur", 5)

    assert "ServerMesgSecret" in told
    assert "/nowhere/tool" in told


def test_BackupPCs_own_tool_speaks_for_us_where_our_digest_is_refused(fake: Fake, tmp_path: Path) -> None:
    fake.answers(b"")
    calls = tmp_path / "calls"
    tool = a_tool(
        tmp_path / "tool",
        f"seen = os.path.exists({str(calls)!r})\n"
        f"open({str(calls)!r}, 'a').write(repr((sys.argv[1:], sorted(os.environ))) + chr(10))\n"
        "reply = 'ok' if 'reload' in sys.argv[1] else '%StatusHost = ();' if seen else ''\n"
        "print('Got reply:', reply)",
    )

    assert daemon(fake, tool).announce("dormeur", 10) == ""

    made = [eval(line) for line in calls.read_text().split("\n")[:-1]]
    assert [arguments for arguments, _ in made] == [
        ["status host(dormeur)"],
        ["server reload"],
        ["status host(dormeur)"],
    ]
    assert {"LANG", "PATH"} <= set(made[0][1]) <= {"LANG", "PATH", "LC_CTYPE"}


@pytest.mark.parametrize(
    "script",
    [
        "print('Wrong user'); sys.exit(255)",
        "sys.exit(1)",
        "print('Got reply: error: bad')",
        "print('x' * 10**6)",
    ],
)
def test_a_tool_that_fails_is_told(fake: Fake, tmp_path: Path, script: str) -> None:
    fake.answers(b"")

    told = daemon(fake, a_tool(tmp_path / "tool", script)).announce("dormeur", 10)

    assert told.startswith("BackupPC could not be told: ")
    assert len(told) < 400


def test_a_tool_that_cannot_be_started_is_told(fake: Fake, tmp_path: Path) -> None:
    fake.answers(b"")
    (tmp_path / "tool").write_text("not a program")

    assert daemon(fake, tmp_path / "tool").announce("dormeur", 5).startswith("BackupPC could not be told: ")


def test_a_tool_that_hangs_is_ended_in_time(fake: Fake, tmp_path: Path) -> None:
    fake.answers(b"")
    start = time.monotonic()

    told = daemon(fake, a_tool(tmp_path / "tool", "time.sleep(60)")).announce("dormeur", 0.5)

    assert "did not answer in time" in told
    assert time.monotonic() - start < 2


STATUS = b"%StatusHost = ('BgQueueOn' => undef,'Job' => undef,'UserQueueOn' => 0,'state' => 'Status_idle');\n"


def test_a_full_backup_is_asked_for_in_the_owners_name(fake: Fake) -> None:
    fake.answers(KNOWN, STATUS, b"ok: requested backup of dormeur (doFull)\n")

    assert daemon(fake).begin_full("dormeur", "cmartin", 5) == ""
    assert fake.messages[-1] == b"backup dormeur dormeur cmartin doFull"


def test_a_host_that_is_not_known_yet_is_made_known_first(fake: Fake) -> None:
    fake.answers(b"\n", b"ok\n", KNOWN, STATUS, b"ok: requested\n")

    assert daemon(fake).begin_full("dormeur", "cmartin", 5) == ""
    assert fake.messages[1] == b"server reload"


@pytest.mark.parametrize(
    "busy",
    [
        b"'BgQueueOn' => 1,'Job' => undef",
        b"'UserQueueOn' => 1",
        b'"CmdQueueOn" => "1"',
        b"'BgQueueOn' => 0,'Job' => {'pid' => 4242,'type' => 'full'}",
    ],
)
def test_what_is_queued_or_running_is_not_asked_for_again(fake: Fake, busy: bytes) -> None:
    fake.answers(KNOWN, b"%StatusHost = (" + busy + b");\n")

    assert daemon(fake).begin_full("dormeur", "cmartin", 5) == ""
    assert len(fake.messages) == 2


def test_a_backup_that_is_refused_is_told(fake: Fake) -> None:
    fake.answers(KNOWN, STATUS, b"error: disk too full (usage 99%; inode 2%)\n")

    assert "disk too full" in daemon(fake).begin_full("dormeur", "cmartin", 5)


def test_without_a_socket_no_backup_is_asked_for_and_that_is_told() -> None:
    assert "socket" in Daemon("").begin_full("dormeur", "cmartin", 1)


SETTINGS = """
$Conf{SmbClientPath} = ''; $Conf{NmbLookupPath} = ''; $Conf{NmbLookupCmd} = '';
$Conf{NmbLookupFindHostCmd} = ''; $Conf{RrdToolPath} = '';
"""
PROGRAM = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from pathlib import Path
from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.daemon import Daemon
from backuppc_register.backuppc.lock import locked
folder, path = Path("/etc/backuppc"), Path("/etc/backuppc/hosts")
for host in sys.argv[1:]:
    with locked(folder, 10):
        if not hosts.read(path).lines_for(host):
            hosts.append(path, hosts.read(path), host, "cmartin")
    print(host, Daemon("/run/backuppc/BackupPC.sock").announce(host, 10) or "known")
"""
ONLY_ANNOUNCE = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from backuppc_register.backuppc.daemon import Daemon
print(Daemon("/run/backuppc/BackupPC.sock").announce(sys.argv[1], 10) or "known")
"""
BEGIN = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from backuppc_register.backuppc.daemon import Daemon
for _ in range(2):
    print(Daemon("/run/backuppc/BackupPC.sock").begin_full(sys.argv[1], "cmartin", 10) or "asked")
"""
LOG = "/var/lib/backuppc/log/LOG"


def a_server(lab: Lab, *, secret: str = "") -> Host:
    """Give a host on which a real BackupPC runs, on files of its own."""
    host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
    host.run("rm -rf /var/lib/backuppc/* /etc/backuppc/LOCK; mkdir /run/backuppc", check=True)
    host.run("cp /usr/share/backuppc/conf/config.pl /etc/backuppc/config.pl", check=True)
    text = SETTINGS + f"$Conf{{ServerMesgSecret}} = '{secret}';\n"
    host.run("cat >> /etc/backuppc/config.pl", input=text, check=True)
    host.run("printf 'host dhcp user moreUsers\\n' > /etc/backuppc/hosts", check=True)
    host.run("mkdir -p /var/lib/backuppc/pc /var/lib/backuppc/pool /var/lib/backuppc/cpool", check=True)
    host.run("chown -R backuppc:backuppc /etc/backuppc /var/lib/backuppc /run/backuppc", check=True)
    host.run(["/usr/share/backuppc/bin/BackupPC", "-d"], user="backuppc", check=True)
    host.run("until [ -S /run/backuppc/BackupPC.sock ]; do sleep 0.05; done", check=True)
    return host


def python(host: Host, program: str, *arguments: str) -> list[str]:
    done = host.run(["/usr/bin/python3", "-I", "-B", "-c", program, *arguments], user="backuppc", check=True)
    return done.stdout.split("\n")[:-1]


@pytest.mark.lab
class TestTheRealBackupPC:
    def test_it_knows_a_host_that_was_added_even_several_in_one_second(self, lab: Lab) -> None:
        server = a_server(lab)

        told = python(server, PROGRAM, "dormeur", "simplet", "joyeux.univ-brest.fr")

        assert told == ["dormeur known", "simplet known", "joyeux.univ-brest.fr known"]
        log = server.read(LOG)
        for host in ("dormeur", "simplet", "joyeux.univ-brest.fr"):
            assert log.count(f"Added host {host} ") == 1
        assert "Corrupted message" not in log

    def test_a_host_that_it_knows_is_no_reason_to_reload(self, lab: Lab) -> None:
        server = a_server(lab)
        python(server, PROGRAM, "dormeur")
        reloads = server.read(LOG).count("Reloading")

        told = python(server, PROGRAM, "dormeur")

        assert told == ["dormeur known"]
        assert server.read(LOG).count("Reloading") == reloads == 1

    def test_of_two_wishes_for_a_backup_one_is_queued(self, lab: Lab) -> None:
        server = a_server(lab)
        # A ping that takes its time: the backup is still under way when the second wish comes.
        server.write("/usr/local/bin/slow", "#!/bin/sh\nexec sleep 30\n", mode=0o755)
        server.run("echo '$Conf{PingCmd} = \"/usr/local/bin/slow\";' >> /etc/backuppc/config.pl", check=True)
        python(server, PROGRAM, "localhost")

        told = python(server, BEGIN, "localhost")

        assert told == ["asked", "asked"]
        assert server.read(LOG).count("User cmartin requested backup of localhost") == 1

    def test_it_says_when_a_host_has_no_line(self, lab: Lab) -> None:
        server = a_server(lab)

        (told,) = python(server, ONLY_ANNOUNCE, "grincheux")

        assert "does not know grincheux" in told

    def test_its_own_tool_speaks_for_us_where_it_has_a_secret(self, lab: Lab) -> None:
        server = a_server(lab, secret="s3cret")

        told = python(server, PROGRAM, "dormeur")

        assert told == ["dormeur known"]
        assert "Added host dormeur " in server.read(LOG)

    def test_once_it_is_stopped_it_is_told(self, lab: Lab) -> None:
        server = a_server(lab)
        server.run("kill $(cat /run/backuppc/BackupPC.pid)", check=True)
        server.run("while kill -0 $(cat /run/backuppc/BackupPC.pid); do sleep 0.05; done 2>/dev/null")

        told = python(server, PROGRAM, "dormeur")

        assert told == ["dormeur BackupPC is not running and will read the hosts file when it starts"]


STATUS = b", ".join(
    [
        b'%StatusHost = ("reason" => "Reason_backup_done","state" => "Status_idle"',
        rb'"error" => "a \"b\""',
        b"'startTime' => 1700000000,'type' => 'full'",
        b'"deadCnt" => "0","dhcpHost" => undef);\n',
    ]
)


def test_what_BackupPC_says_of_a_host_is_given_by_its_own_words(fake: Fake) -> None:
    fake.answers(STATUS)

    assert Daemon(fake.path).status("dormeur", 1) == {
        "reason": "Reason_backup_done",
        "state": "Status_idle",
        "error": 'a "b"',
        "startTime": "1700000000",
        "type": "full",
        "deadCnt": "0",
    }
    assert fake.messages == [b"status host(dormeur)"]


@pytest.mark.parametrize("reply", [b"\n", b"error: what?\n", b""])
def test_of_a_host_that_BackupPC_does_not_know_there_is_nothing_to_say(fake: Fake, reply: bytes) -> None:
    fake.answers(reply)

    assert Daemon(fake.path, Path("/nonexistent")).status("dormeur", 1) == {}


def test_a_BackupPC_that_does_not_run_says_nothing_of_a_host(tmp_path: Path) -> None:
    assert Daemon(str(tmp_path / "nobody.sock")).status("dormeur", 1) == {}
    assert Daemon("").status("dormeur", 1) == {}
