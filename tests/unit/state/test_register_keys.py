"""Register-keys by label: their pairs in our state, their lines in authorized_keys."""

import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backuppc_register.protocol.errors import StateError
from backuppc_register.state.authorized_keys import Binding, RegisterKey
from backuppc_register.state.register_keys import RegisterKeys
from backuppc_register.system import atomic_files

BINDING = Binding("/usr/bin/python3 -I /opt/backuppc-register/bin/backuppc-register")
OTHERS = b"""\
# restrict,command="/opt/backuppc-register --register-key main" a comment
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1 admin --register-key main
\t from="10.0.0.1",command="echo \\"backuppc-register\\" --register-key=main; ls" ssh-rsa AAAA other\r
command="/usr/bin/rrsync --register-key main /" ssh-ed25519 AAAA not ours

\xff\xfe not even a line
"""


def ssh_keygen(*arguments):
    return subprocess.run(["ssh-keygen", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def keys(tmp_path):
    return RegisterKeys(tmp_path, tmp_path / "ssh/authorized_keys")


@pytest.fixture
def file(tmp_path):
    (tmp_path / "ssh").mkdir(0o700)
    return tmp_path / "ssh/authorized_keys"


def test_a_new_key_is_a_pair_and_a_line_that_lets_it_do_one_thing(keys, tmp_path):
    keys.add("main", BINDING)

    line = (tmp_path / "ssh/authorized_keys").read_text()
    public = ssh_keygen("-y", "-f", tmp_path / "register-keys/main/key")
    assert line == f'restrict,command="{BINDING.command} --register-key main" {public}'
    assert (tmp_path / "ssh/authorized_keys").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ssh").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "register-keys/main/key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_read_back_as_it_was_bound(keys):
    keys.add("spring", Binding(BINDING.command, ("10.0.0.0/8", "2001:db8::1"), "20270930"))

    (key,) = keys.all()
    assert (key.label, key.line, key.restricted, key.private) == ("spring", True, True, True)
    assert (key.sources, key.expires) == ("10.0.0.0/8,2001:db8::1", "20270930")
    assert key.command == f"{BINDING.command} --register-key spring"
    assert key.fingerprint.startswith("SHA256:")


def test_sshd_understands_the_line(keys, tmp_path):
    keys.add("main", Binding("'/opt/a \"b/backuppc-register'", ("10.0.0.0/8",), "20270930"))

    assert keys.all()[0].command == "'/opt/a \"b/backuppc-register' --register-key main"
    assert keys.all()[0].fingerprint in ssh_keygen("-l", "-f", tmp_path / "ssh/authorized_keys")


def test_other_peoples_lines_stay_to_the_byte(keys, file):
    file.write_bytes(OTHERS)

    keys.add("main", BINDING)
    keys.add("second", BINDING)
    added = file.read_bytes()
    keys.revoke("main")

    assert added.startswith(OTHERS)
    assert file.read_bytes().startswith(OTHERS)
    assert [key.label for key in keys.all()] == ["second"]


def test_a_missing_last_newline_is_made_up_for(keys, file):
    file.write_bytes(OTHERS.removesuffix(b"\n"))

    keys.add("main", BINDING)

    assert file.read_bytes().startswith(OTHERS)


def test_owner_group_and_mode_are_kept(keys, file):
    file.write_bytes(OTHERS)
    file.chmod(0o640)

    keys.add("main", BINDING)

    assert file.stat().st_mode & 0o777 == 0o640


def test_revoking_one_leaves_no_private_half_and_the_other_alone(keys, tmp_path):
    keys.add("old", BINDING)
    keys.add("new", BINDING)
    other = keys.private("new")

    assert keys.revoke("old") is True

    assert keys.private("old") is None
    assert keys.private("new") == other
    assert "old" not in (tmp_path / "ssh/authorized_keys").read_text()
    assert keys.revoke("old") is False


def test_every_line_of_a_label_is_revoked(keys, file):
    keys.add("old", BINDING)
    file.write_bytes(file.read_bytes() * 2)

    keys.revoke("old")

    assert file.read_bytes() == b""


def test_a_line_without_its_private_half_is_told(keys, file):
    file.write_text(f'command="{BINDING.command} --register-key=theirs" ssh-ed25519 AAAA x\n')

    (key,) = keys.all()

    assert (key.label, key.line, key.restricted, key.private) == ("theirs", True, False, False)


def test_what_a_killed_add_left_is_finished_with_the_same_key(keys, file, mocker):
    mocker.patch.object(atomic_files, "write", side_effect=OSError("no space"))
    with pytest.raises(StateError):
        keys.add("main", BINDING)
    mocker.stopall()
    private = keys.private("main")
    assert [(key.label, key.line) for key in keys.all()] == [("main", False)]

    keys.add("main", BINDING)

    assert keys.private("main") == private
    assert [(key.label, key.line) for key in keys.all()] == [("main", True)]


def test_a_link_in_the_files_place_is_not_followed(keys, file, tmp_path):
    (tmp_path / "target").write_text("precious")
    file.symlink_to(tmp_path / "target")

    with pytest.raises(StateError):
        keys.add("main", BINDING)
    with pytest.raises(StateError):
        keys.all()
    assert (tmp_path / "target").read_text() == "precious"


NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "expired"),
    [
        ("", False),
        ("20261124", True),
        ("20261127", False),
        ("202611251100Z", True),
        ("20261125120000Z", True),
        ("20261125120001UTC", False),
        ("202611251300z", False),
        ("soon", True),
        ("20261399", True),
        ("20261124 ", True),
    ],
)
def test_a_time_is_past_as_sshd_reads_it_and_what_sshd_cannot_read_is_past_too(told, expired):
    assert RegisterKey("main", expires=told).expired(NOW) is expired


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ("", ("main",)),
        ("restrict ", ("main",)),
        ('command="/bin/sh -c \\"ls, ls\\"",no-pty ', ("main",)),
        ('command="/opt/a/backuppc-register --register-key other" ', ()),
        ("# ", ()),
    ],
)
def test_a_register_key_that_another_line_lets_in_too_is_told(keys, file, tmp_path, options, labels):
    keys.add("main", BINDING)
    keys.add("spring", BINDING)
    public = (tmp_path / "register-keys/main/key.pub").read_text()
    file.write_bytes(f"{options}{public}".encode() + OTHERS + file.read_bytes())

    assert keys.unbound() == labels


