"""The verb `log`: what was asked in the last days, out of syslog's files."""

import gzip
import os
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from admin_door import NOBODY, PYTHON, admin_site

from backuppc_register import syslog_line
from backuppc_register.admin import log, log_rows
from backuppc_register.protocol.errors import Misconfigured

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

    assert 0 < len(requests(site, "--file", packed)) < 5000


def test_nothing_that_a_client_sent_moves_the_cursor(site, file):
    shown = site.run("log", "--file", file).stdout

    assert "\x1b" not in shown
    assert "mine" in shown


def test_no_request_is_a_no(site, file):
    done = site.run("log", "nobody", "--file", file)

    assert (done.returncode, done.stdout) == (1, "No request in the last 7 days.\n")


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


def test_without_a_log_file_the_journal_is_asked(tmp_path, mocker):
    mocker.patch.object(log, "LOGS", (tmp_path, "backuppc-register.log*"))
    mocker.patch.object(log, "_PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = tmp_path / "journalctl"
    tool.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat {tmp_path}/says\n')
    tool.chmod(0o755)
    (tmp_path / "says").write_text(row(1, request="7"))

    found = [log_rows.parse_row(row, NOW) for row in log.rows(log.opened(None, NOW - timedelta(days=2)))]

    assert [one.entry.request for one in found] == ["7"]
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("-t backuppc-register -o short-iso ")
    assert f"--since {NOW - timedelta(days=2):%Y-%m-%d %H:%M:%S}" in asked


def test_with_neither_log_nor_journal_that_is_told(tmp_path, mocker):
    mocker.patch.object(log, "LOGS", (tmp_path, "backuppc-register.log*"))
    mocker.patch.object(log, "_PATH", str(tmp_path))

    with pytest.raises(Misconfigured, match="journalctl"):
        log.opened(None, NOW)


def test_old_versions_of_the_log_are_not_even_opened(tmp_path, mocker):
    mocker.patch.object(log, "LOGS", (tmp_path, "backuppc-register.log*"))
    for ending, days in (("", 0), (".1", 5), (".2.gz", 60)):
        path = tmp_path / f"backuppc-register.log{ending}"
        path.write_text("")
        then = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (then, then))

    opened = log.opened(None, NOW - timedelta(days=7))

    names = []
    for source in opened:
        names.append(Path(source.name).name)
        source.close()
    assert names == ["backuppc-register.log", "backuppc-register.log.1"]
