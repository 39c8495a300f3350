"""BackupPC's real daemon alone on a host of the lab, and programs that ask it."""

from lab import Host, Lab

SETTINGS = """
$Conf{SmbClientPath} = ''; $Conf{NmbLookupPath} = ''; $Conf{NmbLookupCmd} = '';
$Conf{NmbLookupFindHostCmd} = ''; $Conf{RrdToolPath} = '';
"""
PROGRAM = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from pathlib import Path
from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.daemon.status import Daemon
from backuppc_register.backuppc.lock import locked
folder, path = Path("/etc/backuppc"), Path("/etc/backuppc/hosts")
for host in sys.argv[1:]:
    with locked(folder, 10):
        if not hosts.read(path).lines_for(host):
            hosts.append(path, hosts.read(path), host, "cmartin")
    print(host, Daemon("/run/backuppc/BackupPC.sock").announce(host, 10) or "known")
"""
LOG = "/var/lib/backuppc/log/LOG"


def a_server(lab: Lab, *, secret: str = "") -> Host:
    """Give a host on which a real BackupPC runs, on files of its own."""
    host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
    host.run("rm -rf /var/lib/backuppc/* /etc/backuppc/LOCK; mkdir /run/backuppc", check=True)
    host.run("cp /usr/share/backuppc/conf/config.pl /etc/backuppc/config.pl", check=True)
    text = SETTINGS + f"$Conf{{ServerMesgSecret}} = '{secret}';\n"
    host.run("cat >> /etc/backuppc/config.pl", input=text, check=True)
    host.run("printf 'host dhcp user moreUsers\\n' > /etc/backuppc/hosts", check=True)
    host.run("mkdir -p /var/lib/backuppc/pc /var/lib/backuppc/pool /var/lib/backuppc/cpool", check=True)
    host.run("chown -R backuppc:backuppc /etc/backuppc /var/lib/backuppc /run/backuppc", check=True)
    host.run(["/usr/share/backuppc/bin/BackupPC", "-d"], user="backuppc", check=True)
    host.run("until [ -S /run/backuppc/BackupPC.sock ]; do sleep 0.05; done", check=True)
    return host


def python(host: Host, program: str, *arguments: str) -> list[str]:
    done = host.run(["/usr/bin/python3", "-I", "-B", "-c", program, *arguments], user="backuppc", check=True)
    return done.stdout.split("\n")[:-1]
