import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from backuppc_register.protocol.errors import StateError
from backuppc_register.state.snapshot_file import NAME, HostsSnapshot, SeenHost, SeenLine

SEEN = "2026-11-22T21:00:00+00:00"
DORMEUR = SeenHost("dormeur", (SeenLine(b"dormeur\t0\tcmartin", "0", "cmartin", ()),), True, SEEN)
TWICE = SeenHost(
    "lab_1",
    (
        SeenLine(b"LAB_1 0 adupont bdurand,cpetit # caf\xe9\r", "0", "adupont", ("bdurand", "cpetit")),
        SeenLine("lab_1 1 é".encode(), "1", "é", ()),
    ),
    False,
    SEEN,
)


@pytest.fixture
def ledger(tmp_path: Path) -> HostsSnapshot:
    return HostsSnapshot(tmp_path)


def test_before_the_first_run_no_host_is_known(ledger: HostsSnapshot) -> None:
    assert ledger.read() == {}


def test_what_is_noted_is_read_back_byte_for_byte(ledger: HostsSnapshot) -> None:
    ledger.note(DORMEUR)
    ledger.note(TWICE)

    assert ledger.read() == {"dormeur": DORMEUR, "lab_1": TWICE}


def test_a_host_that_is_noted_again_is_there_once(ledger: HostsSnapshot) -> None:
    ledger.note(DORMEUR)
    again = SeenHost("dormeur", (SeenLine(b"dormeur 0 adupont", "0", "adupont", ()),), False, SEEN)

    ledger.note(again)

    assert ledger.read() == {"dormeur": again}


def test_where_data_is_lasts_until_it_goes_on_purpose(ledger: HostsSnapshot) -> None:
    there = replace(DORMEUR, place="64512:131")
    ledger.write([there, TWICE])
    assert ledger.read() == {"dormeur": there, "lab_1": TWICE}

    ledger.note_no_data("dormeur")
    ledger.note_no_data("never-seen")

    assert ledger.read() == {"dormeur": replace(DORMEUR, data=False), "lab_1": TWICE}


def test_a_forgotten_host_is_gone_and_no_other(ledger: HostsSnapshot) -> None:
    ledger.write([DORMEUR, TWICE])

    ledger.forget("dormeur")
    ledger.forget("never-seen")

    assert ledger.read() == {"lab_1": TWICE}


def test_forgetting_what_is_not_known_writes_nothing(ledger: HostsSnapshot) -> None:
    ledger.forget("dormeur")

    assert not ledger.path.exists()


def test_the_file_can_be_read_by_people_and_by_backuppcs_group_alone(ledger: HostsSnapshot) -> None:
    ledger.note(DORMEUR)

    assert ledger.path.name == NAME
    assert ledger.path.stat().st_mode & 0o777 == 0o640
    head, row = ledger.path.read_text("ascii").splitlines()
    assert json.loads(head) == {"format": 1}
    assert json.loads(row)["lines"] == [["dormeur\t0\tcmartin", "0", "cmartin"]]


ROW = '{"host": "a", "data": true, "seen": "", "lines": [["a 0 b", "0", "b"]]}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        b'{"format": 2}\n',
        b"\xff",
        b"[" * 100_000,
        f'{{"format": 1}}\n{ROW[:-3]}'.encode(),
        *(
            f'{{"format": 1}}\n{row}\n'.encode()
            for row in (
                "",
                "[]",
                "{}",
                "null",
                ROW.replace('"a"', "1", 1),
                ROW.replace('"seen"', '"place": 1, "seen"'),
                ROW.replace("true", '"true"'),
                ROW.replace('[["a 0 b", "0", "b"]]', "[]"),
                ROW.replace('"a 0 b", ', ""),
                ROW.replace('"a 0 b"', "null"),
            )
        ),
    ],
)
def test_a_damaged_ledger_is_never_read_as_no_hosts_and_never_overwritten(
    ledger: HostsSnapshot, content: bytes
) -> None:
    ledger.path.write_bytes(content)

    for attempt in (ledger.read, lambda: ledger.note(DORMEUR), lambda: ledger.forget("dormeur")):
        with pytest.raises(StateError):
            attempt()

    assert ledger.path.read_bytes() == content


def test_the_row_that_the_damaged_ones_are_made_of_is_good(ledger: HostsSnapshot) -> None:
    ledger.path.write_text(f'{{"format": 1}}\n{ROW}\n')

    assert ledger.read() == {"a": SeenHost("a", (SeenLine(b"a 0 b", "0", "b", ()),), True, "")}


def test_a_failing_disk_leaves_the_ledger_as_it_was(ledger: HostsSnapshot, mocker: MockerFixture) -> None:
    ledger.note(DORMEUR)
    before = ledger.path.read_bytes()
    mocker.patch("os.fsync", side_effect=OSError(5, "Input/output error"))

    with pytest.raises(StateError):
        ledger.note(TWICE)

    assert ledger.path.read_bytes() == before


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=60), user=TEXTS, more=st.lists(TEXTS, max_size=3))
def test_any_bytes_survive(ledger: HostsSnapshot, raw: bytes, user: str, more: list[str]) -> None:
    known = SeenHost("h", (SeenLine(raw, "0", user, tuple(more)),), True, SEEN)

    ledger.write([known])

    assert ledger.read() == {"h": known}
