"""The settings that BackupPC itself will use for one host, read by BackupPC's own Perl."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backuppc_register import config
from backuppc_register.backuppc.rsync_command import NotBegun, Transfer, overheard
from backuppc_register.protocol.errors import Misconfigured, NotReachable
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system import data_files, processes, temporary
from backuppc_register.system.deadline import Deadline

_PROGRAM = "backuppc/effective_config.pl"
_LONGEST = 1 << 26  # bytes that its programs may say
_TOO_LONG = "it took too long"
_FOR_ONE = 2  # seconds of many hosts' time
_REMOTE_SHELL = "backuppc/remote_shell.pl"


@dataclass(frozen=True)
class Settings:
    """What BackupPC will do to save a host.

    *clients*: the names or addresses that it tries, in this order. *ssh_args*: RsyncSshArgs with BackupPC's
    variables filled in for the first of them, None where it is no list. *rsync_args*: all that the rsync of
    a full or an incremental backup gets besides. *shares*: the folders, as the machine calls them.
    *full_period* and *incr_period*: days from one backup to the next. *zero_files_fatal*: whether each folder
    must have a file. *commands*: names of those whose failure ends a backup; *broken*: one that cannot run.
    """

    xfer_method: str
    disabled: bool
    clients: tuple[str, ...]
    ssh_path: str
    ssh_args: tuple[str, ...] | None
    rsync_args: tuple[str, ...]
    shares: tuple[str, ...]
    full_period: float = 0.0
    incr_period: float = 0.0
    zero_files_fatal: bool = True
    commands: tuple[str, ...] = ()
    broken: str = ""


@dataclass(frozen=True)
class Plan:
    """How a first full backup would begin: *ssh_args* as in Settings, a transfer for each folder."""

    ssh_args: tuple[str, ...] | None
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True)
class Route:
    """Where ssh would go, and as whom, by its own word; *options*: all values of each of its settings."""

    host: str
    port: int
    user: str
    options: dict[str, tuple[str, ...]] = field(repr=False)


class EffectiveConfig:
    """BackupPC's settings as they are on disk: config.pl and what a host's own file changes in it.

    *library* is BackupPC's Perl library. Those files are programs that BackupPC runs as this same account.
    """

    def __init__(self, places: config.BackupPC, library: Path = Path("/usr/share/backuppc/lib")) -> None:
        self._places = places
        self._library = library

    def read(self, host: str, within: float, proposed: bytes | None = None) -> Settings:
        """Return the settings of *host* within *within* seconds.

        *proposed*: what its own file would hold, where we ask before it is written.

        Raises NotReachable where BackupPC cannot read its settings, Misconfigured where we cannot ask it.
        """
        said = self._ask("settings", host, within, proposed)
        if "problem" in said:
            raise not_reachable(Cause.SETTINGS, host, detail=said["problem"])
        try:
            return _settings(said)
        except (KeyError, TypeError, ValueError) as error:
            raise Misconfigured(detail=f"BackupPC's settings cannot be understood: {error!r}") from error

    def each(self, hosts: Sequence[str], within: float) -> dict[str, Settings | str]:
        """Return the settings of *hosts*, or why BackupPC cannot read those of one.

        Those for whom *within* seconds did not suffice are left out.

        Raises Misconfigured where BackupPC cannot read its settings for all hosts.
        """
        names = "".join(f"{host}\n" for host in hosts).encode("utf-8", "surrogateescape")
        said, complaint = self._run("each", str(_FOR_ONE), within, names)
        try:
            told = [json.loads(row) for row in said.split(b"\n")[:-1]]
            read = {row["host"]: row.get("problem") or _settings(row) for row in told if "host" in row}
        except (KeyError, TypeError, ValueError) as error:
            raise Misconfigured(detail=f"BackupPC's settings cannot be understood: {error!r}") from error
        if problem := next((row["problem"] for row in told if "host" not in row), ""):
            raise Misconfigured(detail=problem)
        if complaint == _TOO_LONG or len(said) == _LONGEST:
            return read
        if not read and hosts:
            raise Misconfigured(detail=f"BackupPC's Perl does not tell its settings: {complaint}")
        return dict.fromkeys(hosts, "its settings end the program that reads them") | read

    def alive(self, host: str, within: float, proposed: bytes | None = None) -> str:
        """Return which of the host's names BackupPC would go to: the first that it can ping, by its own ping.

        Raises NotReachable, Misconfigured.
        """
        said = self._ask("alive", host, within, proposed)
        if "alive" in said:
            return str(said["alive"])
        problem, what = said.get("problem", "ping"), said.get("what", host)
        steps = {"name": Cause.NAME, "slow": Cause.SLOW, "ping": Cause.PING}
        raise not_reachable(
            steps.get(problem, Cause.SETTINGS), host, what=what, detail=said.get("detail", problem)
        )

    def plan(self, host: str, client: str, within: float, proposed: bytes | None = None) -> Plan:
        """Return how BackupPC would begin a first full backup of *host*, at its name or address *client*.

        BackupPC's own code says which program it starts, and that program says how it begins.

        Raises NotReachable if no backup begins, Misconfigured, and NoSpace.
        """
        deadline = Deadline(within)
        with temporary.folder() as folder:
            said, shell = folder / "said", os.fspath(data_files.find(_REMOTE_SHELL))
            further = (client, f'perl "{shell}" "{said}"', os.fspath(folder))
            told = self._ask("transfers", host, within, proposed, further)
            if "problem" in told:
                raise _not_begun(host, str(told["problem"]))
            try:
                transfers = tuple(overheard(one, said, deadline.remaining()) for one in told["transfers"])
            except NotBegun as error:
                raise _not_begun(host, str(error)) from error
        arguments = told["ssh_args"]
        return Plan(None if arguments is None else tuple(map(str, arguments)), transfers)

    def _ask(
        self, question: str, host: str, within: float, proposed: bytes | None, further: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Return the last whole line that the Perl says; it says before each wait what it would wait for."""
        said, complaint = self._run(question, host, within, proposed, further)
        last = said.rpartition(b"\n")[0].rpartition(b"\n")[2]
        if not last and complaint == _TOO_LONG:
            raise not_reachable(Cause.SETTINGS, host, detail=f"BackupPC's Perl: {complaint}")
        try:
            told = json.loads(last)
        except ValueError as error:
            raise Misconfigured(detail=f"BackupPC's Perl does not tell its settings: {complaint}") from error
        return told if isinstance(told, dict) else {}

    def _run(
        self, question: str, host: str, within: float, content: bytes | None, further: tuple[str, ...] = ()
    ) -> tuple[bytes, str]:
        places = (self._places.config_dir, self._places.data_dir, self._library)
        command = ["perl", os.fspath(data_files.find(_PROGRAM)), question, host, *map(os.fspath, places)]
        with _unwritten(content) as files:
            unwritten = [f"/dev/fd/{number}" for number in files] or [""]
            return _run([*command, *unwritten, *further], within, files)


