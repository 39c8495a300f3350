"""The verb `resume`: back a retired host up again."""

import argparse

from backuppc_register.admin import host_change, options
from backuppc_register.admin.context import Context
from backuppc_register.lifecycle import resume
from backuppc_register.lifecycle.operation import host_named

SUMMARY = "let the backups of a retired host go on, with its key and settings; cancels a purge"
EXAMPLE = "backuppc-register-admin resume dormeur"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    host_change.add_host(parser)
    options.add_dry_run(parser)


def run(context: Context, options: argparse.Namespace) -> int:
    """Resume a host."""
    operation = host_change.operation(context)
    plan = resume.plan(host_named(options.host), operation)
    if not plan.steps:
        context.say(f"{plan.host} is not retired.")
    elif options.dry_run:
        host_change.show(context, plan)
    else:
        host_change.apply(context, "resume", plan, lambda: resume.apply(plan, operation))
    return 0
