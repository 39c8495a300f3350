"""The verb `check`: a person's request replayed, step by step, changing nothing."""

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

from backuppc_register.admin import options
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import moment
from backuppc_register.backuppc import backups, host_config, hosts
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.config import Config
from backuppc_register.inventory.services import Services
from backuppc_register.person import Person
from backuppc_register.protocol import request
from backuppc_register.protocol.errors import OsTypeUnknown, RegisterError
from backuppc_register.protocol.reply import Success
from backuppc_register.protocol.request import Address
from backuppc_register.registration import host_name, register
from backuppc_register.state.records import Record
from backuppc_register.system.deadline import Deadline

SUMMARY = "replay a person's request step by step, changing nothing"
EXAMPLE = "backuppc-register-admin check linux:cmartin --from 134.158.240.17"

_WITHIN = 28.0  # seconds, as for a request that sshd brings

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One check: what was asked, of whom, the answer, and how long it took, in milliseconds."""

    step: str
    asked: str
    of: str
    answer: str
    ok: bool
    ms: float


@dataclass
class Steps:
    """The steps so far, in their order."""

    done: list[Step] = field(default_factory=list)

    def take(self, question: tuple[str, str, str], do: Callable[[], T], told: Callable[[T], str] = str) -> T:
        """Do one step, *question* being its name, what is asked and of whom; note how it went.

        Raises what *do* raises.
        """
        began = time.monotonic()
        answer, ok = "", False
        try:
            result = do()
            answer, ok = told(result), True
        except RegisterError as error:
            answer = str(error)
            raise
        finally:
            ms = round((time.monotonic() - began) * 1000, 1)
            self.done.append(Step(*question, answer, ok, ms))
        return result


@dataclass(frozen=True)
class _Resolver:
    """The DNS, watched; and the rules for names, which come right after it."""

    steps: Steps
    config: Config

    def name_of(self, peer: Address, timeout: float) -> str:
        """Return the confirmed name, as the real one does."""
        from backuppc_register.network.reverse_dns import ReverseDns

        settings = self.config.dns
        of = f"DNS, {' '.join(settings.nameservers) or 'those of /etc/resolv.conf'}"
        asked = f"the name of {peer}, and its addresses"
        name = self.steps.take(("name", asked, of), lambda: ReverseDns(settings).name_of(peer, timeout))
        question = ("host", f"may {name} register?", "[dns]")
        with suppress(RegisterError):  # the rules raise it themselves right away
            self.steps.take(question, lambda: host_name.host_of(name, settings))
        return name


@dataclass(frozen=True)
class _Directory:
    """The directory, watched."""

    steps: Steps
    config: Config

    def find(self, logon: str, timeout: float) -> Person:
        """Return the person, as the real one does."""
        from backuppc_register.network.ldap import Ldap

        settings = self.config.directory
        asked = f"{settings.filter.replace('{logon}', logon)} below {settings.base}"
        question = ("person", asked, f"LDAP, {' '.join(settings.servers)}")
        return self.steps.take(question, lambda: Ldap(settings).find(logon, timeout), _person)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("request", metavar="OS:LOGON", help="what was asked for")
    told = "the machine's address, see the log"
    parser.add_argument("--from", dest="peer", metavar="ADDRESS", type=address, required=True, help=told)
    options.add_json(parser)


def run(context: Context, options: argparse.Namespace) -> int:
    """Replay a request; 1 where it would be refused."""
    steps = Steps()
    verdict, error = _replay(context, options.request, options.peer, steps)
    if options.json:
        done = [asdict(step) for step in steps.done]
        context.json({"accepted": error is None, "verdict": verdict, "steps": done})
    else:
        _print(context, steps, verdict)
    return 0 if error is None else 1


def address(text: str) -> Address:
    """Read the address of a machine, as sshd tells it; raises argparse's error."""
    connection = request.connection(f"{text} 0 ::1 22")
    if connection is None:
        raise argparse.ArgumentTypeError(f"{text} is no address")
    return connection.peer


