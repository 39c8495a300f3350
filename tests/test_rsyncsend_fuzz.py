"""rsyncsend.sh against real commands and lists that were changed at random."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wrapper import (
    BACKUP_OPTIONS,
    FULL,
    INCREMENTAL,
    MISSING,
    REFUSED,
    RESTORE,
    RESTORE_OPTIONS,
    Outcome,
    Room,
    as_account,
    listed,
    owner_argv,
)

WORDS = [
    *BACKUP_OPTIONS, *RESTORE_OPTIONS, "rsync", "--server", "--sender", "sudo", "-n", "-slHogDtprcxe.iLsfxC",
    "-re.", "-s", "-e.s", ".", "..", "--", "-", "/", "/etc/", "{share}/", "{share}/cmartin", "{restore}/",
    "{restore}/new/", "{share}/../", "--log-file=/x", "--daemon", "--config=/x", "-B5", "-e", "sh", "",
    "--delete", "--iconv=x", "\xa0", "*", "$(id)", "\n", "--sender ", "--timeout=1 --daemon",
]  # fmt: skip
PLAIN_BACKUP = "rsync --server --sender -re.iLsfxC --numeric-ids . {share}/"
PLAIN_OPTION = re.compile(
    r"--(numeric-ids|ignore-errors|no-r|list-only|specials|no-specials|use-qsort|no-implied-dirs|new-compress"
    r"|old-compress|stats|partial|inplace|size-only|existing|ignore-existing)"
    r"|--(timeout|bwlimit|checksum-seed|compress-level|modify-window)=[0-9]{1,10}|-B[0-9]{1,10}"
    r"|--iconv=[A-Za-z0-9._,:-]+|--checksum-choice=[a-z0-9,]+|--log-format=[A-Za-z%]{1,4}"
    r"|--(max|min)-size=[0-9A-Za-z.+-]+"
)
CLUSTER = re.compile(r"-[vlHogDtprcxAXndIWSzRbuOJ]*(e\.[A-Za-z0-9.]*)?")


@pytest.fixture(scope="module")
def fuzz_room() -> Iterator[Room]:
    folder = Path(tempfile.mkdtemp(prefix="rsyncsend"))
    try:
        yield Room(folder)
    finally:
        shutil.rmtree(folder)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A real command and list, some words of which were dropped, doubled, swapped or replaced."""
    command, options = draw(st.sampled_from([
        (FULL.split(), ["rsync", *BACKUP_OPTIONS, ".", "{share}/", ""]),
        (INCREMENTAL.split(), ["rsync", *BACKUP_OPTIONS, ".", "{share}/cmartin/", ""]),
        (RESTORE.split(), ["rsync", *RESTORE_OPTIONS, ".", "{restore}/", ""]),
        (f"sudo {PLAIN_BACKUP}".split(), []),
    ]))  # fmt: skip
    words = [list(command), list(options)]
    for _ in range(draw(st.integers(0, 3))):
        target = words[draw(st.integers(0, 1))]
        at = draw(st.integers(0, len(target)))
        text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
        new = draw(st.one_of(st.sampled_from(WORDS), text))
        match draw(st.sampled_from(["insert", "replace", "drop", "glue"])):
            case "insert":
                target.insert(at, new)
            case "replace":
                target[at : at + 1] = [new]
            case "drop":
                del target[at : at + 1]
            case _:
                target[at : at + 1] = [word + new for word in target[at : at + 1]]
    return words[0], words[1]


def is_decided(room: Room, outcome: Outcome) -> bool:
    """Tell, by rules of its own, whether what was executed could be one of the two things that may be."""
    argv = outcome.executed or []
    try:
        at = argv.index(f"{room.folder}/bin/rsync")
    except ValueError:
        return False
    prefix, words = argv[:at], argv[at + 1 :]
    backup = "--sender" in words
    if prefix != (as_account("-all,+dac_read_search") if backup else owner_argv(room)):
        return False
    top = room.share if backup else room.restore_dir
    head = ["--server", "--sender"] if backup else ["--server"]
    head.append(f"--confine-root={top}")
    cluster, *options = words[len(head) : -2]
    if not backup:
        ours = ["--sparse"] if "--inplace" not in options else []
        ours.append("--chmod=ug-s")
        options, added = options[: -len(ours)], options[-len(ours) :]
        if added != ours:
            return False
    return (
        words[: len(head)] == head
        and CLUSTER.fullmatch(cluster) is not None
        and len(cluster) > 1
        and all(PLAIN_OPTION.fullmatch(option) for option in options)
        and words[-2:] == [".", "./"]
        and Path(outcome.where).is_relative_to(top)
    )


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=mutated())
@example(words=(FULL.split(), ["rsync", ".", "{share}/", ""]))
@example(words=(RESTORE.split(), ["rsync", ".", "{restore}/new/", ""]))
def test_whatever_arrives_only_a_decided_command_is_executed(
    fuzz_room: Room, words: tuple[list[str], list[str]]
) -> None:
    room = fuzz_room
    places = {"{share}": str(room.share), "{restore}": str(room.restore_dir)}
    command, items = (
        [re.sub(r"\{\w+\}", lambda match: places.get(match[0], match[0]), word) for word in part]
        for part in words
    )

    outcome = room.helper(" ".join(command), listed(items) + b"protocol")

    if outcome.executed is None:
        assert outcome.status in {REFUSED, MISSING}
        assert outcome.stdout == b""
    else:
        assert is_decided(room, outcome), outcome.executed


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(stdin=st.binary(max_size=300), command=st.sampled_from([FULL, RESTORE]))
def test_any_bytes_on_stdin_execute_nothing_undecided(fuzz_room: Room, stdin: bytes, command: str) -> None:
    outcome = fuzz_room.helper(command, stdin)

    assert outcome.executed is None or is_decided(fuzz_room, outcome)
