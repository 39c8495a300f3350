import base64
import contextlib
import hashlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import CHECKOUT
from slowness import within

from backuppc_register.backuppc.daemon.status import Daemon

SEED = b"1700000000,1,4242,0\n"
KNOWN = b"%StatusHost = ('state' => 'Status_idle');\n"

Conduct = Callable[[socket.socket], None]


def a_message(channel: socket.socket) -> bytes:
    """Read as BackupPC does; give the first message without its digest."""
    read = b""
    while b"\n" not in read and (part := channel.recv(1024)):
        read += part
    return read.partition(b"\n")[0].partition(b" ")[2]


def to_its_end(channel: socket.socket) -> None:
    while channel.recv(1024):
        pass


class Fake:
    """A socket that behaves as *conduct* says with each connection; it keeps the messages that it read."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.messages: list[bytes] = []
        self.conduct: Conduct = lambda channel: None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen()
        self._channel: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answers(self, *replies: bytes) -> None:
        """Answer each message with the next of *replies*; one without a newline ends the connection."""
        left = list(replies)

        def conduct(channel: socket.socket) -> None:
            channel.sendall(SEED)
            self.messages.append(a_message(channel))
            reply = left.pop(0)
            channel.sendall(reply)
            if reply.endswith(b"\n"):
                to_its_end(channel)

        self.conduct = conduct

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._channel:
            with contextlib.suppress(OSError):  # closed already
                self._channel.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._channel = channel = self._listener.accept()[0]
                with channel, contextlib.suppress(OSError):
                    self.conduct(channel)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    fake = Fake(tmp_path / "BackupPC.sock")
    yield fake
    fake.end()


def daemon(fake: Fake, install_dir: Path = Path("/nowhere")) -> Daemon:
    return Daemon(fake.path, str(install_dir))


def an_installation(folder: Path, new: str) -> Path:
    """Make a Perl library like BackupPC's, whose `new` is so."""
    (folder / "lib/BackupPC").mkdir(parents=True)
    conf = "sub Conf { return %{$_[0]} }"
    (folder / "lib/BackupPC/Lib.pm").write_text(f"package BackupPC::Lib;\nsub new {{ {new} }}\n{conf}\n1;\n")
    return folder


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
    to_its_end(channel)


def silent_after_the_seed(channel: socket.socket) -> None:
    channel.sendall(SEED)
    to_its_end(channel)


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
    took = time.monotonic() - start
    assert took > 0.3
    assert within(took, 1.5)


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

    assert daemon(fake).announce("dormeur", 5).startswith("BackupPC could not be notified: ")
    assert fake.messages == [b"status host(dormeur)"]


@pytest.mark.parametrize("seed", [b"", b"half a seed", b"y" * 300_000])
def test_a_greeting_that_is_none_is_told(fake: Fake, seed: bytes) -> None:
    fake.conduct = lambda channel: channel.sendall(seed)

    assert daemon(fake).announce("dormeur", 5).startswith("BackupPC could not be notified: ")


def with_a_secret(fake: Fake, secret: bytes) -> None:
    """Answer what is signed with *secret*, and hang up on all else."""

    def conduct(channel: socket.socket) -> None:
        channel.sendall(SEED)
        line = channel.recv(1024).partition(b"\n")[0]
        digest, _, message = line.partition(b" ")
        expected = base64.b64encode(hashlib.md5(SEED + b"0" + secret + message).digest()).rstrip(b"=")
        if digest == expected:
            fake.messages.append(message)
            channel.sendall(KNOWN)
            to_its_end(channel)

    fake.conduct = conduct


def test_a_message_is_signed_with_the_secret_that_BackupPCs_own_library_tells(
    fake: Fake, tmp_path: Path
) -> None:
    with_a_secret(fake, b"s3cr\xe9t\nsecret 00")
    installed = an_installation(
        tmp_path, r'print "noise"; bless {ServerMesgSecret => "s3cr\x{e9}t\nsecret 00"}'
    )

    assert daemon(fake, installed).announce("dormeur", 5) == ""
    assert fake.messages == [b"status host(dormeur)"]


@pytest.mark.parametrize("new", ["exit(255)", "die('no')", "undef", "print('x' x 1000000); exit(0)"])
def test_a_secret_that_cannot_be_read_is_told(fake: Fake, tmp_path: Path, new: str) -> None:
    with_a_secret(fake, b"s3cret")

    told = daemon(fake, an_installation(tmp_path, new)).announce("dormeur", 5)

    assert told.startswith("BackupPC could not be notified: it hung up, and its ServerMesgSecret cannot be")
    assert len(told) < 400


def test_where_BackupPCs_library_is_missing_a_refused_message_is_told(fake: Fake) -> None:
    with_a_secret(fake, b"s3cret")

    assert "ServerMesgSecret cannot be read" in daemon(fake).announce("dormeur", 5)


