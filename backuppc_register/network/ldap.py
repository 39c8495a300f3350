"""Ask the LDAP directory which person has a logon."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from urllib.parse import unquote, urlsplit
from uuid import UUID

from backuppc_register import config
from backuppc_register.config.directory_kinds import KINDS, Kind
from backuppc_register.network import accounts
from backuppc_register.network.ldap_connection import (
    LONGEST_DETAIL,
    Conversation,
    Entry,
    Failed,
    ask,
    filter_for,
    text,
)
from backuppc_register.person import Person, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, DirectoryUnavailable, Misconfigured
from backuppc_register.system.deadline import Deadline

IDENTITIES = ("entryUUID", "objectGUID", "ipaUniqueID", "nsUniqueId")
"""The attributes that stay the same as long as an entry exists."""


class Ldap:
    """The site's LDAP servers, as in *settings*."""

    def __init__(self, settings: config.Directory) -> None:
        self._settings = settings
        self._kind = KINDS[settings.kind]

    def find(self, logon: str, timeout: float) -> Person:
        """Return the one person with *logon*, spelled as the directory spells it.

        *timeout*: seconds for all servers together. They are asked in order until one gives an answer: "no
        such person" is an answer, any failure is not. The failures of servers that were skipped are in
        the person's *note*, or in the detail of the error.

        Raises BadUser, DirectoryUnavailable, and Misconfigured if our filter, base or CA file is wrong.
        """
        if not possible_logon(logon):
            raise _nobody(logon, "no possible logon")
        failures: list[str] = []
        try:
            person = self._one(self._first_answer(logon, Deadline(timeout), failures), logon)
        except (BadUser, Misconfigured) as error:
            error.add_detail(_passed_over(failures))
            raise
        return replace(person, note=_passed_over(failures))

    def _first_answer(self, logon: str, deadline: Deadline, failures: list[str]) -> list[tuple[Entry, str]]:
        """Ask one server after the other and add what fails to *failures*.

        Each has a share of the time, so that a slow one leaves time for the next.
        """
        servers = self._settings.servers
        for position, url in enumerate(servers):
            fair = deadline.remaining() / (len(servers) - position)
            try:
                return ask(
                    url, self._settings, min(self._settings.timeout, fair), partial(self._search, logon)
                )
            except Failed as failure:
                failures.append(f"{url}: {failure}")
        raise DirectoryUnavailable(detail="; ".join(failures))

    def _search(self, logon: str, server: Conversation) -> list[tuple[Entry, str]]:
        """Return the entries of *logon*, each with the reason why it is no person, or "".

        Persons come alone. That of a disabled account is one, too: otherwise its logon would be that of
        whoever adds it to an entry of their own.
        """
        settings = self._settings
        wanted = (settings.logon_attribute, settings.name_attribute, *IDENTITIES, *accounts.ATTRIBUTES)
        answer = server.search(
            settings.base,
            filter_for(settings.filter, logon),
            [attribute for attribute in wanted if attribute],
        )
        found = [(entry, self._objection(entry)) for entry in answer.entries]
        persons = [
            each for each in found if not accounts.no_person(each[0].values, each[0].dn, settings.bind_dn)
        ]
        # A person here counts, whatever other servers have. Without one, another server may have one.
        elsewhere = [url for url in answer.referrals if not own_partition(url, settings.base, self._kind)]
        if elsewhere and not persons:
            raise Failed("refers to other servers (referrals are not followed: choose a base without any)")
        return found if answer.cut else persons or found

    def _objection(self, entry: Entry) -> str:
        """Return why *entry* is no person; raises Failed if the reader may not see that."""
        found = accounts.objection(entry.values, entry.dn, self._settings.bind_dn, datetime.now(UTC))
        certain = self._kind.certain
        if certain and not found and not entry.values(certain):
            raise Failed(f"{entry.dn}: {certain} cannot be read: let the account of bind_dn read it")
        return found

    def _one(self, entries: list[tuple[Entry, str]], logon: str) -> Person:
        if not entries:
            raise _nobody(logon, "no entry")
        if len(entries) > 1:
            raise _nobody(logon, "more than one entry: " + "; ".join(entry.dn for entry, _ in entries))
        entry, objection = entries[0]
        if objection:
            raise _nobody(logon, f"{entry.dn}: {objection}")
        return self._person(entry, logon)

    def _person(self, entry: Entry, logon: str) -> Person:
        values = entry.texts(self._settings.logon_attribute)
        uids = {value for value in values if same_logon(value, logon)}
        if len(uids) != 1:
            shown = ", ".join(values) or "not readable"
            raise _nobody(logon, f"{entry.dn}: {self._settings.logon_attribute} is {shown}")
        names = entry.texts(self._settings.name_attribute) if self._settings.name_attribute else []
        name, uid = names[0] if names else "", uids.pop()
        others = tuple(sorted(value for value in values if value != uid and possible_logon(value)))
        return Person(uid=uid, name=name, entry_id=_identity(entry), others=others)


def own_partition(url: str, base: str, kind: Kind) -> bool:
    """Tell whether *url* refers to a part of the directory below *base* that never has persons."""
    dn = accounts.normal(unquote(urlsplit(url).path.removeprefix("/")))
    return dn in {accounts.normal(f"{first},{base}") for first in kind.partitions}


def _passed_over(failures: list[str]) -> str:
    return "passed over " + "; ".join(failures) if failures else ""


def _nobody(logon: str, detail: str) -> BadUser:
    return BadUser(logon=logon, detail=detail[:LONGEST_DETAIL])


def _identity(entry: Entry) -> str:
    """Return the entry id for `Person`, in the same spelling whichever server answers."""
    values = ((attribute, entry.values(attribute)) for attribute in IDENTITIES)
    return " ".join(f"{attribute}:{_id_text(attribute, found[0])}" for attribute, found in values if found)


def _id_text(attribute: str, value: bytes) -> str:
    # objectGUID is 16 bytes, the first fields little-endian (MS-DTYP 2.3.4.2).
    if attribute == "objectGUID":
        return str(UUID(bytes_le=value)) if len(value) == 16 else value.hex()
    return text(value).lower().replace(" ", "_")
