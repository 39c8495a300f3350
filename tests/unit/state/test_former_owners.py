"""From whom hosts were taken."""

from pathlib import Path

import pytest

from backuppc_register.protocol.errors import StateError
from backuppc_register.state.former_owners import Former, FormerOwners


@pytest.fixture
def former(tmp_path: Path) -> FormerOwners:
    return FormerOwners(tmp_path)


def test_nobody_is_known_before_anything_was_taken(former: FormerOwners) -> None:
    assert former.read() == {}
    assert former.of("dormeur") == Former("dormeur")
    assert not former.of("dormeur").had("cmartin")


def test_who_had_a_host_is_known_whatever_the_case_of_letters_until_it_is_theirs_again(
    former: FormerOwners,
) -> None:
    former.take("dormeur", ["CMartin", "", "helper", "CMartin"], person="adupont")
    former.take("sirene", ["bdurand"])
    former.take("dormeur", ["adupont"], person="cmartin")

    assert FormerOwners(former.path.parent).read() == {
        "dormeur": Former("dormeur", ("helper", "adupont")),
        "sirene": Former("sirene", ("bdurand",)),
    }
    assert former.of("dormeur").had("ADUPONT")
    assert not former.of("dormeur").had("cmartin")
    assert not former.of("dormeur").had("")


def test_a_closed_line_is_known_until_the_host_is_given_to_somebody(former: FormerOwners) -> None:
    former.take("dormeur", ["cmartin"], person="adupont")
    former.close("dormeur", "adupont")
    assert former.of("dormeur") == Former("dormeur", ("cmartin",), "adupont")

    former.take("dormeur", ["adupont"], person="bdurand")
    assert former.of("dormeur") == Former("dormeur", ("cmartin", "adupont"), "adupont")
    former.decided("dormeur")
    former.decided("dormeur")

    assert former.of("dormeur") == Former("dormeur", ("cmartin", "adupont"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rubbish",
        b'{"format": 2}\n',
        b'{"format": 1}\n{"host": "a"}\n',
        b'{"format": 1}\n{"host": "a", "users": "bc"}\n',
        b'{"format": 1}\n{"host": "a", "users": [1]}\n',
        b'{"format": 1}\n{"host": "a", "users": [], "closed": 1}\n',
        b'{"format": 1}\n[]\n',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_understood_is_a_fault_and_never_nobody(former: FormerOwners, content: bytes) -> None:
    former.path.write_bytes(content)

    with pytest.raises(StateError):
        former.of("dormeur")
    with pytest.raises(StateError):
        former.take("dormeur", ["cmartin"])
    assert former.path.read_bytes() == content
