"""The verb `log`: what was asked in the last days, out of syslog's files."""

import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from admin_door import NOBODY, PYTHON, admin_site

from backuppc_register import syslog_line
from backuppc_register.admin import log, log_rows, log_sources

NOW = datetime.now().astimezone().replace(microsecond=0)


@pytest.fixture
def site():
    with admin_site() as made:
        yield made


def row(days_ago, *, iso=True, **fields):
    told = {"connection": "10.77.0.11 50000 10.77.0.1 22", "outcome": "success", "level": "", "request": "1"}
    when = NOW - timedelta(days=days_ago)
    stamp = when.isoformat() if iso else when.strftime("%b %e %H:%M:%S")
    return f"{stamp} dugong backuppc-register[7]: {syslog_line.line(syslog_line.Entry(**(told | fields)))}\n"


@pytest.fixture
def file(site):
    path = site.folder / "syslog"
    rows = [
        row(1, request="3", host="dormeur", user="cmartin", os="linux", status="unchanged"),
        row(40, request="0", host="dormeur"),
        row(3, request="1", host="dormeur", user="cmartin", os="linux", status="new", iso=False),
        row(2, request="2", host="dormeur", user="adupont", code="other-owner", outcome="no", detail="mine"),
        row(0.5, request="4", host="mimosa", user="x\x1b[2Jy", connection="2001:db8::7 1 2001:db8::1 22"),
        f"{NOW.isoformat()} dugong sshd[7]: success request=5 forged\n",
        "\xff\xfe no row\n",
    ]
    path.write_bytes("".join(rows).encode("latin-1"))
    return path


def requests(site, *arguments):
    return [one["request"] for one in site.told("log", *arguments)]


def test_the_requests_of_the_last_days_come_oldest_first(site, file):
    assert requests(site, "--file", file) == ["1", "2", "3", "4"]
    assert requests(site, "--file", file, "--days", "50") == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("dormeur", ["1", "2", "3"]),
        ("DORMEUR", ["1", "2", "3"]),
        ("dorm", []),
        ("cmartin", ["1", "3"]),
        ("10.77.0.11", ["1", "2", "3"]),
        ("10.77.0.1", []),
        ("2001:db8:0:0:0:0:0:7", ["4"]),
        ("2", ["2"]),
    ],
)
def test_a_host_a_logon_an_address_or_a_number_is_looked_for(site, file, word, found):
    assert requests(site, "--file", file, word) == found


def test_refusals_come_first_if_asked(site, file):
    assert requests(site, "--file", file, "--refusals") == ["2", "1", "3", "4"]


def test_compressed_and_several_files_are_one_log(site, file):
    packed = site.folder / "syslog.2.gz"
    packed.write_bytes(gzip.compress(row(4, request="9").encode()))

    assert requests(site, "--file", file, "--file", packed) == ["9", "1", "2", "3", "4"]


