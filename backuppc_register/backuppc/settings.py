"""Read the settings that BackupPC itself will use, for one host or for all, by BackupPC's own Perl."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from backuppc_register import config
from backuppc_register.backuppc import installation
from backuppc_register.backuppc.rsync_command import NotBegun, Transfer, captured
from backuppc_register.protocol.errors import Misconfigured, NotReachable
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system import data_files, os_errors, processes, temporary
from backuppc_register.system.deadline import Deadline

_PROGRAM = "backuppc/settings.pl"
_REMOTE_SHELL = "backuppc/remote_shell.pl"
_TOO_LONG = "it took too long"
_ENDLESS = "it prints without end"
# The words of the kernel here; what another machine says of a packet is worded otherwise (ping(8)).
_NOT_SENT = re.compile(r"sendmsg: Operation not permitted|connect: Network is unreachable")
_FOR_ONE = 2  # seconds for one host of many

FOR_OWN_PING = 6.0
"""Seconds for a ping of this server itself."""


@dataclass(frozen=True)
class Settings:
    """How BackupPC will back a host up.

    *clients*: the names or addresses that it tries, in this order. *ssh_args*: RsyncSshArgs with BackupPC's
    variables filled in for the first of them, None if it is no list. *rsync_args*: all further arguments of
    the rsync of a full or an incremental backup. *shares*: the folders, by their paths on the machine.
    *full_period* and *incr_period*: days from one backup to the next. *zero_files_fatal*: whether each folder
    must have a file. *ping*: PingCmd, PingPath, Ping6Path. *commands*: names of the commands that end a
    backup if they fail; *broken*: one of them that cannot run.
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
    ping: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    broken: str = ""


@dataclass(frozen=True)
class Plan:
    """How a first full backup would begin: *ssh_args* as in Settings, a transfer for each folder."""

    ssh_args: tuple[str, ...] | None
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True)
class Route:
    """Where ssh would connect to, and as which *user*, by ssh -G; *options*: all values by name."""

    host: str
    port: int
    user: str
    options: dict[str, tuple[str, ...]] = field(repr=False)


