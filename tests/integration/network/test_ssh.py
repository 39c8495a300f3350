"""The connection back, to a real sshd and to peers that break the protocol in every way."""

import os
import pwd
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pytest
from services.sshd import Sshd, free_port, make_key
from slowness import within

from backuppc_register import host_key
from backuppc_register.network import ssh
from backuppc_register.network.ssh import LARGEST_ANSWER, Place
from backuppc_register.protocol.errors import Internal, Misconfigured, NotReachable
from backuppc_register.system.deadline import Deadline

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """The host's private key, as the state keeps it."""
    path = tmp_path_factory.mktemp("key") / "key"
    make_key(path)
    return path


def forced(key: Path, command: str) -> str:
    return f'restrict,command="{command}" {key.with_name("key.pub").read_text()}'


@dataclass(frozen=True)
class Way:
    """BackupPC's ssh to a peer, by options instead of a file."""

    place: Place
    ssh: tuple[str, ...]


def way(peer: Any, key: Path | str = "none", *options: str, account: str = ME, name: str = "") -> Way:
    settings = ["IdentitiesOnly=yes", f"IdentityFile={key}", "HostKeyAlias=dormeur", f"Port={peer.port}"]
    settings += [f"User={account}", "PreferredAuthentications=publickey", *options]
    words = ("/usr/bin/ssh", "-F", "none", *(word for one in settings for word in ("-o", one)))
    return Way(Place("dormeur", name or peer.address, peer.port), words)


def asked(peer, key, within=10.0, **options):
    """Go the whole way, as verify does."""
    time_left, its_way = Deadline(within), way(peer, key, **options)
    shown = ssh.offered_key(its_way, time_left.remaining())
    return ssh.run(its_way, shown, key, "probe", time_left.remaining())


def failure(peer, key, within=10.0, **options) -> NotReachable:
    with pytest.raises(NotReachable) as refusal:
        asked(peer, key, within=within, **options)
    assert refusal.value.values["host"] == "dormeur"
    return refusal.value


def step(peer, key, within=10.0) -> str:
    return failure(peer, key, within).values["step"]


# a real sshd


@pytest.fixture(scope="module")
def sshd():
    with Sshd(key_types=("ed25519", "ecdsa", "rsa")) as sshd:
        yield sshd


def test_a_command_is_run_with_the_hosts_key_and_its_words_come_back(sshd, key):
    sshd.authorize(forced(key, "echo share:/home; echo $SSH_ORIGINAL_COMMAND; echo oh >&2; exit 69"))

    answer = asked(sshd, key)

    assert (answer.output, answer.errors, answer.status) == ("share:/home\nprobe\n", "oh", 69)


def test_the_host_key_is_told_before_anybody_logs_in(sshd):
    sshd.authorize("")

    key = ssh.offered_key(way(sshd), 10)

    assert str(key) in sshd.host_keys
    assert key.type == "ssh-ed25519"


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_the_type_of_key_that_we_know_is_asked_for_first(sshd, kind):
    key = ssh.offered_key(way(sshd), 10, [kind])

    assert key.type == kind
    assert str(key) in sshd.host_keys


def test_a_type_that_it_does_not_have_gives_another_one(sshd):
    assert (
        str(ssh.offered_key(way(sshd), 10, ["ecdsa-sha2-nistp521", "ssh-dss", "nonsense"])) in sshd.host_keys
    )


def test_no_setting_lets_ssh_take_another_key_than_the_one_that_was_recognised(sshd, key, tmp_path):
    sshd.authorize(forced(key, "echo here"))
    its_way = way(sshd, key, "StrictHostKeyChecking=no", f"UserKnownHostsFile={tmp_path}/all")
    for kind in ("ed25519", "ecdsa"):
        another = host_key.read(make_key(tmp_path / kind, kind=kind))
        assert another is not None

        with pytest.raises(NotReachable) as refusal:
            ssh.run(its_way, another, key, "probe", 10)

        assert refusal.value.values["step"] == "negotiation"
    assert not (tmp_path / "all").exists()


