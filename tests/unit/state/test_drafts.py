"""A key pair that is made before the lock is taken is one host's, and used for it or deleted."""

import errno
import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest
from server_folder import Server, Site

from backuppc_register.protocol.errors import OtherOwner, StateError
from backuppc_register.state import key_pairs
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

DORMEUR = Record("dormeur", "dormeur.univ-brest.fr", "cmartin", "", "mac", "10.0.0.9", "2026-01-01", "")


@pytest.fixture
def folders(tmp_path: Path) -> HostFolders:
    return HostFolders(tmp_path)


def test_a_draft_becomes_the_hosts_folder_whole(tmp_path: Path, folders: HostFolders) -> None:
    with folders.draft("dormeur") as draft:
        key = key_pairs.public_key(draft.folder)
        folders.create(DORMEUR, draft)

    assert folders.is_whole("dormeur")
    assert folders.record("dormeur") == DORMEUR
    assert folders.public_key("dormeur") == key
    folder = tmp_path / "hosts/dormeur"
    assert folder.stat().st_mode & 0o777 == 0o750
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    assert f"IdentityFile {folder}/key" in (folder / "ssh_config").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FORMAT", "hosts", "limits"]


def test_a_draft_that_nobody_used_is_deleted(tmp_path: Path, folders: HostFolders) -> None:
    with folders.draft("dormeur") as draft:
        assert draft.folder.parent == tmp_path

    assert list(tmp_path.iterdir()) == []


def test_a_draft_is_never_used_for_another_host(tmp_path: Path, folders: HostFolders) -> None:
    with folders.draft("orque") as draft, pytest.raises(StateError, match="orque"):
        folders.create(DORMEUR, draft)

    assert not folders.exists("dormeur")
    assert not list(tmp_path.glob("backuppc-register-*"))


def test_a_stopped_host_gets_its_key_where_backuppc_does_not_use_it(folders: HostFolders) -> None:
    with folders.draft("dormeur") as draft:
        folders.create(stopped := replace(DORMEUR, retired="2026-01-01T00:00:00+00:00"), draft)

    assert not (folders.path("dormeur") / "key").exists()
    assert folders.public_key("dormeur", stopped)


def programs(monkeypatch: pytest.MonkeyPatch, server: Server) -> list[bool]:
    """Note for each start of ssh-keygen whether BackupPC's lock is free."""
    free: list[bool] = []
    run = key_pairs.ssh_keygen

    def noted(*given: object) -> bytes:
        with (server.folder / "etc/LOCK").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free.append(True)
            except BlockingIOError:
                free.append(False)
        return run(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(key_pairs, "ssh_keygen", noted)
    return free


def test_the_pair_of_a_new_host_is_made_without_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path)
    free = programs(monkeypatch, server)

    server.ask()

    assert free == [True]


@pytest.mark.parametrize("known", ["unchanged", "refused", "check"])
def test_nobody_else_makes_a_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str) -> None:
    site = Site(tmp_path)
    free = programs(monkeypatch, site)

    if known == "refused":
        with pytest.raises(OtherOwner):
            site.ask("adupont")
    else:
        site.ask(verb="check" if known == "check" else "register")

    assert free == []


def test_a_newcomer_on_an_earlier_owners_host_has_its_pair_made_without_the_lock_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, data=False)
    site.hosts.write_text("host\tdhcp\tuser\n")
    free = programs(monkeypatch, site)

    told = site.ask("adupont")

    assert (told.status, free) == ("new", [True])
    assert told.key != site.key


def test_without_space_for_a_draft_the_fault_is_told_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StateError, match="No space"):
        server.ask()
    monkeypatch.undo()
    assert server.ask().status == "new"
    assert not list((tmp_path / "state").glob("backuppc-register-*"))


def test_a_new_host_takes_few_durable_steps_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Record, its folder, hosts/; .pl, hosts file and snapshot, each with its folder: nine."""
    server = Server(tmp_path)
    server.ask(name="first.univ-brest.fr")
    synced: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        with (tmp_path / "etc/LOCK").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                synced.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    server.ask()

    assert len(synced) <= 9
