"""Checks of the LDAP directory and of the persons in it."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backuppc_register.diagnosis.finding import Answer, green, listed, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.person import Person, different_entry, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, RegisterError

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
    logons = likely_logons(facts)
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
    if found and (doubt := _doubt_about_strangers(people)):
        advice = (
            "Until then, a mistyped logon gets the advice to try again. See docs/reference/directories.md."
        )
        return yellow(doubt, advice)
    if took > _SLOW:
        advice = "Put faster servers first in [directory] servers: a request has 28 s for everything."
        return yellow(f"{url} took {took:.1f} s", advice)
    if logons and not found:
        advice = "Is [directory] base or filter wrong? Use --logon to look for another person."
        return yellow(f"{url} does not know {' or '.join(logons)}", advice)
    who = f"{found} found" if found else "no person to look for: use --logon"
    return green(f"{url} answered in {took * 1000:.0f} ms, {who}")


def _doubt_about_strangers(people: "Ldap") -> str:
    """Return why the directory cannot say that a person is not there, or ""."""
    try:
        _first_known(people, [_TEST_LOGON])
    except RegisterError as error:
        return error.detail or error.message()
    return ""


def likely_logons(facts: ServerFacts) -> list[str]:
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


@dataclass(frozen=True)
class _Owner:
    """The owner of a host by our record, or by a hosts line without one; *retired*: it is not backed up."""

    host: str
    logon: str
    entry: str = ""
    retired: bool = False

    def __str__(self) -> str:
        return f"{self.host} ({self.logon})"


def persons(facts: ServerFacts) -> Iterator[Answer]:
    """Find owners that left, uids that were given to another person, and logons in another letter case.

    If the time is over before all are checked, the next run begins with others.
    """
    owners = _owners(facts)
    if not owners or not facts.config.directory.servers:
        return
    start = int(time.time() // 600) % len(owners)
    try:
        found = list(_look_up(facts, owners[start:] + owners[:start]))
    except RegisterError:
        return  # `directory` reports it
    reused = [str(owner) for owner, one in found if one and different_entry(one.entry_id, owner.entry)]
    advice = (
        f"backuppc-register-admin transfer HOST {facts.account}, for each host: until then, the new person"
        " with that logon can read the old backups. If that person has the machine now: transfer HOST LOGON."
    )
    yield from listed(red, "a uid was given to another person:", reused, advice)
    gone = [str(owner) for owner, one in found if one is None and owner.entry and not owner.retired]
    advice = "backuppc-register-admin retire HOST, or purge HOST."
    what = "owners who are not in the directory any more, or disabled there:"
    yield from listed(yellow, what, gone, advice)
    spelled = [line for owner, one in found if one for line in _misspelled(facts, owner.host, one.uid)]
    path = facts.config.backuppc.hosts
    advice = f"They do not see these hosts on BackupPC's pages: they register again, or you correct {path}."
    yield from listed(yellow, "logons in another letter case than the directory's:", spelled, advice)
    yield green(f"{len(found)} of {len(owners)} owners checked")


def _owners(facts: ServerFacts) -> list[_Owner]:
    """Return the owners with an entry id, then those of hosts lines without a record of theirs."""
    # Retired hosts and archives count too: a new person with the uid could read their backups. A host of
    # BackupPC's account has no owner; it keeps the entry of its last one.
    records = [one for one in facts.records if one.entry and not same_logon(one.person, facts.account)]
    known = [_Owner(one.host, one.person, one.entry, bool(one.retired)) for one in records]
    hosts, users = {one.host for one in known}, facts.persons
    lines = (line for line in facts.lines if line.host not in hosts and line.user in users)
    return known + [_Owner(line.host, line.user) for line in lines if possible_logon(line.user)]


def _misspelled(facts: ServerFacts, host: str, uid: str) -> list[str]:
    """Return the hosts lines with the user *uid* in another letter case, as ``HOST (USER, not UID)``."""
    wanted = uid.lower() if facts.config.server.lower_case_logons else uid
    users = (line.user for line in facts.lines if line.host == host)
    return [f"{host} ({user}, not {wanted})" for user in users if user != wanted and same_logon(user, wanted)]


def _look_up(facts: ServerFacts, owners: Iterable[_Owner]) -> Iterator[tuple[_Owner, Person | None]]:
    """Yield owners with the persons that have their logons now, None for no person, as the time allows."""
    from backuppc_register.network.ldap import Ldap

    people, until = Ldap(facts.config.directory), time.monotonic() + _PERSONS_TIMEOUT
    for owner in owners:
        left = until - time.monotonic()
        if left <= 0:
            return
        try:
            yield owner, people.find(owner.logon, left)
        except BadUser:
            yield owner, None
