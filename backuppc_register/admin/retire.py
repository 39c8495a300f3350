"""The verb `retire`: stop the backups of a host and keep its data."""

import argparse

from backuppc_register.admin import host_change, options
from backuppc_register.admin.context import Context
from backuppc_register.lifecycle import retire
from backuppc_register.lifecycle.operation import host_named

SUMMARY = "stop the backups of a host and keep its data, until resume or its owner's next registration"
EXAMPLE = "backuppc-register-admin retire dormeur"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    host_change.add_host(parser)
    options.add_dry_run(parser)


def run(context: Context, options: argparse.Namespace) -> int:
    """Retire a host."""
    operation = host_change.operation(context)
    plan = retire.plan(host_named(options.host), operation)
    if not plan.steps:
        context.say(f"{plan.host} is retired already.")
    elif options.dry_run:
        host_change.show(context, plan)
    else:
        host_change.apply(context, "retire", plan, lambda: retire.apply(plan, operation))
    return 0
