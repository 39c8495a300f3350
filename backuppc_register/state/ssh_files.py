"""Write a host's own ssh_config and known_hosts, by which ssh reaches and recognises it."""

from collections.abc import Sequence
from pathlib import Path

from backuppc_register import host_key
from backuppc_register.host_key import HostKey
from backuppc_register.state import key_pairs

NAME = "known_hosts"
SSH_CONFIG = "ssh_config"

CLIENT_ACCOUNT = "bckpciuem"

# With `ssh -F` neither /etc/ssh nor ~/.ssh is read. Some lines repeat a default, in case the default changes.
# Log level INFO, not less: "Timeout, server not responding" must reach BackupPC's XferLOG.
_TEXT = """\
# How BackupPC reaches {host}; written by backuppc-register. Put your own settings into {host}.pl.
User {account}
HostKeyAlias {host}

{identities}
IdentitiesOnly yes
IdentityAgent none
AddKeysToAgent no
BatchMode yes
PreferredAuthentications publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
GSSAPIAuthentication no

UserKnownHostsFile {folder}/{known_hosts}
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking {checking}
CheckHostIP no
HashKnownHosts no
UpdateHostKeys no
VerifyHostKeyDNS no
CanonicalizeHostname no

ForwardAgent no
ForwardX11 no
ClearAllForwardings yes
Tunnel no
PermitLocalCommand no
ProxyCommand none
ControlMaster no
ControlPath none
RequestTTY no
EscapeChar none

ConnectTimeout 15
ConnectionAttempts 1
TCPKeepAlive yes
ServerAliveInterval 60
ServerAliveCountMax 5
LogLevel INFO
"""


def ssh_config(folder: Path, host: str, *, strict: bool, keys: Sequence[str] = (key_pairs.PRIVATE,)) -> bytes:
    """Return the ssh_config of *host*; its *keys* and known_hosts are in *folder*.

    *strict*: the ssh host key is known already, and no other is accepted; else the first one is kept.
    *folder* holds nothing that ssh would interpret: ``[state] directory`` is restricted so.
    """
    text = _TEXT.format(
        host=host,
        account=CLIENT_ACCOUNT,
        folder=folder,
        identities="\n".join(f"IdentityFile {folder}/{key}" for key in keys),
        known_hosts=NAME,
        checking="yes" if strict else "accept-new",
    )
    return text.encode("ascii")


def keys_in(content: bytes) -> tuple[str, ...]:
    """Return the names of the private keys that ssh may use by the ssh_config *content*."""
    fresh = f"/{key_pairs.FRESH}\n".encode("ascii") in content
    return (key_pairs.PRIVATE, key_pairs.FRESH) if fresh else (key_pairs.PRIVATE,)


def to_bytes(host: str, key: HostKey) -> bytes:
    """Return the known_hosts by which ssh accepts only *key* for *host* (its HostKeyAlias)."""
    return f"{host} {key}\n".encode("ascii")


def from_bytes(content: bytes, host: str) -> tuple[HostKey, ...]:
    """Return the keys that ssh accepts for *host* by the known_hosts *content*.

    Raises ValueError for what we never write, such as patterns and markers (sshd(8), SSH_KNOWN_HOSTS FILE
    FORMAT): ssh may understand it, and would trust a machine that we do not know.
    """
    lines = (line.strip() for line in content.decode("ascii").split("\n"))
    return tuple(_key_in(line, host) for line in lines if line and not line.startswith("#"))


def _key_in(line: str, host: str) -> HostKey:
    names, _, rest = line.partition(" ")
    key = host_key.read(rest.strip())
    if host not in names.split(",") or key is None:
        raise ValueError(f"is not a key of {host}: {line[:80]}")
    return key
