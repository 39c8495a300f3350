"""A login with a register-key to a real sshd, which runs what its authorized_keys says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture
from services import sshd as service
from services.sshd import Sshd, make_key

from backuppc_register.network import own_sshd
from backuppc_register.network.own_sshd import Attempt, Way

# What our program prints where it is given no command.
ANSWER = "$SSH_CONNECTION no command given\\nerror:no-command\\nrequest:1\\nadvice:Use the setup.\\n"


class Site:
    """An sshd on a port of its own, and a key that it knows."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.sshd = sshd
        self.public = make_key(folder / "key")
        self.private = (folder / "key").read_bytes()

    def runs(self, script: str, options: str = "restrict") -> None:
        command = script.replace('"', '\\"')
        self.sshd.authorize(f'{options},command="{command}" {self.public}\n')

    def log_in(self, *, known: list[str] | None = None, timeout: float = 20) -> Attempt:
        way = Way("dugong.univ-brest.fr", self.sshd.address, self.sshd.user)
        return own_sshd.log_in(way, self.private, self.sshd.host_keys if known is None else known, timeout)


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as sshd:
        yield sshd


@pytest.fixture
def site(sshd: Sshd, tmp_path: Path, mocker: MockerFixture) -> Site:
    mocker.patch.object(own_sshd, "PORT", sshd.port)
    return Site(sshd, tmp_path)


def test_our_programs_answer_is_known_by_its_code(site: Site) -> None:
    site.runs(f'printf "{ANSWER}"; exit 64')

    attempt = site.log_in()

    assert (attempt.status, attempt.code, attempt.before, attempt.said) == (64, "no-command", "", "")


def test_no_command_is_sent(site: Site) -> None:
    site.runs('echo "<$SSH_ORIGINAL_COMMAND>"')

    assert site.log_in().output == "<>\n"


def test_what_is_printed_before_it_is_told(site: Site) -> None:
    site.runs(f'echo Welcome; printf "{ANSWER}"')

    attempt = site.log_in()

    assert (attempt.code, attempt.before) == ("no-command", "Welcome")


REFUSED: dict[str, tuple[Callable[[Site], None], str]] = {
    "another key": (lambda site: site.sshd.authorize(""), "Permission denied (publickey)"),
    "an expired key": (
        lambda site: site.runs("true", 'restrict,expiry-time="20200101"'), "Permission denied (publickey)",
    ),
    "other addresses": (lambda site: site.runs("true", 'from="192.0.2.1"'), "Permission denied (publickey)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_refused_key_is_told_in_sshs_words(site: Site, case: tuple[Callable[[Site], None], str]) -> None:
    prepare, words = case
    prepare(site)

    attempt = site.log_in()

    assert (attempt.status, attempt.code, attempt.not_connected) == (255, "", False)
    assert words in attempt.said


def test_other_host_keys_than_the_known_ones_are_not_accepted(site: Site, tmp_path: Path) -> None:
    site.runs("true")

    attempt = site.log_in(known=[" ".join(make_key(tmp_path / "other").split()[:2])])

    assert attempt.status == 255
    assert attempt.said.endswith("Host key verification failed.")


def test_where_nobody_listens_that_is_told_from_a_refusal(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(own_sshd, "PORT", service.free_port())

    attempt = site.log_in()

    assert attempt.not_connected
    assert "Connection refused" in attempt.said


def test_a_program_that_never_ends_is_left_in_time(site: Site) -> None:
    site.runs("sleep 60")

    with pytest.raises(TimeoutError):
        site.log_in(timeout=2)


def test_the_public_host_keys_of_a_folder(tmp_path: Path) -> None:
    first = make_key(tmp_path / "ssh_host_ed25519_key")
    make_key(tmp_path / "other_key")
    (tmp_path / "ssh_host_x_key.pub").write_text("no key\n")

    assert own_sshd.host_keys(tmp_path) == [" ".join(first.split()[:2])]
