"""Samba as an Active Directory: a child process in a network of its own, because its ports are fixed."""

import base64
import ctypes
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from services.slapd import PATIENCE, Certificate, entry

DOMAIN = "dc=ad,dc=univ-brest,dc=fr"
STAFF = f"ou=Staff,{DOMAIN}"
ADMINISTRATOR = "Administrator@ad.univ-brest.fr"
PASSWORD = "Kouign-Amann 29200"
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of setns(2)

_PROVISION = (
    "samba-tool", "domain", "provision", "--server-role=dc", "--use-rfc2307", "--host-name=dc1",
    "--realm=AD.UNIV-BREST.FR", "--domain=UBO", f"--adminpass={PASSWORD}", "--host-ip=127.0.0.1",
    "--option=vfs objects=", "--dns-backend=SAMBA_INTERNAL",
)  # fmt: skip
_SETTINGS = """[global]
server services = ldap
interfaces = lo
bind interfaces only = yes
tls cafile = {authority}
tls certfile = {certificate.certificate}
tls keyfile = {certificate.key}
log file = {folder}/log
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
"""


class ActiveDirectoryError(Exception):
    """Samba did not do what the test asked of it."""


class ActiveDirectory:
    """Samba in the foreground until the ``with`` statement ends; only its LDAP server. It takes root."""

    def __init__(self, certificate: Certificate, authority: Path) -> None:
        self._certificate = certificate
        self._authority = authority
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="samba."))
        try:
            _run([*_PROVISION, f"--targetdir={self._folder}"])
            settings = self._folder / "etc/smb.conf"
            ours = _SETTINGS.format(
                folder=self._folder, certificate=self._certificate, authority=self._authority
            )
            text = re.sub(r"(?m)^\s*server services = .*\n", "", settings.read_text())
            settings.write_text(text.replace("[global]\n", ours, 1))
            self._start(settings)
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

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put this thread, and those that it starts, into the server's network."""
        assert self._process
        here, there = Path("/proc/thread-self/ns/net"), Path(f"/proc/{self._process.pid}/ns/net")
        with here.open("rb") as own, there.open("rb") as its:
            _enter(its.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())

    def change(self, ldif: str) -> None:
        """Carry out *ldif* as the administrator."""
        with self.inside():
            self._as(ADMINISTRATOR, PASSWORD, ["ldapmodify", "-x"], ldif)

    def add(self, entries: str) -> None:
        """Add *entries*, LDIF such as `user` gives."""
        with self.inside():
            self._as(ADMINISTRATOR, PASSWORD, ["ldapadd", "-x"], entries)

    def fails_to_log_on(self, name: str) -> None:
        """Try a wrong password for *name*."""
        with self.inside():
            search = ["ldapsearch", "-x", "-b", DOMAIN, "-s", "base"]
            try:
                self._as(f"{name}@ad.univ-brest.fr", "wrong", search)
            except ActiveDirectoryError:
                return
        raise ActiveDirectoryError("the wrong password was right")

    def _start(self, settings: Path) -> None:
        samba = f"ip link set lo up && exec samba -i -M single -s {settings}"
        with (self._folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "unshare", "--net", "sh", "-c", samba],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + 3 * PATIENCE
        while True:
            try:
                with self.inside():
                    search = ["ldapsearch", "-x", "-b", DOMAIN, "-s", "base"]
                    return self._as(ADMINISTRATOR, PASSWORD, search)
            except ActiveDirectoryError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise ActiveDirectoryError(f"{error}: {(self._folder / 'out').read_text()}") from error
                time.sleep(0.1)

    def _as(self, who: str, password: str, command: Sequence[str], text: str = "") -> None:
        bind = ["-H", "ldaps://127.0.0.1", "-D", who, "-w", password]
        _run([*command, *bind], text, os.environ | {"LDAPTLS_CACERT": str(self._authority)})


def user(name: str, branch: str = STAFF, **more: str | bytes | Sequence[str | bytes]) -> str:
    """Give a user as LDIF; without *more* one who needs no password."""
    attributes: dict[str, Sequence[str | bytes]] = {
        "objectClass": ["user"],
        "sAMAccountName": [name],
        "userPrincipalName": [f"{name}@ad.univ-brest.fr"],
        "displayName": [f"{name} of Active Directory"],
        "userAccountControl": ["544"],
    }
    for attribute, value in more.items():
        attributes[attribute] = [value] if isinstance(value, str | bytes) else value
    return entry(f"cn={name},{branch}", attributes)


def password(text: str) -> bytes:
    """Give *text* as a value of unicodePwd (MS-ADTS 3.1.1.3.1.5)."""
    return f'"{text}"'.encode("utf-16-le")


def changed(dn: str, **values: str) -> str:
    """Give LDIF that replaces *values* of the entry *dn*."""
    parts = (
        f"replace: {name}\n{name}:: {base64.b64encode(value.encode()).decode()}\n-\n"
        for name, value in values.items()
    )
    return f"dn: {dn}\nchangetype: modify\n{''.join(parts)}\n"


def _enter(network: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(network, NEW_NETWORK):
        raise ActiveDirectoryError(f"setns: {os.strerror(ctypes.get_errno())}")


def _run(command: Sequence[str], text: str = "", environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, env=environment and dict(environment)
    )
    if done.returncode:
        raise ActiveDirectoryError(f"{command[0]}: {done.stderr.decode(errors='replace')}")
