"""The check of the way in: a real login with each register-key, as client setups make it."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address, ip_network

from backuppc_register.diagnosis import register_key_files, sshd_refusals
from backuppc_register.diagnosis.finding import Answer, green, red, some
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.network import banner, own_sshd
from backuppc_register.network.own_sshd import Attempt, Way
from backuppc_register.state.authorized_keys import RegisterKey

ADVICE = "See systemctl status ssh, and sshd's own words: journalctl -t sshd, /var/log/auth.log"

_TIMEOUT = 20.0  # seconds for one login
_GREETING_TIMEOUT = 5.0  # seconds
_SSH_FAILED = 255
_MOST = 8  # register-keys that are tried
_LONGEST = 200  # characters of a foreign answer
# All of these prove that our program answers; other checks tell what it lacks.
_FAULTS = {"misconfigured", "internal"}


def register_login(facts: ServerFacts) -> Iterator[Answer]:
    """Log in to this server's own name with each register-key, and expect our program's answer."""
    keys = register_key_files.keys(facts)
    halves = {key.label: register_key_files.private(facts, key.label) for key in keys}
    tried = [key for key in keys if halves[key.label] is not None][:_MOST]
    absent = [key.label or "(no label)" for key in keys if halves[key.label] is None]
    if absent:
        yield green(f"not tried, because their private half is not on this server: {some(absent)}")
    if not tried:
        yield from _port(facts)
        return  # the check `sshd` looks at the settings instead
    known = own_sshd.host_keys()
    if not known:
        advice = "ssh-keygen -A makes them; then systemctl restart ssh, and backuppc-register-admin bundle."
        yield red("there are no ssh host keys in /etc/ssh, which bundle needs", advice)
        return
    way, attempts = None, []
    for key in tried:
        way, attempt = _attempt(facts, key, known, way)
        attempts.append((key, attempt))
        if attempt.not_connected:
            break  # no other key gets further
    yield from _judged(facts, attempts)


def _port(facts: ServerFacts) -> Iterator[Answer]:
    """Check without a login that an sshd answers where setups come to."""
    failure = ""
    for way in _ways(facts):
        try:
            if banner.greeting(way.target, own_sshd.PORT, _GREETING_TIMEOUT).startswith("SSH-"):
                return
        except OSError as error:
            failure = failure or f": {error}"
    what = f"no sshd answers at {socket.getfqdn()}, port {own_sshd.PORT}, where setups come to{failure}"
    yield red(
        what,
        f"systemctl status ssh; see Port and ListenAddress in {sshd_refusals.place('Port')} (sshd_config)",
    )


def _attempt(facts: ServerFacts, key: RegisterKey, known: list[str], way: Way | None) -> tuple[Way, Attempt]:
    """Log in with *key* by *way*, or by the first way on which there is an sshd; return that way as well."""
    private = register_key_files.private(facts, key.label) or b""
    found = None
    for one in [way] if way else _ways(facts):
        attempt = own_sshd.log_in(one, private, known, _TIMEOUT)
        found = found or (one, attempt)
        if not attempt.not_connected:
            return one, attempt
    return found or (Way("", "", ""), Attempt(_SSH_FAILED, "", "ssh: this server has no name"))


def _ways(facts: ServerFacts) -> Iterator[Way]:
    """Yield this server's own name; if that is unknown or a loopback address, then its other addresses."""
    name = socket.getfqdn()
    yield Way(name, name, facts.account)
    addresses = _addresses(name)
    if all(ip_address(one).is_loopback for one in addresses):
        others = [one for one in facts.config.server.sources if "/" not in one]
        yield from (Way(name, one, facts.account) for one in (*others, "127.0.0.1"))


def _addresses(name: str) -> list[str]:
    try:
        return [str(row[4][0]).partition("%")[0] for row in socket.getaddrinfo(name, own_sshd.PORT)]
    except OSError:
        return []


