"""A real 389 Directory Server as a child process, with the tree and the access rules of a FreeIPA."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from services.slapd import PATIENCE, SUFFIX, Certificate, entry, free_port

TEMPLATE = Path("/usr/share/dirsrv/data/template-dse.ldif")
SHARED = Path("/etc/dirsrv/config")
USERS = f"cn=users,cn=accounts,{SUFFIX}"
READER = f"uid=lookup,cn=sysaccounts,cn=etc,{SUFFIX}"
READER_PASSWORD = "Kouign-Amann 29200"

# Anonymous readers of a FreeIPA see neither locks nor groups nor the lasting identity.
RULES = [
    '(targetattr="objectClass || uid || cn || sn")'
    '(version 3.0; acl "anyone"; allow (read, search, compare) userdn="ldap:///anyone";)',
    '(targetattr="* || nsAccountLock || nsUniqueId")'
    '(version 3.0; acl "bound"; allow (read, search, compare) userdn="ldap:///all";)',
]

_SCHEMA = """\
dn: cn=schema
attributeTypes: ( 2.16.840.1.113730.3.8.3.1 NAME 'ipaUniqueID' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributeTypes: ( 2.16.840.1.113719.1.301.4.6.1 NAME 'krbPrincipalExpiration' EQUALITY generalizedTimeMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE )
"""

_BACKEND = """
dn: cn="{suffix}",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: {suffix}
nsslapd-state: backend
nsslapd-backend: userroot

dn: cn=userroot,cn=ldbm database,cn=plugins,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userroot
nsslapd-suffix: {suffix}
nsslapd-directory: {folder}/db/userroot
"""


# By themselves the caches have the size of the machine.
SMALL = """\
nsslapd-cache-autosize: 0
nsslapd-dbcachesize: 2000000
nsslapd-import-cache-autosize: 0
nsslapd-import-cachesize: 16777216
"""


class Directory389Error(Exception):
    """The server did not do what the test asked of it."""


class Directory389:
    """ns-slapd in the foreground until the ``with`` statement ends; *people* is LDIF below the suffix."""

    def __init__(self, people: str, certificate: Certificate) -> None:
        self.port = free_port()
        self.tls_port = free_port(but=self.port)
        self._people = people
        self._certificate = certificate
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="dirsrv."))
        try:
            self._write()
            self._trust()
            load = [
                "ldif2db",
                "-D",
                str(self._folder),
                "-n",
                "userroot",
                "-i",
                str(self._folder / "people.ldif"),
            ]
            try:
                _run(["ns-slapd", *load])
            except Directory389Error as error:
                raise Directory389Error((self._folder / "log/errors").read_text()) from error
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ldap(self) -> str:
        """Give the URL for plain LDAP, and StartTLS."""
        return f"ldap://127.0.0.1:{self.port}"

    def ldaps(self) -> str:
        """Give the URL for LDAP over TLS."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def _write(self) -> None:
        """Write what dscreate would write: the configuration with its places filled in."""
        folder = self._folder
        for name in ("db", "ldif", "bak", "log", "lock", "run", "tmp", "inst", "schema"):
            (folder / name).mkdir()
        places = {f"{name}_dir": str(folder / name) for name in ("db", "ldif", "bak", "log", "lock", "run")}
        places |= {f"{name}_dir": str(folder / name) for name in ("tmp", "inst", "schema")}
        places |= {"cert_dir": str(folder), "config_dir": str(folder), "db_home_dir": str(folder / "db")}
        places |= {"fqdn": "localhost", "ds_port": str(self.port), "ds_user": "root", "db_lib": "bdb"}
        places |= {"rootdn": "cn=Directory Manager", "ds_suffix": SUFFIX, "ds_passwd": ""}
        places |= {"ldapi": str(folder / "ldapi"), "ldapi_enabled": "off", "ldapi_autobind": "off"}
        text = re.sub(r"%(\w+)%", lambda found: places[found[1]], TEMPLATE.read_text())
        tls = f"nsslapd-security: on\nnsslapd-secureport: {self.tls_port}\nnsslapd-listenhost: 127.0.0.1\n"
        tls += "nsslapd-securelistenhost: 127.0.0.1\n"
        text = text.replace("\nnsslapd-mode: 600\n", f"\nnsslapd-mode: 600\n{SMALL}")
        text = re.sub(r"(?m)^nsslapd-rootpw:.*\n", tls, text).rstrip()
        text += "\n" + _BACKEND.format(folder=folder, suffix=SUFFIX)
        (folder / "dse.ldif").write_text(text)
        for name in ("slapd-collations.conf", "certmap.conf"):
            shutil.copy(SHARED / name, folder)
        (folder / "schema/99user.ldif").write_text(_SCHEMA)
        (folder / "people.ldif").write_text(self._people)

    def _trust(self) -> None:
        """Put the certificate where the server looks for it: in a database of NSS."""
        database, bundle = f"sql:{self._folder}", str(self._folder / "server.p12")
        pair = ["-in", str(self._certificate.certificate), "-inkey", str(self._certificate.key)]
        _run(
            [
                "openssl",
                "pkcs12",
                "-export",
                *pair,
                "-name",
                "Server-Cert",
                "-passout",
                "pass:x",
                "-out",
                bundle,
            ]
        )
        _run(["certutil", "-N", "-d", database, "--empty-password"])
        _run(["pk12util", "-i", bundle, "-d", database, "-W", "x", "-K", ""])

    def _start(self) -> None:
        program = ["ns-slapd", "-D", str(self._folder), "-d", "0", "-i", str(self._folder / "pid")]
        with (self._folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *program], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        until = time.monotonic() + 3 * PATIENCE
        whole = ["ldapsearch", "-x", "-H", self.ldap(), "-b", "", "-s", "base", "1.1"]
        while subprocess.run(whole, capture_output=True, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                raise Directory389Error((self._folder / "out").read_text(errors="replace"))
            time.sleep(0.1)


def person(uid: str, branch: str = USERS, **more: str | Sequence[str]) -> str:
    """Give a person of a FreeIPA as LDIF."""
    attributes: dict[str, Sequence[str]] = {
        "objectClass": ["top", "inetOrgPerson", "inetUser", "posixAccount", "extensibleObject"],
        "uid": [uid],
        "cn": [f"{uid} of FreeIPA"],
        "sn": [uid],
        "uidNumber": ["10000"],
        "gidNumber": ["10000"],
        "homeDirectory": [f"/home/{uid}"],
    }
    for name, value in more.items():
        attributes[name] = [value] if isinstance(value, str) else value
    return entry(f"uid={uid},{branch}", attributes)


def container(dn: str, more: Mapping[str, Sequence[str]] | None = None) -> str:
    """Give a container as LDIF."""
    name = dn.partition(",")[0].partition("=")[2]
    return entry(dn, {"objectClass": ["nsContainer"], "cn": [name], **(more or {})})


def top(rules: Sequence[str] = RULES) -> str:
    """Give what is above the people of a FreeIPA, with access *rules*."""
    branches = [
        "cn=accounts",
        "cn=users,cn=accounts",
        "cn=etc",
        "cn=sysaccounts,cn=etc",
        "cn=compat",
        "cn=users,cn=compat",
        "cn=provisioning",
        "cn=deleted users,cn=provisioning",
    ]
    reader = {
        "objectClass": ["account", "simpleSecurityObject"],
        "uid": ["lookup"],
        "userPassword": [READER_PASSWORD],
    }
    domain = {
        "objectClass": ["domain"],
        "dc": [SUFFIX.partition(",")[0].partition("=")[2]],
        "aci": list(rules),
    }
    containers = "".join(container(f"{branch},{SUFFIX}") for branch in branches)
    return entry(SUFFIX, domain) + containers + entry(READER, reader)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise Directory389Error(f"{command[0]}: {done.stderr.decode(errors='replace')}")
