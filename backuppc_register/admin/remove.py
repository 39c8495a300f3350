"""The verb `remove`, which there is not, and why."""

import argparse

from backuppc_register.admin.context import Start

SUMMARY = "explain why there is no such verb"
EXAMPLE = "backuppc-register-admin remove dormeur"

_WHY = """\
There is no remove. BackupPC counts the files in its pool for the hosts of its hosts file alone: of a host
whose line is removed, the second nightly run deletes the files that no other host has, and no line that is
put back brings them back. Say what you want instead:

  backuppc-register-admin retire {host}          its backups stop, its data stays
  backuppc-register-admin purge {host}           its data is deleted, after days in which that can be undone
  backuppc-register-admin transfer {host} LOGON  the machine is another person's from now on
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("host", metavar="HOST", nargs="?", default="HOST", help="its name in BackupPC")


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Explain; nothing is read or changed."""
    for line in _WHY.format(host=options.host).splitlines():
        start.say(line)
    return 1
