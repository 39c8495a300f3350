"""A connection to BackupPC that outlives us, for as long as BackupPC still has something to write to it.

BackupPC exits and kills its running backups when it writes to a client that is gone: it takes SIGPIPE for a
signal to clean up (bin/BackupPC, catch_signal and ServerShutdown). It writes twice: a seed when it accepts a
connection, a reply when it has read a line. Neither can be called off, and BackupPC may come back late.

So our end of the connection goes over the connection itself (SCM_RIGHTS, unix(7)), behind what BackupPC is to
answer. The kernel keeps it open until BackupPC has read that far, which is after it has written, and then
closes it: whether we gave up or were killed, no process of ours waits, and no lock or descriptor is kept.
"""

import errno
import resource
import socket
from contextlib import suppress

# BackupPC reads 1024 bytes at a time and answers the lines in them before it reads on; a line of over 32 KiB
# it refuses. Without a newline these blanks are no message, and its read of ours stops short of our end.
_BETWEEN = b" " * 4096
_MOST_LEFT = 32  # connections that BackupPC has left unread: so many, and it hangs


def outlive(channel: socket.socket) -> None:
    """Keep our end of *channel* open until BackupPC has read, and answered, all that was sent before.

    Nothing can be said on it any more. Where BackupPC has hung up it owes nothing, and nothing is done.
    """
    with suppress(BrokenPipeError, ConnectionResetError):
        channel.sendall(_BETWEEN)
        socket.send_fds(channel, [b" "], [channel.fileno()])


def refuse_one_more() -> None:
    """Raise TimeoutError where too many connections wait for a BackupPC that hangs.

    Whoever may register could pile them up otherwise. The kernel counts, for the whole account, the
    descriptors that are sent and not received, and lets no more be sent than a process may have open
    (unix(7)); for root it does not.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, _MOST_LEFT), hard))
        try:
            socket.send_fds(ours, [b" "], [ours.fileno()])
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            raise TimeoutError(f"{_MOST_LEFT} connections wait for it already") from error
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