def _replay(
    context: Context, command: str, peer: Address, steps: Steps
) -> tuple[dict[str, str], RegisterError | None]:
    """Return what the client would be told, and the error that it would be."""
    began = time.monotonic()
    services = Services(
        resolver=lambda: _Resolver(steps, context.config),
        directory=lambda: _Directory(steps, context.config),
        daemon=Daemon(""),
        deadline=Deadline(_WITHIN),
    )
    try:
        asked = steps.take(("form", command, "[server] os"), lambda: _parse(command, context), _asked)
        place = str(context.config.state.directory)
        steps.take(("state", "is it ready?", place), context.folders.ready, _fine)
        answer = register.serve(asked, peer, context.server, services)
    except RegisterError as error:
        _facts(context, error.values.get("host", ""), steps)
        return _refused(error), error
    _facts(context, answer.host, steps)
    return _accepted(answer, round((time.monotonic() - began) * 1000)), None


def _parse(command: str, context: Context) -> request.Request:
    asked = request.parse(command, context.config.server.os)
    if asked.verb == "verify":
        raise OsTypeUnknown(detail=f"verify asks the machine itself: replay {asked.os}:{asked.logon}")
    return replace(asked, verb="check")


def _facts(context: Context, host: str, steps: Steps) -> None:
    """Note what the last rules judge by: the hosts line, the record, the data."""
    if not host or not all(step.ok for step in steps.done):
        return
    places, folders = context.config.backuppc, context.folders

    def lines() -> tuple[hosts.Line, ...]:
        with context.server.locked():
            return hosts.read(places.hosts).lines_for(host)

    with suppress(RegisterError):
        steps.take(("line", f"the line of {host}", str(places.hosts)), lines, _lines)
        place = str(folders.path(host))
        steps.take(("record", f"who registered {host}?", place), lambda: folders.record(host), _record)
        question = ("data", f"are there backups of {host}?", f"{places.data_dir}/pc")
        steps.take(question, lambda: _has_data(context, host), _yes_or_no)
        config = str(host_config.path(places.config_dir, host))
        question = ("config", f"are there settings of {host}?", config)
        steps.take(question, lambda: host_config.exists(places, host), _yes_or_no)


def _has_data(context: Context, host: str) -> bool:
    return backups.has_backups(context.config.backuppc.data_dir, host)


def _print(context: Context, steps: Steps, verdict: dict[str, str]) -> None:
    for step in steps.done:
        mark = "ok" if step.ok else "NO"
        context.say(f"{mark}  {step.step:8}{step.ms:8.1f} ms  {step.asked}")
        context.say(f"{'':23}{step.of}: {step.answer}")
    context.say()
    for name, value in verdict.items():
        context.say(f"{name + ':':9} {value}")
    context.say("Nothing was changed, and the limits were not tried: this counts nothing.")


def _accepted(answer: Success, ms: int) -> dict[str, str]:
    told = {
        "verdict": "would be accepted",
        "host": answer.host,
        "person": answer.person,
        "status": answer.status,
        "advice": answer.advice,
        "ms": str(ms),
    }
    return {name: value for name, value in told.items() if value}


def _refused(error: RegisterError) -> dict[str, str]:
    told = {
        "verdict": f"would be refused: {error.message()}",
        "code": error.code,
        "exit": str(error.exit_status),
        "detail": error.detail,
        "advice": error.advice,
    }
    return {name: value for name, value in told.items() if value}


def _asked(asked: request.Request) -> str:
    return f"{asked.logon} with {asked.os}"


def _person(person: Person) -> str:
    name, found = person.name and f"({person.name})", person.note and f"[{person.note}]"
    told = (person.uid, name, person.entry_id, found)
    return " ".join(part for part in told if part)


def _lines(lines: tuple[hosts.Line, ...]) -> str:
    return "; ".join(f"{line.host} {line.dhcp} {line.user}" for line in lines) or "none"


def _record(record: Record | None) -> str:
    if record is None or record.by_hand:
        return "nobody"
    parts = (record.person, record.entry, "from", record.full_name, "on", moment(record.registered))
    return " ".join(part for part in parts if part)


def _yes_or_no(answer: bool) -> str:
    return "yes" if answer else "no"


def _fine(_: None) -> str:
    return "yes"
