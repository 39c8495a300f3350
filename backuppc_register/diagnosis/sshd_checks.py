"""Checks of the way in: sshd, and the register-keys' lines."""

import re
import shlex
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.network import banner
from backuppc_register.state.authorized_keys import RegisterKey
from backuppc_register.state.register_keys import RegisterKeys

_WITHIN = 5.0  # seconds
_SOON = timedelta(days=30)
_DEFAULT = ".ssh/authorized_keys"
_NEW = "backuppc-register-admin register-key add, then bundle, and hand that setup out."
_ADD = "backuppc-register-admin register-key add main"


@otherwise("systemctl status ssh")
def sshd(situation: Situation) -> Iterator[Answer]:
    """Look whether sshd answers, and lets BackupPC's account in with the register-key."""
    told = situation.sshd or {}
    words, where, failure = _first_words(_addresses(told))
    if failure:
        yield red(f"sshd does not answer on {where}: {failure}", "systemctl status ssh")
        return
    if not words.startswith("SSH-"):
        yield red(f"on {where} answers no sshd: {words[:40]}", "systemctl status ssh")
    if situation.sshd is None:
        yield green(f"{words}; only root can ask sshd for its settings (sshd -T)")
        return
    for name, wanted in (("usepam", "yes"), ("pubkeyauthentication", "yes"), ("forcecommand", "none")):
        if told.get(name, wanted) != wanted:
            yield red(
                f"sshd has {name} {told[name]}", f"{situation.account} needs {name} {wanted} in sshd_config."
            )
    for name in ("allowusers", "denyusers", "allowgroups", "denygroups"):
        if name in told and not _lets_in(name, told[name].split(), situation.account):
            yield red(f"sshd's {name} shuts {situation.account} out: {told[name]}", "See sshd_config(5).")
    yield green(words)


def _addresses(told: dict[str, str]) -> list[tuple[str, int]]:
    """Return where sshd listens by its own settings, seen from here; port 22 where they are not known."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    parts = [word.rpartition(":") for word in told.get("listenaddress", "").split()]
    found = [(address.strip("[]"), int(port)) for address, _, port in parts]
    return [(here.get(address, address), port) for address, port in found] or [
        ("127.0.0.1", int(told.get("port", "22")))
    ]


def _first_words(addresses: list[tuple[str, int]]) -> tuple[str, str, str]:
    """Return what the first of *addresses* says that answers, which that is, and why if none does."""
    where = failure = ""
    for address, port in addresses:
        where = f"{address}, port {port}"
        try:
            return banner.greeting(address, port, _WITHIN), where, ""
        except OSError as error:
            failure = str(error)
    return "", where, failure


def _lets_in(name: str, words: list[str], account: str) -> bool:
    named = any(word.partition("@")[0] == account for word in words)
    # A group's members and patterns are not looked at: they may let in, so only plain names are a no.
    plain = not any(set(word) & set("*?!") for word in words)
    return (named or not plain) if name == "allowusers" else name != "denyusers" or not named


@otherwise("See who may read authorized_keys and [state] directory.")
def authorized_keys(situation: Situation) -> Iterator[Answer]:
    """Look whether the register-keys' lines are where sshd reads them, restricted, and start our program."""
    usual, read = situation.home / _DEFAULT, _files(situation)
    there = [path for path in read if path.exists()]
    if usual not in read and usual.exists() and any(key.line for key in _keys(situation, usual)):
        advice = f"sshd reads {some([str(path) for path in read])}: register-key --authorized-keys FILE"
        yield red(f"sshd does not read {usual}, where there are register-keys", advice)
    if not there:
        yield red(f"there is no {some([str(path) for path in read])}: nobody can register", _ADD)
        return
    for path in there:
        yield from _ignored(situation, path)
    keys = [key for path in there for key in _keys(situation, path) if key.line]
    if not keys:
        yield red(f"{some([str(path) for path in there])} has no register-key", _ADD)
    for key in keys:
        yield from _key(situation, key)
    for path in there:
        for label in RegisterKeys(situation.config.state.directory, path).unbound():
            advice = f"Take that line out of {path}: every setup carries this key."
            yield red(f"the register-key {label} has another line, which does not start our program", advice)


def _keys(situation: Situation, path: Path) -> Iterable[RegisterKey]:
    return RegisterKeys(situation.config.state.directory, path).all()


def _files(situation: Situation) -> list[Path]:
    """Return where sshd looks for the account's keys (sshd_config(5), AuthorizedKeysFile)."""
    told = (situation.sshd or {}).get("authorizedkeysfile", _DEFAULT)
    meant = {"%": "%", "h": str(situation.home), "u": situation.account, "U": str(situation.uid)}
    words = [re.sub("%([%huU])", lambda sign: meant[sign[1]], word) for word in told.split()]
    return [situation.home / word for word in words if word != "none"]


def _ignored(situation: Situation, path: Path) -> Iterator[Answer]:
    inside = path.is_relative_to(situation.home)
    for place in (situation.home, path.parent, path) if inside else (path.parent, path):
        status = place.stat()
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (0, situation.uid):
            yield red(f"sshd ignores {path}: see owner and mode of {place}", f"chmod go-w {place}")


def _key(situation: Situation, key: RegisterKey) -> Iterator[Answer]:
    name, now = key.label or "(no label)", datetime.now().astimezone()
    if not key.restricted:
        advice = "Put restrict before command= in authorized_keys: it would forward ports and open terminals."
        yield red(f"the register-key {name} is not restricted", advice)
    if not key.label:
        yield yellow(
            "a register-key has no label", "Add --register-key LABEL to its command in authorized_keys."
        )
    if key.expired(now):
        yield red(f"the register-key {name} expired on {key.expires}", _NEW)
    elif key.expired(now + _SOON):
        yield yellow(f"the register-key {name} expires on {key.expires}", _NEW)
    if key.held and not key.private:
        what = f"our private half of the register-key {name} is of another key than its line"
        advice = (
            f"backuppc-register-admin register-key revoke {name}, then add it: no bundle is made with it."
        )
        yield yellow(what, advice)
    yield from _command(key.command, name)


def _command(command: str, name: str) -> Iterator[Answer]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    missing = [word for word in words if word.startswith("/") and not Path(word).exists()]
    if not words or missing:
        advice = f"There is no {' '.join(missing) or 'command'}: set command= right in authorized_keys."
        yield red(f"the register-key {name} starts {command}", advice)


CHECKS = {
    "sshd": sshd,
    "authorized-keys": authorized_keys,
}
