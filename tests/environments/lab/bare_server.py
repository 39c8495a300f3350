"""A backup server with BackupPC before the installation, and how it runs the commands of the documents."""

import re

from .backuppc import SETTINGS, BackupServer
from .host import CHECKOUT_AT, Plan
from .lab import NAMESERVERS, Lab, resolv_conf
from .names import NameServer
from .people import Directory
from .service import Service

REPOSITORY = "/srv/repository"
UNITS = "/etc/systemd/system"
START_OF_SERVICE = "sed -n 's/^ExecStart=//p'"
RUN = "su backuppc -s /bin/sh"

# Only here the lab departs from the documents: pattern of a line, what runs instead.
SUBSTITUTES = {
    # The machine has the packages, for all its hosts; a wrong name still fails.
    r"apt-get install (.+)": r"dpkg -s \1 >/dev/null",
    r"git clone URL-OF-THIS-REPOSITORY (\S+)": rf"cp -r {REPOSITORY} \1",
    # The one thing that an administrator of the lab has to type.
    r"editor (\S+)": r"""sed -i 's|^servers = .*|servers = ["ldap://127.0.0.1"]|' \1""",
    # No host of the lab has systemd: the test starts the service.
    r"systemctl restart rsyslog": "true",
    r"systemctl reload ssh": "true",
    r"systemctl reload apache2": "true",
    r"systemctl enable --now (\S+)-reconcile.+": rf"{START_OF_SERVICE} {UNITS}/\1-reconcile.service | {RUN}",
}
RSYSLOG = """\
module(load="imuxsock")
$FileOwner root
$FileGroup adm
$FileCreateMode 0640
$IncludeConfig /etc/rsyslog.d/*.conf
*.*;auth,authpriv.none -/var/log/syslog
"""
# Remove what the lab adds to BackupPC: its settings, the checkout, our folders.
BARE = f"""
set -eu
cat /usr/share/backuppc/conf/config.pl - > /etc/backuppc/config.pl
mv {CHECKOUT_AT} {REPOSITORY}
rmdir /etc/backuppc-register /var/lib/backuppc-register
"""


def in_the_lab(block: str) -> str:
    """Return *block* as the lab runs it."""
    for pattern, instead in SUBSTITUTES.items():
        block = re.sub(rf"^{pattern}$", instead, block, flags=re.MULTILINE)
    return block


class BareServer(BackupServer):
    """A backup server before the installation: BackupPC, LDAP and DNS, and nothing of ours."""

    def __init__(self, lab: Lab) -> None:
        plan = Plan(
            "dugong.univ-brest.fr", NAMESERVERS, files={"/etc/resolv.conf": resolv_conf(["127.0.0.1"])}
        )
        super().__init__(lab.name, lab.switch, plan)
        self.run(BARE, input=SETTINGS, check=True)
        self.write("/etc/rsyslog.conf", RSYSLOG)
        listens = lambda: self.serves("/dev/log")  # noqa: E731
        self.rsyslog = Service(self, "rsyslogd", ["rsyslogd", "-n"], listens)
        for service in (self.rsyslog, Directory(self), NameServer(self, lab.names), self.daemon):
            service.start()

    def follow(self, block: str) -> None:
        """Run the commands of *block* as root in one shell."""
        self.run(f"set -eu\n{in_the_lab(block)}", check=True)
        if "systemctl restart rsyslog" in block:
            self.rsyslog.restart()
