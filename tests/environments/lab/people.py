"""The directory of the lab: slapd on a host, with the small university of `services.slapd`."""

import tempfile
from pathlib import Path

from services import slapd

from .host import Host
from .service import Service

ADMIN = f"cn=admin,{slapd.SUFFIX}"
PASSWORD = "lab"
CHANGES = f'rootdn "{ADMIN}"\nrootpw {PASSWORD}\ndbnosync\n'
FOLDER = Path("/var/lib/ldap-lab")


class Directory(Service):
    """slapd on port 389 of a host; anyone may search it."""

    def __init__(self, host: Host, people: str = slapd.PEOPLE) -> None:
        configuration = FOLDER / "slapd.conf"
        command = slapd.command_line(configuration, ["ldap://"])
        super().__init__(host, "slapd", command, lambda: host.listens(389))
        self._here = host
        with tempfile.TemporaryDirectory(prefix="slapd.") as draft:
            slapd.write(Path(draft), people=people, access=CHANGES + slapd.EVERYONE_READS)
            files = {path.name: path.read_text() for path in Path(draft).iterdir() if path.is_file()}
        files[configuration.name] = files[configuration.name].replace(draft, str(FOLDER))
        host.run(["mkdir", "-p", str(FOLDER / "database")], check=True)
        host.write_all(str(FOLDER), files)
        host.run(slapd.load_command(configuration), check=True)

    def add(self, entries: str) -> None:
        """Add *entries*, LDIF such as `services.slapd.person` gives."""
        self._change("ldapadd", entries)

    def remove(self, uid: str) -> None:
        """Remove the person whose entry is named by *uid*."""
        self._change("ldapdelete", f"uid={uid},{slapd.BASE}\n")

    def _change(self, tool: str, text: str) -> None:
        bind = ["-x", "-H", "ldap://127.0.0.1", "-D", ADMIN, "-w", PASSWORD]
        self._here.run([tool, *bind], input=text, check=True)
