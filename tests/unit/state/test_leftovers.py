"""What a killed run left goes at the next plain run; what a running process uses stays."""

import os
import subprocess
import sys
import tempfile

import pytest
from checkout import CHECKOUT
from server_folder import Site

from backuppc_register.system import temporary

LEFT = (
    "state/.ledger.backuppc-register",
    "state/.former_owners.backuppc-register",
    "state/.FORMAT.backuppc-register",
    "state/hosts/.new/key",
    "state/hosts/dormeur/.record.json.backuppc-register",
    "state/hosts/dormeur/.known_hosts.backuppc-register",
    "state/hosts/dormeur/.new-key/key",
    "etc/.hosts.backuppc-register",
    "etc/.dormeur.pl.backuppc-register",
    "state/backuppc-register-0123456789abcdef/key",
)
ELSEWHERE = (
    "etc/.orque.pl.backuppc-register",
    "state/hosts/orque/.ssh_config.backuppc-register",
    "state/hosts/orque/.new-key/key",
    "state/aside/orque.20260101T000000Z/.key.backuppc-register",
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    site = Site(tmp_path / "site")
    site.ask("adupont", name="orque.univ-brest.fr")
    site.reconcile()
    return site


def leave(site, *names):
    for name in names:
        path = site.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    return [site.folder / name for name in names]


def texts(site):
    return {path: content for path, content in site.texts().items() if path.name != "reconciled"}


@pytest.mark.parametrize("name", LEFT)
def test_the_next_plain_run_of_the_host_removes_it(site, name):
    before = texts(site)
    leave(site, name)

    assert site.ask().status == "unchanged"

    assert texts(site) == before
    assert (
        not (site.folder / name).parent.name.startswith((".new", "backuppc-register-"))
        or not (site.folder / name).parent.exists()
    )


def test_reconcile_removes_that_of_all_hosts(site):
    before = texts(site)
    left = leave(site, *LEFT, *ELSEWHERE, "../tmp/backuppc-register-0123456789abcdef/known_hosts")

    assert site.reconcile() == []

    assert not any(path.exists() for path in left)
    assert texts(site) == before


def test_what_is_not_ours_stays(site):
    kept = leave(
        site,
        "etc/.hosts.swp",
        "etc/hosts.new",
        "etc/backuppc-register",
        "state/other/key",
        "../tmp/other-0123/x",
    )

    site.ask()
    site.reconcile()

    assert all(path.read_text() == "half" for path in kept)


def test_the_folder_of_a_running_process_stays(site):
    with temporary.folder(site.folder / "state") as ours, temporary.folder() as other:
        (ours / "key").write_text("live")
        site.ask()
        site.reconcile()
        assert (ours / "key").read_text() == "live"
        assert other.exists()


def test_the_folder_of_a_killed_process_goes(site):
    code = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from backuppc_register.system import temporary
with temporary.folder(Path(sys.argv[2])) as folder:
    (folder / "key").write_text("live")
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, CHECKOUT, site.folder / "state"], check=False)
    assert [*(site.folder / "state").glob("backuppc-register-*/key")]

    site.ask()

    assert not [*(site.folder / "state").glob("backuppc-register-*")]


def test_what_cannot_be_removed_stops_nobody(site, monkeypatch):
    leave(site, *LEFT)

    def failed(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "unlink", failed)
    assert site.ask().status == "unchanged"
