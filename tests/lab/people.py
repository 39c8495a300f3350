"""The people of the lab, and the slapd that knows them."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from .host import Host
from .service import Service

SUFFIX = "dc=univ-brest,dc=fr"
BASE = f"ou=people,{SUFFIX}"
ADMIN = f"cn=admin,{SUFFIX}"
PASSWORD = "lab"
FOLDER = "/var/lib/ldap-lab"
CONFIG = "/etc/ldap/slapd-lab.conf"
SLAPD = f"""\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile /run/slapd-lab.pid
database mdb
suffix "{SUFFIX}"
directory {FOLDER}
rootdn "{ADMIN}"
rootpw {PASSWORD}
dbnosync
index uid eq
"""
TREE = f"""\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
dc: univ-brest
o: Universite de Brest

dn: {BASE}
objectClass: organizationalUnit
ou: people

"""


@dataclass(frozen=True)
class Person:
    """Someone in the directory; *aliases* are further values of uid."""

    uid: str
    cn: str
    aliases: tuple[str, ...] = ()

    @property
    def dn(self) -> str:
        """Give the entry's name."""
        return f"uid={self.uid},{BASE}"

    def ldif(self) -> str:
        """Give the entry as LDIF, an empty line at its end."""
        lines = [f"dn: {self.dn}", "objectClass: inetOrgPerson"]
        lines += [f"uid: {uid}" for uid in (self.uid, *self.aliases)]
        for attribute, value in (("cn", self.cn), ("sn", self.cn.rpartition(" ")[2])):
            lines.append(f"{attribute}:: {base64.b64encode(value.encode()).decode()}")
        lines.append(f"mail: {self.uid}@univ-brest.fr")
        return "\n".join(lines) + "\n\n"


PEOPLE = (
    Person("cmartin", "Christophe Martin"),
    Person("adupont", "Anne Dupont"),
    Person("JDupond", "Jean Dupond"),
    Person("egrand", "Élise Le Grand"),
    Person("fmuller", "François Müller", aliases=("francois.muller",)),
)


class Directory(Service):
    """slapd on port 389 of a host; anyone may search it."""

    def __init__(self, host: Host, people: Iterable[Person] = PEOPLE) -> None:
        command = ["slapd", "-d", "0", "-f", CONFIG, "-h", "ldap://"]
        super().__init__(host, command, lambda: host.listens(389))
        self._here = host
        host.run(f"cat > {CONFIG}; mkdir {FOLDER}", input=SLAPD, check=True)
        entries = TREE + "".join(person.ldif() for person in people)
        host.run(["slapadd", "-q", "-f", CONFIG], input=entries, check=True)

    def add(self, person: Person) -> None:
        """Add someone."""
        self._change("ldapadd", person.ldif())

    def remove(self, uid: str) -> None:
        """Remove who has *uid*."""
        self._change("ldapdelete", f"{Person(uid, '').dn}\n")

    def _change(self, tool: str, text: str) -> None:
        bind = ["-x", "-H", "ldap://127.0.0.1", "-D", ADMIN, "-w", PASSWORD]
        self._here.run([tool, *bind], input=text, check=True)
