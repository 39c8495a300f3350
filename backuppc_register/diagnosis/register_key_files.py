"""Find the register-keys of a server: in the files that its sshd reads, and in our state."""

import re
import stat
from pathlib import Path

from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.state.authorized_keys import RegisterKey
from backuppc_register.state.register_keys import RegisterKeys

DEFAULT = ".ssh/authorized_keys"


def files(facts: ServerFacts) -> list[Path]:
    """Return where sshd looks for the account's keys (sshd_config(5), AuthorizedKeysFile)."""
    option = (facts.sshd or {}).get("authorizedkeysfile", DEFAULT)
    values = {"%": "%", "h": str(facts.home), "u": facts.account, "U": str(facts.uid)}
    words = [re.sub("%([%huU])", lambda sign: values[sign[1]], word) for word in option.split()]
    return [facts.home / word for word in words if word != "none"]


def in_file(facts: ServerFacts, path: Path) -> RegisterKeys:
    """Return the register-keys with lines in *path*, and those in our state."""
    return RegisterKeys(facts.config.state.directory, path)


def keys(facts: ServerFacts) -> list[RegisterKey]:
    """Return each register-key once, those with a line first; raises StateError."""
    found: dict[tuple[str, str], RegisterKey] = {}
    for path in [path for path in files(facts) if path.exists()] or [facts.home / DEFAULT]:
        for key in in_file(facts, path).all():
            known = found.get((key.label, key.fingerprint))
            if known is None or (key.line and not known.line):
                found[key.label, key.fingerprint] = key
    return sorted(found.values(), key=lambda key: not key.line)


def private(facts: ServerFacts, label: str) -> bytes | None:
    """Return the private half of the register-key *label*, None if it is not here; raises StateError."""
    return in_file(facts, facts.home / DEFAULT).private(label)


def loose(facts: ServerFacts) -> list[Path]:
    """Return the places with an owner or mode that makes sshd ignore the keys (sshd(8), StrictModes)."""
    found: dict[Path, None] = {}
    for path in files(facts):
        inside = path.is_relative_to(facts.home)
        for place in (facts.home, path.parent, path) if inside else (path.parent, path):
            if place.exists() and _is_loose(place, facts.uid):
                found[place] = None
    return list(found)


def _is_loose(place: Path, uid: int) -> bool:
    status = place.stat()
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) or status.st_uid not in (0, uid)
