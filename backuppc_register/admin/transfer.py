"""The verb `transfer`: a laptop changes hands."""

import argparse
from collections.abc import Callable

from backuppc_register.admin import host_change, options
from backuppc_register.admin.context import Context
from backuppc_register.lifecycle import revoke_access, transfer
from backuppc_register.lifecycle.operation import Done, Operation, host_named

SUMMARY = "give a host to another person, who cannot read what was backed up before"
EXAMPLE = """backuppc-register-admin transfer dormeur adupont
  backuppc-register-admin transfer dormeur_20261126 backuppc    (a logon was given out again)"""

_WHOSE = "whose it will be, in the directory; or BackupPC's own account, for administrators alone"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    host_change.add_host(parser)
    parser.add_argument("logon", metavar="LOGON", help=_WHOSE)
    text = "delete the earlier owner's backups in so many days, instead of keeping them"
    parser.add_argument("--purge", metavar="DAYS", type=host_change.days, help=text)
    options.add_yes(parser)
    options.add_dry_run(parser)
    parser.set_defaults(wrong=parser.error)


def run(context: Context, options: argparse.Namespace) -> int:
    """Transfer a host."""
    work, host = host_change.work(context, dry_run=options.dry_run), host_named(options.host)
    transferred = _to_whom(context, host, options)
    planned = transferred(host_change.planned(work))
    host_change.tell(context, planned, dry_run=True)
    if options.dry_run:
        return 0
    if not context.confirmed(host, options.yes):
        context.say("That is not its name: nothing was changed.")
        return 1
    confirmed = host_change.confirmed(work, planned)
    host_change.do(context, "transfer", host, lambda: transferred(confirmed))
    host_change.sweep(context, work)
    return 0


def _to_whom(context: Context, host: str, options: argparse.Namespace) -> Callable[[Operation], Done]:
    """Return the work: give the host to a person, or take it from everybody."""
    from backuppc_register.network.ldap import Ldap  # its library is slow to import

    if options.logon == context.account:
        if options.purge is not None:
            options.wrong("--purge goes with a person; then backuppc-register-admin purge HOST")
        return lambda work: revoke_access.withdraw(host, work)
    person = transfer.person_of(options.logon, Ldap(context.config.directory), context.account)
    context.say(f"{person.uid} is {person.name or 'a person without a name'}.")
    return lambda work: transfer.transfer(host, person, work, purge_in=options.purge)
