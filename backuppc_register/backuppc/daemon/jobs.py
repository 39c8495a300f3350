"""Lock a host against BackupPC's jobs while its data is moved, and stop its jobs."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from backuppc_register.backuppc.daemon.connection import Ask, Connection, host_status, is_askable, with_secret
from backuppc_register.protocol.errors import Busy
from backuppc_register.system.deadline import Deadline

_Result = TypeVar("_Result")
_US = "backuppc-register"
_TIMEOUT = 10.0  # seconds for one exchange: BackupPC does not answer while it reads a large hosts file


class Jobs:
    """The jobs of the BackupPC that listens at *socket*; if *socket* is empty, it is never asked.

    *install_dir* is where BackupPC is, or "" for a usual place: its Perl reads the secret if it has one.
    """

    def __init__(self, socket: str, install_dir: str = "") -> None:
        self._socket = socket
        self._install_dir = install_dir

    @contextmanager
    def kept_away(self, host: str) -> Iterator["Kept"]:
        """Lock *host* against every job, by the mutex that BackupPC's own programs take.

        If BackupPC is not running, no job can start. Never enter this under BackupPC's lock: the daemon waits
        for that lock itself.

        Raises Busy if a job or BackupPC_nightly is running, or the daemon does not answer properly.
        """

        def locked(connection: Connection) -> Connection:
            try:
                _lock(host, connection.ask)
            except BaseException:
                connection.close()
                raise
            return connection

        connection = self._try(host, locked)
        with connection or nullcontext():
            yield Kept(connection.ask if connection else None)

    def stop(self, host: str, administrator: str) -> str:
        """Stop running and queued jobs on *host*; return BackupPC's answer, "" if it is not running.

        Raises Busy.
        """
        user = re.sub(r"[^A-Za-z0-9._-]", "_", administrator) or _US

        def answer(connection: Connection) -> str:
            with connection:
                return connection.ask(f"stop {host} {user} 0", last=True).removeprefix("ok: ")

        return self._try(host, answer) or ""

    def _try(self, host: str, act: Callable[[Connection], _Result]) -> _Result | None:
        """Return what *act* does with a connection, None if BackupPC is not running; raises Busy."""
        if not is_askable(host):
            raise Busy(host=host, detail="this is no name of a host")
        if not self._socket:
            return None
        try:
            return with_secret(
                lambda secret: act(Connection(self._socket, secret, _deadline)), _deadline, self._install_dir
            )
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise Busy(host=host, detail=f"BackupPC's daemon: {error}") from error


class Kept:
    """A host that BackupPC keeps free of jobs; *ask* asks BackupPC, None if it is not running."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask

    def lift_pause(self, host: str) -> None:
        """End the pause of *host*, which BackupPC keeps free of jobs; raises Busy.

        BackupPC's message for that would also take a backup off the queue: not one that a person asked for.
        """
        if self._ask is None:
            raise Busy(host=host, detail="BackupPC is not running")
        try:
            if re.search(r"""UserQueueOn["']? => ["']?1""", host_status(host, self._ask)):
                raise Busy(host=host, detail="a backup that a person asked for waits in the queue")
            answer = self._ask(f"stop {host} {_US} 0")
        except OSError as error:
            raise Busy(host=host, detail=f"BackupPC's daemon: {error}") from error
        if not answer.startswith("ok"):
            raise Busy(host=host, detail=answer)

    def tell(self, *, known: tuple[str, ...] = (), gone: tuple[str, ...] = ()) -> str:
        """Let BackupPC read the hosts file again; return "", or which of the hosts it sees differently."""
        if self._ask is None:
            return "BackupPC is not running and will read the hosts file when it starts"
        try:
            self._ask("server reload")
            wrong = [f"does not know {host}" for host in known if not host_status(host, self._ask)]
            wrong += [f"still knows {host}" for host in gone if host_status(host, self._ask)]
        except OSError as error:
            return f"BackupPC could not be notified: {error}"
        return f"BackupPC {' and '.join(wrong)}" if wrong else ""


def _deadline() -> Deadline:
    return Deadline(_TIMEOUT)


def _lock(host: str, ask: Ask) -> None:
    if not host_status(host, ask):
        ask("server reload")
        if not host_status(host, ask):
            return  # nothing can run on a host that BackupPC does not know
    _refuse_jobs(host, ask)  # a job that has just begun ends if it does not get the mutex
    answer = ask(f"hostMutex {host} -1 {_US}")
    if answer != "ok":
        raise Busy(host=host, detail=answer.removeprefix("fail: "))
    _refuse_jobs(host, ask)


def _refuse_jobs(host: str, ask: Ask) -> None:
    jobs = ask("status jobs")
    # Data::Dumper: a job is a key of the hash. The nightly ones are called " admin " and " admin1 ".
    if re.search(rf"""["']{re.escape(host)}["'] => \{{""", jobs):
        raise Busy(host=host, detail="a job of it is running; wait for it, or stop it in BackupPC")
    if re.search(r"""["'] admin""", jobs):
        raise Busy(host=host, detail="BackupPC_nightly is running; try again when it is done")
