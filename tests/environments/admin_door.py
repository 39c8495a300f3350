"""A small server of its own for tests of the administrators' program: folders, a configuration, a syslog."""

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import site_config
from checkout import CHECKOUT

from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

PYTHON = "/usr/bin/python3"  # every account may run it
NOBODY = 65534
Done = subprocess.CompletedProcess[str]


class AdminSite:
    """BackupPC's folders and ours below *folder*, and the program that looks after them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A copy, because the account that the program becomes may not read the checkout.
        for part in ("backuppc_register", "bin", "clients", "packaging"):
            shutil.copytree(CHECKOUT / part, folder / "opt" / part)
        self.program = folder / "opt/bin/backuppc-register-admin"
        self.hosts, self.state = folder / "etc/hosts", folder / "state"
        for name in ("etc", "data/pc", "state", "ssh", "download"):
            (folder / name).mkdir(parents=True)
        self.download = folder / "download"
        self.state.chmod(0o750)
        self.hosts.write_text("host\tdhcp\tuser\tmoreUsers\n")
        self.authorized_keys = folder / "ssh/authorized_keys"
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._syslog.bind(str(folder / "log"))
        self._syslog.setblocking(False)
        (folder / "log").chmod(0o777)
        self.config = folder / "config.toml"
        self.config.write_text(site_config.text(folder))

    def run(self, *arguments: object, **settings: Any) -> Done:
        """Run the program as who runs the tests; what it works in is its account's."""
        self.as_the_owner()
        return self.start([PYTHON, "-I", str(self.program), *map(str, arguments)], **settings)

    def start(
        self,
        command: Sequence[object],
        *,
        typed: str = "",
        user: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        return subprocess.run(
            [*map(str, command), "--config", str(self.config)],
            env={"PATH": os.environ["PATH"], "HOME": "/"} | dict(env or {}),
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            user=user,
        )

    def told(self, *arguments: object) -> Any:
        """Give what the program says in JSON."""
        done = self.run(*arguments, "--json")
        assert done.stderr == ""
        return json.loads(done.stdout)

    def as_the_owner(self) -> None:
        """Root cannot be the owner: a root-owned folder is no BackupPC's."""
        if os.geteuid() == 0:
            for path in self.folder.rglob("*"):
                if self.download not in (path, *path.parents):
                    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def nobody_logs(self) -> None:
        """End the syslog."""
        self._syslog.close()
        (self.folder / "log").unlink()

    def logged(self) -> list[str]:
        lines = []
        try:
            while True:
                lines.append(self._syslog.recv(65536).decode("ascii"))
        except BlockingIOError:
            return lines

    def add_host(self, host: str, person: str = "cmartin", *, line: bool = True, **facts: Any) -> Record:
        """Register a host, as the forced command would."""
        told = {
            "full_name": f"{host}.univ-brest.fr",
            "entry": "",
            "os": "linux",
            "address": "10.77.0.11",
            "registered": "2026-03-01T10:00:00+00:00",
            "config": "",
        }
        record = Record(host=host, person=person, **(told | facts))
        HostFolders(self.state).create(record)
        if line:
            self.add_line(f"{host}\t0\t{person}")
        return record

    def add_line(self, line: str) -> None:
        self.hosts.write_text(f"{self.hosts.read_text()}{line}\n")

    def add_backups(self, host: str, *rows: tuple[str, int, int, int]) -> None:
        """Give *host* backups, each its kind, its start in seconds since the epoch, files and errors."""
        folder = self.folder / "data/pc" / host
        folder.mkdir()
        lines = [
            f"{n}\t{kind}\t{start}\t{start + 60}\t{files}\t1000000\t0\t0\t0\t0\t{errors}\t0\t0\t0\n"
            for n, (kind, start, files, errors) in enumerate(rows)
        ]
        (folder / "backups").write_text("".join(lines))

    def picture(self) -> dict[str, bytes | None]:
        """What is on disk but for locks: equal is unchanged."""
        paths = [path for path in self.folder.rglob("*") if path.name != "LOCK" and "opt" not in path.parts]
        return {str(path): path.read_bytes() if path.is_file() else None for path in paths}

    def close(self) -> None:
        self._syslog.close()


@contextmanager
def admin_site() -> Iterator[AdminSite]:
    # Not tmp_path: its parents are closed to every account but the one that runs the tests.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        site = AdminSite(Path(folder))
        yield site
        site.close()


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Give every long option, those of its sub-commands too; what all have is told once."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        yield from (o for o in action.option_strings if o not in ("-h", "--help", "--config"))
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name
                yield from options_of(inner)