def test_a_secret_that_BackupPC_has_not_read_yet_is_told(fake: Fake, tmp_path: Path) -> None:
    with_a_secret(fake, b"s3cret")
    installed = an_installation(tmp_path, "bless {ServerMesgSecret => 'new'}")

    assert "ServerMesgSecret is not the one" in daemon(fake, installed).announce("dormeur", 5)


def test_a_library_that_hangs_is_ended_in_time(fake: Fake, tmp_path: Path) -> None:
    with_a_secret(fake, b"s3cret")
    start = time.monotonic()

    told = daemon(fake, an_installation(tmp_path, "sleep(60)")).announce("dormeur", 0.7)

    assert "did not answer in time" in told
    assert within(time.monotonic() - start, 2)


class Late:
    """A BackupPC that hangs before its seed or its reply until it is let go; then it writes what it owes."""

    def __init__(self, fake: Fake, *, greets: bool) -> None:
        self._free, self._read, self._wrote = threading.Event(), threading.Event(), threading.Event()
        self.outcome = ""
        self._greets = greets
        fake.conduct = self._conduct

    def let_go(self) -> str:
        """Return "" where what it wrote was taken, else the error that ends BackupPC."""
        self._free.set()
        assert self._wrote.wait(5)
        return self.outcome

    def _conduct(self, channel: socket.socket) -> None:
        if self._greets:
            channel.sendall(SEED)
            a_message(channel)
        self._free.wait(10)
        try:
            channel.sendall(KNOWN if self._greets else SEED)
        except OSError as error:
            self.outcome = repr(error)
        self._wrote.set()
        channel.settimeout(2)
        try:
            to_its_end(channel)
        except TimeoutError:
            self.outcome = "nobody has hung up"


@pytest.mark.parametrize("greets", [False, True])
def test_a_BackupPC_that_is_late_finds_an_open_connection(fake: Fake, *, greets: bool) -> None:
    late = Late(fake, greets=greets)

    told = daemon(fake).announce("dormeur", 0.3)

    assert "did not answer in time" in told
    assert late.let_go() == ""


@pytest.mark.parametrize("greets", [False, True])
def test_who_is_killed_while_BackupPC_is_late_leaves_an_open_connection(fake: Fake, *, greets: bool) -> None:
    late = Late(fake, greets=greets)
    program = f"from {Daemon.__module__} import Daemon; Daemon({fake.path!r}).announce('dormeur', 60)"

    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, timeout=1.5, check=True)

    assert late.let_go() == ""


def test_what_was_answered_late_is_asked_anew(fake: Fake) -> None:
    seeds = [0.3, 0.0]

    def conduct(channel: socket.socket) -> None:
        time.sleep(seeds.pop(0))
        channel.sendall(SEED)
        if not a_message(channel):
            return
        channel.sendall(KNOWN)
        to_its_end(channel)

    fake.conduct = conduct

    assert daemon(fake).announce("dormeur", 2) == ""
    assert seeds == []


def test_a_person_does_not_wait_for_a_BackupPC_that_hangs(fake: Fake) -> None:
    fake.conduct = silent
    start = time.monotonic()

    told = [daemon(fake).announce("dormeur", 28), daemon(fake).begin_full("dormeur", "cmartin", 28)]

    assert all("did not answer in time" in one for one in told)
    assert within(time.monotonic() - start, 11)


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

    assert Daemon(fake.path, "/nonexistent").status("dormeur", 1) == {}


def test_a_BackupPC_that_does_not_run_says_nothing_of_a_host(tmp_path: Path) -> None:
    assert Daemon(str(tmp_path / "nobody.sock")).status("dormeur", 1) == {}
    assert Daemon("").status("dormeur", 1) == {}


@pytest.mark.parametrize(
    "reply",
    [b"\n", b"ok\n", b"%StatusHost = ('backoffTime' => 1\n", b"%StatusHost = ('backoffTime' => 'x');\n", b""],
)
def test_an_answer_about_pauses_that_is_none_leaves_them_unknown(fake: Fake, reply: bytes) -> None:
    fake.answers(reply)

    known = daemon(fake).pauses(["dormeur"], 2)

    assert (dict(known.ends), known.failures) == ({}, {})
    assert known.doubt("dormeur").startswith("BackupPC ")
    assert fake.messages == [b"status host(dormeur) queueLen"]


def test_a_daemon_that_is_silent_about_pauses_leaves_them_unknown(fake: Fake) -> None:
    fake.conduct = to_its_end
    start = time.monotonic()

    known = daemon(fake).pauses(["dormeur"], 0.3)

    assert "did not answer in time" in known.doubt("dormeur")
    assert within(time.monotonic() - start, 2)
