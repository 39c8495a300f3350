"""The backup server of the lab: sshd, slapd, NSD, rsyslogd, BackupPC, backuppc-register."""

from services import slapd

from .backuppc import TOP_DIR, BackupServer
from .host import CHECKOUT_AT, Plan
from .names import Names, NameServer
from .network import Switch
from .people import Directory
from .service import Service

LOG = "/var/log/backuppc-register.log"
RSYSLOG = f"""\
module(load="imuxsock" SysSock.RateLimit.Interval="0")
$FileOwner root
$FileGroup adm
$FileCreateMode 0640
$Umask 0022
local3.* {LOG}
*.*;local3.none /var/log/syslog
"""
CONFIG = """\
[server]
url = "https://{fqdn}/backuppc/index.cgi?host={{host}}"
os = ["linux", "mac", "windows"]
from = [{addresses}]

[directory]
servers = ["ldap://127.0.0.1"]
base = "{base}"

[dns]
domains = ["univ-brest.fr"]
nameservers = ["127.0.0.1"]

[backuppc]
hosts = "/etc/backuppc/hosts"
config_dir = "/etc/backuppc"
data_dir = "/var/lib/backuppc"
socket = "/run/backuppc/BackupPC.sock"

[state]
directory = "/var/lib/backuppc-register"
"""
FORCED = f'restrict,command="/usr/bin/python3 -I {CHECKOUT_AT}/bin/backuppc-register --register-key lab"'
# chmod g+s: what docs/installation.md says of a group that the account backuppc is not in.
INSTALL = f"""
set -eu
chmod g+s /etc/backuppc
install -d -o backuppc -g backuppc -m 750 /var/lib/backuppc-register
install -d -o root -g root -m 755 /etc/backuppc-register
chmod g+s /etc/backuppc  # or its new files would not be www-data's, a group that backuppc is not in
install -o root -g backuppc -m 640 /dev/stdin /etc/backuppc-register/config.toml
ssh-keygen -q -t ed25519 -N '' -C register-key -f /root/register-key
install -d -o backuppc -g backuppc -m 700 {TOP_DIR}/.ssh
printf '%s %s\\n' '{FORCED}' "$(cat /root/register-key.pub)" |
    install -o backuppc -g backuppc -m 600 /dev/stdin {TOP_DIR}/.ssh/authorized_keys
"""


class Server(BackupServer):
    """The backup server, all of it running; every service can be stopped, started and restarted.

    `register_key` is the private key that client setups carry.
    """

    def __init__(self, lab: str, switch: Switch, plan: Plan, names: Names) -> None:
        super().__init__(lab, switch, plan)
        self.write("/etc/rsyslog.conf", RSYSLOG)
        self.rsyslog = Service(
            self, "rsyslogd", ["rsyslogd", "-n", "-iNONE"], lambda: self.serves("/dev/log")
        )
        self.slapd = Directory(self)
        self.nsd = NameServer(self, names)
        addresses = ", ".join(f'"{address}"' for address in self.addresses)
        config = CONFIG.format(fqdn=self.fqdn, addresses=addresses, base=slapd.BASE)
        self.run(INSTALL, input=config, check=True)
        self.register_key = self.read("/root/register-key")
        for service in self.services:
            service.launch()
        for service in self.services:
            service.await_ready()

    @property
    def services(self) -> list[Service]:
        """Give what runs here besides sshd."""
        return [self.rsyslog, self.slapd, self.nsd, self.daemon]

    def syslog(self) -> list[str]:
        """Give the lines of backuppc-register in syslog, oldest first."""
        return self.run(["cat", LOG]).lines

    def configure(self, old: str, new: str) -> None:
        """Replace *old* by *new* in our program's configuration. Raises ValueError where *old* is not."""
        path = "/etc/backuppc-register/config.toml"
        text = self.read(path)
        if old not in text:
            raise ValueError(f"{old!r} is not in {path}")
        self.write(path, text.replace(old, new), mode=0o640, owner="root:backuppc")
