"""What in sshd's settings shuts BackupPC's account out, and in which file and line it is set."""

import os
import pwd
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from backuppc_register.diagnosis import sshd_refusals

ACCOUNT = pwd.getpwuid(os.getuid()).pw_name
# As Debian's sshd -T has it for an account that may log in.
FINE = {
    "port": "22",
    "usepam": "yes",
    "pubkeyauthentication": "yes",
    "forcecommand": "none",
    "authenticationmethods": "any",
    "pubkeyacceptedalgorithms": "ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,rsa-sha2-512",
    "maxsessions": "10",
    "listenaddress": "[::]:22 0.0.0.0:22",
}


def names(**options: str) -> list[str]:
    return [name for name, _ in sshd_refusals.refusals(FINE | options, ACCOUNT)]


def test_settings_that_let_it_in() -> None:
    assert names() == []


@pytest.mark.parametrize(
    ("option", "value", "setting"),
    [
        ("usepam", "no", "UsePAM"),
        ("pubkeyauthentication", "no", "PubkeyAuthentication"),
        ("forcecommand", "/bin/false", "ForceCommand"),
        ("authenticationmethods", "publickey,password", "AuthenticationMethods"),
        ("authenticationmethods", "password publickey,keyboard-interactive", "AuthenticationMethods"),
        ("authenticationmethods", "password publickey", ""),
        (
            "pubkeyacceptedalgorithms",
            "ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512",
            "PubkeyAcceptedAlgorithms",
        ),
        ("maxsessions", "0", "MaxSessions"),
        ("listenaddress", "0.0.0.0:2222", "Port"),
        ("listenaddress", "0.0.0.0:2222 [::]:22", ""),
        ("allowusers", "nobody-of-that-name admin@192.0.2.1", "AllowUsers"),
        ("allowusers", f"other {ACCOUNT}", ""),
        ("allowusers", f"other {ACCOUNT[0]}*", ""),
        ("allowusers", f"{ACCOUNT}@10.0.0.*", ""),  # hosts are not looked at
        ("allowusers", f"!{ACCOUNT} *", "AllowUsers"),
        ("denyusers", ACCOUNT, "DenyUsers"),
        ("denyusers", "*", "DenyUsers"),
        ("denyusers", "other", ""),
        ("allowgroups", "no-such-group", "AllowGroups"),
        ("allowgroups", "*", ""),
        ("denygroups", "*", "DenyGroups"),
        ("denygroups", "no-such-group", ""),
    ],
)
def test_settings_one_by_one(option: str, value: str, setting: str) -> None:
    assert names(**{option: value}) == ([setting] if setting else [])


def test_an_account_that_does_not_exist_has_no_groups_to_judge() -> None:
    found = sshd_refusals.refusals(FINE | {"allowgroups": "people"}, "no-such-account")

    assert list(found) == []


def test_where_a_setting_is_set(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(sshd_refusals, "_FOLDER", tmp_path)
    (tmp_path / "sshd_config.d").mkdir()
    main, part = tmp_path / "sshd_config", tmp_path / "sshd_config.d/50-site.conf"
    main.write_text("Include x\n#UsePAM no\n\tusepam=no\nAllowUsersX\nPort 22\n")
    part.write_text("# first\n  AllowUsers root\n")

    assert sshd_refusals.place("UsePAM") == f"{main}, line 3"
    assert sshd_refusals.place("AllowUsers") == f"{part}, line 2"
    assert sshd_refusals.place("MaxSessions") == str(main)