def test_a_file_cut_short_in_its_compression_is_read_as_far_as_it_goes(site):
    packed = site.folder / "syslog.2.gz"
    whole = gzip.compress("".join(row(1, request=str(n)) for n in range(5000)).encode())
    packed.write_bytes(whole[: len(whole) // 2])

    done = site.run("log", "--file", packed, "--json")

    assert 0 < len(json.loads(done.stdout)) < 5000
    assert done.stderr.startswith(f"note: not all was read: {packed}: newest line of ")


def test_nothing_that_a_client_sent_moves_the_cursor(site, file):
    shown = site.run("log", "--file", file).stdout

    assert "\x1b" not in shown
    assert "mine" in shown


def test_no_request_is_a_no(site, file):
    done = site.run("log", "nobody", "--file", file)

    assert done.returncode == 1
    newest = f"{NOW - timedelta(days=0.5):%Y-%m-%d %H:%M}"
    looked = f"  {file}: newest line of {newest}\n"
    assert done.stdout == f"No request with nobody in the last 7 days. Looked at:\n{looked}"


def test_a_broken_configuration_is_told_and_the_log_is_shown_all_the_same(site, file):
    site.config.write_text("[server\n")

    done = site.run("log", "--file", file)

    assert done.returncode == 0
    assert done.stdout.startswith("(The configuration is broken: ")
    assert "dormeur" in done.stdout


def test_the_lines_that_diagnose_sends_are_shown_if_asked(site):
    path = site.folder / "syslog"
    tests = [row(n / 100, request=f"7{n}", connection="", outcome="diagnose") for n in range(50)]
    retired = row(0.1, connection="", outcome="retire", host="x")
    path.write_text("".join([row(1, request="1"), *tests, retired]))

    assert requests(site, "--file", path) == ["1", "1"]
    assert len(requests(site, "--file", path, "--all")) == 52
    assert requests(site, "--file", path, "731") == ["731"]


def test_the_line_of_a_real_diagnose_is_one_of_those(site):
    site.run("diagnose", "--only", "syslog")
    sent = [line.partition("backuppc-register[")[2].partition("]: ")[2] for line in site.logged()]
    path = site.folder / "syslog"
    path.write_text("".join(f"{NOW.isoformat()} dugong backuppc-register[7]: {line}\n" for line in sent))

    assert len(requests(site, "--file", path, "--all")) == len(sent) == 1
    assert requests(site, "--file", path) == []


@pytest.mark.parametrize("missing", ["missing", "missing/too", "."])
def test_a_file_that_is_none_is_told_as_such(site, missing):
    done = site.run("log", "--file", f"{site.folder}/{missing}")

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"backuppc-register-admin: \[Errno \d+\] (No such file|Is a dir).*\n", done.stderr)


@pytest.mark.lab
def test_a_file_that_is_closed_to_who_asks_takes_sudo(site, file):
    site.as_the_owner()
    os.chown(file, 0, 0)
    file.chmod(0o600)

    done = site.start([PYTHON, "-I", site.program, "log", "--file", file], user=NOBODY)

    assert (done.returncode, done.stdout) == (1, "")
    assert "try sudo" in done.stderr
    assert "misconfigured" not in done.stderr


@pytest.mark.lab
def test_a_log_that_is_closed_to_backuppcs_account_is_read_for_root(site, file):
    site.as_the_owner()
    os.chown(file, 0, 0)
    file.chmod(0o600)

    done = site.start(["/usr/bin/python3", "-I", site.program, "log", "--file", file])

    assert done.returncode == 0


STAMPS = {
    "rsyslog, syslog-ng": "{0:%b} {0.day:2} {0:%H:%M:%S} dugong backuppc-register[7]: ",
    "busybox": "{0:%b} {0.day:2} {0:%H:%M:%S} dugong local3.notice backuppc-register[7]: ",
    "busybox -S": "{0:%b} {0.day:2} {0:%H:%M:%S} local3.notice backuppc-register[7]: ",
    "RFC 5424": "<157>1 {iso} dugong backuppc-register 7 - - ",
    "with its priority": "<157>{0:%b} {0.day:2} {0:%H:%M:%S} dugong backuppc-register[7]: ",
    "microseconds": "{0:%Y-%m-%dT%H:%M:%S}.123456{zone} dugong backuppc-register[7]: ",
    "short-precise": "{0:%b} {0.day:2} {0:%H:%M:%S}.123456 dugong backuppc-register[7]: ",
    "short-full": "{utc:%a %Y-%m-%d %H:%M:%S} UTC dugong backuppc-register[7]: ",
    "short-unix": "{unix}.000000 dugong backuppc-register[7]: ",
    "no number of a process": "{iso} dugong backuppc-register: ",
}


@pytest.mark.parametrize("stamp", STAMPS.values(), ids=STAMPS)
def test_every_usual_form_of_a_line_is_read(stamp):
    text = syslog_line.line(syslog_line.Entry("", "success", "", request="7"))
    told = {"iso": NOW.isoformat(), "utc": NOW.astimezone(UTC), "unix": int(NOW.timestamp())}

    found = log_rows.parse_row(stamp.format(NOW, zone=NOW.strftime("%z"), **told) + text, NOW)

    assert found is not None
    assert (found.when.replace(microsecond=0), found.entry.request) == (NOW, "7")


@pytest.mark.parametrize(
    "before",
    [
        "{0} dugong sshd[7]: ",
        "{0} dugong sshd[7]: Invalid user backuppc-register[7]: ",
        "{0} a b c ",
        "x {0} ",
    ],
)
def test_what_another_program_quotes_is_no_line_of_ours(before):
    text = syslog_line.line(syslog_line.Entry("", "success", "", request="7"))

    assert log_rows.parse_row(f"{before.format(NOW.isoformat())} backuppc-register[7]: {text}", NOW) is None


class Logs:
    """The logs of a server, in a temporary folder, and a journalctl whose answers a test chooses."""

    def __init__(self, folder, mocker):
        self.folder = folder
        self.journals = folder / "journal"
        mocker.patch.object(log_sources, "FOLDER", folder)
        mocker.patch.object(log_sources, "JOURNALS", (self.journals,))
        mocker.patch.object(log_sources, "_PATH", f"{folder}/bin:/usr/bin:/bin")
        (folder / "bin").mkdir()

    def journal(self, *rows):
        self.journals.mkdir(exist_ok=True)
        tool = self.folder / "bin/journalctl"
        (self.folder / "says").write_text("".join(rows))
        tool.write_text(f'#!/bin/sh\necho "$@" >{self.folder}/asked\ncat {self.folder}/says\n')
        tool.chmod(0o755)

    def file(self, name, *rows, days=0.0):
        path = self.folder / name
        path.write_bytes(b"".join(one if isinstance(one, bytes) else one.encode() for one in rows))
        then = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (then, then))

    def shown(self, days=7.0):
        """Return the numbers of the requests, and what is said of each place."""
        since = NOW - timedelta(days=days)
        sources = log_sources.usual(since)
        found = sorted(log.merged(sources, NOW, since), key=lambda one: one.when)
        said = [str(one).removeprefix(f"{self.folder}/") for one in sources]
        return [one.entry.request for one in found], said


