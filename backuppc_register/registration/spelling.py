"""Put the directory's spelling of the owner's logon into hosts line, record and former owners.

BackupPC's web pages compare logons exactly: a person does not see a host with another spelling in its line.
"""

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.person import same_logon
from backuppc_register.protocol.errors import HostsFileError


def respelled(status: HostStatus, uid: str) -> HostsFile | None:
    """Return the hosts file with *uid* as the user of the host's lines, None if it is spelled so already.

    A line with bytes that cannot be changed alone stays; `diagnose` reports it. Raises HostsFileError if the
    file cannot be replaced.
    """
    if all(line.user == uid for line in status.lines):
        return None
    try:
        changed = hosts.with_user(status.hosts, status.host, uid)
    except HostsFileError:
        return None
    hosts.refuse_replace(status.server.backuppc.hosts, status.hosts)
    return changed


def write(new: HostsFile, status: HostStatus, uid: str) -> str:
    """Replace the hosts file by *new*, in which the host's user is *uid*; return a note for the log.

    If the run is interrupted, the next one finishes it: elsewhere the letter case of logons does not count.
    """
    from backuppc_register.inventory import hosts_snapshot  # not needed for a host that is spelled right

    host, server = status.host, status.server
    owner = server.former_owners.of(host).owner
    if same_logon(owner, uid) and owner != uid:
        server.former_owners.take(host, (), person=uid)
    last = status.last_seen
    file = hosts.replace(server.backuppc.hosts, status.hosts, new)
    taken_from = last.taken_from if last else ""
    noted = hosts_snapshot.note_added(host, file, server.config, taken_from=taken_from)
    return "; ".join(filter(None, (f"the line said {_users(status)}, and says {uid} now", noted)))


def note(new: HostsFile | None, status: HostStatus, uid: str) -> str:
    """Return in words what a registration would do, "" for nothing."""
    if all(line.user == uid for line in status.lines):
        return ""
    says = f"the line says {_users(status)}, and the directory {uid}"
    return f"{says}: a registration corrects it" if new else f"{says}: correct the line manually"


def _users(status: HostStatus) -> str:
    return ", ".join(dict.fromkeys(line.user for line in status.lines))
