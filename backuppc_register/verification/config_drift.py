"""Whether a host's settings, which people may change, still lead the way that we have made; pure."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.backuppc.settings import Route, Settings
from backuppc_register.protocol.errors import NotReachable
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.state import ssh_files
from backuppc_register.state.key_pairs import PRIVATE

# rsync cuts its -e at blanks and knows quotes; we need none, and what we do not understand is refused.
_WORDS = re.compile(r"[\w@%+=:,./ -]+", re.ASCII)
# `-e` in a cluster of short options, or as a word of its own: the last remote shell wins.
_REMOTE_SHELL = re.compile(r"-[A-Za-z0-9]*e.*|--rsh.*", re.DOTALL)
# What rsyncsend.sh takes as the name of rsync; --rsync-path is RsyncClientPath.
_RSYNC_PATH = re.compile(r"--rsync-path=(sudo (-n )?)?(/([\w@%+=:,./-]*/)?)?rsync", re.ASCII)
_OFF = {"", "none", "no", "false", "off"}
# What would let ssh trust another key than the pinned one, or go another way.
_MUST_BE_OFF = {
    "proxycommand": "a proxy",
    "proxyjump": "a proxy",
    "knownhostscommand": "other known ssh host keys",
    "verifyhostkeydns": "other known ssh host keys",
    "certificatefile": "another key",
    "pkcs11provider": "another key",
    "remotecommand": "another command",
    "controlpath": "a connection that is open already",
    "stdinnull": "a connection that nothing is sent by",
    "forkafterauthentication": "a connection in the background",
    "permitlocalcommand": "a command of its own",
}


def ssh_command(host: str, settings: Settings) -> tuple[str, ...]:
    """Return the words of ssh and its arguments by which BackupPC reaches *host*, without the name.

    Raises NotReachable where it is another program, or another method than rsync through ssh.
    """
    if settings.xfer_method != "rsync":
        raise _elsewhere(host, f"XferMethod is {settings.xfer_method}")
    if any(_REMOTE_SHELL.fullmatch(argument) for argument in settings.rsync_args):
        raise _elsewhere(host, "RsyncArgs has a remote shell of its own")
    for argument in settings.rsync_args:
        if argument.startswith("--rsync-path") and not _RSYNC_PATH.fullmatch(argument):
            raise _elsewhere(host, "RsyncClientPath is another command than rsync")
    if settings.broken:
        raise _elsewhere(host, f"{settings.broken} cannot be run")
    if not settings.shares:
        raise _elsewhere(host, "RsyncShareName names no folder")
    if not settings.clients or any(not name or name.startswith("-") for name in settings.clients):
        raise _elsewhere(host, "ClientNameAlias is no name")
    match settings.ssh_args:
        case ("-e", command) if _WORDS.fullmatch(command):
            words = tuple(command.split())
        case _:
            raise _elsewhere(host, "RsyncSshArgs is not -e and a plain command")
    if not words or words[0] != settings.ssh_path or PurePath(words[0]).name != "ssh":
        raise _elsewhere(host, "RsyncSshArgs uses another program than ssh")
    return words


def refuse_idle(host: str, client: str, transfers: Sequence[Transfer]) -> None:
    """Refuse *transfers* that save nothing however well they go, or go elsewhere; raises NotReachable."""
    if not transfers:
        raise _elsewhere(host, "RsyncShareName names no folder")
    for transfer in transfers:
        if transfer.words[0] != os.fsencode(client):
            raise _elsewhere(host, "ClientNameAlias is no name")
        if transfer.idle:
            raise _elsewhere(host, "rsync's options save nothing")
        if not transfer.goes_deep:
            raise _elsewhere(host, "rsync's options leave out what is in folders")


def refuse(host: str, route: Route, folder: Path) -> None:
    """Refuse a *route* that is not with the key and the known_hosts in *folder*, or not to our account.

    Another port, or another name for the same machine, is nobody's harm: its ssh host key is looked at.

    Raises NotReachable.
    """
    told = {name: values for name, values in route.options.items() if values}
    if route.user != ssh_files.CLIENT_ACCOUNT:
        raise _elsewhere(host, f"another account, {route.user}")
    if told.get("identityfile") != (str(folder / PRIVATE),):
        raise _elsewhere(host, "another key")
    known = (told.get("userknownhostsfile"), told.get("globalknownhostsfile"), told.get("hostkeyalias"))
    if known != ((str(folder / ssh_files.NAME),), ("/dev/null",), (host,)):
        raise _elsewhere(host, "other known ssh host keys")
    if told.get("stricthostkeychecking", ("",))[0] in _OFF:
        raise _elsewhere(host, "any ssh host key is taken")
    if told.get("pubkeyauthentication", ("",))[0] in _OFF:
        raise _elsewhere(host, "no login with a key")
    if told.get("sessiontype", ("default",)) != ("default",):
        raise _elsewhere(host, "no command is run")
    for name, what in _MUST_BE_OFF.items():
        if any(value not in _OFF for value in told.get(name, ())):
            raise _elsewhere(host, what)


def _elsewhere(host: str, what: str) -> NotReachable:
    return not_reachable(Cause.ELSEWHERE, host, what=what)
