"""The check of sshd's limits: what connections of the register-key can hold."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from backuppc_register.diagnosis.finding import Answer, green, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts

ADVICE = "See packaging/sshd.conf."

_SILENCE = 30  # seconds that a verify may be silent
_IDLE = 300  # seconds that a connection may do nothing; packaging/sshd.conf has fewer
_SESSIONS = 9  # at one time; sshd's default is 10
_TIME = re.compile(r"([0-9]+)([smhdw]?)", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_FORWARDING = ("AllowTcpForwarding", "AllowStreamLocalForwarding")
_NO = ("AllowAgentForwarding", "X11Forwarding", "PermitTunnel", "PermitTTY", "PermitUserRC")


def sshd_limits(facts: ServerFacts) -> Iterator[Answer]:
    """Check what a connection of BackupPC's account may do and hold besides its requests."""
    options = facts.sshd
    if options is None:
        yield green("only root can ask sshd for its settings (sshd -T)")
        return
    if missing := lacking(options):
        what = f"what {facts.account} may do in sshd is not limited: {', '.join(missing)}"
        advice = (
            f"backuppc-register-admin init; or set them as packaging/sshd.conf in Match User {facts.account}."
        )
        yield yellow(what, advice)
    if 0 < _channel_timeout(options) < _SILENCE:
        what = (
            f"sshd ends a request of {facts.account} that is silent for {_channel_timeout(options)} seconds"
        )
        advice = (
            f"Set ChannelTimeout session:*=60 in sshd_config: a verify can be silent for {_SILENCE} seconds."
        )
        yield red(what, advice)
    if options.get("persourcemaxstartups") == "none":
        what = "one address can take every place in sshd for connections that have not logged in yet"
        yield yellow(what, "Set PerSourceMaxStartups in sshd_config as packaging/sshd.conf does.")


def lacking(options: Mapping[str, str]) -> list[str]:
    """Return the options of the Match in packaging/sshd.conf that are missing in *options* of sshd."""
    has = {
        "UnusedConnectionTimeout": 0 < _seconds(options.get("unusedconnectiontimeout", "")) <= _IDLE,
        "ChannelTimeout": 0 < _channel_timeout(options) <= _IDLE,
        "MaxSessions": int(options.get("maxsessions", "10")) <= _SESSIONS,
    }
    if options.get("disableforwarding") != "yes":
        has |= {name: options.get(name.lower()) == "no" for name in _FORWARDING}
    has |= {name: options.get(name.lower()) == "no" for name in _NO}
    return [name for name, is_set in has.items() if not is_set]


def _channel_timeout(options: Mapping[str, str]) -> int:
    """Return after how many silent seconds sshd ends a command, 0 if it never does."""
    pairs = [word.partition("=") for word in options.get("channeltimeout", "").split()]
    times = [
        _seconds(time) for kind, _, time in pairs if kind == "global" or fnmatchcase("session:command", kind)
    ]
    return min((seconds for seconds in times if seconds), default=0)


def _seconds(time: str) -> int:
    """Read a time in sshd's form (sshd_config(5), TIME FORMATS); 0 for none."""
    return sum(int(number) * _SECONDS[unit.lower()] for number, unit in _TIME.findall(time))
