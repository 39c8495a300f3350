"""A person's laptop in the lab: Debian with its sshd, sudo, rsync and a home full of files."""

from .host import Host, Plan, User
from .network import Switch
from .service import Service

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
PREPARE_SSHD = """
set -eu
cp /usr/share/openssh/sshd_config /etc/ssh/sshd_config
rm -f /etc/ssh/ssh_host_* /etc/ssh/ssh_known_hosts
for type in ed25519 ecdsa; do
    ssh-keygen -q -t "$type" -N '' -C "root@$(hostname)" -f "/etc/ssh/ssh_host_${type}_key"
done
"""
# The default, sntrup761x25519, takes 65 ms of computing at each end of each of thousands of connections.
QUICK = "KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org"


class SshHost(Host):
    """A host whose sshd answers on port 22, set up as Debian ships it, with ssh host keys of its own."""

    def __init__(self, lab: str, switch: Switch, plan: Plan) -> None:
        super().__init__(lab, switch, plan)
        self.run(PREPARE_SSHD, check=True)
        self.sshd = Service(
            self, "sshd", ["/usr/sbin/sshd", "-D", "-e", "-o", QUICK], lambda: self.listens(22)
        )
        self.sshd.start()

    @property
    def ssh_host_keys(self) -> list[str]:
        """Give the public ssh host keys, `TYPE BASE64` each."""
        lines = self.run("cat /etc/ssh/ssh_host_*_key.pub", check=True).lines
        return [" ".join(line.split()[:2]) for line in lines]

    @property
    def known_hosts(self) -> str:
        """Give the known_hosts lines that pin this host by its names and addresses."""
        names = ",".join([self.fqdn, self.name, *self.addresses])
        return "".join(f"{names} {key}\n" for key in self.ssh_host_keys)


class Laptop(SshHost):
    """A laptop; its people's homes hold files, and it has no account bckpciuem: that is the setup's work."""

    def __init__(self, lab: str, switch: Switch, plan: Plan) -> None:
        super().__init__(lab, switch, plan)
        for user in plan.users:
            self.write_all(user.home, FILES, owner=user.name)
            self.write_all(user.home, PRIVATE, owner=user.name, mode=0o600)
