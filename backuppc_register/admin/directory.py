"""Whether the directory still has a host's person."""

from backuppc_register.admin.context import Context
from backuppc_register.errors import BadUser
from backuppc_register.person import Person, another_entry, possible_logon

_WITHIN = 30.0  # seconds for one person, all servers together


class People:
    """The directory, asked once for each person."""

    def __init__(self, context: Context) -> None:
        from backuppc_register.network.directory import Directory  # its library is slow to import

        self._directory = Directory(context.config.directory)
        self._known: dict[str, Person | None] = {}

    def find(self, logon: str) -> Person | None:
        """Return the person of *logon*, None where there is none.

        Raises DirectoryUnavailable: a doubt is never "no such person".
        """
        if logon not in self._known:
            self._known[logon] = self._ask(logon)
        return self._known[logon]

    def gone(self, logon: str, entry: str) -> str:
        """Return in a few words that the person *logon*, whose entry was *entry*, is gone, "" where not.

        Raises DirectoryUnavailable.
        """
        person = self.find(logon) if logon else None
        if person is None:
            return "not in the directory"
        given_again = another_entry(entry, person.entry)
        return "the logon is another person's now" if given_again else ""

    def _ask(self, logon: str) -> Person | None:
        if not possible_logon(logon):
            return None
        try:
            return self._directory.find(logon, _WITHIN)
        except BadUser:
            return None
