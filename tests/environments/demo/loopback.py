"""The story without disposable hosts: a registration on loopback addresses, by real services."""

import os
import pwd
import shlex
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from services.nsd import Nsd, NsdError
from services.slapd import BASE, Slapd, SlapdError
from services.sshd import Sshd, SshdError, make_key

from .telling import Telling, expect

CHECKOUT = Path(__file__).resolve().parents[3]
PYTHON = "/usr/bin/python3"
LAPTOP = "127.0.0.5"
SERVER = "127.0.0.1"
ZONES = {
    "univ-brest.fr": f"dormeur A {LAPTOP}\n",
    "127.in-addr.arpa": "5.0.0 PTR dormeur.univ-brest.fr.\n",
}
HOSTS = "host\tdhcp\tuser\tmoreUsers\n"
CONFIG = """\
[server]
url = "https://dugong.univ-brest.fr/backuppc/index.cgi?host={{host}}"
[directory]
servers = ["{ldap}"]
base = "{base}"
[dns]
domains = ["univ-brest.fr"]
nameservers = ["{server}"]
port = {dns}
[backuppc]
hosts = "{folder}/backuppc/hosts"
config_dir = "{folder}/backuppc"
data_dir = "{folder}/data"
socket = ""
[state]
directory = "{folder}/state"
[syslog]
socket = "{folder}/log"
"""
NO_SHELLS = ("nologin", "false")
ACCOUNT = "backuppc"
PEOPLE = {"cmartin": "Christophe Martin", "adupont": "Anne Dupont", "JDupond": "Jean Dupond"}
ERRORS = (NsdError, SlapdError, SshdError)


@dataclass
class Story:
    """What every step needs: who tells it, sshd, the register-key, our files, syslog, two logons."""

    telling: Telling
    sshd: Sshd
    key: Path
    folder: Path
    log: socket.socket
    owner: str
    stranger: str


def tell(telling: Telling, reason: str) -> int:
    """Tell the story, and for what *reason* it is this one; give the exit status.

    Raises StoryError and those of ERRORS.
    """
    if not os.geteuid():
        return _tell_as_backuppc(reason)
    telling.title("backuppc-register: a laptop enrols itself in BackupPC")
    telling.say(f"Without disposable hosts ({reason}): the registration on loopback addresses, no backup.")
    with ExitStack() as stack:
        story = _build(telling, stack)
        _register(story)
        _look_at_the_server(story)
        _ask_again(story)
        _stranger(story)
    telling.step(f"Done in {telling.seconds:.0f} s")
    telling.row("registered", f"dormeur, for {PEOPLE[story.owner]}")
    telling.row("refused", f"{PEOPLE[story.stranger]}, who wanted the same host")
    telling.row("not shown", "the laptop's setup, backups, restores: these take root, overlayfs, namespaces")
    telling.say("Next: README.md says how to install it on a real server.")
    return 0


def _tell_as_backuppc(reason: str) -> int:
    """Tell it as BackupPC's account: like every program of ours, this story has no use for root."""
    with tempfile.TemporaryDirectory(prefix="demo.") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the checkout itself may lie where only root can read
        unwanted = shutil.ignore_patterns(".*", "__pycache__")
        for part in ("backuppc_register", "bin", "tests"):
            shutil.copytree(CHECKOUT / part, folder / part, ignore=unwanted)
        environment = os.environ | {"HOME": str(folder), "PYTHONPATH": str(folder / "tests/environments")}
        command = [PYTHON, "-P", "-m", "demo", "--loopback", reason]
        groups: list[str | int] = []
        process = subprocess.Popen(command, env=environment, user=ACCOUNT, group=ACCOUNT, extra_groups=groups)
        try:
            return process.wait()
        finally:
            process.terminate()
            process.wait()


