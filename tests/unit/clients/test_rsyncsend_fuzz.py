"""rsyncsend.sh against real commands and lists that were changed at random: words, characters and bytes."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wrapper import (
    BACKUP_OPTIONS,
    FULL,
    IN_PLACE,
    INCREMENTAL,
    MISSING,
    PEER,
    REFUSED,
    RESTORE,
    RESTORE_OPTIONS,
    ROOTS_RIGHTS,
    Outcome,
    Room,
    as_account,
    owner_argv,
)

OPTIONS = [
    *BACKUP_OPTIONS, *RESTORE_OPTIONS, "--inplace", "--size-only", "-B5", "--iconv=x", "--max-size", "10k",
    "--daemon", "--config=/x", "--log-file=/x", "--rsh=sh", "-e", "sh", "-M--daemon", "--remove-source-files",
    "--files-from=/x", "--filter=.x", "--delete", "--chmod=u+s", "--confine-root=/", "--insecure-links",
    "--fake-super", "--temp-dir=/x", "--link-dest=/x", "--copy-links", "-L", "-s", "-@-1", "--sparse",
    "--timeout=1 --daemon", "--sender", "--", "-",
]  # fmt: skip
PATHS = [
    "/", "/etc/", ".", "..", "", "{share}", "{share}/cmartin", "{share}/../", "{share}/cmartin/out/",
    "{restore}/", "{restore}/./", "{restore}/new/", "{restore}/out", "{restore}/out/new/", "{restore}2/",
    "{share}2/",
]  # fmt: skip
WORDS = [
    *OPTIONS, *PATHS, "-re.", "-e.s", "-sre.L", "rsync", "--server", "--sender ", "sudo", "*", "$(id)",
    "\n", "\xa0",
]  # fmt: skip
BYTES = [b"\0", b" ", b"/", b".", b"-", b"=", b"\n", b"\r", b"\t", b"\x1b", b"\x80", b"\xc2\xa0", b"$", b"`",
         b"'", b"e", b"s", b"L", b"K", b"../", b"\0\0", b"--daemon\0", b"a" * 5000]  # fmt: skip
PLAIN_BACKUP = "rsync --server --sender -re.iLsfxC --numeric-ids . {share}/"
PLAIN_RESTORE = "rsync --server -re.iLsfxC --log-format=%i --stats . {restore}/new/"
REAL = [
    (FULL, ["rsync", *BACKUP_OPTIONS, ".", "{share}/", ""]),
    (INCREMENTAL, ["rsync", *BACKUP_OPTIONS, ".", "{share}/cmartin/", ""]),
    (RESTORE, ["rsync", *RESTORE_OPTIONS, ".", "{restore}/", ""]),
    (RESTORE, ["rsync", *RESTORE_OPTIONS, ".", "{share}/", ""]),
    (f"sudo {PLAIN_BACKUP}", []),
    (PLAIN_RESTORE, []),
]
# The rules once more, in other words than the wrapper's.
OPTION = (
    r"--(numeric-ids|ignore-errors|no-r|list-only|specials|no-specials|use-qsort|no-implied-dirs|new-compress"
    r"|old-compress)|--(timeout|bwlimit|checksum-seed|compress-level|modify-window)=[0-9]{1,10}|-B[0-9]{1,10}"
    r"|--iconv=[A-Za-z0-9._,:-]+|--checksum-choice=[a-z0-9,]+|--log-format=[A-Za-z%]{1,4}"
    r"|--(max|min)-size=[0-9][0-9A-Za-z.+-]*"
)
RESTORE_OPTION = rf"{OPTION}|--(stats|partial|inplace|size-only|existing|ignore-existing)"
CLUSTER = r"-(?=.)[vlHogDtprcxAXndIWSz]*(e\.[A-Za-z0-9.]*)?"
RESTORE_CLUSTER = r"-(?=.)[vlHogDtprcxAXndIWSzRbuOJ]*(e\.[A-Za-z0-9.]*)?"


@dataclass(frozen=True)
class Request:
    """What the server asks, what comes on standard input before the protocol, and how far restores may go."""

    command: bytes
    stdin: bytes
    restore: str = "dirs"


@pytest.fixture(scope="module")
def fuzz_room() -> Iterator[Room]:
    """A room with links that lead out, and a folder whose name begins like another's."""
    room = Room(Path(tempfile.mkdtemp(prefix="rsyncsend")))
    (room.folder / "restored2").mkdir()
    (room.share / "cmartin/out").symlink_to("/etc")
    (room.restore_dir / "out").symlink_to(room.folder)
    try:
        yield room
    finally:
        shutil.rmtree(room.folder)


@st.composite
def mutated(draw: st.DrawFn) -> Request:
    """A real command and list, with more options, with other words, with other bytes, or with all of that."""
    command, items = draw(st.sampled_from(REAL))
    words = (command.split(" "), list(items))
    how = draw(st.sampled_from(["options", "options", "options", "words", "bytes", "all"]))
    if how in {"options", "all"}:
        with_options(draw, words[1] or words[0])
    if how in {"words", "all"}:
        with_words(draw, words[draw(st.integers(0, 1))])
    texts = [" ".join(words[0]).encode(), b"".join(word.encode() + b"\0" for word in words[1])]
    if how in {"bytes", "all"}:
        which = draw(st.integers(0, 1))
        texts[which] = with_bytes(draw, texts[which])
    return Request(texts[0].replace(b"\0", b""), texts[1], draw(st.sampled_from(["dirs", "full", "off"])))


def with_options(draw: st.DrawFn, words: list[str]) -> None:
    """Put up to two more where options belong, and perhaps another path behind the dot."""
    dot = words.index(".")
    if draw(st.integers(0, 3)) == 0:
        words[dot + 1] = draw(st.sampled_from(PATHS))
    words[dot:dot] = draw(st.lists(st.sampled_from(OPTIONS), max_size=2))