# What OpenSSH can talk to, and therefore BackupPC.
STRICT = {
    "gcm": "Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com",
    "chacha20": "Ciphers chacha20-poly1305@openssh.com",
    "sntrup761": "KexAlgorithms sntrup761x25519-sha512@openssh.com",
    "etm": "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com",
    "umac": "Ciphers aes128-ctr\nMACs umac-128-etm@openssh.com",
    "rsa": "HostKeyAlgorithms rsa-sha2-512\nKexAlgorithms diffie-hellman-group18-sha512",
    "ecdsa": "HostKeyAlgorithms ecdsa-sha2-nistp256\nKexAlgorithms ecdh-sha2-nistp521",
    "nist": "Ciphers aes256-gcm@openssh.com\nKexAlgorithms ecdh-sha2-nistp384",
}


@pytest.mark.parametrize("options", STRICT.values(), ids=STRICT)
def test_a_strict_sshd_that_backuppc_can_talk_to_is_talked_to(key, options):
    types = ("rsa",) if "rsa" in options else ("ed25519", "ecdsa")
    with Sshd(forced(key, "echo here"), key_types=types, options=options) as sshd:
        assert asked(sshd, key).output == "here\n"


OLD = {
    "cipher": "Ciphers 3des-cbc",
    "key exchange": "KexAlgorithms diffie-hellman-group1-sha1",
    "MAC": "Ciphers aes128-ctr\nMACs hmac-md5",
    "host key": "HostKeyAlgorithms ssh-rsa",
}


@pytest.mark.parametrize(("what", "options"), OLD.items(), ids=OLD)
def test_a_server_of_another_century_is_told_with_what_it_offers(key, what, options):
    with Sshd(forced(key, "true"), key_types=("rsa",), options=options) as sshd:
        refusal = failure(sshd, key)

    assert refusal.values["step"] == "negotiation"
    assert "sshd_config" not in refusal.advice
    assert re.search(f"no matching {what}.* found. Their offer: {options.split()[-1]}", refusal.detail, re.I)
    assert "OpenSSH_" in refusal.detail


def test_a_key_that_is_not_installed_is_not_let_in(sshd, key):
    sshd.authorize("")

    refusal = failure(sshd, key)

    assert refusal.values["step"] == "login"
    assert ME in refusal.values["reason"]


def test_an_account_that_is_not_there_is_not_let_in(sshd, key):
    sshd.authorize(forced(key, "true"))

    assert failure(sshd, key, account="no-such-account").values["step"] == "login"


@pytest.mark.parametrize(
    "options", ["DenyUsers *", "PubkeyAuthentication no", "PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256"]
)
def test_an_sshd_that_shuts_us_out_does_not_let_us_in(key, options):
    with Sshd(forced(key, "true"), options=options) as sshd:
        assert step(sshd, key) == "login"


def test_a_key_that_is_not_enough_does_not_let_us_in(key):
    options = "PasswordAuthentication yes\nAuthenticationMethods publickey,password"
    with Sshd(forced(key, "true"), options=options) as sshd:
        refusal = failure(sshd, key)

    assert refusal.values["step"] == "login"
    assert "password" in refusal.detail


def test_a_server_that_opens_no_session_is_no_success(key):
    with Sshd(forced(key, "true"), options="MaxSessions 0") as sshd:
        refusal = failure(sshd, key)

    assert refusal.values["step"] == "wrapper"
    assert "open failed" in refusal.detail
    assert "MaxSessions" in refusal.advice


@pytest.mark.parametrize("command", ["kill -9 $$", "exec kill -TERM $$"])
def test_a_command_that_is_killed_is_no_success(sshd, key, command):
    sshd.authorize(forced(key, command))

    assert step(sshd, key) == "wrapper"


def test_bytes_that_are_no_text_come_through_as_something(sshd, key):
    sshd.authorize(forced(key, r"printf '\\377\\000x'"))

    assert asked(sshd, key).output.endswith("x")


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_an_answer_without_an_end_is_cut(sshd, key, stream):
    sshd.authorize(forced(key, f"yes nonsense{stream}"))

    assert step(sshd, key) == "wrapper"


