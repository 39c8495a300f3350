"""The configuration of a small server whose folders all lie below one folder, and that asks nobody."""

from pathlib import Path


def text(folder: Path) -> str:
    """Return the configuration: no directory and no DNS answers there, and BackupPC is not told."""
    return f"""
        [server]
        url = "https://dugong.univ-brest.fr/backuppc/index.cgi?host={{host}}"
        [directory]
        servers = ["ldap://127.0.0.1:1"]
        base = "dc=univ-brest,dc=fr"
        [dns]
        domains = ["univ-brest.fr"]
        nameservers = ["127.0.0.1"]
        port = 1
        timeout = 1
        [backuppc]
        hosts = "{folder}/etc/hosts"
        config_dir = "{folder}/etc"
        data_dir = "{folder}/data"
        socket = ""
        [state]
        directory = "{folder}/state"
        [syslog]
        socket = "{folder}/log"
    """