def with_words(draw: st.DrawFn, words: list[str]) -> None:
    """Insert, replace, drop or lengthen one or two words."""
    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(words)))
        new = draw(st.one_of(st.sampled_from(WORDS), text))
        match draw(st.sampled_from(["insert", "replace", "drop", "glue"])):
            case "insert":
                words.insert(at, new)
            case "replace":
                words[at : at + 1] = [new]
            case "drop":
                del words[at : at + 1]
            case _:
                words[at : at + 1] = [word + new for word in words[at : at + 1]]


def with_bytes(draw: st.DrawFn, text: bytes) -> bytes:
    """Put a few bytes in the place of up to two."""
    at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
    new = draw(st.one_of(st.just(b""), st.sampled_from(BYTES), st.binary(max_size=3)))
    return text[:at] + new + text[at + length :]


def is_decided(room: Room, restore: str, outcome: Outcome) -> bool:
    """Tell, by rules of its own, whether what was executed could be one of the things that may be."""
    argv = outcome.executed or []
    program = next((at for at, word in enumerate(argv) if word in {f"{room.folder}/bin/rsync", "rsync"}), 0)
    prefix, words = argv[:program], argv[program + 1 :]
    if words[:2] == ["--server", "--sender"]:
        tops, identity = [room.share], as_account("-all,+dac_read_search")
        head, cluster, option, tail = words[:2], CLUSTER, OPTION, [".", "./"]
    else:
        tops = {"off": [], "dirs": [room.restore_dir], "full": [room.restore_dir, room.share]}[restore]
        full = restore == "full"
        identity = as_account(ROOTS_RIGHTS, "0", "0") if full else owner_argv(room)
        head, cluster, option = ["--server"], RESTORE_CLUSTER, RESTORE_OPTION
        option += "|--super" * full
        tail = ["--sparse"] * ("--inplace" not in words)
        tail = [*IN_PLACE, ".", "./"] if full else [*tail, "--chmod=ug-s", ".", "./"]
    top = next((top for top in tops if Path(outcome.where).is_relative_to(top)), None)
    head = [*head, f"--confine-root={top}"]
    middle = words[len(head) : len(words) - len(tail)]
    return (
        top is not None
        and (prefix, words) == (identity, [*head, *middle, *tail])
        and re.fullmatch(cluster, middle[0]) is not None
        and all(re.fullmatch(option, word) for word in middle[1:])
    )


def ask(room: Room, request: Request) -> Outcome:
    room.configure(restore=request.restore)
    command, stdin = (
        text.replace(b"{share}", os.fsencode(room.share)).replace(b"{restore}", os.fsencode(room.restore_dir))
        for text in (request.command, request.stdin)
    )
    return room.start([str(room.folder / "rsync-helper"), os.fsdecode(command), PEER], stdin + b"protocol")


def surroundings(room: Room) -> list[str]:
    """Name all that a request must not add to, besides what the recorder writes and the place of the wall."""
    records = {"executed", "made", "where", "rest", "log", "environment", "conf", "place", "walled"}
    return sorted(path.name for path in room.folder.iterdir() if path.name not in records)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=mutated())
@example(request=Request(FULL.encode(), b"rsync\0.\0{share}/\0\0"))
@example(request=Request(RESTORE.encode(), b"rsync\0.\0{restore}/new/\0\0"))
@example(request=Request(RESTORE.encode(), b"rsync\0--super\0.\0{share}/cmartin\0\0", "full"))
@example(request=Request(RESTORE.encode(), b"rsync\0.\0{restore}/out/x/\0\0"))
@example(request=Request(RESTORE.encode(), b"rsync\0--max-size\0.\0{restore}/\0\0"))
@example(request=Request(RESTORE.encode(), b"rsync\0.\0{restore}/\0\0", "off"))
def test_whatever_arrives_only_a_decided_command_is_executed(fuzz_room: Room, request: Request) -> None:
    before = surroundings(fuzz_room)

    outcome = ask(fuzz_room, request)

    if outcome.executed is None:
        assert outcome.status in {REFUSED, MISSING}
        assert outcome.stdout == b""
    else:
        assert is_decided(fuzz_room, request.restore, outcome), outcome.executed
    assert outcome.log.count("\n") == 1
    assert re.fullmatch(r"[ -~\n]*", outcome.log + outcome.stderr)
    assert surroundings(fuzz_room) == before


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(stdin=st.binary(max_size=300), command=st.sampled_from([FULL, RESTORE]))
def test_any_bytes_on_stdin_execute_nothing_undecided(fuzz_room: Room, stdin: bytes, command: str) -> None:
    outcome = ask(fuzz_room, Request(command.encode(), stdin))

    assert outcome.executed is None or is_decided(fuzz_room, "dirs", outcome)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    command=st.binary(max_size=60).map(lambda text: text.replace(b"\0", b"")),
    connection=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=30),
)
def test_sshds_role_never_executes_more_than_sudo_with_that_one_argument(
    fuzz_room: Room, command: bytes, connection: str
) -> None:
    text = os.fsdecode(command)

    outcome = fuzz_room.start(
        [str(fuzz_room.folder / "rsyncsend.sh")],
        environment={"SSH_ORIGINAL_COMMAND": text, "SSH_CONNECTION": connection},
    )

    if not command:
        assert (outcome.status, outcome.executed) == (REFUSED, None)
    else:
        assert outcome.executed
        *said, peer = outcome.executed
        assert said == ["sudo", "-n", "-u", "root", "/usr/local/libexec/bckpciuem/rsync-helper", text]
        assert re.fullmatch(r"[0-9a-fA-F:.]{1,64}|-", peer)
