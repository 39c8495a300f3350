"""A host's own ssh_config, read by the real ssh and used against a real sshd."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwuid

import pytest

from backuppc_register.state import key_pairs, ssh_files

HOST = "dormeur"

EFFECTIVE = {
    "user": "bckpciuem",
    "identitiesonly": "yes",
    "identityagent": "none",
    "addkeystoagent": "false",
    "batchmode": "yes",
    "preferredauthentications": "publickey",
    "passwordauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "hostbasedauthentication": "no",
    "gssapiauthentication": "no",
    "globalknownhostsfile": "/dev/null",
    "hostkeyalias": HOST,
    "checkhostip": "no",
    "hashknownhosts": "no",
    "stricthostkeychecking": "accept-new",
    "updatehostkeys": "false",
    "verifyhostkeydns": "false",
    "canonicalizehostname": "false",
    "forwardagent": "no",
    "forwardx11": "no",
    "clearallforwardings": "yes",
    "tunnel": "false",
    "permitlocalcommand": "no",
    "controlmaster": "false",
    "requesttty": "false",
    "escapechar": "none",
    "connecttimeout": "15",
    "connectionattempts": "1",
    "tcpkeepalive": "yes",
    "serveraliveinterval": "60",
    "serveralivecountmax": "5",
    "loglevel": "INFO",
}
ABSENT = ("proxycommand", "proxyjump", "controlpath", "localcommand", "sendenv", "remotecommand")


def effective(config: Path) -> dict[str, str]:
    """Return what ssh itself understands."""
    told = subprocess.run(
        ["ssh", "-G", "-F", config, "dormeur.univ-brest.fr"], capture_output=True, text=True, check=True
    )
    assert told.stderr == ""
    return dict(line.split(" ", 1) for line in told.stdout.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give dormeur's folder, as it is before the first connection."""
    folder = tmp_path / HOST
    folder.mkdir(0o750)
    key_pairs.generate(folder, HOST)
    (folder / "known_hosts").write_bytes(b"")
    write_config(folder, strict=False)
    return folder


def write_config(folder: Path, *, strict: bool) -> None:
    """Write the ssh_config of dormeur."""
    (folder / "ssh_config").write_bytes(ssh_files.ssh_config(folder, HOST, strict=strict))


def test_ssh_understands_every_line_as_it_is_meant(folder: Path) -> None:
    told = effective(folder / "ssh_config")

    assert {key: told.get(key) for key in EFFECTIVE} == EFFECTIVE
    assert told["identityfile"] == str(folder / "key")
    assert told["userknownhostsfile"] == str(folder / "known_hosts")
    assert told["hostname"] == "dormeur.univ-brest.fr"
    assert {key: told[key] for key in ABSENT if told.get(key, "none") != "none"} == {}


def test_strict_takes_no_key_that_is_not_known(folder: Path) -> None:
    write_config(folder, strict=True)

    assert effective(folder / "ssh_config") == EFFECTIVE | effective(folder / "ssh_config") | {
        "stricthostkeychecking": "true"
    }


class Sshd:
    """A sshd on loopback that lets dormeur's key in as whoever runs the tests."""

    def __init__(self, place: Path, authorized: str) -> None:
        place.mkdir()
        self._place = place
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (place / "authorized_keys").write_text(authorized + "\n")
        self.new_host_key("ed25519")
        self._process: subprocess.Popen[bytes] | None = None

    def new_host_key(self, kind: str) -> None:
        """Make it another machine, as far as ssh can tell."""
        for path in self._place.glob("host_key*"):
            path.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", self._place / "host_key"], check=True)

    def start(self) -> None:
        """Start it and wait until it listens."""
        root = os.geteuid() == 0
        if root:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (self._place / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self._place}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {self._place}/authorized_keys\nStrictModes no\n"
            f"UsePAM {'yes' if root else 'no'}\nLogLevel VERBOSE\n"
        )
        log = (self._place / "log").open("ab")
        self._process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", self._place / "sshd_config"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self._place / "log").read_text())

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)
            self._process = None

    def restart_as_another_machine(self, kind: str = "ed25519") -> None:
        """Start it again with another ssh host key."""
        self.stop()
        self.new_host_key(kind)
        self.start()


