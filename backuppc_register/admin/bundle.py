"""The verb `bundle`: make the one file that people download."""

import argparse
import re
import socket
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from backuppc_register import config
from backuppc_register.admin.as_backuppc import run_as_owner
from backuppc_register.admin.context import Start, read_config, settle
from backuppc_register.admin.options import DRY_RUN, option
from backuppc_register.admin.register_key import AUTHORIZED_KEYS, default_path, label
from backuppc_register.network import own_sshd
from backuppc_register.network.own_sshd import SSH_FOLDER
from backuppc_register.protocol.errors import Misconfigured, StateError
from backuppc_register.state import safe_files
from backuppc_register.state.authorized_keys import RegisterKey
from backuppc_register.state.register_keys import RegisterKeys
from backuppc_register.syslog_line import Entry
from backuppc_register.system import atomic_files, data_files, own_folders

SUMMARY = "make the one file that people download: setup, register-key, server's host keys, wrapper"
EXAMPLE = "backuppc-register-admin bundle --os linux -o /var/www/html/setup.sh"

_SETUPS = {"linux": "clients/setup.sh", "mac": "clients/setup.sh", "windows": "clients/setup.ps1"}
_WRAPPER = "clients/rsyncsend.sh"
_WINDOWS = (
    "It is experimental. People also need setup-x86_64.exe from cygwin.com, and must give its SHA256 "
    "(-CygwinSha256)."
)
# The file is for download: the register-key in it is as good as public.
_MODE = 0o644
# The beginning of each of our setups, in every version.
_SETUP = re.compile(rb"(?:#!/bin/sh\n|\xef\xbb\xbf)# setup\.(?:sh|ps1) - ")
_SERVER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII)


def server(text: str) -> str:
    """Read the name or address of a server; raises ValueError."""
    if not _SERVER.fullmatch(text):
        raise ValueError
    return text


_SERVER_HELP = "this server's name for clients (default: its full name)"
OPTIONS = (
    option("--os", required=True, choices=list(_SETUPS), help="the machines' system"),
    option("-o", dest="output", metavar="FILE", type=Path, required=True, help="the new file"),
    option("--key", metavar="LABEL", type=label, help="the register-key (default: the only valid one)"),
    option("--server", metavar="NAME", type=server, help=_SERVER_HELP),
    AUTHORIZED_KEYS,
    DRY_RUN,
)


def run_alone(start: Start, options: argparse.Namespace) -> int:
    """Make the file as the account that started us, because BackupPC's account cannot write everywhere.

    A child with BackupPC's account reads the files in BackupPC's folders.
    """
    document = read_config(start)
    chosen = run_as_owner(config.config_dir(document), lambda: _register_key(start, options))
    for problem in chosen.get("problems", ()):
        start.say(problem)
    if "private" not in chosen:
        return 1
    name = options.server or _own_name()
    content = filled(options.os, name, chosen["private"], _host_keys())
    key = chosen["label"] + chosen["bounds"]
    what = f"{options.output}: for {options.os}, server {name}, register-key {key}"
    _refuse_open_folder(options.output)
    _refuse_others(options.output)
    if options.dry_run:
        start.say(f"would make {what}")
        return 0
    try:
        atomic_files.write(options.output, content, _MODE)
    except OSError as error:
        raise Misconfigured(detail=f"{options.output} cannot be made: {error}") from error
    checksum = sha256(content).hexdigest()
    entry = Entry("", "bundle", "notice", detail=f"{what}, SHA256 {checksum}")
    start.write_log(entry, config.syslog(document))
    start.say(what)
    start.say(f"SHA256: {checksum} (put it on the help desk's page; sha256sum shows it on a laptop)")
    if options.os == "windows":
        start.say(_WINDOWS)
    return 0


def _refuse_open_folder(path: Path) -> None:
    """Refuse a folder that others can change: whoever exchanges the file is root on the laptops.

    Raises Misconfigured.
    """
    try:
        flaw = own_folders.flaw(path.absolute().parent)
    except OSError as error:
        raise Misconfigured(detail=f"{path} cannot be made: {error}") from error
    if flaw:
        advice = "choose a folder that only root can change, by its path without links, such as /var/www/html"
        raise Misconfigured(detail=f"{path} would not be safe there: {flaw}; {advice}")


