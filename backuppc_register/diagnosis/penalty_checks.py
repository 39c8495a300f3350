"""The check of sshd's PerSourcePenalties (OpenSSH 9.8), which can shut out everybody behind one address."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from backuppc_register.diagnosis.finding import Answer, green, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts

_SETTING = "PerSourcePenaltyExemptList"
Network = IPv4Network | IPv6Network


def penalties(facts: ServerFacts) -> Iterator[Answer]:
    """Check that the machines' networks are exempt: an old setup, behind NAT, shuts its neighbours out."""
    options = facts.sshd
    if options is None:
        yield green("only root can ask sshd for its settings (sshd -T)")
        return
    if options.get("persourcepenalties", "no") == "no":
        yield green("sshd penalizes no address")
        return
    exempt = options.get(_SETTING.lower(), "none")
    listed = "" if exempt == "none" else exempt
    networks = facts.config.dns.networks
    missing = [one for one in networks if not _covered(one, listed.split(","))]
    if listed and not missing:
        yield green(f"these networks are exempt from sshd's penalties: {listed}")
        return
    wanted = ",".join([*filter(None, [listed]), *missing]) or "10.0.0.0/8"
    which = some(missing) or "your machines' networks"
    what = f"sshd penalizes addresses, and {which} are not exempt"
    advice = f"Set {_SETTING} {wanted} in /etc/ssh/sshd_config, with your machines' networks."
    yield yellow(
        f"{what}: old setups behind a NAT shut out all machines there, and our log has no line", advice
    )


def _covered(network: str, exempt: Sequence[str]) -> bool:
    """Tell whether all of *network* is in one of *exempt*, networks and addresses (sshd_config(5))."""
    wanted = _network(network)
    return any(wanted is not None and _inside(wanted, _network(one)) for one in exempt)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _inside(inner: Network, outer: Network | None) -> bool:
    match inner, outer:
        case (IPv4Network(), IPv4Network()) | (IPv6Network(), IPv6Network()):
            return inner.subnet_of(outer)  # type: ignore[arg-type]
    return False
