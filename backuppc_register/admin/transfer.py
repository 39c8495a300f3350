"""The verb `transfer`: a laptop changes hands."""

import argparse

from backuppc_register.admin import custody, options
from backuppc_register.admin.context import Context
from backuppc_register.rules import transfer
from backuppc_register.rules.custody import host_named

SUMMARY = "give a host to another person, who cannot read what was backed up before"
EXAMPLE = "backuppc-register-admin transfer dormeur adupont"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    custody.add_host(parser)
    parser.add_argument("logon", metavar="LOGON", help="whose it will be, in the directory")
    text = "delete the earlier owner's backups in so many days, instead of keeping them"
    parser.add_argument("--purge", metavar="DAYS", type=custody.days, help=text)
    options.add_yes(parser)
    options.add_dry_run(parser)


def run(context: Context, options: argparse.Namespace) -> int:
    """Transfer a host."""
    from backuppc_register.network.directory import Directory  # its library is slow to import

    work, host = custody.work(context, dry_run=options.dry_run), host_named(options.host)
    person = transfer.person_of(options.logon, Directory(context.config.directory), context.account)
    planned = transfer.transfer(host, person, custody.planned(work), purge_in=options.purge)
    context.say(f"{person.uid} is {person.name or 'a person without a name'}.")
    custody.tell(context, planned, dry_run=True)
    if options.dry_run:
        return 0
    if not context.confirmed(host, options.yes):
        context.say("That is not its name: nothing was changed.")
        return 1
    confirmed = custody.confirmed(work, planned)
    custody.do(
        context,
        "transfer",
        host,
        lambda: transfer.transfer(host, person, confirmed, purge_in=options.purge),
    )
    custody.sweep(context, work)
    return 0
