"""The first register-key."""

import argparse
from pathlib import Path

from backuppc_register.admin import program_paths, register_key
from backuppc_register.admin.init.step import Plan, Step
from backuppc_register.backuppc.lock import locked
from backuppc_register.inventory.server import LOCK_TIMEOUT
from backuppc_register.state.authorized_keys import Binding
from backuppc_register.state.register_keys import RegisterKeys

_LABEL = "main"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("the first register-key")
    group.add_argument(
        "--label", type=register_key.label, help=f"its name, in every log line (default: {_LABEL})"
    )
    register_key.add_binding(group)
    group.add_argument("--authorized-keys", metavar="FILE", type=Path, help=register_key.FILE_HELP)


def step(plan: Plan) -> Step:
    """Return the step that makes a register-key: one of that label, or where none is asked for, any."""
    options = plan.options
    path = options.authorized_keys or Path(plan.owner.pw_dir) / ".ssh" / "authorized_keys"
    keys = RegisterKeys(plan.settings.state.directory, path)

    def missing() -> str:
        there = plan.as_owner(lambda: [key.label for key in keys.all() if key.line])
        return "" if options.label in there or (there and not options.label) else "there is none"

    def make() -> None:
        plan.as_owner(lambda: _add(plan, keys))

    return Step(f"a register-key in {path}", missing, make)


def not_taken(options: argparse.Namespace) -> list[str]:
    """Return the options that bind a new register-key, as they are typed."""
    return ["--from"] * bool(options.key_from) + ["--expires"] * bool(options.expires)


def _add(plan: Plan, keys: RegisterKeys) -> None:
    options = plan.options
    binding = Binding(program_paths.command(plan.path), tuple(options.key_from), options.expires or "")
    with locked(plan.settings.backuppc.config_dir, LOCK_TIMEOUT):
        keys.add(options.label or _LABEL, binding)