def test_a_public_half_that_was_swapped_does_not_get_into_the_line(keys, tmp_path, mocker):
    mocker.patch.object(atomic_files, "write", side_effect=OSError("no space"))
    with pytest.raises(StateError):
        keys.add("main", BINDING)
    mocker.stopall()
    (tmp_path / "register-keys/main/key.pub").write_text(OTHERS.decode("latin-1").splitlines()[1])

    keys.add("main", BINDING)

    public = ssh_keygen("-y", "-f", tmp_path / "register-keys/main/key")
    assert public in (tmp_path / "ssh/authorized_keys").read_text()


@pytest.mark.parametrize("label", ["", ".", "..", "-x", "a/b", "a b", "a\n", "é", "x" * 65, ".new"])
def test_what_is_no_label_makes_no_file(keys, tmp_path, label):
    with pytest.raises(ValueError, match="not a label"):
        keys.add(label, BINDING)

    assert keys.revoke(label) is False
    assert keys.private(label) is None
    assert list(tmp_path.iterdir()) == []


def test_a_command_of_several_lines_makes_no_line(keys, tmp_path):
    with pytest.raises(StateError):
        keys.add("main", Binding("/opt/a\nssh-ed25519 AAAA"))

    assert not (tmp_path / "ssh/authorized_keys").exists()


@settings(max_examples=200)
@given(st.binary(max_size=300) | st.text(alphabet='restict,command="\\ -gk\n', max_size=200).map(str.encode))
def test_any_bytes_of_others_survive_a_revocation(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("keys")
    (folder / "authorized_keys").write_bytes(content)
    keys = RegisterKeys(folder, folder / "authorized_keys")
    before = keys.all()

    keys.revoke("main")

    assert not before
    assert (folder / "authorized_keys").read_bytes() == content