@pytest.fixture
def logs(tmp_path, mocker):
    return Logs(tmp_path, mocker)


def test_without_a_log_file_the_journal_is_asked(logs):
    logs.journal("-- Journal begins at Mon --\n", row(1, request="7"))

    assert logs.shown(2)[0] == ["7"]
    asked = (logs.folder / "asked").read_text()
    assert asked.startswith("-t backuppc-register -o short-iso ")
    assert f"--since {NOW - timedelta(days=2):%Y-%m-%d %H:%M:%S}" in asked


def test_an_old_file_does_not_hide_the_journal_and_nothing_comes_twice(logs):
    logs.file("backuppc-register.log", row(20, request="1"), row(5, request="2"), row(4.00001, request="3"))
    logs.journal(row(4, request="3"), row(1, request="4"), row(0.5, request="4", detail="another"))

    found, said = logs.shown()

    assert found == ["2", "3", "4", "4"]
    assert said[0].startswith("backuppc-register.log: newest line of")


def test_a_file_that_was_last_written_long_ago_is_named(logs):
    logs.file("backuppc-register.log", row(90, request="1"), days=90)
    logs.journal()

    then = NOW - timedelta(days=90)
    assert logs.shown() == (
        [],
        [
            f"backuppc-register.log: last written {then:%Y-%m-%d %H:%M}",
            "the journal: no line of backuppc-register",
        ],
    )


@pytest.mark.parametrize("name", ["syslog", "messages", "syslog.1", "messages-20261101"])
def test_the_general_files_are_read_where_no_rule_of_ours_is(logs, name):
    logs.file(name, f"{NOW.isoformat()} dugong sshd[1]: hello\n", row(1, request="7"))

    assert logs.shown()[0] == ["7"]


def test_the_general_files_are_read_after_our_own_one_went_out_of_use(logs):
    logs.file("backuppc-register.log", row(30, request="1"), days=30)
    logs.file("syslog", row(1, request="7"))
    logs.journal(row(1, request="7"))

    assert logs.shown()[0] == ["7"]


def test_the_general_files_are_left_alone_where_the_others_have_all(logs):
    logs.file("backuppc-register.log", row(1, request="1"))
    logs.file("syslog", row(1, request="7"))
    logs.journal()

    assert logs.shown()[0] == ["1"]


PACKED: dict[str, Any] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda raw: subprocess.run(["zstd", "-qc"], input=raw, capture_output=True, check=True).stdout,
}


@pytest.mark.parametrize("kind", [one for one in PACKED if one != "zst" or shutil.which("zstd")])
def test_older_files_are_read_in_each_compression_whatever_their_name(logs, kind):
    logs.file("backuppc-register.log.1", PACKED[kind](row(3, request="1").encode()))
    logs.file(f"backuppc-register.log-20261120.{kind}", PACKED[kind](row(4, request="2").encode()))
    logs.file("backuppc-register.log", row(1, request="3"))

    assert logs.shown()[0] == ["2", "1", "3"]


def test_a_compression_that_nothing_here_can_undo_is_told(logs):
    logs.file("backuppc-register.log.1", b"\x28\xb5\x2f\xfd and more")
    log_sources._PATH = str(logs.folder)

    assert "zstd, which is not installed" in logs.shown()[1][0]


def test_with_neither_log_nor_journal_that_is_told(logs):
    assert logs.shown() == ([], ["backuppc-register.log: there is none", "the journal: there is none"])


@pytest.mark.parametrize(
    "complaint",
    [
        "No journal files were opened due to insufficient permissions.\n",
        "Hint: You are currently not seeing messages from other users and the system.\n",
        "Failed to open files: Input/output error\n",
    ],
)
def test_what_journalctl_complains_of_is_told(logs, complaint):
    logs.journal(complaint, "-- No entries --\n")

    assert logs.shown() == (
        [],
        ["backuppc-register.log: there is none", f"the journal: {complaint.strip()}"],
    )


def test_old_versions_of_the_log_are_not_even_opened(logs):
    for ending, days in (("", 0), (".1", 5), (".2.gz", 60)):
        logs.file(f"backuppc-register.log{ending}", days=days)

    opened = [one for one in log_sources.usual(NOW - timedelta(days=7)) if one.stream]

    assert [Path(one.name).name for one in opened] == ["backuppc-register.log", "backuppc-register.log.1"]
    for one in opened:
        one.stream.close()
