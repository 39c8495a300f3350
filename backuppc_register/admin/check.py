"""The verb `check`: repeat a person's request step by step, and change nothing."""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import moment
from backuppc_register.admin.options import JSON, option
from backuppc_register.backuppc import host_config
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.services import Services
from backuppc_register.person import Person
from backuppc_register.protocol import request
from backuppc_register.protocol.errors import OsTypeUnknown, RegisterError
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Address, Request
from backuppc_register.registration import register
from backuppc_register.system.deadline import Deadline

SUMMARY = "repeat a person's request step by step, and change nothing"
EXAMPLE = "backuppc-register-admin check linux:cmartin --from 134.158.240.17"

_NO_IDENTITY = "[no lasting identity can be read: see docs/reference/directories.md]"
_TIMEOUT = 28.0  # seconds, as for a request from sshd

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One step: the question *asked*, the source *of* the answer, the answer, and the milliseconds."""

    step: str
    asked: str
    of: str
    answer: str
    ok: bool = True
    ms: float = 0.0


@dataclass
class Replay:
    """A request of *command* and *peer*, and its steps so far; a `Trace`."""

    context: Context
    command: str
    peer: Address
    steps: list[Step] = field(default_factory=list)

    def __call__(self, step: str, take: Callable[[], T], /) -> T:
        """Take a step, and note how it went; raises its errors."""
        began = time.monotonic()
        try:
            result = take()
        except RegisterError as error:
            self.steps.append(Step(step, *self._question(step), str(error), ok=False, ms=_ms_since(began)))
            raise
        ms = _ms_since(began)
        if isinstance(result, HostStatus):
            self.steps += _parts(result, ms)
        else:
            self.steps.append(Step(step, *self._question(step), _words(result), ms=ms))
        return result

    def _question(self, step: str) -> tuple[str, str]:
        """Return the question of *step*, and the source of the answer."""
        config = self.context.config
        nameservers = " ".join(config.dns.nameservers) or "those of /etc/resolv.conf"
        logon = self.command.rpartition(":")[2]
        wanted = f"{config.directory.filter.replace('{logon}', logon)} below {config.directory.base}"
        return {
            "form": (self.command, "[server] os"),
            "state": ("is it ready?", str(config.state.directory)),
            "name": (f"the name of {self.peer}, and its addresses", f"DNS, {nameservers}"),
            "host": ("may a machine with that name register?", "[dns]"),
            "person": (wanted, f"LDAP, {' '.join(config.directory.servers)}"),
            "status": ("hosts line, record, backups, settings", str(config.backuppc.config_dir)),
        }[step]


def address(text: str) -> Address:
    """Read the address of a machine, in sshd's form; raises argparse's error."""
    connection = request.connection(f"{text} 0 ::1 22")
    if connection is None:
        raise argparse.ArgumentTypeError(f"{text} is not an address")
    return connection.peer


_FROM = "the machine's address, see the log"
OPTIONS = (
    option("request", metavar="OS:LOGON", help="the request"),
    option("--from", dest="peer", metavar="ADDRESS", type=address, required=True, help=_FROM),
    JSON,
)


def run(context: Context, options: argparse.Namespace) -> int:
    """Repeat a request; return 1 if it would be refused."""
    replay = Replay(context, options.request, options.peer)
    began = time.monotonic()
    try:
        verdict, accepted = _accepted(_answer(replay), round(_ms_since(began))), True
    except RegisterError as error:
        verdict, accepted = _refused(error), False
    if options.json:
        steps = [asdict(step) for step in replay.steps]
        context.json({"accepted": accepted, "verdict": verdict, "steps": steps})
    else:
        _print(context, replay.steps, verdict)
    return 0 if accepted else 1


def _answer(replay: Replay) -> Success:
    """Answer the request as for the verb `check` of the wire protocol; raises RegisterError."""
    from backuppc_register.network.ldap import Ldap
    from backuppc_register.network.reverse_dns import ReverseDns

    config, server = replay.context.config, replay.context.server
    services = Services(
        resolver=lambda: ReverseDns(config.dns),
        directory=lambda: Ldap(config.directory),
        daemon=Daemon(""),
        deadline=Deadline(_TIMEOUT),
        trace=replay,
    )
    asked = replay("form", lambda: _parse(replay.command, config.server.os))
    replay("state", server.folders.ready)
    return register.serve(asked, replay.peer, server, services)


def _parse(command: str, ostypes: tuple[str, ...]) -> Request:
    asked = request.parse(command, ostypes)
    if asked.verb == "verify":
        raise OsTypeUnknown(detail=f"verify needs the machine itself: check {asked.os}:{asked.logon}")
    return replace(asked, verb="check")


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


def _parts(status: HostStatus, ms: float) -> Iterator[Step]:
    """Yield what a host's status consists of; all was read together, in *ms* milliseconds."""
    host, places = status.host, status.server.backuppc
    lines = "; ".join(f"{line.host} {line.dhcp} {line.user}" for line in status.lines) or "none"
    yield Step("line", f"the line of {host}", str(places.hosts), lines, ms=ms)
    folder = str(status.server.folders.path(host))
    yield Step("record", f"who registered {host}?", folder, _registered(status))
    yield Step("data", f"are there backups of {host}?", f"{places.data_dir}/pc", _words(status.backups))
    config = str(host_config.path(places.config_dir, host))
    yield Step("config", f"are there settings of {host}?", config, _words(status.reserved))


def _registered(status: HostStatus) -> str:
    record = status.record
    if record is None or record.by_hand:
        return "no person"
    parts = (record.person, record.entry, "from", record.full_name, "on", moment(record.registered))
    return " ".join(part for part in parts if part)


def _words(result: object) -> str:
    """Return the result of a step in words."""
    match result:
        case Request():
            return f"{result.logon} with {result.os}"
        case Person():
            name, note = result.name and f"({result.name})", result.note and f"[{result.note}]"
            return " ".join(
                part for part in (result.uid, name, result.entry_id or _NO_IDENTITY, note) if part
            )
        case None | bool():
            return "no" if result is False else "yes"
    return str(result)


def _accepted(answer: Success, ms: int) -> dict[str, str]:
    verdict = {"verdict": "would be accepted", "host": answer.host, "person": answer.person}
    note = answer.note.removeprefix(register.CHECKED).removeprefix("; ")
    return _filled(verdict | {"status": answer.status, "advice": answer.advice, "note": note, "ms": str(ms)})


def _refused(error: RegisterError) -> dict[str, str]:
    verdict = {"verdict": f"would be refused: {error.message()}", "code": error.code}
    return _filled(verdict | {"exit": str(error.exit_status), "detail": error.detail, "advice": error.advice})


def _filled(values: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _print(context: Context, steps: list[Step], verdict: dict[str, str]) -> None:
    for step in steps:
        mark = "ok" if step.ok else "NO"
        context.say(f"{mark}  {step.step:8}{step.ms:8.1f} ms  {step.asked}")
        context.say(f"{'':23}{step.of}: {step.answer}")
    context.say()
    for name, value in verdict.items():
        context.say(f"{name + ':':9} {value}")
    context.say("Nothing was changed, and the request does not count in the limits.")
