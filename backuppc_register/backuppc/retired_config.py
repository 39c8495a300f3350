"""Write the per-host config of a retired host: BackupPC keeps its backups and does nothing else for it."""

import os
from dataclasses import replace
from pathlib import Path

from backuppc_register.backuppc import host_config
from backuppc_register.protocol.errors import StateError
from backuppc_register.system import atomic_files

_MODE = 0o640
_OURS = -1  # for chown(2): unchanged

# This text must stay the same to the byte: by it a retired host's config is recognised.
# RsyncSshArgs: the main configuration may lead to every machine, with a key of its own.
# The retention: without new backups one backup after another would expire.
_TEXT = """\
# BackupPC settings of {host}, written by backuppc-register: its backups are kept and may be restored
# to another machine; nothing is copied from or to it. `backuppc-register-admin show {host}` tells more.

$Conf{{BackupsDisable}} = 2;

# No machine is asked, and none is logged in to.
$Conf{{PingCmd}} = '/bin/false';
$Conf{{XferMethod}} = 'rsync';
$Conf{{RsyncSshArgs}} = ['-e', '/bin/false'];

# What is there now stays.
$Conf{{FullKeepCnt}} = 1000000;
$Conf{{FullKeepCntMin}} = 1000000;
$Conf{{IncrKeepCnt}} = 1000000;
$Conf{{IncrKeepCntMin}} = 1000000;

# No link to the web editor. The page itself asks no host for this setting, but it runs this file before it
# shows or saves anything: so it ends here, for everybody but administrators.
$Conf{{CgiUserConfigEditEnable}} = 0;
BackupPC::CGI::Lib::ErrorExit('The settings of {host} are closed: it is not backed up any more.')
    if ( !$BackupPC::CGI::Lib::PrivAdmin
        && grep {{ ((caller($_))[3] || '') eq 'BackupPC::CGI::EditConfig::action' }} 0 .. 20 );

1;
"""


def text(host: str) -> bytes:
    """Return the per-host config of the retired *host*, always the same to the byte.

    *host* is a name that BackupPC takes: letters, digits, ``.``, ``-`` and ``_``.
    """
    return _TEXT.format(host=host).encode("ascii")


def is_in_place(config_dir: Path, host: str) -> bool:
    """Tell whether the per-host config of *host* is certainly that of a retired host."""
    try:
        return host_config.read(config_dir, host) == text(host)
    except StateError:
        return False


def put(config_dir: Path, host: str, content: bytes) -> None:
    """Write *content* to the per-host config of *host*, with the owner, group and mode of the present one.

    An owner or group that cannot be kept is replaced by our account's, as BackupPC's web editor does.

    Raises StateError.
    """
    place = host_config.path(config_dir, host)
    try:
        _write(place, content)
    except OSError as error:
        raise StateError(detail=f"the per-host config cannot be written: {error}") from error


def _write(place: Path, content: bytes) -> None:
    if not os.path.lexists(place):
        atomic_files.write(place, content, _MODE)
        return
    kept = atomic_files.ownership(place.stat())
    for wanted in (kept, replace(kept, uid=_OURS), replace(kept, uid=_OURS, gid=_OURS)):
        try:
            atomic_files.write(place, content, wanted)
            return
        except PermissionError:
            if wanted.gid == _OURS:
                raise


def remove(config_dir: Path, host: str) -> None:
    """Remove the per-host config of *host*; raises StateError."""
    try:
        place = host_config.path(config_dir, host)
        place.unlink(missing_ok=True)
        atomic_files.sync_folder(place.parent)
    except OSError as error:
        raise StateError(detail=f"the per-host config cannot be removed: {error}") from error
