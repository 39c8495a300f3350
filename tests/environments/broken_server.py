"""The facts about a server in a test's own folder, for the checks of `diagnose`, and what they find."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from advice import useless

from backuppc_register import config
from backuppc_register.diagnosis.finding import Check, Level, examine
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.inventory.server import Server
from backuppc_register.state.host_folder import HostFolders

HEADER = b"host\tdhcp\tuser\tmoreUsers\n"


def facts_of(folder: Path) -> ServerFacts:
    """Lay out a server with one host, dormeur of cmartin, in *folder*."""
    for name in ("etc", "top/pc", "state", "home/.ssh"):
        (folder / name).mkdir(parents=True)
    (folder / "config.toml").touch()
    (folder / "state").chmod(0o750)
    (folder / "etc/hosts").write_bytes(HEADER + b"dormeur\t0\tcmartin\n")
    places = {"hosts": "etc/hosts", "config_dir": "etc", "data_dir": "top"}
    document = {
        "server": {"url": "https://dugong/{host}"},
        "directory": {"servers": ["ldaps://ldap"], "base": "o=x"},
        "dns": {"domains": ["univ-brest.fr"]},
        "backuppc": {name: str(folder / place) for name, place in places.items()},
        "state": {"directory": str(folder / "state")},
    }
    return ServerFacts(
        server=Server(config.check(document), "backuppc", HostFolders(folder / "state")),
        config_path=folder / "config.toml",
        problem="",
        uid=os.getuid(),
        home=folder / "home",
    )


def bad(check: Callable[[ServerFacts], Any], facts: ServerFacts) -> list[tuple[Level, str]]:
    """Give what *check* finds that is not green; each advice must be of use to an administrator."""
    found = examine(Check("x", check, "chmod it"), facts)
    assert not [one.advice for one in found if one.level and useless(one.advice)]
    return [(one.level, one.what) for one in found if one.level]
