"""Checks of the services that we depend on, and of the machines: directory, DNS, the web pages."""

import platform
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backuppc_register import __version__
from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.network import banner
from backuppc_register.person import different_entry, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, InvalidDnsName, RegisterError, StateError
from backuppc_register.state.records import Record

# The checks that need ldap3 or dnspython import them: without them, all others still tell.
if TYPE_CHECKING:
    from backuppc_register.network.ldap import Ldap
    from backuppc_register.network.reverse_dns import ReverseDns

_WITHIN = 5.0  # seconds for one question
_SLOW = 1.0  # seconds, after which an answer is worth a word
_FOR_UIDS = 5.0  # seconds for all persons
_PERSONS = 5  # of whom one must be there
_NOBODY = "backuppc-register-test"
_LIBRARIES = {"ldap3": "python3-ldap3", "dnspython": "python3-dnspython", "paramiko": "python3-paramiko"}
_PAGES = ("/backuppc/", "/backuppc/index.cgi", "/BackupPC_Admin", "/cgi-bin/BackupPC_Admin")
_OF_BACKUPPC = ("BackupPC_stnd", "BackupPC_retro", "action=adminOpts", "<title>BackupPC")


@otherwise("See [directory] servers.")
def directory(situation: Situation) -> Iterator[Answer]:
    """Ask each LDAP server for a person, and look at the time."""
    from backuppc_register.network.ldap import Ldap

    settings = situation.config.directory
    logons = _logons(situation)
    if not settings.servers:
        yield yellow("not looked at: no [directory] servers are told", "See docs/configuration.md.")
    for url in settings.servers:
        began = time.monotonic()
        try:
            found = _found(Ldap(replace(settings, servers=(url,))), logons or [_NOBODY])
        except RegisterError as error:
            advice = "See [directory] servers; people are told to try again meanwhile."
            yield red(error.detail or f"{url}: {error.message()}", advice)
            continue
        took = time.monotonic() - began
        if took > _SLOW:
            advice = "Put faster ones first in [directory] servers: a request has 28 s for everything."
            yield yellow(f"{url} took {took:.1f} s", advice)
        elif logons and not found:
            advice = "Is [directory] base or filter wrong? --logon names somebody else to look for."
            yield yellow(f"{url} does not know {' nor '.join(logons)}", advice)
        else:
            who = f"{found} found" if found else "nobody was looked for: --logon names somebody"
            yield green(f"{url} answered in {took * 1000:.0f} ms, {who}")


def _logons(situation: Situation) -> list[str]:
    """Return whom to look for; of several persons with hosts, because the first one may have left."""
    if situation.logon:
        return [situation.logon]
    return [person for person in situation.persons if possible_logon(person)][:_PERSONS]


def _found(people: "Ldap", logons: Iterable[str]) -> str:
    """Return the first of *logons* whom the directory knows, "" for none of them; raises as `find`."""
    for logon in logons:
        try:
            people.find(logon, _WITHIN)
        except BadUser:
            continue
        return logon
    return ""


@otherwise("See CgiAdminUsers in config.pl.")
def namesake(situation: Situation) -> Iterator[Answer]:
    """Look whether a person is called like BackupPC's account, which BackupPC takes for an administrator."""
    from backuppc_register.network.ldap import Ldap

    admins = str(situation.known_settings.get("CgiAdminUsers", "") or "")
    if not situation.config.directory.servers or situation.account not in admins.split():
        return
    try:
        person = Ldap(situation.config.directory).find(situation.account, _WITHIN)
    except RegisterError:
        return  # there is none, or `directory` tells
    what = f"the directory has a person {person.uid}, whom CgiAdminUsers makes an administrator"
    yield red(what, f"Take {situation.account} out of CgiAdminUsers and name your administrators there.")


