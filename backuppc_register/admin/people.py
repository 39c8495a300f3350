"""Whether the directory still has a host's person."""

from backuppc_register.admin.context import Context
from backuppc_register.admin.host_overview import View
from backuppc_register.inventory import policy
from backuppc_register.person import Person, different_entry, possible_logon, same_logon
from backuppc_register.protocol.errors import BadUser

_WITHIN = 30.0  # seconds for one person, all servers together


class People:
    """The directory, asked once for each person."""

    def __init__(self, context: Context) -> None:
        from backuppc_register.network.ldap import Ldap  # its library is slow to import

        self._directory = Ldap(context.config.directory)
        self._account = context.account
        self._known: dict[str, Person | None] = {}

    def find(self, logon: str) -> Person | None:
        """Return the person of *logon*, None where there is none.

        Raises DirectoryUnavailable: a doubt is never "no such person".
        """
        if logon not in self._known:
            self._known[logon] = self._ask(logon)
        return self._known[logon]

    def gone(self, view: View) -> str:
        """Return in a few words which of a host's persons are gone, "" for none.

        Of what is retired only a logon that was given out again matters: that person reads the backups.
        Raises DirectoryUnavailable.
        """
        people = [logon for logon in view.persons if not policy.is_own_account(logon, self._account)]
        said = {logon: self._gone(logon, view) for logon in people}
        named = len(view.persons) > 1
        return ", ".join(f"{logon}: {what}" if named else what for logon, what in said.items() if what)

    def _gone(self, logon: str, view: View) -> str:
        person = self.find(logon) if logon else None
        if person is None:
            return "" if view.retired else "not in the directory"
        record = view.record
        entry = record.entry if record and same_logon(record.person, logon) else ""
        return "the logon is another person's now" if different_entry(entry, person.entry_id) else ""

    def _ask(self, logon: str) -> Person | None:
        if not possible_logon(logon):
            return None
        try:
            return self._directory.find(logon, _WITHIN)
        except BadUser:
            return None
