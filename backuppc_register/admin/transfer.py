"""The verb `transfer`: give a host to another person, or restrict it to administrators."""

import argparse

from backuppc_register.admin import host_change
from backuppc_register.admin.context import Context
from backuppc_register.admin.host_change import Change, carry_out
from backuppc_register.admin.options import DRY_RUN, HOST, YES, option
from backuppc_register.inventory import policy
from backuppc_register.lifecycle import transfer, transfer_to_administrators
from backuppc_register.lifecycle.operation import host_named
from backuppc_register.person import Person

SUMMARY = "give a host to another person, who cannot read what was backed up before"
EXAMPLE = """backuppc-register-admin transfer dormeur adupont
  backuppc-register-admin transfer dormeur_20261126 backuppc    (a logon was reused)"""

_OWNER = "new owner (LDAP logon), or BackupPC's account to restrict the host to administrators"
_PURGE = "delete the earlier owner's backups in so many days, instead of keeping them"
OPTIONS = (
    HOST,
    option("logon", metavar="LOGON", help=_OWNER),
    option("--purge", metavar="DAYS", type=host_change.days, help=_PURGE),
    YES,
    DRY_RUN,
)

_TIMEOUT = 30.0  # seconds for the directory


def run(context: Context, options: argparse.Namespace) -> int:
    """Transfer a host."""
    done = carry_out(_change(context, options), context, options)
    if done:
        host_change.sweep(context)
    return 1 if done is False else 0


def _change(context: Context, options: argparse.Namespace) -> Change:
    operation, host = host_change.operation(context), host_named(options.host)
    if options.logon == context.account:
        if options.purge is not None:
            options.wrong("--purge goes with a person; then backuppc-register-admin purge HOST")
        revoking = transfer_to_administrators.plan(host, operation)
        return Change("transfer", revoking, lambda: transfer_to_administrators.apply(revoking, operation))
    person = policy.find_person(
        options.logon,
        lambda logon: _find(logon, context),
        context.account,
        lower_case=context.config.server.lower_case_logons,
    )
    context.say(f"{person.uid} is {person.name or 'a person without a name'}.")
    plan = transfer.plan(host, person, operation, purge_in=options.purge)
    return Change("transfer", plan, lambda: transfer.apply(plan, operation))


def _find(logon: str, context: Context) -> Person:
    from backuppc_register.network.ldap import Ldap  # its library is slow to import

    return Ldap(context.config.directory).find(logon, _TIMEOUT)
