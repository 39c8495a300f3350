"""Checks of the services that we depend on: directory, DNS, sshd, the web pages."""

import shlex
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backuppc_register.errors import BadUser, InvalidDnsName, NoConfigFile, RegisterError
from backuppc_register.network import greeting
from backuppc_register.person import another_entry, possible_logon
from backuppc_register.rules.diagnosis.finding import Answer, green, red, yellow
from backuppc_register.rules.diagnosis.situation import Situation
from backuppc_register.state.records import Record
from backuppc_register.state.register_keys import RegisterKeys

# The checks that need ldap3 or dnspython import them: without them, all others still tell.
if TYPE_CHECKING:
    from backuppc_register.network.resolver import Resolver

_WITHIN = 5.0  # seconds for one question
_SLOW = 1.0  # seconds, after which an answer is worth a word
_FOR_UIDS = 5.0  # seconds for all persons
_NOBODY = "backuppc-register-test"
_LIBRARIES = {"ldap3": "python3-ldap3", "dnspython": "python3-dnspython", "paramiko": "python3-paramiko"}
_SHOWN = 5
_PAGES = ("/backuppc/", "/backuppc/index.cgi", "/BackupPC_Admin", "/cgi-bin/BackupPC_Admin")
_OF_BACKUPPC = ("BackupPC_stnd", "BackupPC_retro", "action=adminOpts", "<title>BackupPC")


def directory(situation: Situation) -> Iterator[Answer]:
    """Ask each LDAP server for a person, and look at the time."""
    from backuppc_register.network.directory import Directory

    settings = situation.config.directory
    logon = _logon(situation)
    if not settings.servers:
        yield yellow("not looked at: no [directory] servers are told", "See docs/configuration.md.")
    for url in settings.servers:
        began = time.monotonic()
        try:
            Directory(replace(settings, servers=(url,))).find(logon or _NOBODY, _WITHIN)
            found = True
        except BadUser:
            found = False
        except RegisterError as error:
            yield red(error.detail or f"{url}: {error.message()}", "People are told to try again meanwhile.")
            continue
        took = time.monotonic() - began
        if took > _SLOW:
            yield yellow(f"{url} took {took:.1f} s", "A request has 28 s for everything.")
        elif logon and not found:
            advice = "Is [directory] base or filter wrong? --logon names somebody else to look for."
            yield yellow(f"{url} does not know {logon}", advice)
        else:
            yield green(f"{url} answered in {took * 1000:.0f} ms" + (f", {logon} found" if found else ""))


def _logon(situation: Situation) -> str:
    if situation.logon:
        return situation.logon
    return next((person for person in situation.persons if possible_logon(person)), "")


