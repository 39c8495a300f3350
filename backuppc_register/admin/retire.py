"""The verb `retire`: stop the backups of a host and keep its data."""

import argparse

from backuppc_register.admin import host_change
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_change import Change, carry_out
from backuppc_register.admin.options import DRY_RUN, HOST, switch
from backuppc_register.lifecycle import retire
from backuppc_register.lifecycle.operation import host_named

SUMMARY = "stop the backups of a host and keep its data, until resume or a successful verify from its machine"
EXAMPLE = "backuppc-register-admin retire dormeur"
OPTIONS = (HOST, switch("--final", "only an administrator can resume it, and not its machine"), DRY_RUN)


def run(context: Context, options: argparse.Namespace) -> int:
    """Retire a host."""
    operation = host_change.operation(context)
    plan = retire.plan(host_named(options.host), operation, final=options.final)
    if plan.steps:
        carry_out(Change("retire", plan, lambda: retire.apply(plan, operation)), context, options)
    else:
        context.say(f"{plan.host} is retired already.")
    return 0
