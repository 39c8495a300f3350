"""Keep our end of a connection open after we exit, so that BackupPC gets no SIGPIPE.

BackupPC exits and kills its running backups when it writes to a client that is gone: it takes SIGPIPE for a
signal to clean up (bin/BackupPC, catch_signal and ServerShutdown). It writes twice: a seed when it accepts a
connection, a reply when it has read a line. Neither can be cancelled, and BackupPC may write late.

So we send our end of the connection over the connection itself (SCM_RIGHTS, unix(7)), after the message. The
kernel keeps it open until BackupPC has read that far, which is after BackupPC has written, and then closes
it. So we may give up or be killed, and no process, lock or descriptor of ours is left.

BackupPC's own Perl client as a child process that stays to read would need no such handoff. But Perl and
BackupPC's library take 80 ms to start, a child dies with the session that sshd or systemd ends, and children
would pile up while BackupPC hangs.
"""

import errno
import resource
import socket
from contextlib import suppress

# BackupPC reads 1024 bytes at a time and answers the lines in them before it reads on; it refuses a line of
# over 32 KiB. These blanks have no newline, so they are no message, and separate our end from the message.
_BETWEEN = b" " * 4096
_MOST_UNREAD = 32  # connections; if BackupPC has left so many unread, it hangs


def hand_over(channel: socket.socket) -> None:
    """Keep our end of *channel* open until BackupPC has read, and answered, all that was sent before.

    Nothing more can be sent on *channel*. If BackupPC has hung up, it writes nothing, and nothing is done.
    """
    with suppress(BrokenPipeError, ConnectionResetError):
        channel.sendall(_BETWEEN)
        socket.send_fds(channel, [b" "], [channel.fileno()])


def refuse_one_more() -> None:
    """Raise TimeoutError if too many connections wait for a BackupPC that hangs.

    Otherwise anyone who may register could pile them up. The kernel counts, for the whole account, the
    descriptors that are sent and not received. It allows no more of them than a process may have open
    (unix(7)); it sets root no limit.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, _MOST_UNREAD), hard))
        try:
            socket.send_fds(ours, [b" "], [ours.fileno()])
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            raise TimeoutError(f"{_MOST_UNREAD} connections wait for it already") from error
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
