"""An error of the moment is no wrong configuration: it may be tried again, and says so."""

import errno
import os
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import patch

import pytest
from failing import failing
from server_folder import Server

from backuppc_register import config
from backuppc_register.backuppc import host_config, hosts, lock
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.protocol.errors import HostsFileError, Misconfigured, StateError, TryAgain
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.rate_limits import Limits
from backuppc_register.system import os_errors
from backuppc_register.system.account import become_owner

MOMENTARY = (errno.EIO, errno.ESTALE, errno.ENFILE, errno.ENOMEM, errno.EROFS)
LASTING = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    site = Server(tmp_path)
    site.ask()
    (tmp_path / "state/aside").mkdir()
    return tmp_path / "state"


@pytest.mark.parametrize("place", ["", "FORMAT", "hosts", "aside"])
@pytest.mark.parametrize("code", MOMENTARY)
def test_the_state_folder_fails_for_a_moment(state: Path, place: str, code: int) -> None:
    with failing(state / place, code), pytest.raises(TryAgain, match=rf"Errno {code}\]"):
        HostFolders(state).ready()
    HostFolders(state).ready()


@pytest.mark.parametrize("at", range(1, 12))
def test_one_failed_call_at_the_state_folder_is_never_a_wrong_configuration(state: Path, at: int) -> None:
    try:
        with failing(state, at=at):
            HostFolders(state).ready()
    except TryAgain as error:
        assert "Errno 5" in error.detail


@pytest.mark.parametrize("answer", ["once", "always"])
def test_access_that_is_refused_without_a_reason_is_asked_again(
    state: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """access(2) tells Python no reason: EIO looks like a closed folder."""
    refused = iter([False] if answer == "once" else [False] * 9)
    access = os.access
    monkeypatch.setattr(os, "access", lambda *given: next(refused, None) is None and access(*given))

    HostFolders(state).ready()


@pytest.mark.parametrize("code", LASTING)
def test_a_closed_or_missing_state_folder_is_a_wrong_configuration(state: Path, code: int) -> None:
    with failing(state, code), pytest.raises(Misconfigured, match=r"\[state\] directory"):
        HostFolders(state).ready()


@pytest.mark.parametrize("code", MOMENTARY)
def test_the_configuration_the_owner_and_the_template_fail_for_a_moment(tmp_path: Path, code: int) -> None:
    site = Server(tmp_path)
    (tmp_path / "templates/mac.pl").write_text("1;\n")
    values = host_config.Values("dormeur", "dormeur.univ-brest.fr", tmp_path / "ssh_config")
    error = OSError(code, os.strerror(code))
    with patch.object(Path, "read_text", side_effect=error), pytest.raises(TryAgain):
        config.read(tmp_path / "config.toml")
    with failing(tmp_path / "etc", code), pytest.raises(TryAgain, match="owner"):
        become_owner(tmp_path / "etc")
    with failing(tmp_path / "templates", code), pytest.raises(StateError, match="template"):
        host_config.render("mac", values, site.config().backuppc.templates)


@pytest.mark.parametrize("call", ["os.fstat", "os.stat", "fcntl.flock"])
def test_what_fails_at_the_lock_is_a_fault_of_the_hosts_file(tmp_path: Path, call: str) -> None:
    told = "it was taken in doubt"
    with patch(call, side_effect=OSError(errno.EIO, "Input/output error")):  # pytest itself needs these calls
        try:
            with lock.locked(tmp_path, 1):
                pass
        except HostsFileError as error:
            told = error.detail

    assert "lock" in told
    assert "Errno 5" in told


def test_a_failed_close_of_a_lock_undoes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = os.close

    def failed(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    peer = ip_address("192.0.2.1")
    with Limits(tmp_path / "limits", config.Limits()).admitted(peer), lock.locked(tmp_path, 1):
        monkeypatch.setattr(os, "close", failed)
    monkeypatch.undo()


def test_a_folder_that_cannot_be_looked_at_before_the_append_is_a_fault(tmp_path: Path) -> None:
    site = Server(tmp_path)
    current: HostsFile = hosts.read(site.hosts)

    for at in range(1, 4):
        with failing(tmp_path / "etc", calls=("stat",), at=at):
            try:
                hosts.refuse_append(site.hosts, current, "dormeur", "cmartin")
            except HostsFileError as error:
                assert "Errno 5" in error.detail


@pytest.mark.parametrize("code", LASTING)
def test_what_is_missing_is_no_moment(code: int) -> None:
    assert isinstance(os_errors.fault(OSError(code, "x"), "why"), Misconfigured)
    assert not os_errors.is_momentary(OSError("it is not a regular file"))


def test_whether_something_exists_is_not_answered_in_doubt(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()

    assert os_errors.exists(tmp_path / "link")
    assert not os_errors.exists(tmp_path / "nowhere")
    assert not os_errors.exists(tmp_path / "file/below")
    with failing(tmp_path), pytest.raises(OSError, match="Input/output"):
        os_errors.exists(tmp_path / "link")
