"""From whom hosts were taken."""

from pathlib import Path

import pytest

from backuppc_register.protocol.errors import StateError
from backuppc_register.state.former_owners import FormerOwners, Owners


@pytest.fixture
def former(tmp_path: Path) -> FormerOwners:
    return FormerOwners(tmp_path)


def test_nobody_is_known_before_anything_was_taken(former: FormerOwners) -> None:
    assert former.read() == {}
    assert former.of("dormeur") == Owners("dormeur")
    assert not former.of("dormeur").is_former("cmartin")


def test_who_had_a_host_is_known_whatever_the_case_of_letters_until_it_is_theirs_again(
    former: FormerOwners,
) -> None:
    former.take("dormeur", ["CMartin", "", "helper", "CMartin"], person="adupont")
    assert former.of("dormeur").owner == "adupont"
    former.take("sirene", ["bdurand"])
    former.take("dormeur", ["adupont"], person="cmartin")

    assert FormerOwners(former.path.parent).read() == {
        "dormeur": Owners("dormeur", ("helper", "adupont"), "cmartin"),
        "sirene": Owners("sirene", ("bdurand",)),
    }
    assert former.of("dormeur").is_former("ADUPONT")
    assert not former.of("dormeur").is_former("cmartin")
    assert not former.of("dormeur").is_former("")


@pytest.mark.parametrize(
    ("row", "owners"),
    [
        ('"users": ["cmartin"]', Owners("dormeur", ("cmartin",))),
        ('"users": ["cmartin"], "closed": "adupont"', Owners("dormeur", ("cmartin",), "adupont")),
        ('"users": ["cmartin"], "closed": "CMartin"', Owners("dormeur", ("cmartin",))),
        ('"users": [], "owner": "adupont"', Owners("dormeur", (), "adupont")),
        ('"users": ["adupont"], "owner": ""', Owners("dormeur", ("adupont",))),
    ],
)
def test_a_row_of_an_earlier_release_is_understood(former: FormerOwners, row: str, owners: Owners) -> None:
    former.path.write_text('{"format": 1}\n{"host": "dormeur", ' + row + "}\n")

    assert former.of("dormeur") == owners


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
        b'{"format": 1}\n{"host": "a", "users": [], "owner": 1}\n',
        b'{"format": 1}\n{"host": "a", "users": [], "owner": "b", "closed": 1}\n',
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
