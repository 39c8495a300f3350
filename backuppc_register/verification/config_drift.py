"""Refuse a host if its editable settings no longer use our ssh key, known_hosts and account; pure."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.backuppc.settings import Route, Settings
from backuppc_register.protocol.errors import NotReachable
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.state import ssh_files
from backuppc_register.state.key_pairs import FRESH, PRIVATE

# rsync splits its -e at blanks and knows quotes. We need no quotes; anything that is not plain is refused.
_WORDS = re.compile(r"[\w@%+=:,./ -]+", re.ASCII)
# `-e` in a cluster of short options, or as a word of its own: the last remote shell wins.
_REMOTE_SHELL = re.compile(r"-[A-Za-z0-9]*e.*|--rsh.*", re.DOTALL)
# The names of rsync that rsyncsend.sh accepts; --rsync-path is RsyncClientPath.
_RSYNC_PATH = re.compile(r"--rsync-path=(sudo (-n )?)?(/([\w@%+=:,./-]*/)?)?rsync", re.ASCII)
_OFF = {"", "none", "no", "false", "off"}
# These let ssh trust another key than the pinned one, or connect in another way.
_MUST_BE_OFF = {
    "proxycommand": "a proxy",
    "proxyjump": "a proxy",
    "knownhostscommand": "other known ssh host keys",
    "verifyhostkeydns": "other known ssh host keys",
    "certificatefile": "another key",
    "pkcs11provider": "another key",
    "remotecommand": "another command",
    "controlpath": "a shared connection",
    "stdinnull": "no standard input",
    "forkafterauthentication": "a connection in the background",
    "permitlocalcommand": "a command of its own",
}


def ssh_command(host: str, settings: Settings) -> tuple[str, ...]:
    """Return the ssh program and its options by which BackupPC reaches *host*, without the name.

    Raises NotReachable if that is another program, or another method than rsync through ssh.
    """
    if settings.xfer_method != "rsync":
        raise _drift(host, f"XferMethod is {settings.xfer_method}")
    if any(_REMOTE_SHELL.fullmatch(argument) for argument in settings.rsync_args):
        raise _drift(host, "RsyncArgs has a remote shell of its own")
    for argument in settings.rsync_args:
        if argument.startswith("--rsync-path") and not _RSYNC_PATH.fullmatch(argument):
            raise _drift(host, "RsyncClientPath is another command than rsync")
    if settings.broken:
        raise _drift(host, f"{settings.broken} cannot be run")
    if not settings.shares:
        raise _drift(host, "RsyncShareName names no folder")
    if not settings.clients or any(not name or name.startswith("-") for name in settings.clients):
        raise _drift(host, "ClientNameAlias is no name")
    match settings.ssh_args:
        case ("-e", command) if _WORDS.fullmatch(command):
            words = tuple(command.split())
        case _:
            raise _drift(host, "RsyncSshArgs is not -e and a plain command")
    if not words or words[0] != settings.ssh_path or PurePath(words[0]).name != "ssh":
        raise _drift(host, "RsyncSshArgs uses another program than ssh")
    return words


def refuse_transfers(host: str, client: str, transfers: Sequence[Transfer]) -> None:
    """Refuse *transfers* that save nothing, or go to another name than *client*; raises NotReachable."""
    if not transfers:
        raise _drift(host, "RsyncShareName names no folder")
    for transfer in transfers:
        if transfer.words[0] != os.fsencode(client):
            raise _drift(host, "ClientNameAlias is no name")
        if transfer.idle:
            raise _drift(host, "rsync's options save nothing")
        if not transfer.goes_deep:
            raise _drift(host, "rsync's options leave out what is in folders")


def refuse_route(host: str, route: Route, folder: Path) -> None:
    """Refuse a *route* without the key and the known_hosts in *folder*, or to another account than ours.

    Another port or another name of the machine does no harm: its ssh host key is checked.

    Raises NotReachable.
    """
    options = {name: values for name, values in route.options.items() if values}
    if route.user != ssh_files.CLIENT_ACCOUNT:
        raise _drift(host, f"another account, {route.user}")
    ours = tuple(str(folder / name) for name in (PRIVATE, FRESH))
    if options.get("identityfile") not in (ours[:1], ours):
        raise _drift(host, "another key")
    known = (
        options.get("userknownhostsfile"),
        options.get("globalknownhostsfile"),
        options.get("hostkeyalias"),
    )
    if known != ((str(folder / ssh_files.NAME),), ("/dev/null",), (host,)):
        raise _drift(host, "other known ssh host keys")
    if options.get("stricthostkeychecking", ("",))[0] in _OFF:
        raise _drift(host, "any ssh host key is taken")
    if options.get("pubkeyauthentication", ("",))[0] in _OFF:
        raise _drift(host, "no login with a key")
    if options.get("sessiontype", ("default",)) != ("default",):
        raise _drift(host, "no command is run")
    for name, what in _MUST_BE_OFF.items():
        if any(value not in _OFF for value in options.get(name, ())):
            raise _drift(host, what)


def _drift(host: str, what: str) -> NotReachable:
    return not_reachable(Cause.ELSEWHERE, host, what=what)
