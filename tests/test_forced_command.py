"""The forced command as a process of its own: environment in, one reply and one log line out."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from backuppc_register import forced_command

CHECKOUT = Path(__file__).parent.parent
PYTHON = "/usr/bin/python3"  # what authorized_keys names; every account may run it
CONNECTION = "82.254.212.144 49631 134.158.240.3 22"
FIELDS = ["request", "code", "host", "user", "os", "status", "register_key", "ms", "detail"]


class Door:
    """The program with a configuration in a folder, and a syslog that only listens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A copy, because the account that we become may not read the checkout.
        shutil.copytree(CHECKOUT / "backuppc_register", folder / "opt/backuppc_register")
        shutil.copytree(CHECKOUT / "bin", folder / "opt/bin")
        self.command = [PYTHON, "-I", str(folder / "opt/bin/backuppc-register")]
        for name in ("etc", "data/pc", "state"):
            (folder / name).mkdir(parents=True)
        (folder / "etc/hosts").write_text("host\tdhcp\tuser\tmoreUsers\n")
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(str(folder / "log"))
        self.syslog.settimeout(5)
        (folder / "log").chmod(0o777)
        self.config = folder / "config.toml"
        self.config.write_text(f"""
            [server]
            url = "https://dugong.univ-brest.fr/backuppc/index.cgi?host={{host}}"
            [directory]
            servers = ["ldap://127.0.0.1:1"]
            base = "dc=univ-brest,dc=fr"
            [dns]
            domains = ["univ-brest.fr"]
            nameservers = ["127.0.0.1"]
            port = 1
            timeout = 1
            [backuppc]
            hosts = "{folder}/etc/hosts"
            config_dir = "{folder}/etc"
            data_dir = "{folder}/data"
            socket = ""
            [state]
            directory = "{folder}/state"
            [syslog]
            socket = "{folder}/log"
        """)
        self.as_the_owner()

    def as_the_owner(self) -> None:
        """Root cannot be the owner: a root-owned folder is no BackupPC's."""
        if os.geteuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, 65534, 65534)

    def ask(self, command: bytes | None, *options: str, connection: str | None = CONNECTION):
        environment = {"PATH": os.environ["PATH"], "HOME": "/"}
        if command is not None:
            environment |= {"SSH_ORIGINAL_COMMAND": os.fsdecode(command)}
        if connection is not None:
            environment |= {"SSH_CONNECTION": connection}
        options = options or ("--config", str(self.config))
        return subprocess.run(
            [*self.command, *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def logged(self) -> str:
        line = self.syslog.recv(65536).decode("ascii")
        self.syslog.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.syslog.recv(65536)
        self.syslog.settimeout(5)
        return line


@pytest.fixture
def door():
    # Not tmp_path: its parents are closed to every account but the one that runs the tests.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Door(Path(folder))
        yield made
        made.syslog.close()


@pytest.mark.parametrize(
    ("command", "message", "status", "code"),
    [
        (None, "no command given", 64, "no-command"),
        (b"", "no command given", 64, "no-command"),
        (b"mac", "ostype is unknown", 64, "ostype-unknown"),
        (b"Mac:cmartin", "ostype is unknown", 64, "ostype-unknown"),
        (b"verify:bsd:cmartin", "ostype is unknown", 64, "ostype-unknown"),
        (b"verify:mac:cmartin", "the DNS did not answer", 75, "dns-unavailable"),
        (b"scp -t .", "ostype is unknown", 64, "ostype-unknown"),
        (b"mac:" + b"a" * 65536, "ostype is unknown", 64, "ostype-unknown"),
        (b"mac:$(id) x=1", "bad user request : $(id) x=1", 67, "bad-user"),
        (b"mac:c\nmartin", r"bad user request : c\x0amartin", 67, "bad-user"),
        (b"mac:\xe9\\", r"bad user request : \xe9\x5c", 67, "bad-user"),
        (b"mac:", "bad user request : ", 67, "bad-user"),
        (b"mac:cmartin", "the DNS did not answer", 75, "dns-unavailable"),
    ],
)
def test_the_reply_is_the_connection_the_message_and_what_to_do(door, command, message, status, code):
    answer = door.ask(command)

    first, *further = answer.stdout.decode("ascii").split("\n")
    assert first == f"{CONNECTION} {message}"
    assert further[0] == f"error:{code}"
    assert re.fullmatch(r"request:[0-9]{8}", further[1])
    assert re.fullmatch(r"advice:[ -~]+", further[2])
    assert further[3:] == [""]
    assert (answer.returncode, answer.stderr) == (status, b"")


def test_the_log_line_has_every_field_in_its_order_and_nobody_forges_one(door):
    command = b"mac:x code=success host=sirene"

    answer = door.ask(command, "--config", str(door.config), "--register-key", "iuem")

    line = door.logged()
    number = re.search(rb"request:([0-9]+)", answer.stdout).group(1).decode()
    # 157 is local3.notice
    assert re.match(r"<157>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} backuppc-register\[[0-9]+\]: ", line)
    forged = r"x\x20code\x3dsuccess\x20host\x3dsirene"
    assert f": {CONNECTION} bad user request : {forged} request={number} code=bad-user host=- " in line
    assert f" host=- user={forged} os=mac status=- register_key=iuem ms=" in line
    assert re.findall(r" ([a-z_]+)=", line) == FIELDS


def test_without_ssh_connection_there_is_no_prefix(door):
    unknown = "UNKNOWN 65535 UNKNOWN 65535"
    for connection in (None, "", unknown, "1.2.3.4 1 1.2.3.4", "1.2.3.4 1 ::1 22\nsuccess"):
        answer = door.ask(b"mac:cmartin", connection=connection)

        assert answer.stdout.startswith(b"internal error\nerror:internal\n")
        assert (answer.returncode, answer.stderr) == (70, b"")
        assert "code=internal" in door.logged()


@pytest.mark.parametrize("wrong", ["[server]\nurl = 1\n", "no toml", "[surprise]\n"])
def test_a_wrong_configuration_is_told_to_syslog_alone(door, wrong):
    door.config.write_text(f'[backuppc]\nconfig_dir = "{door.folder}/etc"\n{wrong}')

    answer = door.ask(b"mac:cmartin")

    first = f"{CONNECTION} the server is misconfigured\n"
    assert answer.stdout.decode().startswith(f"{first}error:misconfigured\n")
    assert answer.returncode == 78
    assert answer.stderr == b""


def test_all_problems_of_the_configuration_are_in_one_line(door):
    text = door.config.read_text()
    door.config.write_text(text.replace("timeout = 1", 'timeout = "1"').replace("port = 1", "prot = 1"))

    door.ask(b"mac:cmartin")

    line = door.logged()
    assert "[dns] timeout: is not a whole number" in line
    assert "[dns] prot: is no key of ours" in line


@pytest.mark.parametrize("options", [("--surprise",), ("--config",), ("word",)])
def test_wrong_options_are_the_servers_fault(door, options):
    answer = door.ask(b"mac:cmartin", *options)

    assert answer.returncode == 78
    assert answer.stderr == b""


@pytest.mark.lab  # only root can be a third account
def test_a_third_account_is_told_so_and_exits_2(door):
    answer = subprocess.run(
        ["setpriv", "--reuid=1", "--regid=1", "--clear-groups", *door.command, "--config", door.config],
        env={"SSH_CONNECTION": CONNECTION, "SSH_ORIGINAL_COMMAND": "mac:cmartin"},
        capture_output=True,
        check=False,
    )

    assert answer.returncode == 2
    assert b"start it as that account" in answer.stdout
    assert "started by uid 1" in door.logged()


def test_a_bug_of_ours_is_told_to_syslog_alone(door):
    (door.folder / "state/FORMAT").mkdir()

    answer = door.ask(b"mac:cmartin")

    assert b"Traceback" not in answer.stdout
    assert answer.stderr == b""
    assert answer.returncode in (70, 78)


def test_a_client_that_went_away_leaves_a_line_all_the_same(door):
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [*door.command, "--config", str(door.config)],
        env={"SSH_CONNECTION": CONNECTION, "SSH_ORIGINAL_COMMAND": "mac:"},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (67, b"")
    assert "code=bad-user" in door.logged()


def test_no_syslog_is_no_reason_to_fail(door):
    (door.folder / "log").unlink()

    assert door.ask(b"mac:").returncode == 67


def test_an_open_standard_input_is_not_waited_for(door):
    reader, writer = os.pipe()

    done = subprocess.run(
        [*door.command, "--config", str(door.config)],
        env={"SSH_CONNECTION": CONNECTION, "SSH_ORIGINAL_COMMAND": "mac:"},
        stdin=reader,
        capture_output=True,
        timeout=20,
        check=False,
    )
    os.close(reader)
    os.close(writer)

    assert done.returncode == 67


# What verify reads


class Pipe:
    """Standard input, as the other side writes it."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()

    def send(self, content: bytes) -> None:
        threading.Thread(target=os.write, args=(self._write, content), daemon=True).start()

    def end(self) -> None:
        os.close(self._write)


@pytest.fixture
def pipe():
    return Pipe()


@pytest.mark.parametrize("content", [b"", b"hostkey:x\n", b".x\n..\n x.\n", b"\0\xff", b"x" * 16384])
def test_standard_input_is_read_to_its_end(pipe, content):
    os.write(pipe._write, content)
    pipe.end()

    assert forced_command._said(pipe.read) == content


@pytest.mark.parametrize("content", [b".\n", b"hostkey:x\n.\n", b"hostkey:x\r\n.\r\n", b"\n\n.\nmore"])
def test_a_line_with_a_dot_ends_standard_input_that_stays_open(pipe, content):
    for n in range(len(content)):
        os.write(pipe._write, content[n : n + 1])
    started = time.monotonic()

    assert forced_command._said(pipe.read) == content
    assert time.monotonic() - started < 1


def test_no_more_than_16_kib_are_read(pipe):
    pipe.send(b"x" * 65536)

    assert forced_command._said(pipe.read) == b"x" * 16384


def test_what_comes_too_late_is_not_waited_for(pipe, mocker):
    mocker.patch.object(forced_command, "_READ_WITHIN", 0.3)
    os.write(pipe._write, b"hostkey:x\nhost")
    started = time.monotonic()

    assert forced_command._said(pipe.read) == b"hostkey:x\nhost"
    assert time.monotonic() - started < 2


def test_a_sender_that_drips_is_not_waited_for_longer(pipe, mocker):
    mocker.patch.object(forced_command, "_READ_WITHIN", 0.4)
    started = time.monotonic()

    def drip():
        for _ in range(30):
            os.write(pipe._write, b"x")
            time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()

    assert set(forced_command._said(pipe.read)) == set(b"x")
    assert time.monotonic() - started < 2
