"""Connect back to a machine with BackupPC's own ssh: learn its ssh host key, run one command there."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol

from backuppc_register import host_key
from backuppc_register.host_key import HostKey
from backuppc_register.network import ssh_words
from backuppc_register.network.timeout import with_timeout
from backuppc_register.protocol.errors import Internal, Misconfigured, NoSpace, NotReachable
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system import atomic_files, os_errors, processes, temporary
from backuppc_register.system.deadline import Deadline

LARGEST_ANSWER = 1 << 16
"""Bytes of standard output of a command."""

NOT_WITH_THESE_OPTIONS = "ssh with the options of RsyncSshArgs does not get in"
"""What is wrong if BackupPC's settings keep its ssh out, and not the machine."""

_SSH_FAILED = 255
_FOR_A_CONNECTION = 10  # seconds; a firewall that drops packets never answers
_FOR_SSH_KEYGEN = 5.0  # seconds, of some milliseconds that it takes
# ssh takes the first value of an option, so no setting of an administrator changes these.
_OURS = (
    "BatchMode=yes",
    "GlobalKnownHostsFile=/dev/null",
    "HashKnownHosts=no",
    "UpdateHostKeys=no",
    "IdentityAgent=none",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "ControlPath=none",
    "ConnectionAttempts=1",
)
# Asked for first where nothing secret is sent: OpenSSH's own choice costs ten times as much.
_QUICK_EXCHANGE = "KexAlgorithms=^curve25519-sha256"
# All RSA keys are ssh-rsa, whatever their signature algorithm (RFC 8332).
_ALGORITHMS = {"ssh-rsa": "rsa-sha2-512,rsa-sha2-256"} | {
    kind: kind
    for kind in (
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    )
}


@dataclass(frozen=True)
class Place:
    """The name and port that ssh connects to; *host* is the registered name, for error messages.

    *address*: the only one of the name's addresses to connect to, "" for all of them. *client*: the name
    that ssh is given, "" for *name*.
    """

    host: str
    name: str
    port: int = 22
    address: str = ""
    client: str = ""

    def __str__(self) -> str:
        return f"port {self.port} of {self.name}"


class Way(Protocol):
    """How BackupPC reaches a machine."""

    @property
    def place(self) -> Place:
        """Where its ssh connects to."""

    @property
    def ssh(self) -> tuple[str, ...]:
        """The program and its options."""


@dataclass(frozen=True)
class Answer:
    """A command's standard output and standard error, and its exit status.

    *key*: the path of the private key that let ssh in, "" if ssh does not say it.
    """

    output: str
    errors: str
    status: int
    key: str = ""


def offered_key(way: Way, timeout: float, preferred: Sequence[str] = ()) -> HostKey:
    """Return the ssh host key that the machine shows; do not log in.

    *preferred*: types of keys to ask for first, as ssh does with those that it knows. Only `run` proves that
    the machine has the key.

    Raises NotReachable; Misconfigured if ssh cannot be started; NoSpace.
    """
    deadline, place, ssh = Deadline(timeout), way.place, way.ssh
    if not deadline.remaining():
        raise not_reachable(Cause.SILENT, place.host, detail="no time was left to connect")
    _refuse_other_addresses(place, deadline)
    algorithms = ",".join(_ALGORITHMS[kind] for kind in preferred if kind in _ALGORITHMS)
    with temporary.folder() as folder:
        known = folder / "known_hosts"
        options = [f"UserKnownHostsFile={known}", "StrictHostKeyChecking=accept-new"]
        options += ["PreferredAuthentications=none", *_OURS]
        later = [_QUICK_EXCHANGE, *([f"HostKeyAlgorithms=^{algorithms}"] if algorithms else [])]
        # "none" may be enough to get in, to a machine that is not ours. No command of ours does any harm.
        ended = _end_of([ssh[0], *_words(options), *ssh[1:], *_words(later)], place, "exit", deadline)
        key = _key_in(known, ended)
    if key is None or ended.late or ssh_words.cause(ended.said) in ssh_words.BEFORE_A_KEY:
        raise _failure(place, ended)
    return key


def run(way: Way, key: HostKey, private: Path, command: str, timeout: float) -> Answer:
    """Log in to the machine with the ssh host key *key*, run *command* and return its answer.

    *private*: the file of our key, which ssh uses. Raises NotReachable; Internal if that key is broken;
    Misconfigured if ssh cannot be started; NoSpace.
    """
    place = way.place
    with pinned(place.host, key, way.ssh) as (shell, _):
        ended = _end_of([shell[0], *_words(_OURS), *shell[1:]], place, command, Deadline(timeout))
    if len(ended.output) > LARGEST_ANSWER or ended.cut:
        raise not_reachable(Cause.WRAPPER, place.host, detail="the command writes on and on")
    if ended.status == _SSH_FAILED:
        failure = _failure(place, ended)
        if failure.values["step"] == Cause.LOGIN.word:
            _blame_ourselves(private)
        raise failure
    used = ssh_words.accepted_key(ended.said)
    return Answer(ended.output.decode("utf-8", "replace"), ssh_words.others(ended.said), ended.status, used)


