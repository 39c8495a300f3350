"""Answer one request of sshd: environment in; one reply, one log line, one exit status out."""

import os
import secrets
import select
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from getopt import GetoptError, getopt
from pathlib import Path
from typing import TYPE_CHECKING

from backuppc_register import config, syslog_line
from backuppc_register.protocol import errors, escaping, reply, request
from backuppc_register.protocol.errors import (
    Fault,
    HostsFileError,
    Internal,
    Misconfigured,
    NoCommand,
    Refusal,
    RegisterError,
)
from backuppc_register.system.account import WrongAccount, become_owner
from backuppc_register.system.deadline import Deadline

if TYPE_CHECKING:
    from backuppc_register.inventory.server import Server
    from backuppc_register.inventory.services import Directory, Resolver, Services

_TIMEOUT = 27.0  # seconds; a whole request must be answered within 30
_READ_TIMEOUT = 5.0  # seconds for the ssh host keys that a machine sends with verify
_LONGEST_INPUT = 16384  # bytes of them


@dataclass(frozen=True)
class Outcome:
    """The reply for the client, and the exit status."""

    reply: bytes
    exit_status: int


@dataclass
class _Call:
    """One request, as far as it was read, and its fields for the log."""

    number: str
    connection: str = ""
    register_key: str = ""
    asked: request.Request | None = None
    syslog: config.Syslog = field(default_factory=config.Syslog)
    started: float = field(default_factory=time.monotonic)


def run(arguments: Sequence[str], environment: Mapping[bytes, bytes]) -> Outcome:
    """Answer one request; turn every error into a reply and a log line.

    *arguments*: those of the forced command. *environment*: sshd's.
    """
    # Digits, because people read the number out on the telephone.
    call = _Call(number=f"{secrets.randbelow(10**8):08d}")
    try:
        answer = _answer(call, arguments, environment)
    except RegisterError as error:
        return _failed(call, error)
    except OSError as error:  # the operating system's, and no bug of ours
        return _failed(call, HostsFileError(detail=_told(error)))
    except Exception:
        return _failed(call, Internal(detail=traceback.format_exc()))
    return _succeeded(call, answer)


def _answer(call: _Call, arguments: Sequence[str], environment: Mapping[bytes, bytes]) -> reply.Success:
    deadline = Deadline(_TIMEOUT)
    connection = request.connection(_text(environment, b"SSH_CONNECTION"))
    call.connection = connection.text if connection else ""
    path, call.register_key = _options(arguments)
    settings, account = _configuration(call, path)
    if connection is None:
        raise Internal(detail="SSH_CONNECTION is absent or malformed: was this started by sshd?")
    try:
        call.asked = request.parse(_text(environment, b"SSH_ORIGINAL_COMMAND"), settings.server.os)
    except NoCommand as error:
        if connection.own:  # not counted: only an account of this server can ask so
            error.add_detail(request.OWN_TEST)
            raise
        raise _malformed(error, connection.peer, settings) from None
    except RegisterError as error:
        raise _malformed(error, connection.peer, settings) from None

    # Imported only now: a request that ends above does not need them, and they take longer than its answer.
    from backuppc_register.backuppc.daemon.status import Daemon
    from backuppc_register.inventory.server import Server
    from backuppc_register.inventory.services import Services
    from backuppc_register.state.host_folder import HostFolders
    from backuppc_register.state.rate_limits import Limits

    folders = HostFolders(settings.state.directory, deadline)
    folders.ready()
    server = Server(settings, account, folders)
    with Limits(settings.state.directory / "limits", settings.limits).asking(connection.peer) as admission:
        services = Services(
            resolver=lambda: _resolver(settings.dns),
            directory=lambda: _directory(settings.directory),
            daemon=Daemon(settings.backuppc.socket, settings.backuppc.install_dir),
            deadline=deadline,
            own_keys=lambda: request.host_keys(_input(0)),
            admit=admission.named,
        )
        return _served(call.asked, connection.peer, server, services)


