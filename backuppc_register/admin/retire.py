"""The verb `retire`: a host's backups stop, its data stays."""

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
    work = host_change.work(context, dry_run=options.dry_run)
    host = host_named(options.host)
    done = host_change.do(context, "retire", host, lambda: retire.retire(host, work), dry_run=options.dry_run)
    if not done.steps:
        context.say(f"{done.host} is retired already.")
    return 0
