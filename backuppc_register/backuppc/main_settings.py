"""BackupPC's settings for all hosts, config.pl, read by BackupPC's own Perl."""

import json
from pathlib import Path
from typing import Any

from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import processes

_LIBRARY = Path("/usr/share/backuppc/lib")
# config.pl is a program; what it prints is no answer of ours.
_PERL = r"""
use strict;
my ($confDir, $topDir, $library) = @ARGV;
unshift(@INC, $library);
require JSON::PP;
require BackupPC::Storage::Text;
open(my $answer, '>&', \*STDOUT) or die("no standard output: $!\n");
open(STDOUT, '>', '/dev/null') or die("no /dev/null: $!\n");
-r "$confDir/config.pl" or die("$confDir/config.pl cannot be read\n");
my $storage = BackupPC::Storage::Text->new({}, {ConfDir => $confDir, TopDir => $topDir});
my ($error, $conf) = $storage->ConfigDataRead();
die("$error\n") if ( defined($error) );
print $answer JSON::PP->new->ascii->allow_blessed->allow_unknown->encode($conf);
"""


def read(config_dir: Path, data_dir: Path, within: float, library: Path = _LIBRARY) -> dict[str, Any]:
    """Return what config.pl in *config_dir* sets, within *within* seconds.

    It is a program that BackupPC runs as this same account. Raises Misconfigured where it cannot be read.
    """
    command = ["perl", "-e", _PERL, str(config_dir), str(data_dir), str(library)]
    try:
        ended = processes.run(command, within)
        told = json.loads(ended.output) if ended.status == 0 else None
    except (OSError, ValueError) as error:
        raise Misconfigured(detail=f"BackupPC's config.pl: {error}") from error
    if not isinstance(told, dict):
        raise Misconfigured(detail=f"BackupPC's config.pl: {ended.error_text or 'is nothing'}")
    return told
