"""Run a verb of the administrators' program."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

from backuppc_register import __version__, config
from backuppc_register.admin import context
from backuppc_register.admin.context import Start
from backuppc_register.admin.options import add_options
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.system.account import WrongAccount

PROGRAM = "backuppc-register-admin"

VERBS: dict[str, str] = {
    "init": "init",
    "register-key": "register_key",
    "bundle": "bundle",
    "list": "list_hosts",
    "show": "show",
    "check": "check",
    "log": "log",
    "transfer": "transfer",
    "retire": "retire",
    "resume": "resume",
    "purge": "purge",
    "remove": "remove",
    "accept-key": "accept_key",
    "reconcile": "reconcile",
    "diagnose": "diagnose",
}
"""Each verb and its module in this package, which is imported when the verb is used.

A module has SUMMARY, EXAMPLE, OPTIONS and ``run(context, options)``, which is called as BackupPC's account.
If the verb needs the account that started the program, it has ``run_alone(start, options)`` instead.
"""

_DESCRIPTION = "Manage the hosts that registered themselves for BackupPC."
_CONFIG_HELP = f"our configuration (default: {config.DEFAULT_PATH}); the option can be anywhere"
_EPILOG = f"{PROGRAM} VERB --help shows more. Exit status: 0 done, 1 no or findings, 2 usage."


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a verb; return the exit status: 0 done, 1 no or findings, 2 usage."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # the terminal may not be UTF-8
    try:
        status = _done(arguments, environment)
        sys.stdout.flush()
    except BrokenPipeError:
        return 1  # the reader of a pipe has ended
    except OSError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return 1
    return status


def _done(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        return _run(arguments, environment)
    except SystemExit as leaving:  # argparse: help, or a usage error
        return leaving.code if isinstance(leaving.code, int) else 2
    except WrongAccount as error:
        return _failed(f"{error.advice} ({error.detail})", 2)
    except RegisterError as error:
        return _failed(str(error))


def _failed(why: str, status: int = 1) -> int:
    with suppress(OSError):  # the exit status still tells
        print(f"{PROGRAM}: {context.printable(why)}", file=sys.stderr)
    return status


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    path, arguments = _config_path(arguments)
    chosen = parser().parse_args(arguments)
    module = load(chosen.verb)
    given = verb_parser(chosen.verb, module).parse_args(chosen.rest)
    start = Start(path, context.administrator(environment), sys.stdout, sys.stdin)
    if hasattr(module, "run_alone"):
        status = module.run_alone(start, given)
    else:
        status = module.run(context.settle(start), given)
    return int(status)


def _config_path(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """Take ``--config FILE`` out of *arguments*, at any place."""
    taker = argparse.ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    taker.add_argument("--config", type=Path, default=config.DEFAULT_PATH)
    taken, rest = taker.parse_known_args(arguments)
    return taken.config, rest


class _Parser(argparse.ArgumentParser):
    """A parser with the verbs in its help; only the help imports them all."""

    def format_help(self) -> str:
        """Return argparse's help, then a line per verb."""
        lines = [f"  {verb:14}{load(verb).SUMMARY}" for verb in VERBS]
        return "\n".join([super().format_help(), "verbs:", *lines, "", _EPILOG, ""])


def load(verb: str) -> ModuleType:
    """Return the module of *verb*, one of VERBS."""
    return import_module(f"backuppc_register.admin.{VERBS[verb]}")


def parser() -> argparse.ArgumentParser:
    """Return the parser for the arguments up to the verb."""
    made = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        usage="%(prog)s [--config FILE] VERB [...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--config", metavar="FILE", help=_CONFIG_HELP)
    made.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    made.add_argument("verb", metavar="VERB", choices=VERBS, help="one of the verbs below")
    rest = made.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    rest.required = False  # else a usage error names it
    return made


def verb_parser(verb: str, module: ModuleType) -> argparse.ArgumentParser:
    """Return the parser for the arguments after *verb*."""
    made = argparse.ArgumentParser(
        prog=f"{PROGRAM} {verb}",
        description=module.SUMMARY,
        epilog=f"example:\n  {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--config", metavar="FILE", help=_CONFIG_HELP)
    add_options(made, module.OPTIONS)
    made.set_defaults(wrong=made.error)
    return made
