"""A person's laptop in the lab: Debian with its sshd, sudo, rsync and a home full of files."""

from .host import Host, Plan, User
from .network import Switch
from .process import Process

MARTIN = User("cmartin", 1000, "Christophe Martin")
# Names as people give them: accents, blanks, quotes, a leading hyphen; and one that nobody else may read.
FILES = {
    "Documents/rapport 2024.txt": "Le rapport annuel.\n",
    "Documents/été à la mer.txt": "Du sable et du sel.\n",
    'Documents/it\'s "quoted" $HOME.txt': "Shell text.\n",
    "Documents/-dash": "Not an option.\n",
    "Photos/plage.raw": "\0\1\2\3" * 4096,
    ".config/app/settings.ini": "[app]\ncolour = blue\n",
}
PRIVATE = {".netrc": "machine mail login cmartin password s3cret\n"}
START_SSHD = """
set -eu
cp /usr/share/openssh/sshd_config /etc/ssh/sshd_config
rm -f /etc/ssh/ssh_host_*
for type in ed25519 ecdsa; do
    ssh-keygen -q -t "$type" -N '' -C "root@$(hostname)" -f "/etc/ssh/ssh_host_${type}_key"
done
"""


class SshHost(Host):
    """A host whose sshd answers on port 22, set up as Debian ships it, with ssh host keys of its own."""

    def __init__(self, lab: str, switch: Switch, plan: Plan) -> None:
        super().__init__(lab, switch, plan)
        self.run(START_SSHD, check=True)
        self.sshd = self.start_sshd()

    def start_sshd(self) -> Process:
        """Start sshd and wait until it listens; its log is what it writes to standard error."""
        self.sshd = self.start(["/usr/sbin/sshd", "-D", "-e"])
        self.wait_for(lambda: self.listens(22), "sshd listening")
        return self.sshd

    def stop_sshd(self) -> None:
        """Stop listening for ssh."""
        self.sshd.kill()


class Laptop(SshHost):
    """A laptop; its people's homes hold files, and it has no account bckpciuem: that is the setup's work."""

    def __init__(self, lab: str, switch: Switch, plan: Plan) -> None:
        super().__init__(lab, switch, plan)
        for user in plan.users:
            self.write_all(user.home, FILES, owner=user.name)
            self.write_all(user.home, PRIVATE, owner=user.name, mode=0o600)
