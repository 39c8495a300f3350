"""A host with BackupPC 4.4, Debian's package on a pristine configuration, and what its administrator does."""

import base64
import hashlib
import itertools
import re
import shlex
import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from .host import CHECKOUT_AT, Plan
from .laptop import SshHost
from .network import Switch
from .parts import LabError
from .process import Result
from .service import Service

TOOLS = "/usr/share/backuppc/bin"
TOP_DIR = "/var/lib/backuppc"
SOCKET = "/run/backuppc/BackupPC.sock"
# The first two lines: it does not start without samba otherwise, nor save in its web editor without rrdtool.
# WakeupSchedule: it wakes up by itself half a day from now, so never while a test looks.
SETTINGS = """
$Conf{SmbClientPath} = ''; $Conf{NmbLookupPath} = ''; $Conf{NmbLookupCmd} = '';
$Conf{NmbLookupFindHostCmd} = ''; $Conf{RrdToolPath} = '';
$Conf{WakeupSchedule} = [((localtime)[2] + 12) % 24];
$Conf{EMailUserDestDomain} = '@univ-brest.fr';
"""
PREPARE = f"""
set -eu
cd /etc/backuppc
find . -mindepth 1 ! -name localhost.pl ! -name apache.conf ! -name hosts.sample -delete
cp /usr/share/backuppc/conf/config.pl config.pl
cat - {CHECKOUT_AT}/packaging/backuppc-hardening.pl >> config.pl
cp hosts.sample hosts
ln -s /etc/backuppc pc
chmod 644 config.pl hosts
chown -h backuppc:www-data . config.pl hosts
install -d -o backuppc -g backuppc -m 755 /run/backuppc
install -d -o backuppc -g backuppc -m 750 {TOP_DIR} {TOP_DIR}/pc {TOP_DIR}/pool {TOP_DIR}/cpool {TOP_DIR}/log
"""
# A line of `BackupPC_ls`: mode, owner, size, date, time, two blanks, the path, the digest of what has one.
LISTED = re.compile(r"\S{10} +\d+/\d+ +\d+ \S+ \S+  (/.*?)(?: \([0-9a-f]{32,}\))?")


@dataclass(frozen=True)
class Backup:
    """A row of a host's `backups` file (fields by BackupPC's Storage/Text.pm)."""

    number: int
    kind: str
    files: int
    size: int
    errors: int

    @classmethod
    def parse(cls, row: str) -> Self:
        """Read one line."""
        number, kind, *field = row.split("\t")
        # A backup that goes on, or broke off, has no figures yet.
        return cls(int(number), kind, *(int(field[n] or 0) for n in (2, 3, 8)))


