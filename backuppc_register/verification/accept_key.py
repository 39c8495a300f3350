"""Refuse a machine if its ssh host key has changed, until an administrator accepts the new key."""

from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import HostKeyChanged, NotAllowed
from backuppc_register.state.host_folder import HostFolders


def refuse_changed(host: str, key: HostKey, folders: HostFolders) -> None:
    """Refuse *key* if other ssh host keys of *host* are known; raises HostKeyChanged."""
    known = folders.known_keys(host)
    if known and key not in known:
        ours = ", ".join(one.fingerprint for one in known)
        raise HostKeyChanged(
            host=host,
            fingerprint=key.fingerprint,
            detail=f"it answers with {key.fingerprint}, and we know {ours}",
            advice="If this machine was installed anew, ask the help desk to accept its new ssh host key "
            f"{key.fingerprint}",
        )


def accept(folders: HostFolders, host: str, fingerprint: str) -> HostKey:
    """Pin the key that the last refused verify of *host* met, if it has this *fingerprint* (SHA256:...).

    The caller holds BackupPC's lock and has checked that *host* is registered.

    Raises HostKeyChanged for another fingerprint, NotAllowed if no verify was refused because of a key.
    """
    key = folders.offered_key(host)
    if key is None:
        raise NotAllowed(reason=f"no verify of {host} was refused because of its ssh host key")
    wanted = fingerprint if fingerprint.startswith("SHA256:") else f"SHA256:{fingerprint}"
    if wanted != key.fingerprint:
        detail = f"the refused verify met {key.fingerprint}, not {wanted}: nothing was changed"
        raise HostKeyChanged(host=host, fingerprint=key.fingerprint, detail=detail)
    folders.pin(host, key)
    return key