def test_an_answer_of_the_largest_size_is_taken_and_one_byte_more_is_not(sshd, key):
    sshd.authorize(forced(key, f"head -c {LARGEST_ANSWER} /dev/zero"))
    assert len(asked(sshd, key).output) == LARGEST_ANSWER

    sshd.authorize(forced(key, f"head -c {LARGEST_ANSWER + 1} /dev/zero"))
    assert step(sshd, key) == "wrapper"


@pytest.mark.parametrize("command", ["sleep 60", "exec >&- 2>&-; sleep 60"])
def test_a_command_that_never_ends_is_left_in_time(sshd, key, command):
    sshd.authorize(forced(key, command))
    started = time.monotonic()

    assert step(sshd, key, within=3) == "silent"
    assert within(time.monotonic() - started, 6)


def test_all_addresses_of_a_name_are_tried(key):
    with Sshd(forced(key, "echo here"), address="127.0.0.1") as sshd:
        assert asked(sshd, key, name="localhost").output == "here\n"


@pytest.mark.parametrize("content", [None, "", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_our_own_key_that_cannot_be_used_is_our_own_fault(sshd, tmp_path, content):
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)

    with pytest.raises(Internal):
        asked(sshd, path)


def test_an_ssh_that_is_not_there_is_our_own_fault(sshd):
    with pytest.raises(Misconfigured):
        ssh.offered_key(Way(Place("dormeur", "127.0.0.1"), ("/nowhere/ssh",)), 10)


# nobody


def test_where_nobody_listens_the_connection_is_refused(key):
    refusal = failure(type("Peer", (), {"address": "127.0.0.1", "port": free_port()}), key)

    assert refusal.values["step"] == "refused"
    assert "of 127.0.0.1" in refusal.values["reason"]


def test_where_packets_are_dropped_it_is_a_firewall(key):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        peer = type("Peer", (), {"address": "127.0.0.1", "port": full.getsockname()[1]})

        assert step(peer, key, within=1) == "firewall"

        for one in waiting:
            one.close()


@pytest.mark.parametrize("name", ["no-such-name.invalid", "", "a" * 64, "x" * 300, "\0", "é." * 200])
def test_a_name_without_an_address_is_told_as_such(name):
    with pytest.raises(NotReachable) as refusal:
        ssh.offered_key(Way(Place("dormeur", name or "."), ("/bin/false",)), 10)

    assert refusal.value.values["step"] == "name"


RESOLVED = [
    (2, 1, 6, "", ("127.0.0.1", 22)),
    (2, 1, 6, "", ("127.0.0.2", 22)),
    (10, 1, 6, "", ("::1", 22, 0, 0)),
]


@pytest.mark.parametrize(
    ("address", "step"), [("127.0.0.1", "elsewhere"), ("0:0::1", "elsewhere"), ("127.0.0.9", "name")]
)
def test_a_name_that_no_longer_leads_to_the_given_address_is_not_connected_to(mocker, address, step):
    mocker.patch("socket.getaddrinfo", return_value=RESOLVED)

    with pytest.raises(NotReachable) as refusal:
        ssh.offered_key(Way(Place("x", "x", 22, address), ("/bin/false",)), 5)

    assert refusal.value.values["step"] == step


def test_a_resolver_that_never_answers_is_left_in_time(mocker):
    mocker.patch("socket.getaddrinfo", side_effect=lambda *_, **__: [time.sleep(3)][:0])
    started = time.monotonic()

    with pytest.raises(NotReachable) as refusal:
        ssh.offered_key(Way(Place("dormeur", "dormeur"), ("/bin/false",)), 0.5)

    assert refusal.value.values["step"] == "name"
    assert within(time.monotonic() - started, 2)


def test_without_time_nobody_is_waited_for(sshd, key):
    assert step(sshd, key, within=0) == "silent"


# broken peers


class Peer:
    """Whatever listens on a port and is no sshd: each connection is given to *conduct*."""

    def __init__(self, conduct: Callable[[socket.socket], None]) -> None:
        self.address, self.sent = "127.0.0.1", 0
        self._listening = socket.create_server((self.address, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, args=(conduct,), daemon=True).start()

    def _serve(self, conduct: Callable[[socket.socket], None]) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._meet, args=(conduct, connection), daemon=True).start()

    def _meet(self, conduct: Callable[[socket.socket], None], connection: socket.socket) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException), connection:
            conduct(connection)

    def close(self) -> None:
        self._listening.close()


