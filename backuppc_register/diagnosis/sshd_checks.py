"""Checks of the way in: sshd and the register-keys' lines."""

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from backuppc_register.diagnosis import register_key_files, sshd_refusals
from backuppc_register.diagnosis.finding import Answer, green, red, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.network import banner
from backuppc_register.state.authorized_keys import RegisterKey

_TIMEOUT = 5.0  # seconds
_SOON = timedelta(days=30)
_NEW = "backuppc-register-admin register-key add, then bundle; give the new setup to people."
_ADD = "backuppc-register-admin register-key add main"


def sshd(facts: ServerFacts) -> Iterator[Answer]:
    """Check that sshd answers; if there is no key to log in with, also its settings."""
    options = facts.sshd or {}
    words, where, failure = _first_words(_addresses(options))
    if failure:
        yield red(f"sshd does not answer on {where}: {failure}", "systemctl status ssh")
        return
    if not words.startswith("SSH-"):
        yield red(f"what answers on {where} is no sshd: {words[:40]}", "systemctl status ssh")
    if facts.sshd is None:
        yield green(f"{words}; only root can ask sshd for its settings (sshd -T)")
        return
    if not any(key.held for key in register_key_files.keys(facts)):
        # The check `register-login` has no key to log in with, so these settings are all that can be known.
        for setting, why in sshd_refusals.refusals(options, facts.account):
            if setting == "Port":
                continue  # `register-login` tries that port
            yield red(why, f"See {setting} in {sshd_refusals.place(setting)} (sshd_config(5)).")
    yield green(words)


def _addresses(options: dict[str, str]) -> list[tuple[str, int]]:
    """Return where sshd listens, as seen from this machine; port 22 if its settings are not known."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    parts = [word.rpartition(":") for word in options.get("listenaddress", "").split()]
    found = [(address.strip("[]"), int(port)) for address, _, port in parts]
    return [(here.get(address, address), port) for address, port in found] or [
        ("127.0.0.1", int(options.get("port", "22")))
    ]


def _first_words(addresses: list[tuple[str, int]]) -> tuple[str, str, str]:
    """Return the greeting of the first of *addresses* that answers, that address, and why no one answers."""
    where = failure = ""
    for address, port in addresses:
        where = f"{address}, port {port}"
        try:
            return banner.greeting(address, port, _TIMEOUT), where, ""
        except OSError as error:
            failure = str(error)
    return "", where, failure


def authorized_keys(facts: ServerFacts) -> Iterator[Answer]:
    """Check that sshd reads the register-keys' lines, that they are restricted, and start our program."""
    usual, read = facts.home / register_key_files.DEFAULT, register_key_files.files(facts)
    names = some([str(path) for path in read])
    if (
        usual not in read
        and usual.exists()
        and any(key.line for key in register_key_files.in_file(facts, usual).all())
    ):
        advice = f"sshd reads {names}. Use backuppc-register-admin register-key --authorized-keys FILE."
        yield red(f"sshd does not read {usual}, which has register-keys", advice)
    there = [path for path in read if path.exists()]
    if not there:
        yield red(f"there is no {names}: no machine can register", _ADD)
        return
    keys = [key for path in there for key in register_key_files.in_file(facts, path).all() if key.line]
    if not keys:
        yield red(f"{some([str(path) for path in there])} has no register-key", _ADD)
    for place in register_key_files.loose(facts):
        yield red(f"sshd ignores {names}: see owner and mode of {place}", f"chmod go-w {place}")
    for path in there:
        yield from _unbound(facts, path)
    for key in keys:
        yield from _key(key)


def _unbound(facts: ServerFacts, path: Path) -> Iterator[Answer]:
    for label in register_key_files.in_file(facts, path).unbound():
        what = f"the register-key {label} has another line, which does not start our program"
        yield red(what, f"Delete that line in {path}: each setup has this key.")


def _key(key: RegisterKey) -> Iterator[Answer]:
    name, now = key.label or "(no label)", datetime.now().astimezone()
    if not key.restricted:
        advice = (
            "Put restrict before command= in authorized_keys: else it forwards ports and opens terminals."
        )
        yield red(f"the register-key {name} is not restricted", advice)
    if not key.label:
        advice = "Add --register-key LABEL to its command in authorized_keys."
        yield yellow("a register-key has no label", advice)
    if key.expired(now):
        yield red(f"the register-key {name} expired on {key.expires}", _NEW)
    elif key.expired(now + _SOON):
        yield yellow(f"the register-key {name} expires on {key.expires}", _NEW)
    if key.held and not key.private:
        what = f"the private half of the register-key {name} does not match its line"
        advice = f"backuppc-register-admin register-key revoke {name}, then add: bundle needs both halves."
        yield yellow(what, advice)
    yield from _command(key.command, name)


def _command(command: str, name: str) -> Iterator[Answer]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    missing = [word for word in words if word.startswith("/") and not Path(word).exists()]
    if not words or missing:
        advice = f"There is no {' '.join(missing) or 'command'}: correct command= in authorized_keys."
        yield red(f"the register-key {name} starts {command}", advice)
