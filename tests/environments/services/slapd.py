"""A real LDAP directory, OpenLDAP's slapd, as a child process: people in, answers out."""

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = ("127.0.0.1", "::1")
PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
PATIENCE = 20.0

SUFFIX = "dc=univ-brest,dc=fr"
BASE = f"ou=people,{SUFFIX}"
READER = f"cn=reader,{SUFFIX}"
READER_PASSWORD = "Kouign-Amann 29200"

EVERYONE_READS = "access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\n"

_CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID'
    EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.8.3.1 NAME 'ipaUniqueID'
    EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.1.542 NAME 'nsUniqueId'
    EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock'
    EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires'
    EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.42.2.27.8.1.17 NAME 'pwdAccountLockedTime'
    EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
{tls}
{options}
database mdb
suffix "{suffix}"
directory {folder}/database
{access}
"""


class SlapdError(Exception):
    """slapd did not do what the test asked of it."""


@dataclass(frozen=True)
class Certificate:
    """A certificate with its private key, both PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority of a test's own; `file` is what its clients trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._issued = 0
        self.file = folder / "ca.pem"
        self._key = folder / "ca.key"
        subject = ("-subj", "/CN=A test's own authority", "-days", "7")
        self._openssl("req", "-x509", *_new_key(self._key), *subject, "-out", str(self.file))

    def issue(self, *names: str, days: int = 7) -> Certificate:
        """Give a certificate for *names*, host names or addresses. With *days* -1 it has expired already."""
        self._issued += 1
        stem = self._folder / f"issued-{self._issued}"
        made = Certificate(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        request, extensions = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        kinds = ("IP" if _is_address(name) else "DNS" for name in names)
        wanted = ",".join(f"{kind}:{name}" for kind, name in zip(kinds, names, strict=True))
        extensions.write_text(f"subjectAltName={wanted}\n")
        self._openssl("req", *_new_key(made.key), "-subj", "/CN=slapd", "-out", str(request))
        by = ("-CA", str(self.file), "-CAkey", str(self._key), "-set_serial", str(self._issued))
        how = ("-days", str(days), "-extfile", str(extensions), "-out", str(made.certificate))
        self._openssl("x509", "-req", "-in", str(request), *by, *how)
        return made

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
        if done.returncode:
            raise SlapdError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace')}")


class Slapd:
    """slapd in the foreground, as whoever starts it, until the ``with`` statement ends.

    *people* is LDIF, loaded before the start; *access* its rules and *options* further lines of
    slapd.conf(5). With a *certificate* it offers StartTLS, and ldaps on a port of its own.
    """

    def __init__(
        self,
        people: str = "",
        *,
        addresses: Sequence[str] = LOOPBACK,
        certificate: Certificate | None = None,
        access: str = EVERYONE_READS,
        options: str = "",
    ) -> None:
        self.addresses = tuple(addresses)
        self.port = free_port(addresses)
        self.tls_port = free_port(addresses, but=self.port)
        self._people = people or PEOPLE
        self._certificate = certificate
        self._access = access
        self._options = options
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="slapd."))
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ldap(self, host: str = "127.0.0.1") -> str:
        """Give the URL for plain LDAP, and StartTLS, under the name *host*."""
        return f"ldap://{_bracketed(host)}:{self.port}"

    def ldaps(self, host: str = "127.0.0.1") -> str:
        """Give the URL for LDAP over TLS under the name *host*."""
        return f"ldaps://{_bracketed(host)}:{self.tls_port}"

    @property
    def pid(self) -> int:
        """Give slapd's pid. Raises SlapdError."""
        if self._process is None:
            raise SlapdError("slapd does not run")
        return self._process.pid

    @property
    def log(self) -> str:
        """Give what the server has logged so far: a line per connection, operation and result."""
        return (self._folder / "slapd.log").read_text(errors="replace")

    def history(self) -> str:
        """Give the log, once it tells the end of all connections: it is later than the answers."""
        until = time.monotonic() + PATIENCE
        while (log := self.log).count(" ACCEPT from ") != log.count(" closed"):
            if time.monotonic() > until:
                raise SlapdError(f"a connection stays open:\n{log}")
            time.sleep(0.01)
        return log

    def _start(self) -> None:
        configuration = write(
            self._folder,
            people=self._people,
            certificate=self._certificate,
            access=self._access,
            options=self._options,
        )
        loaded = subprocess.run(load_command(configuration), capture_output=True, check=False)
        if loaded.returncode:
            raise SlapdError(f"slapadd: {loaded.stderr.decode(errors='replace')}")
        urls = [self.ldap(address) for address in self.addresses]
        urls += [self.ldaps(address) for address in self.addresses if self._certificate]
        with (self._folder / "slapd.log").open("wb") as log:
            self._process = subprocess.Popen(
                command_line(configuration, urls),
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + PATIENCE
        while not all(_listens(address, self.port) for address in self.addresses):
            if self._process.poll() is not None or time.monotonic() > until:
                raise SlapdError(f"slapd did not start on port {self.port}:\n{self.log}")
            time.sleep(0.02)

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


def write(
    folder: Path,
    *,
    people: str = "",
    certificate: Certificate | None = None,
    access: str = EVERYONE_READS,
    options: str = "",
) -> Path:
    """Write slapd's configuration and *people* to *folder*; give the configuration's path."""
    (folder / "database").mkdir(exist_ok=True)
    (folder / "people.ldif").write_text(people or PEOPLE)
    tls = ""
    if certificate:
        tls = f"TLSCertificateFile {certificate.certificate}\nTLSCertificateKeyFile {certificate.key}\n"
    configuration = folder / "slapd.conf"
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, tls=tls, options=options, suffix=SUFFIX, access=access)
    )
    return configuration


