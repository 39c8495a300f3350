"""The check that the hosts file can be replaced, as each registration does."""

import os
from collections.abc import Iterator

from backuppc_register.backuppc import host_config
from backuppc_register.diagnosis.finding import Answer, green, red
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.system import atomic_files, rename_obstacles

_TIMEOUT = 3.0  # seconds; BackupPC waits while another process holds its lock


def replaceable(facts: ServerFacts) -> Iterator[Answer]:
    """Check that a new hosts file can be made with the same owner and mode, and renamed over the old one."""
    places = facts.config.backuppc
    path, found = places.hosts, False
    if not path.is_symlink() and not path.exists():
        return  # the check `hosts-file` reports it
    below = host_config.folder(places.config_dir)
    if below != path.parent and not os.access(below, os.W_OK | os.X_OK):
        found = True
        what = f"no registration is possible: {facts.account} cannot write the settings of hosts in {below}"
        yield red(what, f"chown {facts.account} {below}; see also ls -ld {below} and df {below}")
    for what, advice in rename_obstacles.obstacles(path):
        found = True
        yield red(f"no registration is possible: {what}", f"{advice} (see [backuppc] hosts)")
    if found:
        return
    try:
        _rehearse(facts)
    except OSError as error:
        advice = f"See ls -ld {path.parent}, df {path.parent} and getfacl {path}."
        yield red(f"no registration is possible: a new {path} cannot be made: {error}", advice)
        return
    yield green(f"{path} can be replaced")


def _rehearse(facts: ServerFacts) -> None:
    places = facts.config.backuppc
    # A check must not create LOCK. Without that file, no process holds the lock.
    if not (places.config_dir / "LOCK").exists():
        atomic_files.rehearse(places.hosts)
        return
    with facts.server.locked(_TIMEOUT):
        atomic_files.rehearse(places.hosts)