def _refuse_others(path: Path) -> None:
    """Refuse to replace a file that is not one of our setups, because its name may be mistyped.

    Raises Misconfigured.
    """
    try:
        there = safe_files.content(path)
    except StateError as error:
        raise Misconfigured(detail=f"{path} cannot be made: {error.detail}") from error
    if there and not _SETUP.match(there):
        raise Misconfigured(detail=f"{path} exists and is no setup of ours: choose another name")


def filled(os: str, server: str, private: str, host_keys: list[str]) -> bytes:
    """Return the setup for *os*, filled with the server, the register-key, the host keys and the wrapper.

    Raises Misconfigured if the setup has no place for one of them.
    """
    setup = _text(_SETUPS[os])
    names = ",".join(dict.fromkeys((server, f"[{server}]:*", server.partition(".")[0])))
    known_hosts = "".join(f"{names} {key}\n" for key in host_keys)
    parts = {"register-key": private, "known-hosts": known_hosts, "wrapper": _text(_WRAPPER)}
    filler = _with_here_strings if os == "windows" else _with_here_documents
    return filler(setup, server, parts).encode("utf-8")


def _with_here_documents(setup: str, server: str, parts: dict[str, str]) -> str:
    setup = _replaced(setup, "SERVER=''\n", f"SERVER='{server}'\n")
    for part, text in parts.items():
        end = f"=== {part} ===\n"
        if end in text or not text.endswith("\n"):
            raise Misconfigured(detail=f"the {part} cannot be put into the setup")
        setup = _replaced(setup, f"<<'{end[:-1]}'\n{end}", f"<<'{end[:-1]}'\n{text}{end}")
    return setup


def _with_here_strings(setup: str, server: str, parts: dict[str, str]) -> str:
    """Fill PowerShell's here-strings, which end at a line that begins with '@, even with curly quotes."""
    setup = _replaced(setup, "$Server = '',\n", f"$Server = '{server}',\n")
    for part, text in parts.items():
        name = "$Bundled" + part.title().replace("-", "")
        if not text.isascii() or "\n'@" in f"\n{text}" or not text.endswith("\n"):
            raise Misconfigured(detail=f"the {part} cannot be put into the setup")
        setup = _replaced(setup, f"{name} = @'\n\n'@\n", f"{name} = @'\n{text}'@\n")
    return setup


def _register_key(start: Start, options: argparse.Namespace) -> dict[str, Any]:
    """Choose the register-key, as BackupPC's account; return its parts, or the problems."""
    context = settle(start)
    path = options.authorized_keys or default_path(context.account)
    keys = RegisterKeys(context.config.state.directory, path)
    asked = [key for key in keys.all() if options.key in (None, key.label)]
    now = datetime.now().astimezone()
    good = {key.label: key for key in asked if not key.flaw(now)}
    if not good:
        which = f"register-key {options.key}" if options.key else "register-key"
        none = f"No bundle was made: this server has no valid {which}."
        none += " See register-key list, register-key add."
        flaws = [f"The register-key {key.label or '(no label)'} {key.flaw(now)}." for key in asked]
        return {"problems": [*flaws, none]}
    if len(good) > 1:
        return {"problems": [f"Which register-key? --key {' or '.join(good)}"]}
    (key,) = good.values()
    private = keys.private(key.label) or b""
    return {"label": key.label, "private": private.decode("ascii"), "bounds": _bounds(key)}


def _bounds(key: RegisterKey) -> str:
    words = [f"from {key.sources}"] if key.sources else []
    words += [f"until {key.expires}"] if key.expires else []
    return f", valid {' '.join(words)}" if words else ""


def _own_name() -> str:
    name = socket.getfqdn()
    if not _SERVER.fullmatch(name) or name.startswith("localhost"):
        raise Misconfigured(detail=f"this server's own name is {name}: use --server NAME")
    return name


def _host_keys() -> list[str]:
    """Return this machine's ssh host keys, as TYPE BASE64; raises Misconfigured if there is none."""
    found = own_sshd.host_keys(SSH_FOLDER)
    if not found:
        raise Misconfigured(detail=f"there are no ssh host keys in {SSH_FOLDER}")
    return found


def _text(name: str) -> str:
    return data_files.find(name).read_text("utf-8")


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise Misconfigured(detail=f"the setup has no place for {old.partition(chr(10))[0]}")
    return text.replace(old, new)
