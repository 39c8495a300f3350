"""The record of a registration."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import records
from backuppc_register.state.records import PurgeRequest, Record
from backuppc_register.system.uptime import Uptime

DORMEUR = Record(
    host="dormeur",
    full_name="dormeur.univ-brest.fr",
    person="cmartin",
    entry="0b5ac1a0-7f3a-103b-8f1c-3f0e2b8f5a11",
    os="mac",
    address="2001:db8::17",
    registered="2026-11-22T20:30:00+00:00",
    config="9f" * 32,
)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    records.write(tmp_path, DORMEUR)

    assert records.read(tmp_path) == DORMEUR


def test_a_record_may_lack_what_a_directory_or_a_site_does_not_have(tmp_path: Path) -> None:
    bare = replace(DORMEUR, entry="", config="")

    records.write(tmp_path, bare)

    assert records.read(tmp_path) == bare


def test_everybody_else_is_kept_from_a_record(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        records.write(tmp_path, DORMEUR)
    finally:
        os.umask(umask)

    assert (tmp_path / "record.json").stat().st_mode & 0o7777 == 0o640


def test_no_file_is_no_record(tmp_path: Path) -> None:
    assert records.read(tmp_path) is None
    assert records.read(tmp_path / "no such folder") is None


def test_keys_of_a_later_version_are_skipped() -> None:
    told = {**json.loads(records.to_bytes(DORMEUR)), "seen_by": {"when": "2027-01-01"}}

    assert records.from_bytes(json.dumps(told).encode()) == DORMEUR


@given(st.builds(Record, *[st.text(min_size=1)] * 8))
def test_any_text_survives(record: Record) -> None:
    assert records.from_bytes(records.to_bytes(record)) == record


@given(
    st.binary()
    | st.recursive(st.text() | st.none() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_garbage_is_refused_and_raises_nothing_else(content: bytes) -> None:
    with pytest.raises(ValueError):
        records.from_bytes(content)


def _with(**changes: object) -> bytes:
    return json.dumps({**json.loads(records.to_bytes(DORMEUR)), **changes}).encode()


REQUESTED = replace(
    DORMEUR,
    purge="2026-12-06T20:30:00+00:00",
    purge_of=PurgeRequest("cmartin", ("0@1700000000", "1@1700086400")),
    purge_wait=Uptime("b7ad", 1209605),
)


def test_a_requested_purge_comes_back_as_it_was_written(tmp_path: Path) -> None:
    for record in (REQUESTED, replace(REQUESTED, purge_of=PurgeRequest(""), purge_wait=None)):
        records.write(tmp_path, record)

        assert records.read(tmp_path) == record


def test_a_requested_purge_is_written_as_lists() -> None:
    written = json.loads(records.to_bytes(REQUESTED))

    assert written["purge_of"] == ["cmartin", "0@1700000000", "1@1700086400"]
    assert written["purge_wait"] == ["b7ad", 1209605]


def test_a_record_without_a_purge_is_as_earlier_releases_read_it() -> None:
    written = json.loads(records.to_bytes(DORMEUR))

    assert (written["purge_of"], written["purge_wait"]) == ("", "")


def test_a_record_of_an_earlier_release_has_no_wall() -> None:
    old = json.loads(records.to_bytes(replace(DORMEUR, rsync="3.4.1", wall="namespace")))
    del old["wall"]

    read = records.from_bytes(json.dumps(old).encode())

    assert (read.rsync, read.wall, read.has_wall) == ("3.4.1", "", False)


@pytest.mark.parametrize(
    ("wall", "known"),
    [("namespace", True), ("sandbox", True), ("confine-root", True), ("none", False), ("space", False)],
)
def test_what_keeps_rsync_inside_is_kept_and_known(wall: str, known: bool) -> None:
    read = records.from_bytes(records.to_bytes(replace(DORMEUR, wall=wall)))

    assert (read.wall, read.has_wall) == (wall, known)


def test_a_purge_that_an_earlier_release_wrote_is_read() -> None:
    old = _with(
        purge=REQUESTED.purge, purge_of="cmartin 0@1700000000 1@1700086400", purge_wait="b7ad@1209605"
    )

    assert records.from_bytes(old) == REQUESTED


@pytest.mark.parametrize("wait", ["", "a", "a@", "@9", "a@-9", "a@soon"])
def test_an_earlier_wait_that_is_no_moment_is_none(wait: str) -> None:
    assert records.from_bytes(_with(purge_wait=wait)).purge_wait is None


def test_a_host_whose_line_was_made_by_hand_has_no_full_name_and_may_have_no_person(tmp_path: Path) -> None:
    by_hand = replace(DORMEUR, full_name="", person="", entry="", registered="", config="", retired="x")
    records.write(tmp_path, by_hand)

    assert records.read(tmp_path) == by_hand
    assert (by_hand.by_hand, DORMEUR.by_hand) == (True, False)


CORRUPT = {
    "an empty file": b"",
    "half of a file": records.to_bytes(DORMEUR)[:100],
    "no object": b"[]",
    "another format": _with(format=2),
    "no format": json.dumps(asdict(DORMEUR)).encode(),
    "no person": _with(person=""),
    "a person that is no text": _with(person=1000),
    "no host": _with(host=None),
    "no full name": _with(full_name=""),
    "made by hand, and registered": _with(full_name="", config=""),
    "a config that is no text": _with(config=None),
    "a purge of what is no text": _with(purge_of=["cmartin", 1]),
    "a purge of an object": _with(purge_of={"owner": "cmartin"}),
    "a wait without a boot": _with(purge_wait=[None, 1]),
    "a wait of half a list": _with(purge_wait=["b7ad"]),
    "a wait that is no list": _with(purge_wait=9),
    "nested without end": b"[" * 200_000,
    "not UTF-8": b'{"format": 1, "host": "\xff"}',
}


@pytest.mark.parametrize("content", CORRUPT.values(), ids=CORRUPT.keys())
def test_a_corrupt_record_is_a_fault_and_never_no_record(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(content)

    with pytest.raises(StateError, match=r"record\.json"):
        records.read(tmp_path)


def test_what_is_no_regular_file_is_a_fault(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    records.write(elsewhere, DORMEUR)
    for name in ("link", "dangling", "folder", "fifo"):
        (tmp_path / name).mkdir()
    (tmp_path / "link/record.json").symlink_to(elsewhere / "record.json")
    (tmp_path / "dangling/record.json").symlink_to("nowhere")
    (tmp_path / "folder/record.json").mkdir()
    os.mkfifo(tmp_path / "fifo/record.json")

    for name in ("link", "dangling", "folder", "fifo"):
        with pytest.raises(StateError):
            records.read(tmp_path / name)
        if name != "fifo":
            with pytest.raises(StateError):
                records.write(tmp_path / name, DORMEUR)


def test_a_file_in_the_place_of_the_folder_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "dormeur").write_bytes(b"")

    with pytest.raises(StateError):
        records.read(tmp_path / "dormeur")


def test_a_record_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no such folder"):
        records.write(tmp_path / "no such folder", DORMEUR)
