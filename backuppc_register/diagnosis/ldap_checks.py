"""Checks of the directory, and of the persons in it."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.person import different_entry, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, RegisterError, StateError
from backuppc_register.state.records import Record

# The check needs ldap3 and imports it late: without it, all others still tell.
if TYPE_CHECKING:
    from backuppc_register.network.ldap import Ldap

_WITHIN = 5.0  # seconds for one question
_SLOW = 1.0  # seconds, after which an answer is worth a word
_FOR_UIDS = 5.0  # seconds for all persons
_PERSONS = 5  # of whom one must be there
_NOBODY = "backuppc-register-test"


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


CHECKS = {
    "directory": directory,
    "namesake": namesake,
    "persons": persons,
}
