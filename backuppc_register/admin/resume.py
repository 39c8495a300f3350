"""The verb `resume`: back a retired host up again."""

import argparse

from backuppc_register.admin import host_change
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_change import Change, carry_out
from backuppc_register.admin.options import DRY_RUN, HOST
from backuppc_register.lifecycle import resume
from backuppc_register.lifecycle.operation import host_named

SUMMARY = "let the backups of a retired host go on, with its key and settings; cancels a purge"
EXAMPLE = "backuppc-register-admin resume dormeur"
OPTIONS = (HOST, DRY_RUN)


def run(context: Context, options: argparse.Namespace) -> int:
    """Resume a host."""
    operation = host_change.operation(context)
    plan = resume.plan(host_named(options.host), operation)
    if plan.steps:
        carry_out(Change("resume", plan, lambda: resume.apply(plan, operation)), context, options)
    else:
        context.say(f"{plan.host} is not retired.")
    return 0
