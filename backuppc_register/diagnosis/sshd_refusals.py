"""Find what in sshd's settings shuts BackupPC's account out, and in which file it is set."""

import grp
import os
import pwd
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

_FOLDER = Path("/etc/ssh")
_WANTED = {"UsePAM": "yes", "PubkeyAuthentication": "yes", "ForceCommand": "none"}
_KEY_TYPE = "ssh-ed25519"


def refusals(options: Mapping[str, str], account: str) -> Iterator[tuple[str, str]]:
    """Yield each setting that keeps *account* from registering machines, and what is wrong with it.

    *options*: those of `sshd -T` for *account*, by their lower-case names.
    """
    for name, wanted in _WANTED.items():
        value = options.get(name.lower(), wanted)
        if value != wanted:
            yield name, f"sshd has {name.lower()} {value}; {account} needs {wanted}"
    methods = options.get("authenticationmethods", "any").split()
    if not {"any", "publickey"} & set(methods):
        yield "AuthenticationMethods", f"sshd wants more than a key: {' '.join(methods)}"
    types = options.get("pubkeyacceptedalgorithms", _KEY_TYPE).split(",")
    if _KEY_TYPE not in types:
        yield "PubkeyAcceptedAlgorithms", f"sshd accepts no {_KEY_TYPE} keys, as register-keys are"
    if options.get("maxsessions") == "0":
        yield "MaxSessions", "sshd allows no session (maxsessions 0)"
    yield from _lists(options, account)
    if (ports := _ports(options)) and "22" not in ports:
        yield "Port", f"sshd listens on port {', '.join(sorted(ports))}, and setups come to port 22"


def _lists(options: Mapping[str, str], account: str) -> Iterator[tuple[str, str]]:
    for kind, names in (("Users", [account]), ("Groups", _groups(account))):
        for verb in ("Allow", "Deny"):
            setting = f"{verb}{kind}"
            words = options.get(setting.lower())
            if words and names and _listed(words.split(), names) is not (verb == "Allow"):
                yield setting, f"sshd's {setting.lower()} shuts {account} out: {words}"


def _listed(words: list[str], names: list[str]) -> bool:
    """Tell whether one of *names* is in *words*, patterns of which the host is not looked at."""
    patterns = [word.partition("@")[0] for word in words]
    if any(word.startswith("!") and _fits(names, word[1:]) for word in patterns):
        return False
    return any(_fits(names, word) for word in patterns)


def _fits(names: list[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _groups(account: str) -> list[str]:
    """Return the names of the groups of *account*, none if there is no such account."""
    try:
        gids = os.getgrouplist(account, pwd.getpwnam(account).pw_gid)
    except KeyError:
        return []
    found = []
    for gid in gids:
        with suppress(KeyError):
            found.append(grp.getgrgid(gid).gr_name)
    return found


def _ports(options: Mapping[str, str]) -> set[str]:
    return {word.rpartition(":")[2] for word in options.get("listenaddress", "").split()}


def place(setting: str) -> str:
    """Return where *setting* is set, ``FILE, line N``, or sshd's main file if that cannot be told."""
    row = re.compile(rf"\s*{setting}\b", re.IGNORECASE)
    for path in (*sorted((_FOLDER / "sshd_config.d").glob("*.conf")), _FOLDER / "sshd_config"):
        with suppress(OSError):
            for number, text in enumerate(path.read_text("utf-8", "replace").split("\n"), 1):
                if row.match(text):
                    return f"{path}, line {number}"
    return str(_FOLDER / "sshd_config")
