"""Find how BackupPC would reach a host and begin its first full backup."""

from dataclasses import dataclass, replace

from backuppc_register.backuppc import settings
from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.backuppc.settings import Settings
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.inventory.server import Server
from backuppc_register.network.ssh import Place
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.state import ssh_files
from backuppc_register.system.deadline import Deadline
from backuppc_register.verification import config_drift


@dataclass(frozen=True)
class WayBack:
    """How BackupPC would reach a host: to which *place*, by which *ssh* (the program and its options).

    *transfers*: the rsync that it would begin for each folder. *plain*: the same ssh without the options that
    an administrator has added, () if there are none.
    """

    settings: Settings
    place: Place
    ssh: tuple[str, ...]
    transfers: tuple[Transfer, ...]
    plain: tuple[str, ...] = ()

    def without_options(self) -> "WayBack":
        """Return the same way by ssh without the options that an administrator has added."""
        return replace(self, ssh=self.plain, plain=())


def find(applicant: Applicant, server: Server, new_config: bytes | None, time: Deadline) -> WayBack:
    """Return the way that BackupPC's settings lead, with *new_config* as the host's .pl if that is not None.

    Of the applicant's name it uses only the address that asks: whoever can change that name in the DNS would
    otherwise learn which addresses in the site's network answer.

    Raises NotReachable if it is not the way that we have made, or ends before ssh.
    """
    host, name, address = applicant.host, applicant.full_name, applicant.address
    backuppc = settings.SettingsReader(server.backuppc)
    its_settings = backuppc.read(host, time.remaining(), new_config)
    if its_settings.disabled:
        raise not_reachable(Cause.DISABLED, host, detail="BackupsDisable or FullPeriod")
    config_drift.ssh_command(host, its_settings)
    # Half of the time: a ping without an answer takes 10 seconds.
    client = backuppc.alive(host, time.remaining() / 2, new_config, (name, address))
    plan = backuppc.plan(host, client, time.remaining() / 2, new_config)
    config_drift.refuse_transfers(host, client, plan.transfers)
    ssh = config_drift.ssh_command(host, replace(its_settings, ssh_args=plan.ssh_args))
    try:
        route = settings.route(ssh[0], ssh[1:], client, time.remaining())
    except ValueError as error:
        what = "ssh does not take RsyncSshArgs"
        raise not_reachable(Cause.ELSEWHERE, host, what=what, detail=str(error)) from error
    config_drift.refuse_route(host, route, server.folders.path(host))
    ours: tuple[str, ...] = (ssh[0], "-F", str(server.folders.path(host) / ssh_files.SSH_CONFIG))
    only = address if route.host.lower() == name else ""
    there = ("-o", f"Port={route.port}", "-o", f"HostName={only or route.host}")
    plain = () if ssh == ours else (*ours, *there)
    if only:
        ssh = (*ssh, "-o", f"HostName={only}")
    place = Place(host, route.host, route.port, only, client)
    return WayBack(its_settings, place, ssh, plan.transfers, plain)