@otherwise("See who may read [state] directory, and if its disk is there.")
def persons(situation: Situation) -> Iterator[Answer]:
    """Look for uids that were given to somebody else, as far as the time allows; those before next time."""
    from backuppc_register.network.ldap import Ldap

    # Retired hosts and archives too: whoever gets the uid of somebody who left could read their backups.
    # The account's are nobody's, and keep the mark of whom they were taken from.
    records = [
        record
        for record in _records(situation)
        if record.entry and not same_logon(record.person, situation.account)
    ]
    if not records or not situation.config.directory.servers:
        return
    start = int(time.time() // 600) % len(records)
    until = time.monotonic() + _FOR_UIDS
    people = Ldap(situation.config.directory)
    again, gone, asked = [], [], 0
    for record in records[start:] + records[:start]:
        left = until - time.monotonic()
        if left <= 0:
            break
        asked += 1
        try:
            person = people.find(record.person, left)
            if different_entry(person.entry_id, record.entry):
                again.append(f"{record.host} ({record.person})")
        except BadUser:
            gone += [] if record.retired else [f"{record.host} ({record.person})"]
        except RegisterError:
            return  # `directory` tells
    if again:
        advice = (
            f"backuppc-register-admin transfer HOST {situation.account}, for each: until then the newcomer of"
            " that logon reads the old backups. Has the newcomer got the machine: transfer HOST LOGON."
        )
        yield red(f"a uid was given out again: {some(again)}", advice)
    if gone:
        yield yellow(f"people who are gone: {some(gone)}", "backuppc-register-admin retire or purge.")
    yield green(f"{asked} of {len(records)} registrations looked at")


def _records(situation: Situation) -> Iterator[Record]:
    for host in situation.folders.names():
        try:
            record = situation.folders.record(host)
        except StateError:
            continue  # `undecided` tells
        if record is not None:
            yield record


@otherwise("See [dns] nameservers and /etc/resolv.conf.")
def dns(situation: Situation) -> Iterator[Answer]:
    """Ask each nameserver for this server's own name, both ways."""
    from backuppc_register.network.reverse_dns import ReverseDns

    settings = situation.config.dns
    name = socket.getfqdn()
    if "." not in name:
        yield yellow(f"this server is called {name}, without a domain", "See /etc/hosts and /etc/hostname.")
        return
    # As for a machine, but for a server that may be outside the machines' domains and networks.
    own = replace(settings, domains=(name.partition(".")[2],), networks=())
    for server in settings.nameservers or ("",):
        asking = ReverseDns(replace(own, nameservers=(server,) if server else ()))
        where = server or "the nameserver of /etc/resolv.conf"
        try:
            yield from _both_ways(asking, name, where, situation)
        except RegisterError as error:
            yield red(f"{where}: {error.detail}", "See [dns] nameservers; machines are told to try again.")


def _both_ways(asking: "ReverseDns", name: str, where: str, situation: Situation) -> Iterator[Answer]:
    began = time.monotonic()
    addresses = asking.addresses_of(name, _WITHIN)
    if not addresses:
        yield yellow(f"{where} knows no address of {name}", "See /etc/hostname: machines come to it by name.")
        return
    for address in addresses:
        try:
            back = asking.name_of(ip_address(address), _WITHIN)
        except InvalidDnsName as error:
            advice = (
                f"Give it a PTR (dig -x {address}) that its name confirms: machines may look up who connects."
            )
            yield yellow(f"{where}: {address} does not give {name} back: {error.detail}", advice)
            continue
        if back != name.lower():
            yield yellow(f"{where}: {address} is {back}, not {name}", f"Is that meant? dig -x {address}")
    if time.monotonic() - began > _SLOW:
        yield yellow(
            f"{where} took {time.monotonic() - began:.1f} s", "See [dns] nameservers: a request has 28 s."
        )
    yield green(f"{where} knows {name}")


@otherwise("See [server] url.")
def web(situation: Situation) -> Iterator[Answer]:
    """Look whether BackupPC's pages ask for a login: whoever has none is an administrator there."""
    url = situation.config.server.url.replace("{host}", "localhost")
    parts = urlsplit(url)
    if not parts.hostname:
        yield yellow("not looked at: no [server] url is told", "See docs/configuration.md.")
        return
    shown, failure = _shown(f"{parts.scheme}://{parts.netloc}", parts.path)
    other = {"http": "https", "https": "http"}[parts.scheme]
    # The same pages by the other way, which a login may have been forgotten for; mostly there is none.
    shown += _shown(f"{other}://{parts.hostname}", parts.path)[0]
    if shown:
        advice = "Let it ask for a login (see /etc/backuppc/apache.conf): who has none is an administrator."
        yield red(f"BackupPC's pages are open to everybody: {some(shown)}", advice)
    elif failure:
        yield yellow(f"the web pages cannot be looked at: {failure}", "See [server] url.")
    else:
        yield green("they ask for a login, seen from here")


def _shown(origin: str, path: str) -> tuple[list[str], str]:
    """Return which pages of *origin* BackupPC shows without a login, and why no more can be looked at."""
    shown: list[str] = []
    for url in dict.fromkeys(origin + one for one in (path, *_PAGES)):
        try:
            page = banner.page(url, _WITHIN)
        except (OSError, ValueError) as error:
            return shown, f"{url}: {error}"
        if page.status == 200 and any(word in page.text for word in _OF_BACKUPPC):
            shown.append(url)
    return shown, ""


def libraries(situation: Situation) -> Iterator[Answer]:
    """Look at our own version, and at those of the libraries that we use."""
    found = [f"backuppc-register {__version__}", f"Python {platform.python_version()}"]
    for name, package in _LIBRARIES.items():
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield red(f"there is no {name}", f"apt-get install {package}")
    yield green(", ".join(found))


@otherwise("See who may read [state] directory, and if its disk is there.")
def clients(situation: Situation) -> Iterator[Answer]:
    """Look at the machines' rsync, as their last `verify` told it."""
    told = [record for record in _records(situation) if record.rsync and not record.retired]
    old = [f"{record.host} ({record.rsync})" for record in told if _is_old(record.rsync)]
    if old:
        yield yellow(
            f"machines with an rsync before 3.4: {some(old)}",
            "Their owners, whom backuppc-register-admin show names, should update it.",
        )
    elif told:
        yield green(f"{len(told)} machines have told their rsync")


def _is_old(rsync: str) -> bool:
    """Tell whether it is a release before 3.4, which closed holes; Apple's openrsync counts otherwise."""
    numbers = rsync.removeprefix("v").split(".")[:2]
    return all(number.isdigit() for number in numbers) and [int(number) for number in numbers] < [3, 4]


CHECKS = {
    "directory": directory,
    "namesake": namesake,
    "persons": persons,
    "dns": dns,
    "web": web,
    "libraries": libraries,
    "clients": clients,
}
