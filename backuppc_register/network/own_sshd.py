"""Log in to this server's own sshd with a register-key, as a client setup does."""

import re
from dataclasses import dataclass
from pathlib import Path

from backuppc_register import host_key
from backuppc_register.system import atomic_files, processes, temporary

SSH_FOLDER = Path("/etc/ssh")
PORT = 22
"""The port that client setups come to."""

_CONNECT_SECONDS = 5
# No command: our program answers `no command given`, and does nothing else.
_OPTIONS = (
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "ConnectionAttempts=1",
    f"ConnectTimeout={_CONNECT_SECONDS}",
)
# SSH_CONNECTION, which begins the first line of a refusal, unless something else is printed before it.
_FIRST_LINE = re.compile(r"[0-9A-Fa-f.:%\w]+ \d+ [0-9A-Fa-f.:%\w]+ \d+ \S.*")
_CODE = re.compile(r"^error:([a-z-]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Way:
    """Where to log in: *target*, a name or address, as *account*; *name*: the server's in known_hosts."""

    name: str
    target: str
    account: str


@dataclass(frozen=True)
class Attempt:
    """How a login ended: exit *status* of ssh, its *output*, and what it *said* on standard error.

    *code*: the code in the answer of our program, "" if that did not answer. *before*: what was printed
    before that answer.
    """

    status: int
    output: str
    said: str
    code: str = ""
    before: str = ""

    @property
    def not_connected(self) -> bool:
        """Tell whether no sshd was reached at that target."""
        return self.status == 255 and bool(re.search(r"^ssh: ", self.said))


def host_keys(folder: Path = SSH_FOLDER) -> list[str]:
    """Return this machine's public ssh host keys, as TYPE BASE64; raises OSError."""
    paths = sorted(folder.glob("ssh_host_*_key.pub"))
    found = (host_key.read(path.read_text("ascii", "replace").strip()) for path in paths)
    return [str(key) for key in found if key]


def log_in(way: Way, private: bytes, known: list[str], timeout: float) -> Attempt:
    """Log in with the key *private* and no command; *known*: the ssh host keys that are accepted.

    Raises OSError if ssh cannot be started or does not end in time, NoSpace.
    """
    with temporary.folder() as folder:
        key, known_hosts = folder / "register-key", folder / "known_hosts"
        atomic_files.write(key, private, 0o600)
        rows = "".join(f"{way.name} {one}\n" for one in known)
        atomic_files.write(known_hosts, rows.encode("ascii"), 0o600)
        options = (*_OPTIONS, f"UserKnownHostsFile={known_hosts}", f"HostKeyAlias={way.name}")
        words = [word for option in options for word in ("-o", option)]
        place = ["-p", str(PORT), "-l", way.account, "-i", str(key), "--", way.target]
        ended = processes.run(["ssh", "-F", "none", "-x", "-a", "-T", *words, *place], timeout)
    return _read(ended)


def _read(ended: processes.ProgramResult) -> Attempt:
    output = ended.output.decode("utf-8", "replace")
    said = " ".join(ended.error_text.split())
    code = _CODE.search(output)
    if not code:
        return Attempt(ended.status, output, said)
    first = output.partition("\n")[0]
    before = "" if _FIRST_LINE.fullmatch(first) else first
    return Attempt(ended.status, output, said, code[1], before)
