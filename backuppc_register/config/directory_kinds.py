"""What each kind of directory brings: defaults of `[directory]`, and what is peculiar to such servers."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of directory server.

    *branch*: where the persons are below the entry of the domain. *partitions*: the first parts of the names
    below the base that an answer refers to, and that never have persons. *certain*: an attribute that every
    person has; a reader who does not see it cannot tell whether the account is disabled. *locked*: the
    attribute that only locked persons have.
    """

    filter: str
    logon_attribute: str = "uid"
    name_attribute: str = "cn"
    branch: str = ""
    partitions: tuple[str, ...] = ()
    certain: str = ""
    locked: str = ""

    def base_of(self, base: str) -> str:
        """Return the entry below which the persons are, where *base* is it or the entry of the domain."""
        return f"{self.branch},{base}" if self.branch and _DOMAIN.fullmatch(base) else base


_DOMAIN = re.compile(r"\s*dc\s*=[^,=+]+(?:,\s*dc\s*=[^,=+]+)*", re.IGNORECASE)

KINDS = {
    "openldap": Kind(filter="(uid={logon})", locked="pwdAccountLockedTime"),
    "ad": Kind(
        # Contacts are no users. Computers and managed service accounts are users of another category.
        filter="(&(objectCategory=person)(objectClass=user)(sAMAccountName={logon}))",
        logon_attribute="sAMAccountName",
        name_attribute="displayName",
        # A domain controller refers to them whatever was asked below the entry of the domain.
        partitions=("CN=Configuration", "DC=DomainDnsZones", "DC=ForestDnsZones"),
        certain="userAccountControl",
    ),
    "freeipa": Kind(
        # 389 Directory Server has persons of a class of its own. The entries of the compat tree have neither.
        filter="(&(|(objectClass=person)(objectClass=nsPerson))(uid={logon}))",
        # Below the domain are copies of all persons (cn=compat), and persons to come and of former times.
        branch="cn=users,cn=accounts",
        locked="nsAccountLock",
    ),
}
"""The kinds of directories by the word in the configuration."""
