"""Ask the directory whether a host's owner is still there."""

from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View
from backuppc_register.inventory import policy
from backuppc_register.person import Person, different_entry, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser, RegisterError

_TIMEOUT = 30.0  # seconds for one person, all servers together


class People:
    """The directory, asked once for each person."""

    def __init__(self, context: Context) -> None:
        from backuppc_register.network.ldap import Ldap  # ldap3 is slow to import

        self._directory = Ldap(context.config.directory)
        self._account = context.account
        self._known: dict[str, Person | None] = {}

    def find(self, logon: str) -> Person | None:
        """Return the person with *logon*, or None.

        Raises DirectoryUnavailable, which never means "no such person".
        """
        if logon not in self._known:
            self._known[logon] = self._ask(logon)
        return self._known[logon]

    def gone(self, view: View) -> str:
        """Return in a few words which of a host's owners are gone, or "".

        A retired host only counts if another person has the logon now, who could read the backups.
        Raises DirectoryUnavailable.
        """
        logons = [logon for logon in view.persons if not policy.is_own_account(logon, self._account)]
        results = {logon: self._gone(logon, view) for logon in logons}
        several = len(view.persons) > 1
        return ", ".join(f"{logon}: {what}" if several else what for logon, what in results.items() if what)

    def _gone(self, logon: str, view: View) -> str:
        person = self.find(logon) if logon else None
        if person is None:
            return "" if view.retired else "not in the directory, or disabled there"
        record = view.record
        entry = record.entry if record and same_logon(record.person, logon) else ""
        return "another person has the logon now" if different_entry(entry, person.entry_id) else ""

    def _ask(self, logon: str) -> Person | None:
        if not possible_logon(logon):
            return None
        try:
            return self._directory.find(logon, _TIMEOUT)
        except BadUser:
            return None


def named(logon: str, context: Context) -> tuple[Person, str]:
    """Return the person with *logon* and all further logons, and why only *logon* is known, "" if not.

    Someone who is not in the directory has no further logon.
    """
    from backuppc_register.network.ldap import Ldap  # ldap3 is slow to import

    directory = Ldap(context.config.directory)
    try:
        return policy.find_person(logon, lambda one: directory.find(one, _TIMEOUT), context.account), ""
    except BadUser:
        return Person(logon), ""
    except RegisterError as error:
        return Person(logon), f"further logons of {logon} are not known: {error.detail or error}"
