"""The system fails, or kills us, at system calls of the verbs that write register-keys and bundles.

After each fault, and after one plain run, every other line of authorized_keys is as it was, a file is the old
or the new one, and no key is printed. `--faults 0` takes every call, as in `test_faults.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from injection import Ended, Machine, machine, sampled

from backuppc_register.admin import bundle
from backuppc_register.state.register_keys import RegisterKeys
from backuppc_register.system import own_folders

FOREIGN = (
    b"# the administrator's\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9FVz3vmmHlPwZiMNxDizayZfUEYUau8+yx me\n"
)
OLD = b"#!/bin/sh\n# setup.sh - an earlier bundle\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9FVz3vmmHlPwZiMNxDizayZfUEYUau8+yxKndfkdzY"


@dataclass(frozen=True)
class Keys:
    """A machine with the register-keys `first` and `second`, and an earlier bundle."""

    machine: Machine

    @property
    def file(self) -> Path:
        return self.machine.folder / "ssh/authorized_keys"

    @property
    def bundle(self) -> Path:
        return self.machine.folder / "www/setup.sh"

    def all(self) -> RegisterKeys:
        return RegisterKeys(self.machine.state, self.file)

    def labels(self) -> list[str]:
        return [key.label for key in self.all().all() if key.line and key.private]

    def verb(self, *words: str) -> Callable[[], tuple[int, str]]:
        return self.machine.verb(*words, "--authorized-keys", str(self.file))

    def making_a_bundle(self) -> Callable[[], tuple[int, str]]:
        """Return the work of `bundle`, to a folder that stands for one of root's."""
        words = (
            "--os",
            "linux",
            "-o",
            str(self.bundle),
            "--key",
            "first",
            "--server",
            "dugong.univ-brest.fr",
        )
        verb = self.verb("bundle", *words)

        def work() -> tuple[int, str]:
            own_folders.flaw = lambda folder: ""
            bundle._host_keys = lambda: [HOST_KEY]
            return verb()

        return work


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with machine() as made:
        keys = Keys(made)
        for folder in (keys.file.parent, keys.bundle.parent):
            folder.mkdir()
        keys.file.write_bytes(FOREIGN)
        keys.bundle.write_bytes(OLD)
        made.give_to_the_owner()
        for label in ("first", "second"):
            assert made.run(keys.verb("register-key", "add", label)).status == 0
        made.save("prepared")
        yield keys


def add(keys: Keys) -> Callable[[], tuple[int, str]]:
    return keys.verb("register-key", "add", "third", "--from", "10.0.0.0/8")


def revoke(keys: Keys) -> Callable[[], tuple[int, str]]:
    return keys.verb("register-key", "revoke", "first")


CASES = {
    "add": (add, ["first", "second", "third"]),
    "revoke": (revoke, ["second"]),
    "bundle": (Keys.making_a_bundle, ["first", "second"]),
}


def check(keys: Keys, ended: Ended, before: bytes, secrets: list[str], done: list[str]) -> None:
    """Check that what this verb does not change is there to the byte, and that success means done."""
    content = keys.file.read_bytes()
    assert content.endswith(b"\n")
    kept = [line for line in before.splitlines(True) if b"first" not in line]
    assert [line for line in content.splitlines(True) if line in kept] == kept
    assert len(content.splitlines()) in range(len(kept), len(before.splitlines()) + 2)
    assert keys.all().private("second")
    assert keys.bundle.read_bytes() == OLD or keys.bundle.read_bytes().endswith(b"}\n"), (
        keys.bundle.read_bytes()[-60:]
    )
    assert not any(secret in ended.said + "".join(ended.logged) for secret in secrets)
    if ended.status == 0 and ended.said:
        assert keys.labels() == done


@pytest.mark.lab
@pytest.mark.parametrize("name", CASES)
def test_no_fault_at_a_system_call_loses_a_line_or_cuts_a_file(
    keys: Keys, name: str, request: pytest.FixtureRequest
) -> None:
    case, done = CASES[name]
    server = keys.machine
    server.restore("prepared")
    before = keys.file.read_bytes()
    secrets = [(keys.all().private(label) or b"").decode().splitlines()[2] for label in ("first", "second")]
    faults = server.faults_of(case(keys))
    made = keys.bundle.read_bytes()
    assert len(faults) > 30
    for fault in sampled(faults, name, request.config.getoption("faults")):
        server.restore("prepared")
        ended = server.fail(case(keys), fault)
        try:
            check(keys, ended, before, secrets, done)
            again = server.run(case(keys))
            assert again.status in (0, 1), again
            check(keys, again, before, secrets, done)
            assert keys.labels() == done
            assert keys.bundle.read_bytes() == made
            assert not [path for path in server.folder.rglob("*") if path.name.endswith(".backuppc-register")]
        except AssertionError as error:
            raise AssertionError(f"{name}: {fault}: {ended}") from error