def route(ssh: str, arguments: tuple[str, ...], client: str, within: float) -> Route:
    """Ask *ssh* where it would go for *client* with *arguments*, as rsync calls it (ssh(1), -G).

    Raises ValueError where it does not say.
    """
    said, complaint = _run([ssh, "-G", *arguments, client], within)
    options: dict[str, tuple[str, ...]] = {}
    for line in said.decode("utf-8", "surrogateescape").splitlines():
        name, _, value = line.partition(" ")
        options[name] = (*options.get(name, ()), value)
    try:
        host, port, user = (options[name][0] for name in ("hostname", "port", "user"))
        return Route(host, int(port), user, options)
    except (KeyError, ValueError) as error:
        raise ValueError(f"ssh does not say where it would go: {complaint}") from error


def _not_begun(host: str, detail: str) -> NotReachable:
    return not_reachable(Cause.ELSEWHERE, host, what="rsync does not begin", detail=detail)


def _settings(said: dict[str, Any]) -> Settings:
    arguments = said["ssh_args"]
    return Settings(
        xfer_method=str(said["xfer_method"]),
        disabled=bool(said["disabled"]),
        clients=tuple(map(str, said["clients"])),
        ssh_path=str(said["ssh_path"]),
        ssh_args=None if arguments is None else tuple(map(str, arguments)),
        rsync_args=tuple(map(str, said["rsync_args"])),
        shares=tuple(map(str, said["shares"])),
        full_period=float(said["full_period"]),
        incr_period=float(said["incr_period"]),
        zero_files_fatal=bool(said["zero_files_fatal"]),
        commands=tuple(map(str, said["commands"])),
        broken=str(said["broken"]),
    )


@contextmanager
def _unwritten(content: bytes | None) -> Iterator[tuple[int, ...]]:
    """Give the number of an open file that holds *content* and is on no disk; none for None."""
    if content is None:
        yield ()
        return
    with temporary.file(content) as number:
        yield (number,)


def _run(command: list[str], within: float, files: tuple[int, ...] = ()) -> tuple[bytes, str]:
    """Return what *command* said within *within* seconds, and its complaint; nothing of it goes on later.

    Raises Misconfigured where it cannot be started.
    """
    try:
        ended = processes.run(command, within, files=files)
    except processes.TimedOut as late:
        return late.output[:_LONGEST], _TOO_LONG
    except OSError as error:
        raise Misconfigured(detail=f"{command[0]} cannot be started: {error}") from error
    return ended.output[:_LONGEST], ended.error_text
