"""BackupPC's answers about pauses are read to the letter: what is not understood is not known."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from backuppc_register.backuppc.daemon import pauses
from backuppc_register.backuppc.daemon.connection import BadReply
from backuppc_register.backuppc.daemon.dumper import hashes
from backuppc_register.backuppc.daemon.pauses import Pauses
from backuppc_register.backuppc.daemon.status import Daemon

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
BETWEEN = '%QueueLen = ("UserQueue" => 0,"CmdQueue" => 0,"BgQueue" => 0);'


def status(*pairs: str) -> str:
    return f'%StatusHost = ("BgQueueOn" => undef,{"".join(f"{pair}," for pair in pairs)}"Job" => undef);'


def known(reply: str, *hosts: str) -> Pauses:
    found: dict[str, dict[str, str]] = {}
    pauses.read(hosts or ("dormeur",), found, lambda message: reply)
    return pauses.known(found)


def ends_of(reply: str, *hosts: str) -> Mapping[str, datetime | None]:
    return known(reply, *hosts).ends


@pytest.mark.parametrize(
    ("value", "end"),
    [
        ("4949624648", datetime(2126, 11, 6, 7, 44, 8, tzinfo=UTC)),  # 876000 hours
        ('"Inf"', datetime(9999, 1, 1, tzinfo=UTC)),  # 1e400 hours
        ("'Inf'", datetime(9999, 1, 1, tzinfo=UTC)),
        ('"1.79769313486232e+308"', datetime(9999, 1, 1, tzinfo=UTC)),
        ('"1796042650.5"', datetime(2026, 11, 30, 12, 44, 10, 500000, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("-5", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_pause_ends_when_backuppc_says(value: str, end: datetime) -> None:
    found = ends_of(status(f'"backoffTime" => {value}') + BETWEEN)

    assert found == {"dormeur": end}


def test_a_pause_that_is_over_is_none_and_the_last_moment_still_is_one() -> None:
    known = Pauses({"past": NOW - timedelta(seconds=1), "now": NOW, "later": NOW + timedelta(seconds=1)})

    assert [known.end(host, NOW) for host in ("past", "now")] == [None, None]
    assert known.end("later", NOW) == NOW + timedelta(seconds=1)


@pytest.mark.parametrize("value", ['"tomorrow"', '"nan"', '""' * 2, "[1]", "undef =>"])
def test_a_moment_that_is_none_is_not_read_as_no_pause(value: str) -> None:
    reply = status(f'"backoffTime" => {value}') + BETWEEN

    if value in ("[1]", "undef =>", '""""'):
        assert ends_of(reply) == {"dormeur": None}  # BackupPC itself reads no number there
    else:
        with pytest.raises(BadReply):
            ends_of(reply)


def test_each_host_gets_its_own_pause_and_an_unknown_one_none() -> None:
    first, second = status('"backoffTime" => 4949624648'), status('"state" => "Status_idle"')

    found = ends_of(first + BETWEEN + BETWEEN + second + BETWEEN, "dormeur", "nobody", "simplet")

    assert found == {"dormeur": datetime(2126, 11, 6, 7, 44, 8, tzinfo=UTC), "simplet": None}


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "ok",
        "error: bad command",
        status(),  # the end is missing
        BETWEEN + BETWEEN,
        status() + status() + BETWEEN,
        status() + BETWEEN + status(),
        '%Jobs = ("a" => 1);' + BETWEEN,
        status('"backoffTime" => 49496')[:-20],
        '%StatusHost = ("backoffTime" => 4949624648;' + BETWEEN,
        "\x00\xff" + status() + BETWEEN,
    ],
)
def test_any_other_answer_is_refused(reply: str) -> None:
    with pytest.raises(BadReply):
        ends_of(reply)


JOB = r"""Job => {"backoffTime" => 5,"fh" => *::FH,"fh2" => \*{'::$fh'},"list" => ["backoffTime",6]}"""
TEXT = r"ssh: \"backoffTime\" => 1, 'backoffTime' => 2, ); %StatusHost = (\"backoffTime\" => 3\\"


def test_a_failure_is_told_with_backuppcs_words() -> None:
    failed = status('"reason" => "Reason_backup_failed"', '"error" => "No files dumped for share /home"')
    done = status('"reason" => "Reason_backup_done"', '"error" => "an old one"')

    found = known(failed + BETWEEN + done + BETWEEN, "dormeur", "simplet").failures

    assert found == {"dormeur": "No files dumped for share /home"}


def test_what_a_laptop_wrote_into_a_text_is_no_answer_of_backuppcs() -> None:
    reply = status(f'"error" => "{TEXT}"', JOB)

    (name, values), *more = hashes(reply)

    assert (name, more) == ("%StatusHost", [])
    assert "backoffTime" not in values
    assert values["error"].startswith('ssh: "backoffTime" => 1')
    assert ends_of(reply + BETWEEN) == {"dormeur": None}


def test_many_hosts_are_asked_for_in_short_messages_and_impossible_names_never() -> None:
    asked: list[str] = []

    def answer(message: str) -> str:
        asked.append(message)
        return (status() + BETWEEN) * message.count("host(")

    hosts = [f"h{n}" for n in range(120)]
    found: dict[str, dict[str, str]] = {}
    pauses.read([*hosts, "a b", "x) server shutdown"], found, answer)

    assert list(found) == hosts
    assert [message.count("host(") for message in asked] == [50, 50, 20]
    assert all(message.startswith("status host(h") and "shutdown" not in message for message in asked)


@pytest.mark.parametrize("socket", ["", "/nowhere/BackupPC.sock"])
def test_a_daemon_that_does_not_run_leaves_it_open_whether_hosts_are_paused(socket: str) -> None:
    known = Daemon(socket).pauses(["dormeur"], 2)

    assert known.end("dormeur", NOW) is None
    assert known.doubt("dormeur").startswith("BackupPC is not ")