class BackupServer(SshHost):
    """A host with BackupPC; its methods do what an administrator or a person does there."""

    def __init__(self, lab: str, switch: Switch, plan: Plan) -> None:
        super().__init__(lab, switch, plan)
        self.run(PREPARE, input=SETTINGS, check=True)
        self.daemon = Service(
            self,
            "BackupPC",
            [f"{TOOLS}/BackupPC"],
            lambda: self.serves("/run/backuppc/BackupPC.sock"),
            user="backuppc",
        )
        self._requests = itertools.count(1)

    def backuppc(self, tool: str, *arguments: str, timeout: float = 60) -> Result:
        """Run one of BackupPC's tools, such as `BackupPC_ls`, as its account."""
        return self.run([f"{TOOLS}/{tool}", *arguments], user="backuppc", timeout=timeout)

    def message(self, text: str) -> str:
        """Say *text* to the running daemon; give its reply. Raises LabError where it does not run."""
        # What BackupPC_serverMesg does (Lib.pm, ServerMesg) with an empty secret, and without starting Perl.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(60)
            try:
                channel.connect(f"/proc/{self.pid}/root{SOCKET}")
                seed = channel.recv(1024)
                digest = base64.b64encode(hashlib.md5(seed + b"0" + text.encode()).digest()).rstrip(b"=")
                channel.sendall(digest + f" {text}\n".encode())
                with channel.makefile(encoding="utf-8", errors="surrogateescape") as replies:
                    return replies.readline().rstrip("\n")
            except OSError as error:
                raise LabError(f"BackupPC on {self.name} does not answer: {error}") from None

    def hosts(self) -> str:
        """Give the text of the hosts file."""
        return self.read("/etc/backuppc/hosts")

    def owner_of(self, host: str) -> str:
        """Give the user of *host*'s line in the hosts file. Raises LabError."""
        for words in map(str.split, self.hosts().splitlines()):
            if len(words) > 2 and words[0].lower() == host:
                return words[2]
        raise LabError(f"no line for {host} in\n{self.hosts()}")

    def backups(self, host: str) -> list[Backup]:
        """Give *host*'s backups, oldest first."""
        rows = self.run(["cat", f"{TOP_DIR}/pc/{host}/backups"]).stdout.splitlines()
        return [Backup.parse(row) for row in rows]

    def full_backup(self, host: str, timeout: float = 90) -> Backup:
        """Let BackupPC make a full backup of *host* now. Raises LabError where there is none afterwards."""
        return self._backup(host, "doFull", timeout)

    def incremental(self, host: str, timeout: float = 90) -> Backup:
        """Let BackupPC make an incremental backup of *host* now. Raises LabError likewise."""
        return self._backup(host, "doIncr", timeout)

    def restore(
        self, host: str, share: str, *paths: str, to: str = "", of: str = "", timeout: float = 60
    ) -> None:
        """Let BackupPC put *paths*, from the top of *share*, back from the last backup, or into *to*.

        The backup is the host's own, or one *of* another host. Raises LabError.
        """
        number = self.backups(of or host)[-1].number
        user = self.owner_of(host)
        request = f"restoreReq.{number}.{next(self._requests)}"
        fields = {
            "num": number, "hostSrc": of or host, "shareSrc": share, "pathHdrSrc": "/", "hostDest": host,
            "shareDest": to or share, "pathHdrDest": "/", "user": user, "reqTime": 1,
        }  # fmt: skip
        words = [f"{key} => {_perl(value)}" for key, value in fields.items()]
        words.append(f"fileList => [{', '.join(map(_perl, paths))}]")
        text = f"%RestoreReq = ({', '.join(words)});\n"
        self.write(f"{TOP_DIR}/pc/{host}/{request}", text, mode=0o640, owner="backuppc:backuppc")
        done = len(self._restores(host))
        self._ask(f"restore {host} {host} {user} {request}")
        self._await_idle(host, timeout)
        rows = self._restores(host)[done:]
        if not rows or rows[-1].split("\t")[3] != "ok":
            raise LabError(f"not restored: {rows}\n{self.transfer_log(host, 'RestoreLOG')}")

    def transfer_log(self, host: str, kind: str = "XferLOG") -> str:
        """Give the newest log of a transfer from, or with `RestoreLOG` to, *host*."""
        newest = self.run(f"ls -t {TOP_DIR}/pc/{shlex.quote(host)}/{kind}.*z").lines
        return self.backuppc("BackupPC_zcat", newest[0]).stdout if newest else ""

    def files_of(self, host: str, share: str, path: str = "/") -> list[str]:
        """Give the paths that the last backup of *host* holds below *path* of *share*. Raises LabError."""
        result = self.backuppc("BackupPC_ls", "-R", "-h", host, "-n", "-1", "-s", share, path)
        if result.status:
            raise LabError(str(result))
        return [match[1] for line in result.lines if (match := LISTED.fullmatch(line))]

    def cgi(self, query: str, user: str, form: Mapping[str, str] | None = None) -> str:
        """Give the page that BackupPC shows *user*, logged in, for *query*; with *form* it is posted."""
        env = {
            "REMOTE_USER": user, "REQUEST_METHOD": "GET", "QUERY_STRING": query,
            "SCRIPT_NAME": "/backuppc/index.cgi", "REMOTE_ADDR": "127.0.0.1",
        }  # fmt: skip
        body = urllib.parse.urlencode(form or {}).encode()
        if form:
            kind = "application/x-www-form-urlencoded"
            env |= {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": kind}
        page = self.run(["/usr/share/backuppc/lib/realindex.cgi"], user="backuppc", env=env, input=body)
        return page.stdout

    def _backup(self, host: str, kind: str, timeout: float) -> Backup:
        known = {backup.number for backup in self.backups(host)}
        self._ask(f"backup {host} {host} {self.owner_of(host)} {kind}")
        self._await_idle(host, timeout)
        new = [backup for backup in self.backups(host) if backup.number not in known]
        if not new:
            state = self.message(f"status host({host})")
            raise LabError(f"no backup of {host}: {state}\n{self.transfer_log(host)}")
        return new[-1]

    def _ask(self, text: str) -> None:
        reply = self.message(text)
        if not reply.startswith("ok"):
            raise LabError(f"BackupPC does not {text}: {reply}")

    def _await_idle(self, host: str, timeout: float) -> None:
        # The daemon has one thread: what is neither queued nor a job is done.
        self.wait_for(lambda: f'"{host}"' not in self.message("status queues jobs"), f"{host} idle", timeout)

    def _restores(self, host: str) -> list[str]:
        return self.run(["cat", f"{TOP_DIR}/pc/{host}/restores"]).stdout.splitlines()


def _perl(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