def _build(telling: Telling, stack: ExitStack) -> Story:
    telling.step("Real services on high ports of loopback addresses")
    person = pwd.getpwuid(os.geteuid())
    can_log_in = not person.pw_shell.endswith(NO_SHELLS)
    expect(can_log_in, f"sshd can start a command for {person.pw_name}, whose shell is {person.pw_shell}")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo.")))
    slapd = stack.enter_context(Slapd(addresses=[SERVER]))
    nsd = stack.enter_context(Nsd(ZONES, addresses=[SERVER]))
    log = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    log.bind(f"{folder}/log")
    log.setblocking(False)
    _install(folder, slapd, nsd)
    key = folder / "register-key"
    sshd = stack.enter_context(Sshd(f"{_forced(folder)} {make_key(key, comment='register-key')}\n"))
    telling.row(
        "sshd", f"port {sshd.port}, as {person.pw_name}; the register-key starts our program, no shell"
    )
    # The account that BackupPC runs as, here the one that tells the story, is no person to register for.
    owner, stranger = [logon for logon in PEOPLE if logon != person.pw_name][:2]
    telling.row("slapd", f"port {slapd.port}; it knows {PEOPLE[owner]} and {PEOPLE[stranger]}")
    telling.row("NSD", f"port {nsd.port}; for it {LAPTOP} is dormeur.univ-brest.fr")
    return Story(telling, sshd, key, folder, log, owner, stranger)


def _forced(folder: Path) -> str:
    """Give the options before the register-key in authorized_keys; the checkout's path may hold a blank."""
    program = CHECKOUT / "bin/backuppc-register"
    line = shlex.join([PYTHON, "-I", str(program), "--config", f"{folder}/config.toml"])
    quoted = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'restrict,command="{quoted}"'


def _install(folder: Path, slapd: Slapd, nsd: Nsd) -> None:
    for part in ("backuppc", "data/pc", "state"):
        (folder / part).mkdir(parents=True)
    (folder / "backuppc/hosts").write_text(HOSTS)
    config = CONFIG.format(ldap=slapd.ldap(SERVER), base=BASE, server=SERVER, dns=nsd.port, folder=folder)
    (folder / "config.toml").write_text(config)


def _ask(story: Story, request: str) -> list[str]:
    """Let the laptop send *request*, show both, give the reply's lines."""
    command = story.sshd.command(story.key, request)
    command[1:1] = ["-b", LAPTOP]
    shown = f"ssh -xa -b {LAPTOP} -i register-key -p {story.sshd.port} ... {request}"
    story.telling.command("dormeur", shown)
    answered = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    story.telling.quote(answered.stdout + answered.stderr)
    return answered.stdout.splitlines() or [""]


def _last_log_line(story: Story) -> str:
    line = ""
    try:
        while True:
            line = story.log.recv(65536).decode("ascii", "replace")
    except BlockingIOError:
        return line


def _register(story: Story) -> None:
    story.telling.step(f"{PEOPLE[story.owner]}'s laptop registers")
    reply = _ask(story, f"linux:{story.owner}")
    expect(reply[0] == "success", "the first line is success")
    expect(any(line.startswith("key:") for line in reply), "there is a key")


def _look_at_the_server(story: Story) -> None:
    story.telling.step("What the administrator finds on the server")
    line = (story.folder / "backuppc/hosts").read_text().splitlines()[-1]
    story.telling.say("The line in BackupPC's hosts file:")
    story.telling.quote(line)
    expect(line.split() == ["dormeur", "0", story.owner], f"the hosts line is dormeur 0 {story.owner}")
    story.telling.say("What went to syslog:")
    entry = _last_log_line(story)
    story.telling.quote(entry)
    expect(" success " in entry and "status=new" in entry, "syslog tells it")


def _ask_again(story: Story) -> None:
    story.telling.step("The same person again: the same key, and nothing changes")
    hosts = story.folder / "backuppc/hosts"
    before = hosts.read_bytes()
    reply = _ask(story, f"linux:{story.owner}")
    expect("status:unchanged" in [line.replace(" ", "") for line in reply], "the status is unchanged")
    expect(hosts.read_bytes() == before, "the hosts file is what it was, to the byte")
    _last_log_line(story)


def _stranger(story: Story) -> None:
    story.telling.step("Somebody else tries to take dormeur")
    reply = _ask(story, f"linux:{story.stranger}")
    expect("error:other-owner" in reply, "the reply is other-owner")
    story.telling.say("How that reads in syslog:")
    entry = _last_log_line(story)
    story.telling.quote(entry)
    expect("code=other-owner" in entry, "syslog says other-owner")
