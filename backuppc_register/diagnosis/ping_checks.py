"""The check of BackupPC's ping: a server that cannot ping takes every machine for absent."""

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from backuppc_register.backuppc.settings import FOR_OWN_PING, SettingsReader
from backuppc_register.diagnosis.finding import Answer, green, red, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts

ADVICE = "See PingPath and PingCmd in config.pl."

_LOOPBACK, _LOOPBACK6 = "127.0.0.1", "::1"
_NO_MACHINE = "255.255.255.255"  # every ping refuses it at once
_GROUPS = 5  # different settings of hosts that are tried
_NAMES = ("PingCmd", "PingPath", "Ping6Path")
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")
_RIGHT = "apt-get install linux-sysctl-defaults; sysctl --system. Or setcap cap_net_raw+ep /usr/bin/ping. "


def ping(facts: ServerFacts) -> Iterator[Answer]:
    """Check that BackupPC's account can ping this server itself, as BackupPC pings a machine."""
    known, reader = facts.known_settings, SettingsReader(facts.config.backuppc)
    if not known:
        return  # `backuppc-config` reports it
    yield from _hosts(facts, reader)
    if not known.get("PingCmd"):
        yield green("BackupPC pings no machine (PingCmd is empty): it finds out by ssh which are absent")
        return
    yield from _families(facts, reader)
    if (known.get("PingMaxMsec") or 0) <= 0:
        advice = "Set PingMaxMsec in config.pl to some milliseconds."
        yield yellow("PingMaxMsec is 0, so BackupPC takes every machine for too slow", advice)


def _families(facts: ServerFacts, reader: SettingsReader) -> Iterator[Answer]:
    """Ping by IPv4, and by IPv6 if this server has it."""
    if problem := reader.own_ping(_LOOPBACK, FOR_OWN_PING):
        what = f"{facts.account} cannot ping, so BackupPC takes every machine for absent: {problem}"
        yield red(what, f"{_cure(problem)}See PingPath and PingCmd in config.pl.")
        return  # IPv6 has the same cause, or is the lesser evil
    if not reader.own_ping(_NO_MACHINE, FOR_OWN_PING):
        yield green("BackupPC's ping takes every address for present: it finds out by ssh which are absent")
    else:
        yield green(f"{facts.account} can ping")
    if not _has_ipv6():
        return
    if problem := reader.own_ping(_LOOPBACK6, FOR_OWN_PING):
        answer = red if any(ip_network(one).version == 6 for one in facts.config.dns.networks) else yellow
        what = f"{facts.account} cannot ping by IPv6, so machines with IPv6 addresses seem absent: {problem}"
        yield answer(what, f"{_cure(problem)}See Ping6Path in config.pl.")


def _has_ipv6() -> bool:
    """Tell whether this server has the address ::1 (proc(5), if_inet6)."""
    try:
        return f"{1:032x} " in _IPV6_ADDRESSES.read_text("ascii")
    except OSError:
        return False


def _hosts(facts: ServerFacts, reader: SettingsReader) -> Iterator[Answer]:
    """Try the ping of hosts with a ping of their own."""
    common = tuple(_text(facts.known_settings.get(name)) for name in _NAMES)
    groups: dict[tuple[str, ...], list[str]] = {}
    for host, settings in sorted(facts.host_settings.items()):
        if not isinstance(settings, str) and not settings.disabled and settings.ping not in (common, ()):
            groups.setdefault(settings.ping, []).append(host)
    for own, hosts in list(groups.items())[:_GROUPS]:
        if own[0] and (problem := reader.own_ping(_LOOPBACK, FOR_OWN_PING, hosts[0])):
            what = f"the PingCmd or PingPath of their own does not work for {some(hosts)}: {problem}"
            places = facts.config.backuppc
            yield red(what, f"{_cure(problem)}Correct their .pl in {places.config_dir}.")


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def _cure(problem: str) -> str:
    """Return the beginning of the advice for what ping said, "" if its words tell enough."""
    if "not permitted" in problem or "ermission denied" in problem:
        return _RIGHT
    return "apt-get install iputils-ping. " if problem.startswith("there is no ") else ""