@contextmanager
def peer(conduct: Callable[[socket.socket], None]) -> Iterator[Peer]:
    made = Peer(conduct)
    try:
        yield made
    finally:
        made.close()


def hang_up(connection):
    """Close at once."""


def silent(connection):
    time.sleep(8)


def web(connection):
    connection.recv(1024)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def mail(connection):
    connection.sendall(b"220 dormeur ESMTP\r\n")
    time.sleep(8)


def crowded(connection):
    connection.sendall(b"Exceeded MaxStartups\r\n")


def penalty(connection):
    connection.sendall(b"Not allowed at this time\r\n")


def drip(connection):
    for _ in range(80):
        connection.sendall(b"x")
        time.sleep(0.1)


def drip_lines(connection):
    for _ in range(80):
        connection.sendall(b"x\n")
        time.sleep(0.1)


def flood(connection):
    while True:
        connection.sendall(b"x" * 65536)


def flood_lines(connection):
    while True:
        connection.sendall(b"x\n" * 32768)


def greet(rest: bytes, then: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    def conduct(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n" + rest)
        then(connection)

    return conduct


BROKEN = [
    (hang_up, "hung-up"),
    (crowded, "hung-up"),
    (penalty, "hung-up"),
    (silent, "not-ssh"),
    (web, "not-ssh"),
    (mail, "not-ssh"),
    (drip, "not-ssh"),
    (drip_lines, "not-ssh"),
    (flood, "not-ssh"),
    (flood_lines, "not-ssh"),
    (greet(b"", hang_up), "negotiation"),
    (greet(b"", silent), "negotiation"),
    (greet(b"", flood), "negotiation"),
    (greet(b"\0\0\0\x0c\x0a" + b"\x14" * 11, silent), "negotiation"),
    (greet(b"\xff" * 64, silent), "negotiation"),
    (greet(b"\0\0\0\0", silent), "negotiation"),
    (greet(b"\0\0\0\x14\x04\x14" + b"\0" * 18, silent), "negotiation"),
    (greet(b"\0\0\0\x0c\x06\x01\0\0\0\x02\0\0\0\x03bye", hang_up), "negotiation"),
]


@pytest.mark.parametrize(("conduct", "word"), BROKEN, ids=range(len(BROKEN)))
def test_a_peer_that_is_no_ssh_server_is_told_as_such_and_in_time(conduct, word, key):
    started = time.monotonic()

    with peer(conduct) as broken:
        assert step(broken, key, within=1) == word

    assert within(time.monotonic() - started, 4)


class Odd(paramiko.ServerInterface):
    """An ssh server that lets anybody in and answers nothing after that, or not even that."""

    def __init__(self, *, mute: str) -> None:
        self.mute = mute

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        if self.mute == "login":
            time.sleep(6)
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        if self.mute == "session":
            time.sleep(6)
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        time.sleep(6)
        return True


@pytest.mark.parametrize("mute", ["login", "session", "command"])
def test_a_server_that_falls_silent_is_left_in_time(mute, key):
    host_key = paramiko.ECDSAKey.generate()

    def conduct(connection):
        transport = paramiko.Transport(connection)
        transport.add_server_key(host_key)
        transport.start_server(server=Odd(mute=mute))
        time.sleep(8)

    started = time.monotonic()
    with peer(conduct) as odd:
        assert step(odd, key, within=3) == "silent"

    assert within(time.monotonic() - started, 6)
