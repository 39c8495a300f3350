"""Accept the ssh host key of a machine that was installed anew."""

from backuppc_register.host_key import HostKey
from backuppc_register.protocol.errors import HostKeyChanged, NotAllowed
from backuppc_register.state.host_folder import HostFolders


def accept_key(folders: HostFolders, host: str, fingerprint: str) -> HostKey:
    """Pin the key that the last refused verify of *host* met, if *fingerprint* (SHA256:...) is its own.

    The caller holds BackupPC's lock and has asked whether *host* is registered.

    Raises HostKeyChanged for another fingerprint, NotAllowed where no verify was refused for its key.
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
