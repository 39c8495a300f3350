"""The verb `resume`: a retired host is backed up again."""

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
    work = host_change.work(context, dry_run=options.dry_run)
    host = host_named(options.host)
    done = host_change.do(context, "resume", host, lambda: resume.resume(host, work), dry_run=options.dry_run)
    if not done.steps:
        context.say(f"{done.host} is not retired.")
    return 0
