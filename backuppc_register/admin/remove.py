"""The verb `remove`: explain why a host cannot be removed at once."""

import argparse

from backuppc_register.admin.context import Start
from backuppc_register.admin.options import option

SUMMARY = "explain why there is no such verb"
EXAMPLE = "backuppc-register-admin remove dormeur"
OPTIONS = (option("host", metavar="HOST", nargs="?", default="HOST", help="its name in BackupPC"),)

_WHY = """\
There is no remove. BackupPC counts the pool's files only for hosts with a line in its hosts file. After two
nightly runs without the line, it has deleted the files that no other host has, and a restored line does not
bring them back. Choose instead:

  backuppc-register-admin retire {host}          stop its backups, keep its data
  backuppc-register-admin purge {host}           delete its data after some days, in which you can cancel it
  backuppc-register-admin transfer {host} LOGON  give the machine to another person
"""


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Explain; nothing is read or changed."""
    for line in _WHY.format(host=options.host).splitlines():
        start.say(line)
    return 1