@contextmanager
def pinned(host: str, key: HostKey, ssh: Sequence[str]) -> Iterator[tuple[list[str], Path]]:
    """Give an *ssh* command that accepts only *key* from *host*, and a temporary folder; raises NoSpace."""
    with temporary.folder() as folder:
        known = folder / "known_hosts"
        try:
            atomic_files.write(known, f"{host} {key}\n".encode("ascii"), 0o600)
        except OSError as error:
            raise NoSpace(detail=f"no space for a temporary file: {error}") from error
        # ssh takes the first value of an option.
        ours = _words([f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "BatchMode=yes"])
        yield [ssh[0], *ours, *ssh[1:]], folder


def run_until(
    command: Sequence[str | bytes],
    stdin: bytes,
    enough: Callable[[bytes], bool],
    timeout: float,
    **options: bool,
) -> processes.ProgramResult:
    """Run *command* as `processes.run_until` does; raises TimedOut, and Misconfigured if it cannot start."""
    try:
        return processes.run_until(command, stdin, enough, timeout, **options)
    except processes.TimedOut:
        raise
    except OSError as error:
        raise os_errors.fault(error, f"{command[0]!r} cannot be started: {error}") from error
    except ValueError as error:
        raise Misconfigured(detail=f"{command[0]!r} cannot be started: {error}") from error


@dataclass(frozen=True)
class _Ended:
    """How ssh ended: its exit *status*, the command's *output*, and what was *said* on standard error.

    *late*: not in time. *cut*: it wrote too much.
    """

    status: int
    output: bytes
    said: str
    late: bool = False

    @property
    def cut(self) -> bool:
        return self.status < 0 and not self.late


def _end_of(ssh: Sequence[str], place: Place, command: str, deadline: Deadline) -> _Ended:
    """Run *command* at *place*, and let ssh tell how far it gets (-v)."""
    timeout = max(1, min(_FOR_A_CONNECTION, int(deadline.remaining())))
    words = [ssh[0], "-x", "-T", *_words([f"ConnectTimeout={timeout}"]), *ssh[1:], "-v", "--"]
    words += [place.client or place.name, command]
    try:
        ended = run_until(words, b"", lambda output: len(output) > LARGEST_ANSWER, deadline.remaining())
    except processes.TimedOut as late:
        return _Ended(_SSH_FAILED, late.output, ssh_words.decoded(late.errors), late=True)
    return _Ended(ended.status, ended.output, ssh_words.decoded(ended.errors))


def _words(options: Sequence[str]) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def _key_in(known: Path, ended: _Ended) -> HostKey | None:
    """Return the key that ssh has written to the file *known*, None if it has not got that far."""
    try:
        _, _, rest = known.read_text("ascii").partition(" ")
    except FileNotFoundError:
        rest = ""
    except (OSError, ValueError) as error:
        raise NoSpace(detail=f"{known} cannot be read: {error}") from error
    key = host_key.read(rest.strip())
    if key is None and ssh_words.NOT_WRITTEN in ended.said:
        raise NoSpace(detail=ssh_words.complaints(ended.said))
    return key


def _failure(place: Place, ended: _Ended) -> NotReachable:
    cause = ssh_words.cause(ended.said, late=ended.late)
    what = {
        Cause.LOGIN: ssh_words.account(ended.said),
        Cause.ELSEWHERE: NOT_WITH_THESE_OPTIONS,
    }.get(cause, str(place))
    late = f"not in time, after '{ssh_words.last_step(ended.said)}'; " if ended.late else ""
    detail = f"{late}{ssh_words.server(ended.said).name or 'ssh'}: {ssh_words.complaints(ended.said)}"
    advice = ssh_words.advice(ended.said) if cause in (Cause.LOGIN, Cause.WRAPPER) else ""
    return not_reachable(cause, place.host, what=what, detail=detail, advice=advice)


def _blame_ourselves(private: Path) -> None:
    """Raise Internal if our own key is broken: that is our fault, not the machine's."""
    ended = processes.run(["ssh-keygen", "-y", "-P", "", "-f", str(private)], _FOR_SSH_KEYGEN)
    if ended.status:
        raise Internal(detail=f"{private} cannot be used: {ended.error_text}")


def _refuse_other_addresses(place: Place, deadline: Deadline) -> None:
    """Refuse a place if its name has no address, or not the wanted one; getaddrinfo(3) has no timeout."""
    ask = partial(socket.getaddrinfo, place.name, place.port, type=socket.SOCK_STREAM)
    try:
        found: list[Any] = with_timeout(deadline.remaining(), ask)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise not_reachable(Cause.NAME, place.host, what=place.name, detail=str(error)) from error
    if not found:
        raise not_reachable(Cause.NAME, place.host, what=place.name, detail="no address")
    addresses = {ip_address(address[0]) for *_, address in found}
    if place.address and ip_address(place.address) not in addresses:
        detail = (
            f"this server's resolver gives other addresses than {place.address}: getent ahosts {place.name}"
        )
        raise not_reachable(Cause.NAME, place.host, what=place.name, detail=detail)