def _judged(facts: ServerFacts, attempts: list[tuple[RegisterKey, Attempt]]) -> Iterator[Answer]:
    good: list[str] = []
    for key, attempt in attempts:
        if attempt.code and attempt.code not in _FAULTS and not attempt.before:
            good.append(key.label)
        elif not attempt.code and not attempt.not_connected and _is_limited(facts, key):
            yield green(f"{key.label} is not for this server's own address: it is valid from {key.sources}")
        else:
            yield from _failed(facts, key, attempt)
    if good:
        yield green(f"a login works with the register-key {some(good)}")


def _is_limited(facts: ServerFacts, key: RegisterKey) -> bool:
    """Tell whether the ``from=`` of *key* leaves out every address of this server."""
    if not key.sources:
        return False
    own = [ip_address(one) for one in (*_addresses(socket.getfqdn()), "127.0.0.1", "::1")]
    with suppress(ValueError):
        networks = [ip_network(one, strict=False) for one in key.sources.split(",")]
        return not any(address in network for address in own for network in networks)
    return False


def _failed(facts: ServerFacts, key: RegisterKey, attempt: Attempt) -> Iterator[Answer]:
    """Yield the finding of a login that did not end with our program's answer."""
    label = key.label or "(no label)"
    if attempt.code in _FAULTS:
        what = f"our program answers the register-key {label} with {attempt.code}"
        yield red(what, "See the other findings, and backuppc-register-admin log")
    elif attempt.before:
        what = f"something is printed before our program's answer: {attempt.before[:_LONGEST]}"
        yield red(what, f"See /etc/ssh/sshrc and the .ssh/rc and .profile in {facts.home}")
    elif attempt.status == _SSH_FAILED:
        what = f"no login with the register-key {label}; ssh says: {attempt.said}"
        yield red(what, f"{_cure(facts, key, attempt)}. See sshd_config(5)")
    else:
        words = " ".join(f"{attempt.output} {attempt.said}".split())[:_LONGEST]
        what = f"another program answers the register-key {label}, exit status {attempt.status}: {words}"
        yield red(what, f"{_cure(facts, key, attempt)}. See command= in authorized_keys, and sshd_config(5)")


def _cure(facts: ServerFacts, key: RegisterKey, attempt: Attempt) -> str:
    """Return the setting that refuses the account, what is wrong with the key, or what ssh's words mean."""
    causes = [
        f"{why} (see {sshd_refusals.place(setting)}; then systemctl reload ssh)"
        for setting, why in sshd_refusals.refusals(facts.sshd or {}, facts.account)
    ]
    if causes:
        return "; ".join(causes)
    words = f"{attempt.said} {attempt.output}"
    meaning = next((text for sign, text in _MEANINGS if re.search(sign, words, re.IGNORECASE)), ADVICE)
    if not key.held:
        again = f"backuppc-register-admin register-key revoke {key.label}, then add"
        return f"Its private half cannot be used: {again}"
    if meaning is _DENIED and (flaw := key.flaw(datetime.now().astimezone())):
        return f"The key {flaw}: see authorized_keys"
    if meaning is _DENIED and (loose := register_key_files.loose(facts)):
        return (
            f"sshd ignores authorized_keys because of owner or mode: chmod go-w {' '.join(map(str, loose))}"
        )
    return meaning.format(account=facts.account)


_DENIED = "sshd does not take that key: see the check authorized-keys; why, says journalctl -t sshd"
_MEANINGS = (
    (
        "account has expired|account is (currently )?not available|password has expired|change your password",
        "The account cannot log in: chage -l {account}; getent passwd {account}",
    ),
    (
        "host key verification failed|identification has changed",
        "sshd has other host keys than /etc/ssh/ssh_host_*_key.pub, which setups expect: see HostKey",
    ),
    (
        "kex_exchange_identification|connection (closed|reset)",
        "sshd hangs up: see PerSourcePenalties and MaxStartups, and /etc/hosts.deny",
    ),
    ("could not resolve", "This server does not know its own name: see /etc/hosts and /etc/resolv.conf"),
    (
        "refused|timed out|no route",
        "systemctl status ssh: sshd must listen on port 22, where setups come to; see Port and ListenAddress",
    ),
    ("permission denied", _DENIED),
)