@pytest.fixture
def sshd(folder: Path, tmp_path: Path) -> Iterator[Sshd]:
    """Give a running sshd that knows dormeur's key."""
    sshd = Sshd(tmp_path / "sshd", f"restrict {key_pairs.public_key(folder)}")
    try:
        sshd.start()
        yield sshd
    finally:
        sshd.stop()


def connect(folder: Path, sshd: Sshd, address: str = "127.0.0.1") -> subprocess.CompletedProcess[str]:
    """Connect as BackupPC does, but for the account and port, which tests cannot choose."""
    arguments = ["-F", str(folder / "ssh_config"), "-p", str(sshd.port), "-l", getpwuid(os.geteuid()).pw_name]
    return subprocess.run(
        ["ssh", *arguments, address, "echo", "in"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_the_first_connection_learns_the_key_under_the_hosts_own_name(folder: Path, sshd: Sshd) -> None:
    first, second = connect(folder, sshd), connect(folder, sshd, "localhost")

    assert (first.returncode, first.stdout) == (0, "in\n"), first.stderr
    assert (second.returncode, second.stdout, second.stderr) == (0, "in\n", "")
    (line,) = (folder / "known_hosts").read_text().splitlines()
    assert line.startswith("dormeur ssh-ed25519 ")


def test_another_machine_under_the_same_name_gets_nothing_and_the_reason_is_told(
    folder: Path, sshd: Sshd
) -> None:
    connect(folder, sshd)
    known = (folder / "known_hosts").read_bytes()
    sshd.restart_as_another_machine()

    answer = connect(folder, sshd)

    assert (answer.returncode, answer.stdout) == (255, "")
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in answer.stderr
    assert (folder / "known_hosts").read_bytes() == known


@pytest.mark.parametrize("strict", [False, True])
def test_another_machine_does_not_get_in_by_another_type_of_key(
    strict: bool, folder: Path, sshd: Sshd
) -> None:
    connect(folder, sshd)
    known = (folder / "known_hosts").read_bytes()
    sshd.restart_as_another_machine("ecdsa")
    write_config(folder, strict=strict)

    answer = connect(folder, sshd)

    assert answer.returncode == 255
    assert "Host key verification failed" in answer.stderr
    assert (folder / "known_hosts").read_bytes() == known


def test_strict_lets_the_known_machine_in(folder: Path, sshd: Sshd) -> None:
    connect(folder, sshd)
    write_config(folder, strict=True)

    answer = connect(folder, sshd)

    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "in\n", "")


def test_what_ssh_has_learned_is_what_we_read_and_what_we_write_is_what_ssh_takes(
    folder: Path, sshd: Sshd
) -> None:
    connect(folder, sshd)
    learned = (folder / "known_hosts").read_bytes()
    (key,) = ssh_files.from_bytes(learned, HOST)

    (folder / "known_hosts").write_bytes(ssh_files.to_bytes(HOST, key))
    write_config(folder, strict=True)

    assert ssh_files.to_bytes(HOST, key) == learned
    assert connect(folder, sshd).stdout == "in\n"
    with pytest.raises(ValueError, match="is not a key of dormeu"):
        ssh_files.from_bytes(learned, "dormeu")


def test_strict_connects_to_nobody_while_no_key_is_known(folder: Path, sshd: Sshd) -> None:
    write_config(folder, strict=True)

    answer = connect(folder, sshd)

    assert answer.returncode == 255
    assert "Host key verification failed" in answer.stderr


def test_a_key_that_is_not_let_in_is_refused_without_a_question(folder: Path, sshd: Sshd) -> None:
    for name in ("key", "key.pub"):
        (folder / name).unlink()
    key_pairs.generate(folder, HOST)

    answer = connect(folder, sshd)

    assert answer.returncode == 255
    assert "Permission denied" in answer.stderr