class SettingsReader:
    """BackupPC's settings as they are on disk: config.pl, and what a host's own file changes in it.

    The files are programs that BackupPC runs under this same account. Every question raises Misconfigured
    if BackupPC is not where *places* says.
    """

    def __init__(self, places: config.BackupPC) -> None:
        self._places = places

    def main(self, within: float) -> dict[str, Any]:
        """Return the settings of config.pl within *within* seconds; raises Misconfigured."""
        output, error_text = self._run("main", "", within)
        try:
            answer = json.loads(output)
        except ValueError as error:
            raise Misconfigured(detail=f"BackupPC's config.pl: {_why_silent(error_text)}") from error
        if "problem" in answer:
            raise Misconfigured(detail=f"BackupPC's config.pl: {answer['problem']}")
        return dict(answer["settings"])

    def read(self, host: str, within: float, proposed: bytes | None = None) -> Settings:
        """Return the settings of *host* within *within* seconds.

        *proposed*: the content of its own file, if it is not written yet.

        Raises NotReachable if BackupPC cannot read its settings, Misconfigured if its Perl fails.
        """
        answer = self._ask("settings", host, within, proposed)
        if "problem" in answer:
            raise not_reachable(Cause.SETTINGS, host, detail=answer["problem"])
        try:
            return _settings(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise Misconfigured(detail=f"BackupPC's settings cannot be understood: {error!r}") from error

    def each(self, hosts: Sequence[str], within: float) -> dict[str, Settings | str]:
        """Return the settings of *hosts*, or why BackupPC cannot read those of one.

        Hosts that were not reached within *within* seconds are left out.

        Raises Misconfigured if BackupPC cannot read its settings for all hosts.
        """
        names = "".join(f"{host}\n" for host in hosts).encode("utf-8", "surrogateescape")
        output, error_text = self._run("each", str(_FOR_ONE), within, names)
        try:
            answers = [json.loads(row) for row in output.split(b"\n")[:-1]]
            read = {row["host"]: row.get("problem") or _settings(row) for row in answers if "host" in row}
        except (KeyError, TypeError, ValueError) as error:
            raise Misconfigured(detail=f"BackupPC's settings cannot be understood: {error!r}") from error
        if problem := next((row["problem"] for row in answers if "host" not in row), ""):
            raise Misconfigured(detail=problem)
        if error_text in (_TOO_LONG, _ENDLESS):
            return read
        if not read and hosts:
            raise _no_answer(error_text)
        return dict.fromkeys(hosts, "its settings end the program that reads them") | read

    def alive(
        self, host: str, within: float, proposed: bytes | None = None, known: tuple[str, str] = ("", "")
    ) -> str:
        """Return the first of the host's names that BackupPC can ping, by its own ping.

        *known*: a name and the one of its addresses to ping.

        Raises NotReachable; Misconfigured, also if BackupPC cannot even ping this server itself.
        """
        answer = self._ask("alive", host, within, proposed, known)
        if "alive" in answer:
            return str(answer["alive"])
        problem, what = answer.get("problem", "ping"), answer.get("what", host)
        causes = {"name": Cause.NAME, "slow": Cause.SLOW, "ping": Cause.PING}
        cause, detail = causes.get(problem, Cause.SETTINGS), str(answer.get("detail", problem))
        if cause is Cause.PING:
            here = str(answer["loopback"])
            if _NOT_SENT.search(detail):
                raise Misconfigured(detail=f"BackupPC's ping of {what} does not leave this server: {detail}")
            if own := self.own_ping(here, FOR_OWN_PING, host, proposed):
                raise Misconfigured(detail=f"BackupPC cannot ping {here}, this server itself: {own}")
        raise not_reachable(cause, host, what=what, detail=detail)

    def own_ping(self, address: str, within: float, host: str = "", proposed: bytes | None = None) -> str:
        """Ping *address* of this server by BackupPC's own ping, with the settings of *host* or of all hosts.

        Return "" or why that fails. Raises NotReachable if that cannot be told, Misconfigured.
        """
        answer = self._ask("loopback", host, within, proposed, (address,))
        if answer.get("late"):
            detail = f"BackupPC's ping of {address}, this server itself, did not end in time either"
            raise not_reachable(Cause.SILENT, host, detail=detail)
        return "" if "alive" in answer else str(answer.get("problem", "no answer"))

    def plan(self, host: str, client: str, within: float, proposed: bytes | None = None) -> Plan:
        """Return how BackupPC would begin a first full backup of *host*, at its name or address *client*.

        BackupPC's own code names the program that it starts. That program runs up to its first bytes.

        Raises NotReachable if no backup begins, Misconfigured, and NoSpace.
        """
        deadline = Deadline(within)
        with temporary.folder() as folder:
            heard, shell = folder / "heard", os.fspath(data_files.find(_REMOTE_SHELL))
            further = (client, f'perl "{shell}" "{heard}"', os.fspath(folder))
            answer = self._ask("transfers", host, within, proposed, further)
            if "problem" in answer:
                raise _not_begun(host, str(answer["problem"]))
            try:
                transfers = tuple(captured(one, heard, deadline.remaining()) for one in answer["transfers"])
            except NotBegun as error:
                raise _not_begun(host, str(error)) from error
        arguments = answer["ssh_args"]
        return Plan(None if arguments is None else tuple(map(str, arguments)), transfers)

    def _ask(
        self, question: str, host: str, within: float, proposed: bytes | None, further: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Return the last whole line of the Perl's output; before each wait it prints what it waits for."""
        output, error_text = self._run(question, host, within, proposed, further)
        last = output.rpartition(b"\n")[0].rpartition(b"\n")[2]
        if not last and error_text == _TOO_LONG:
            raise not_reachable(Cause.SETTINGS, host, detail=f"BackupPC's Perl: {error_text}")
        try:
            answer = json.loads(last)
        except ValueError as error:
            raise _no_answer(error_text) from error
        return answer if isinstance(answer, dict) else {}

    def _run(
        self,
        question: str,
        host: str,
        within: float,
        content: bytes | None = None,
        further: tuple[str, ...] = (),
    ) -> tuple[bytes, str]:
        library = installation.library(self._places.install_dir)
        places = (self._places.config_dir, self._places.data_dir, library)
        command = ["perl", os.fspath(data_files.find(_PROGRAM)), question, host, *map(os.fspath, places)]
        with _open_file(content) as files:
            file = [f"/dev/fd/{number}" for number in files] or [""]
            return _run([*command, *file, *further], within, files)


def route(ssh: str, arguments: tuple[str, ...], client: str, within: float) -> Route:
    """Let *ssh* report where it would connect to for *client*, with rsync's *arguments* (ssh(1), -G).

    Raises ValueError if it does not report that.
    """
    output, error_text = _run([ssh, "-G", *arguments, client], within)
    options: dict[str, tuple[str, ...]] = {}
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        name, _, value = line.partition(" ")
        options[name] = (*options.get(name, ()), value)
    try:
        host, port, user = (options[name][0] for name in ("hostname", "port", "user"))
        return Route(host, int(port), user, options)
    except (KeyError, ValueError) as error:
        raise ValueError(f"ssh does not report where it would connect to: {error_text}") from error


def _not_begun(host: str, detail: str) -> NotReachable:
    return not_reachable(Cause.ELSEWHERE, host, what="rsync does not begin", detail=detail)


def _no_answer(error_text: str) -> Misconfigured:
    return Misconfigured(detail=f"BackupPC's Perl does not report its settings: {_why_silent(error_text)}")


def _why_silent(error_text: str) -> str:
    """Return why the Perl that reads the settings gave no answer; *error_text* is what it said."""
    if error_text in (_TOO_LONG, _ENDLESS):
        return error_text
    return f"the settings end the program that reads them{f', which says: {error_text}' * bool(error_text)}"


def _settings(answer: dict[str, Any]) -> Settings:
    arguments = answer["ssh_args"]
    return Settings(
        xfer_method=str(answer["xfer_method"]),
        disabled=bool(answer["disabled"]),
        clients=tuple(map(str, answer["clients"])),
        ssh_path=str(answer["ssh_path"]),
        ssh_args=None if arguments is None else tuple(map(str, arguments)),
        rsync_args=tuple(map(str, answer["rsync_args"])),
        shares=tuple(map(str, answer["shares"])),
        full_period=float(answer["full_period"]),
        incr_period=float(answer["incr_period"]),
        zero_files_fatal=bool(answer["zero_files_fatal"]),
        ping=tuple(map(str, answer["ping"])),
        commands=tuple(map(str, answer["commands"])),
        broken=str(answer["broken"]),
    )


@contextmanager
def _open_file(content: bytes | None) -> Iterator[tuple[int, ...]]:
    """Give the number of an open file that holds *content* and is on no disk; none for None."""
    if content is None:
        yield ()
        return
    with temporary.file(content) as number:
        yield (number,)


def _run(command: list[str], within: float, files: tuple[int, ...] = ()) -> tuple[bytes, str]:
    """Return output and error text of *command* within *within* seconds; then all of it is ended.

    Raises Misconfigured if it cannot be started.
    """
    try:
        result = processes.run(command, within, files=files)
    except processes.TimedOut as late:
        return late.output, _TOO_LONG
    except OSError as error:
        raise os_errors.fault(error, f"{command[0]} cannot be started: {error}") from error
    endless = len(result.output) + len(result.errors) >= processes.LARGEST_ANSWER
    return result.output, _ENDLESS if endless else result.error_text
