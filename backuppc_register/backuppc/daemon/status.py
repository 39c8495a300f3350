"""Ask the running BackupPC for what a registration needs: a host made known, a backup begun, its status.

Replies are short (the status of one host), so BackupPC never waits until they are read.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from backuppc_register.backuppc.daemon.connection import (
    Ask,
    Connection,
    MessageRefused,
    host_status,
    is_askable,
    with_secret,
)
from backuppc_register.system.deadline import Deadline

if TYPE_CHECKING:
    from backuppc_register.backuppc.daemon.pauses import Pauses

_MOST_ASKED = 20  # of many hosts, after BackupPC has read all of them
_LONGEST_WAIT = 5.0  # seconds while a person waits; BackupPC answers in some milliseconds
_AT_WORK = re.compile(r"""\b(?:Job["']? => \{|(?:Bg|User|Cmd)QueueOn["']? => ["']?1)""")


class Daemon:
    """The BackupPC that listens at *socket*; if *socket* is empty, it is never asked.

    *install_dir* is where BackupPC is, or "" for a usual place: its Perl reads the secret if it has one.
    """

    def __init__(self, socket: str, install_dir: str = "") -> None:
        self._socket = socket
        self._install_dir = install_dir

    def announce(self, host: str, within: float) -> str:
        """Make sure within *within* seconds, and 5 at the most, that the running BackupPC knows *host*.

        Returns "" if it does, else one sentence for the log. Never raises: the registration is valid, and
        BackupPC reads the hosts file when it starts and at each of its wakeups.
        """
        act = partial(_make_known, host)
        return self._try(act, min(within, _LONGEST_WAIT)) if self._socket else ""

    def reread(self, hosts: Sequence[str], within: float) -> str:
        """Let the running BackupPC read the hosts file again, in which *hosts* have got lines.

        Returns "" if it knows those that it was asked for within *within* seconds, else one sentence. Never
        raises.
        """
        asked = [host for host in hosts if is_askable(host)][:_MOST_ASKED]
        return self._try(partial(_reread, asked), within) if self._socket else ""

    def problem(self, within: float) -> str:
        """Return why the running BackupPC does not answer within *within* seconds, "" if it does."""
        return self._try(_greet, within) if self._socket else "[backuppc] socket is empty"

    def begin_full(self, host: str, user: str, within: float) -> str:
        """Ask for a full backup of *host* in the name of *user*, its owner; wait as `announce` does.

        Returns "" if it is to be made, or is queued or running already, else one sentence for the log. Never
        raises: BackupPC begins by itself at one of its wakeups.
        """
        if not self._socket:
            return "BackupPC was not asked for a backup: [backuppc] socket is empty"
        return self._try(partial(_begin_full, user, host), min(within, _LONGEST_WAIT))

    # Requests ask neither of the following, and do not import what these need.

    def status(self, host: str, within: float) -> dict[str, str]:
        """Return BackupPC's status of *host*, in its words (``state``, ``reason``, ``error``).

        Empty if BackupPC does not know the host, or does not answer within *within* seconds.
        """
        from backuppc_register.backuppc.daemon.dumper import hashes

        found: dict[str, str] = {}

        def look(ask: Ask) -> str:
            found.update(*(values for _, values in hashes(host_status(host, ask))))
            return ""

        return found if self._socket and not self._try(look, within) else {}

    def pauses(self, hosts: Sequence[str], within: float) -> "Pauses":
        """Return the pauses of *hosts* and their failures, as far as BackupPC answers in *within* seconds."""
        from backuppc_register.backuppc.daemon import pauses

        found: dict[str, dict[str, str]] = {}
        unknown = "BackupPC is not asked: [backuppc] socket is empty"
        problem = self._try(partial(pauses.read, hosts, found), within) if self._socket else unknown
        return pauses.known(found, problem)

    def _try(self, act: Callable[[Ask], str], within: float) -> str:
        deadline = Deadline(within)

        def act_with(secret: bytes) -> str:
            return act(partial(self._ask, secret, deadline))

        try:
            return with_secret(act_with, lambda: deadline, self._install_dir)
        except (FileNotFoundError, ConnectionRefusedError):
            return "BackupPC is not running and will read the hosts file when it starts"
        except (TimeoutError, BlockingIOError):  # the last: its queue is full
            return "BackupPC did not answer in time and will read the hosts file at its next wakeup"
        except MessageRefused:
            return "BackupPC refuses our messages: its ServerMesgSecret is not the one in its config.pl"
        except (OSError, ValueError) as error:
            return f"BackupPC could not be notified: {error}"

    def _ask(self, secret: bytes, deadline: Deadline, message: str) -> str:
        """Send *message* on a connection of its own: it is the last there, and a SIGKILL does no harm."""
        with Connection(self._socket, secret, lambda: deadline) as connection:
            return connection.ask(message, last=True)


def _make_known(host: str, ask: Ask) -> str:
    if host_status(host, ask):
        return ""
    # The reply to a reload is "ok" even if the hosts file could not be read.
    return _reread([host], ask)


def _greet(ask: Ask) -> str:
    reply = ask("status queueLen")
    return "" if reply.startswith("%QueueLen") else f"BackupPC answers {reply[:80]!r}"


def _reread(hosts: Sequence[str], ask: Ask) -> str:
    ask("server reload")
    unknown = [host for host in hosts if not host_status(host, ask)]
    return f"BackupPC has read its files again and does not know {', '.join(unknown)}" if unknown else ""


def _begin_full(user: str, host: str, ask: Ask) -> str:
    if problem := _make_known(host, ask):
        return problem
    if _AT_WORK.search(host_status(host, ask)):
        return ""
    # BackupPC finds the address by its own settings; the first name counts only where no address is fixed.
    reply = ask(f"backup {host} {host} {user} doFull")
    return "" if reply.startswith("ok") else f"BackupPC makes no backup: {reply[:80]!r}"
