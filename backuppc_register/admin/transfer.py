"""The verb `transfer`: give a host to another person, or restrict it to administrators."""

import argparse
from collections.abc import Callable

from backuppc_register.admin import host_change, options
from backuppc_register.admin.context import Context
from backuppc_register.inventory import policy
from backuppc_register.lifecycle import revoke_access, transfer
from backuppc_register.lifecycle.operation import Plan, host_named
from backuppc_register.person import Person

SUMMARY = "give a host to another person, who cannot read what was backed up before"
EXAMPLE = """backuppc-register-admin transfer dormeur adupont
  backuppc-register-admin transfer dormeur_20261126 backuppc    (a logon was reused)"""

_OWNER = "new owner (LDAP logon), or BackupPC's account to restrict the host to administrators"
_TIMEOUT = 30.0  # seconds for the directory


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    host_change.add_host(parser)
    parser.add_argument("logon", metavar="LOGON", help=_OWNER)
    text = "delete the earlier owner's backups in so many days, instead of keeping them"
    parser.add_argument("--purge", metavar="DAYS", type=host_change.days, help=text)
    options.add_yes(parser)
    options.add_dry_run(parser)
    parser.set_defaults(wrong=parser.error)


def run(context: Context, options: argparse.Namespace) -> int:
    """Transfer a host."""
    plan, work = _planned(context, options)
    if options.dry_run:
        host_change.show(context, plan)
        return 0
    if not host_change.is_confirmed(context, plan, options):
        return 1
    host_change.apply(context, "transfer", plan, work)
    host_change.sweep(context)
    return 0


def _planned(context: Context, options: argparse.Namespace) -> tuple[Plan, Callable[[], str]]:
    """Return the plan, and the work that applies it."""
    operation, host = host_change.operation(context), host_named(options.host)
    if options.logon == context.account:
        if options.purge is not None:
            options.wrong("--purge goes with a person; then backuppc-register-admin purge HOST")
        revoking = revoke_access.plan(host, operation)
        return revoking, lambda: revoke_access.apply(revoking, operation)
    person = policy.find_person(options.logon, lambda logon: _find(logon, context), context.account)
    context.say(f"{person.uid} is {person.name or 'a person without a name'}.")
    plan = transfer.plan(host, person, operation, purge_in=options.purge)
    return plan, lambda: transfer.apply(plan, operation)


def _find(logon: str, context: Context) -> Person:
    from backuppc_register.network.ldap import Ldap  # its library is slow to import

    return Ldap(context.config.directory).find(logon, _TIMEOUT)