def _malformed(error: RegisterError, peer: request.Address, settings: config.Config) -> RegisterError:
    """Count a malformed request, and return what is answered: its form comes before all but the limits."""
    from backuppc_register.state.host_folder import HostFolders
    from backuppc_register.state.rate_limits import Limits

    try:
        HostFolders(settings.state.directory).ready()
        with Limits(settings.state.directory / "limits", settings.limits).admitted(peer):
            raise error
    except Fault:
        return error
    except RegisterError as told:
        return told


def _served(
    asked: request.Request, peer: request.Address, server: "Server", services: "Services"
) -> reply.Success:
    if asked.verb == "verify":
        from backuppc_register.verification import verify

        return verify.serve(asked, peer, server, services)
    from backuppc_register.registration import register

    return register.serve(asked, peer, server, services)


def _input(descriptor: int) -> bytes:
    """Return the bytes from *descriptor* up to EOF or a line ``.``; what is too long or too late is lost."""
    content, deadline = b"", Deadline(_READ_TIMEOUT)
    while b"\n.\n" not in b"\n" + content.replace(b"\r", b"") and len(content) < _LONGEST_INPUT:
        ready, _, _ = select.select([descriptor], [], [], deadline.remaining())
        part = os.read(descriptor, _LONGEST_INPUT - len(content)) if ready else b""
        if not part:
            break
        content += part
    return content


def _configuration(call: _Call, path: Path) -> tuple[config.Config, str]:
    """Become BackupPC's account and read the configuration; return the configuration and the account."""
    document = config.read(path)
    call.syslog = config.syslog(document)
    folder = config.config_dir(document)
    try:
        account = become_owner(folder)
    except WrongAccount:
        raise
    except Misconfigured as error:
        raise config.with_problems(error, document) from error
    return config.check(document), account


def _told(error: OSError) -> str:
    """Return *error* with the line of the program at which it came up."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{error} ({Path(last.filename).name}, line {last.lineno})"


def _options(arguments: Sequence[str]) -> tuple[Path, str]:
    """Return the path of the configuration and the label of the register-key."""
    try:
        options, rest = getopt(list(arguments), "", ["config=", "register-key="])
    except GetoptError as error:
        raise Misconfigured(detail=f"the forced command's options: {error}") from error
    if rest:
        raise Misconfigured(detail=f"the forced command takes options only, not {rest[0]}")
    given = dict(options)
    return Path(given.get("--config", config.DEFAULT_PATH)), given.get("--register-key", "")


def _text(environment: Mapping[bytes, bytes], name: bytes) -> str:
    return environment.get(name, b"").decode("utf-8", "surrogateescape")


def _resolver(settings: config.Dns) -> "Resolver":
    from backuppc_register.network.reverse_dns import ReverseDns

    return ReverseDns(settings)


def _directory(settings: config.Directory) -> "Directory":
    from backuppc_register.network.ldap import Ldap

    return Ldap(settings)


def _succeeded(call: _Call, answer: reply.Success) -> Outcome:
    known = {"host": answer.host, "user": answer.user}
    _log(call, "success", "notice", known, status=answer.status, detail=answer.note)
    return Outcome(reply.success(answer, call.number), 0)


def _failed(call: _Call, error: RegisterError) -> Outcome:
    # A malformed request is anyone's text, and not worth the space.
    brief = isinstance(error, Refusal) and call.asked is None
    word = syslog_line.escape_briefly if brief else escaping.escape_field
    outcome = error.message(word, escaping.escape_text)
    _log(call, outcome, error.level, error.values, code=error.code, detail=error.detail, brief=brief)
    return Outcome(errors.reply(error, call.number, call.connection), error.exit_status)


def _log(
    call: _Call, outcome: str, level: str, known: Mapping[str, str], *, brief: bool = False, **fields: str
) -> None:
    asked = call.asked
    entry = syslog_line.Entry(
        connection=call.connection,
        outcome=outcome,
        level=level,
        request=call.number,
        host=known.get("host", ""),
        user=known.get("user") or known.get("logon") or (asked.logon if asked else ""),
        os=known.get("os") or (asked.os if asked else ""),
        register_key=call.register_key,
        ms=round((time.monotonic() - call.started) * 1000),
        brief=brief,
        **fields,
    )
    syslog_line.write(entry, call.syslog)
