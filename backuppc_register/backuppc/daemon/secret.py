"""Read the secret that BackupPC may want messages signed with (ServerMesgSecret)."""

import re

from backuppc_register.backuppc import installation
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.system import processes

# BackupPC's own library knows where config.pl is; the secret comes in hexadecimal, on a line of its own.
_PERL = r"""
use strict;
unshift(@INC, $ARGV[0]);
require BackupPC::Lib;
my $bpc = BackupPC::Lib->new or die("BackupPC's library does not start\n");
my %Conf = $bpc->Conf();
utf8::downgrade(my $secret = $Conf{ServerMesgSecret} // "");
print("\nsecret ", unpack("H*", $secret), "\n");
"""


def read(install_dir: str, timeout: float) -> bytes:
    """Return the secret by BackupPC's own Perl in *install_dir*, within *timeout* seconds.

    This Perl has no connection to BackupPC, so it may be killed. Raises ValueError, TimeoutError.
    """
    try:
        library = installation.library(install_dir)
        ended = processes.run(["perl", "-e", _PERL, str(library)], timeout)
    except RegisterError as error:
        raise ValueError(f"its ServerMesgSecret cannot be read: {error.detail}") from error
    except FileNotFoundError as error:  # which would read as a BackupPC that is not running
        raise ValueError(f"its ServerMesgSecret cannot be read: {error}") from error
    found = re.search(rb"\nsecret ([0-9a-f]*)\n\Z", ended.output)
    if found is None:
        raise ValueError(f"its ServerMesgSecret cannot be read: {ended.error_text}")
    return bytes.fromhex(found[1].decode("ascii"))