def persons(situation: Situation) -> Iterator[Answer]:
    """Look for uids that were given to somebody else, as far as the time allows; those before next time."""
    from backuppc_register.network.directory import Directory

    # Retired hosts and archives too: whoever gets the uid of somebody who left could read their backups.
    records = [record for record in _records(situation) if record.entry]
    if not records or not situation.config.directory.servers:
        return
    start = int(time.time() // 600) % len(records)
    until = time.monotonic() + _FOR_UIDS
    people = Directory(situation.config.directory)
    again, gone, asked = [], [], 0
    for record in records[start:] + records[:start]:
        left = until - time.monotonic()
        if left <= 0:
            break
        asked += 1
        try:
            person = people.find(record.person, left)
            if another_entry(person.entry, record.entry):
                again.append(f"{record.host} ({record.person})")
        except BadUser:
            gone += [] if record.retired else [f"{record.host} ({record.person})"]
        except RegisterError:
            return  # `directory` tells
    if again:
        advice = "backuppc-register-admin transfer, or the newcomer of that logon reads the old backups."
        yield red(f"a uid was given out again: {_some(again)}", advice)
    if gone:
        yield yellow(f"people who are gone: {_some(gone)}", "backuppc-register-admin retire or purge.")
    yield green(f"{asked} of {len(records)} registrations looked at")


def _records(situation: Situation) -> Iterator[Record]:
    for host in situation.folders.names():
        try:
            record = situation.folders.record(host)
        except NoConfigFile:
            continue  # `undecided` tells
        if record is not None:
            yield record


def dns(situation: Situation) -> Iterator[Answer]:
    """Ask each nameserver for this server's own name, both ways."""
    from backuppc_register.network.resolver import Resolver

    settings = situation.config.dns
    name = socket.getfqdn()
    if "." not in name:
        yield yellow(f"this server is called {name}, without a domain", "See /etc/hosts and /etc/hostname.")
        return
    # As for a machine, but for a server that may be outside the machines' domains and networks.
    own = replace(settings, domains=(name.partition(".")[2],), networks=())
    for server in settings.nameservers or ("",):
        asking = Resolver(replace(own, nameservers=(server,) if server else ()))
        where = server or "the nameserver of /etc/resolv.conf"
        try:
            yield from _both_ways(asking, name, where, situation)
        except RegisterError as error:
            yield red(f"{where}: {error.detail}", "Machines are told to try again meanwhile.")


def _both_ways(asking: "Resolver", name: str, where: str, situation: Situation) -> Iterator[Answer]:
    began = time.monotonic()
    addresses = asking.addresses_of(name, _WITHIN)
    if not addresses:
        yield yellow(f"{where} knows no address of {name}", "Machines reach this server by its name.")
        return
    for address in addresses:
        try:
            back = asking.name_of(ip_address(address), _WITHIN)
        except InvalidDnsName as error:
            advice = "Give it a PTR that its name confirms: machines may look up who connects to them."
            yield yellow(f"{where}: {address} does not give {name} back: {error.detail}", advice)
            continue
        if back != name.lower():
            yield yellow(f"{where}: {address} is {back}, not {name}", "Is that meant?")
    if time.monotonic() - began > _SLOW:
        yield yellow(f"{where} took {time.monotonic() - began:.1f} s", "A request has 28 s for everything.")
    yield green(f"{where} knows {name}")


def sshd(situation: Situation) -> Iterator[Answer]:
    """Look whether sshd answers, and lets BackupPC's account in with the register-key."""
    told = situation.sshd or {}
    port = int(told.get("port", "22"))
    try:
        words = greeting.first_words("127.0.0.1", port, _WITHIN)
    except OSError as error:
        yield red(f"sshd does not answer on port {port}: {error}", "systemctl status ssh")
        return
    if not words.startswith("SSH-"):
        yield red(f"on port {port} answers no sshd: {words[:40]}", "systemctl status ssh")
    if situation.sshd is None:
        yield green(f"{words}; only root can ask sshd for its settings (sshd -T)")
        return
    for name, wanted in (("usepam", "yes"), ("pubkeyauthentication", "yes"), ("forcecommand", "none")):
        if told.get(name, wanted) != wanted:
            yield red(f"sshd has {name} {told[name]}", f"{situation.account} needs {name} {wanted}.")
    for name in ("allowusers", "denyusers", "allowgroups", "denygroups"):
        if name in told and not _lets_in(name, told[name].split(), situation.account):
            yield red(f"sshd's {name} shuts {situation.account} out: {told[name]}", "See sshd_config(5).")
    yield green(words)


def _lets_in(name: str, words: list[str], account: str) -> bool:
    named = any(word.partition("@")[0] == account for word in words)
    # A group's members and patterns are not looked at: they may let in, so only plain names are a no.
    plain = not any(set(word) & set("*?!") for word in words)
    return (named or not plain) if name == "allowusers" else name != "denyusers" or not named


def authorized_keys(situation: Situation) -> Iterator[Answer]:
    """Look whether the register-keys' lines are restricted and start our program, which is there."""
    path = situation.home / ".ssh" / "authorized_keys"
    if not path.exists():
        yield red(f"there is no {path}: nobody can register", "backuppc-register-admin register-key add main")
        return
    for place in (situation.home, path.parent, path):
        status = place.stat()
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (0, situation.uid):
            yield red(f"sshd ignores {path}: see owner and mode of {place}", f"chmod go-w {place}")
    keys = [key for key in RegisterKeys(situation.config.state.directory, path).all() if key.line]
    if not keys:
        yield red(f"{path} has no register-key", "backuppc-register-admin register-key add main")
    for key in keys:
        if not key.restricted:
            advice = "Put restrict before command=: it would forward ports and open terminals."
            yield red(f"the register-key {key.label or '(no label)'} is not restricted", advice)
        if not key.label:
            yield yellow("a register-key has no label", "Add --register-key LABEL to its command.")
        yield from _program(key.command, key.label)
        if key.expires and key.expires <= time.strftime("%Y%m%d"):
            yield red(f"the register-key {key.label} expired on {key.expires}", "register-key add, bundle")


def _program(command: str, label: str) -> Iterator[Answer]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    missing = [word for word in words if word.startswith("/") and not Path(word).exists()]
    if not words or missing:
        advice = f"There is no {' '.join(missing) or 'command'}."
        yield red(f"the register-key {label} starts {command}", advice)


def web(situation: Situation) -> Iterator[Answer]:
    """Look whether BackupPC's pages ask for a login: whoever has none is an administrator there."""
    url = situation.config.server.url.replace("{host}", "localhost")
    parts = urlsplit(url)
    if not parts.hostname:
        yield yellow("not looked at: no [server] url is told", "See docs/configuration.md.")
        return
    origin = f"{parts.scheme}://{parts.netloc}"
    urls = dict.fromkeys((url.partition("?")[0], *(origin + path for path in _PAGES)))
    shown, failures = [], []
    for one in urls:
        try:
            page = greeting.page(one, _WITHIN)
        except OSError as error:
            failures.append(f"{one}: {error}")
            break  # the same server
        if page.status == 200 and any(word in page.text for word in _OF_BACKUPPC):
            shown.append(one)
    if shown:
        advice = "Let the web server ask for a login: BackupPC takes who has none for an administrator."
        yield red(f"BackupPC's pages are open to everybody: {_some(shown)}", advice)
    elif failures:
        yield yellow(f"the web pages cannot be looked at: {failures[0]}", "See [server] url.")
    else:
        yield green("they ask for a login, seen from here")


def libraries(situation: Situation) -> Iterator[Answer]:
    """Look at the libraries that we use."""
    found = []
    for name, package in _LIBRARIES.items():
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield red(f"there is no {name}", f"apt-get install {package}")
    yield green(", ".join(found))


def clients(situation: Situation) -> Iterator[Answer]:
    """Look at the machines' rsync, as their last `verify` told it."""
    told = [record for record in _records(situation) if record.rsync and not record.retired]
    old = [f"{record.host} ({record.rsync})" for record in told if _is_old(record.rsync)]
    if old:
        yield yellow(f"machines with an rsync before 3.4: {_some(old)}", "Let their owners update it.")
    elif told:
        yield green(f"{len(told)} machines have told their rsync")


def _is_old(rsync: str) -> bool:
    """Tell whether it is a release before 3.4, which closed holes; Apple's openrsync counts otherwise."""
    numbers = rsync.removeprefix("v").split(".")[:2]
    return all(number.isdigit() for number in numbers) and [int(number) for number in numbers] < [3, 4]


def _some(items: list[str]) -> str:
    more = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


CHECKS = {
    "directory": directory,
    "persons": persons,
    "dns": dns,
    "sshd": sshd,
    "authorized-keys": authorized_keys,
    "web": web,
    "libraries": libraries,
    "clients": clients,
}
