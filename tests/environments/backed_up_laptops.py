"""A server of the lab with laptops that it backs up, and what their owners and the administrator do there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

from lab import Lab, Laptop, Result

ADMIN = "python3 -I /opt/backuppc-register/bin/backuppc-register-admin"
SHARE = "/home"
SECRET = "Le rapport annuel."


class Page(HTMLParser):
    """The form of BackupPC's web editor as a browser keeps it: every field with its value."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._open = ""
        self.feed(page.partition('name="editForm"')[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name, kind = values.get("name", ""), values.get("type", "text")
        self._open = name if tag in ("select", "textarea") else self._open
        if tag == "input" and (kind in ("text", "hidden") or "checked" in values):
            self.fields[name] = values.get("value", "")
        elif tag == "textarea" or (tag == "option" and "selected" in values):
            self.fields[self._open] = values.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "textarea" and self._open:
            self.fields[self._open] += data


class Site:
    """A server and two registered laptops that have been backed up; the first holds files nobody else has."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.stale: dict[str, str] = {}  # a page of the web editor that was opened before a change
        self.dugong = lab.server("dugong.univ-brest.fr")
        # As on a server without our hardening: an owner may switch backups on and off.
        open_editor = "echo '$Conf{CgiUserConfigEdit}{BackupsDisable} = 1;' >> /etc/backuppc/config.pl"
        self.dugong.run(open_editor, check=True)
        self.laptops: dict[str, Laptop] = {}

    def laptop(self, name: str, address: str, logon: str = "cmartin") -> Laptop:
        laptop = self.lab.laptop(f"{name}.univ-brest.fr", address)
        laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        laptop.write("/root/.ssh/known_hosts", self.dugong.known_hosts, mode=0o600)
        laptop.run("useradd -m -s /bin/sh -p '*' bckpciuem", check=True)
        laptop.write("/home/cmartin/Documents/own.txt", f"only {name} has this\n", owner="cmartin")
        self.laptops[name] = laptop
        self.register(name, logon)
        return laptop

    def register(self, name: str, logon: str) -> str:
        """Register, and install the key as the setup does, with rsync itself for a wrapper."""
        laptop = self.laptops[name]
        command = ["ssh", "-x", "-a", "-i", "/root/register-key", "-l", "backuppc", "10.77.0.1"]
        answer = laptop.run([*command, f"linux:{logon}"], timeout=40).stdout
        if answer.startswith("success"):
            (key,) = re.findall("^key: (.*)", answer, re.M)
            line = f'restrict,command="$SSH_ORIGINAL_COMMAND" {key}\n'
            laptop.run("rm -rf /home/bckpciuem/.ssh", check=True)
            laptop.write("/home/bckpciuem/.ssh/authorized_keys", line, mode=0o600, owner="bckpciuem")
            laptop.run("chown -R bckpciuem: /home/bckpciuem/.ssh; chmod 755 /home/cmartin", check=True)
        return answer

    def admin(self, *words: str, **settings: Any) -> Result:
        return self.dugong.run([*ADMIN.split(), *words], env={"SUDO_USER": "chef"}, **settings)

    def record(self, host: str) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(
            self.dugong.read(f"/var/lib/backuppc-register/hosts/{host}/record.json")
        )
        return record

    def change_record(self, host: str, **fields: Any) -> None:
        path = f"/var/lib/backuppc-register/hosts/{host}/record.json"
        text = json.dumps(self.record(host) | fields)
        self.dugong.write(path, text, mode=0o640, owner="backuppc:backuppc")

    def read(self, user: str, host: str, file: str = "/cmartin/Documents/rapport 2024.txt") -> str:
        """What BackupPC's web interface gives `user` for a file of the last backup of `host`."""
        number = self.dugong.backups(host)[-1].number
        quoted = file.replace("/", "%2f").replace(" ", "%20")
        query = f"action=RestoreFile&host={host}&num={number}&share=%2Fhome&dir={quoted}"
        return self.dugong.cgi(query, user)

    def pool(self) -> set[str]:
        """The digests of the pool's files."""
        found = self.dugong.run("find /var/lib/backuppc/cpool /var/lib/backuppc/pool -type f -size +0")
        return {line.rsplit("/", 1)[1] for line in found.lines if re.search("/[0-9a-f]{32}$", line)}

    def nightly(self) -> None:
        """A week goes by for the pool, and the nightly run comes."""
        self.dugong.run("find /var/lib/backuppc/cpool -type f -exec touch -d '10 days ago' {} +", check=True)
        self.dugong.message("BackupPC_nightly run")
        self.dugong.wait_for(self._nightly_done, "the nightly run", 60)

    def _nightly_done(self) -> bool:
        return "admin" not in self.dugong.message("status jobs queues")

    def page(self) -> dict[str, str]:
        """Open the page "Edit Hosts" of the web editor."""
        return Page(self.dugong.cgi("action=editConfig&newMenu=hosts", "backuppc")).fields

    def save(self, page: dict[str, str]) -> None:
        """Save the *page* of the web editor, as it was when it was opened."""
        self.dugong.cgi("action=editConfig", "backuppc", page | {"saveAction": "Save"})

    def can_read(self, host: str, text: str, file: str) -> set[str]:
        """Who of the two gets that text of the last backup of `host` from BackupPC's web interface."""
        people = ("cmartin", "adupont")
        return {user for user in people if text in self.read(user, host, file)}

    def archive(self) -> str:
        return next(
            line.split()[0] for line in self.dugong.hosts().splitlines() if line.startswith("dormeur_")
        )