def load_command(configuration: Path) -> list[str]:
    """Give the command that loads the people of `write` into the database, once, before slapd starts."""
    people = configuration.with_name("people.ldif")
    return [_program("slapadd"), "-q", "-f", str(configuration), "-l", str(people)]


def command_line(configuration: Path, urls: Sequence[str]) -> list[str]:
    """Give the command that runs slapd in the foreground until SIGTERM, or until the caller dies.

    It logs to standard error.
    """
    program = [_program("slapd"), "-d", "stats", "-f", str(configuration), "-h", " ".join(urls)]
    return ["setpriv", "--pdeathsig", "TERM", *program]


def entry(dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> str:
    """Give an entry as LDIF (RFC 2849), its values in base64, which suits every text."""
    lines = [_line("dn", dn)]
    lines += [_line(name, value) for name, values in attributes.items() for value in values]
    return "".join(lines) + "\n"


def person(
    uid: str | Sequence[str], name: str, branch: str = BASE, **more: str | bytes | Sequence[str | bytes]
) -> str:
    """Give a person of *branch* as LDIF; *more* are attributes, each one value or several."""
    uids = [uid] if isinstance(uid, str) else list(uid)
    attributes: dict[str, Sequence[str | bytes]] = {
        "objectClass": ["inetOrgPerson", "extensibleObject"],
        "uid": uids,
        "cn": [name],
        "sn": [name.rpartition(" ")[2]],
    }
    for attribute, value in more.items():
        attributes[attribute] = [value] if isinstance(value, str | bytes) else value
    return entry(f"uid={uids[0]},{branch}", attributes)


def unit(dn: str) -> str:
    """Give an organizational unit as LDIF."""
    name = dn.partition(",")[0].partition("=")[2]
    return entry(dn, {"objectClass": ["organizationalUnit"], "ou": [name]})


def free_port(addresses: Sequence[str] = LOOPBACK, *, but: int = 0) -> int:
    """Give a TCP port that is free on all *addresses* and is not *but*. Raises SlapdError."""
    for _ in range(100):
        with socket.create_server((addresses[0], 0), family=_family(addresses[0])) as first:
            port = int(first.getsockname()[1])
            if port != but and all(_is_free(address, port) for address in addresses[1:]):
                return port
    raise SlapdError(f"no port is free on {', '.join(addresses)}")


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]


def _line(name: str, value: str | bytes) -> str:
    data = value.encode() if isinstance(value, str) else value
    return f"{name}:: {base64.b64encode(data).decode()}\n"


def _program(name: str) -> str:
    program = shutil.which(name, path=PATH)
    if not program:
        raise SlapdError(f"{name} is not installed")
    return program


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_free(address: str, port: int) -> bool:
    try:
        socket.create_server((address, port), family=_family(address)).close()
    except OSError:
        return False
    return True


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


TOP = (
    entry(SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": ["univ-brest"], "o": ["UBO"]})
    + entry(
        READER,
        {
            "objectClass": ["applicationProcess", "simpleSecurityObject"],
            "cn": ["reader"],
            "userPassword": [READER_PASSWORD],
        },
    )
    + unit(BASE)
)
"""What stands above the people: the suffix, an account to bind as, and the branch of the people."""

PEOPLE = (
    TOP
    + person("cmartin", "Christophe Martin", entryUUID="2c5ea4c0-4067-11ea-8bad-000000000001")
    + person("adupont", "Anne Dupont", entryUUID="2c5ea4c0-4067-11ea-8bad-000000000002")
    + person("JDupond", "Jean Dupond", entryUUID="2c5ea4c0-4067-11ea-8bad-000000000003")
    + person("elebris", "Éloïse Le Bris", entryUUID="2c5ea4c0-4067-11ea-8bad-000000000004")
    + person(("mcorre", "Marie.Corre"), "Marie Corre", entryUUID="2c5ea4c0-4067-11ea-8bad-000000000005")
    + unit(f"ou=staff,{BASE}")
    + unit(f"ou=students,{BASE}")
    + person("plegall", "Paul Le Gall", f"ou=staff,{BASE}")
    + person("plegall", "Pauline Le Gall", f"ou=students,{BASE}")
)
"""A small university: people with accents, with capitals, with two logons, and two with the same one."""
