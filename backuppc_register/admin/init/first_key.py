"""The step for the first register-key."""

import argparse
from pathlib import Path

from backuppc_register.admin import program_paths, register_key
from backuppc_register.admin.init.step import NONE, Plan, Step
from backuppc_register.admin.options import group, option
from backuppc_register.backuppc.lock import locked
from backuppc_register.state.authorized_keys import Binding
from backuppc_register.state.register_keys import RegisterKeys

_LABEL = "main"
OPTIONS = group(
    "the first register-key",
    option("--label", type=register_key.label, help=f"its label, in every log line (default: {_LABEL})"),
    *register_key.BINDING,
    register_key.AUTHORIZED_KEYS,
)


def options_given(options: argparse.Namespace) -> list[str]:
    """Return the given options that limit a new register-key, as they are typed."""
    return ["--from"] * bool(options.key_from) + ["--expires"] * bool(options.expires)


def step(plan: Plan) -> Step:
    """Return the step that makes a register-key with the given label, or without a label if there is none."""
    options = plan.options
    path = options.authorized_keys or Path(plan.owner.pw_dir) / ".ssh" / "authorized_keys"
    keys = RegisterKeys(plan.settings.state.directory, path)

    def missing() -> str:
        there = plan.as_owner(lambda: [key.label for key in keys.all() if key.line])
        return "" if options.label in there or (there and not options.label) else NONE

    return Step(f"a register-key in {path}", missing, lambda: plan.as_owner(lambda: _add(plan, keys)))


def _add(plan: Plan, keys: RegisterKeys) -> None:
    options = plan.options
    binding = Binding(program_paths.command(plan.path), tuple(options.key_from), options.expires or "")
    with locked(plan.settings.backuppc.config_dir):
        keys.add(options.label or _LABEL, binding)
