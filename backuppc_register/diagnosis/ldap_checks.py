"""Checks of the LDAP directory and of the persons in it."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from backuppc_register.diagnosis.finding import Answer, green, listed, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.person import different_entry, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, RegisterError
from backuppc_register.state.records import Record

# The checks import ldap3 late: if it is missing, all other checks still run.
if TYPE_CHECKING:
    from backuppc_register.network.ldap import Ldap

_TIMEOUT = 5.0  # seconds for one question
_SLOW = 1.0  # seconds
_PERSONS_TIMEOUT = 5.0  # seconds for all persons
_PERSONS = 5  # one of them must be in the directory
_TEST_LOGON = "backuppc-register-test"


def directory(facts: ServerFacts) -> Iterator[Answer]:
    """Ask each LDAP server for a person, and measure the time."""
    logons = _logons(facts)
    if not facts.config.directory.servers:
        yield yellow("skipped: [directory] servers is not set", "See docs/configuration.md.")
    for url in facts.config.directory.servers:
        yield _answer_of(url, facts, logons)


def _answer_of(url: str, facts: ServerFacts, logons: list[str]) -> Answer:
    from backuppc_register.network.ldap import Ldap

    began = time.monotonic()
    try:
        people = Ldap(replace(facts.config.directory, servers=(url,)))
        found = _first_known(people, logons or [_TEST_LOGON])
    except RegisterError as error:
        advice = "See [directory] servers. Until then, registrations fail with the advice to try again."
        return red(error.detail or f"{url}: {error.message()}", advice)
    took = time.monotonic() - began
    if took > _SLOW:
        advice = "Put faster servers first in [directory] servers: a request has 28 s for everything."
        return yellow(f"{url} took {took:.1f} s", advice)
    if logons and not found:
        advice = "Is [directory] base or filter wrong? Use --logon to look for another person."
        return yellow(f"{url} does not know {' or '.join(logons)}", advice)
    who = f"{found} found" if found else "no person to look for: use --logon"
    return green(f"{url} answered in {took * 1000:.0f} ms, {who}")


def _logons(facts: ServerFacts) -> list[str]:
    """Return the persons to look for; several owners of hosts, because the first one may have left."""
    if facts.logon:
        return [facts.logon]
    return [person for person in facts.persons if possible_logon(person)][:_PERSONS]


def _first_known(people: "Ldap", logons: Iterable[str]) -> str:
    """Return the first of *logons* that is in the directory, or ""; raises the errors of `find`."""
    for logon in logons:
        try:
            people.find(logon, _TIMEOUT)
        except BadUser:
            continue
        return logon
    return ""


def persons(facts: ServerFacts) -> Iterator[Answer]:
    """Find owners that left, and uids that were given to another person.

    If the time is over before all are checked, the next run begins with others.
    """
    # Retired hosts and archives count too: a new person with the uid could read their backups. A host of
    # BackupPC's account has no owner; it keeps the entry of its last one.
    records = [one for one in facts.records if one.entry and not same_logon(one.person, facts.account)]
    if not records or not facts.config.directory.servers:
        return
    start = int(time.time() // 600) % len(records)
    reused, gone, asked = [], [], 0
    try:
        for record, verdict in _verdicts(facts, records[start:] + records[:start]):
            asked += 1
            name = f"{record.host} ({record.person})"
            reused += [name] if verdict == "reused" else []
            gone += [name] if verdict == "gone" and not record.retired else []
    except RegisterError:
        return  # `directory` reports it
    advice = (
        f"backuppc-register-admin transfer HOST {facts.account}, for each host: until then, the new person"
        " with that logon can read the old backups. If that person has the machine now: transfer HOST LOGON."
    )
    yield from listed(red, "a uid was given to another person:", reused, advice)
    advice = "backuppc-register-admin retire HOST, or purge HOST."
    yield from listed(yellow, "owners who are not in the directory any more:", gone, advice)
    yield green(f"{asked} of {len(records)} registrations checked")


def _verdicts(facts: ServerFacts, records: Iterable[Record]) -> Iterator[tuple[Record, str]]:
    """Yield records and what became of their owners, as the time allows: ``reused``, ``gone`` or ""."""
    from backuppc_register.network.ldap import Ldap

    people, until = Ldap(facts.config.directory), time.monotonic() + _PERSONS_TIMEOUT
    for record in records:
        left = until - time.monotonic()
        if left <= 0:
            return
        try:
            person = people.find(record.person, left)
        except BadUser:
            yield record, "gone"
        else:
            yield record, "reused" if different_entry(person.entry_id, record.entry) else ""
