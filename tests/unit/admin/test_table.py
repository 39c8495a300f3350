"""Tables on terminals of every width: they fit, and what is cut is never a host, a time or a number."""

import fcntl
import os
import struct
import subprocess
import termios
import time

import pytest
from admin_door import PYTHON, admin_site
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register.admin import list_hosts, log, register_key, show
from backuppc_register.admin.table import Columns, lines

NOW = int(time.time())
TABLES = [list_hosts._COLUMNS, list_hosts._WIDE, log._COLUMNS, show._COLUMNS, register_key._COLUMNS]
SMALL = Columns(("HOST", "FILES", "NOTE"), leave=("FILES", "NOTE"), cut={"NOTE": 6})
LONG = f"dormeur_20261125103000_{'x' * 30}"


@pytest.mark.parametrize("columns", TABLES)
def test_all_but_one_column_may_be_left_out_and_none_is_called_what_it_is_not(columns):
    (stays,) = set(columns.names) - set(columns.leave)

    assert stays in {"HOST", "LABEL", "BACKUP"}
    assert {*columns.leave, *columns.cut} <= set(columns.names)
    assert len(set(columns.leave)) == len(columns.leave)
    assert not set(columns.cut) & {"HOST", "LABEL", "BACKUP", "TIME", "FILES", "ERRORS", "LAST BACKUP"}


cells = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)


@given(st.lists(st.tuples(cells, cells, cells), max_size=5), st.integers(20, 200))
def test_a_table_is_as_wide_as_the_terminal_at_the_most_unless_the_host_alone_is_wider(rows, width):
    made = lines(SMALL, rows, width)

    widest = max(len(host) for host, *_ in [*rows, SMALL.names])
    assert [line.split()[0] for line in made] == ["HOST", *(host for host, *_ in rows)]
    assert max(map(len, made)) <= max(width, widest)
    if widest > width:
        assert [line.split() for line in made] == [["HOST"], *([host] for host, *_ in rows)]


def test_what_fits_is_whole():
    rows = [("dormeur", "510", "no hosts line")]

    assert lines(SMALL, rows, 29) == ["HOST     FILES  NOTE", "dormeur  510    no hosts line"]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (28, "dormeur  510    no hosts li~"),
        (22, "dormeur  510    no ho~"),
        (21, "dormeur  no hosts li~"),
    ],
)
def test_a_note_is_cut_before_a_column_goes(width, line):
    assert lines(SMALL, [("dormeur", "510", "no hosts line")], width)[1] == line


def test_a_table_that_need_not_fit_is_whole():
    assert lines(SMALL, [("x" * 300, "1", "y")], None)[1] == f"{'x' * 300}  1      y"


@pytest.fixture(scope="module")
def site():
    with admin_site() as made:
        made.add_host("dormeur", verified="2026-03-01T10:05:00+00:00")
        made.add_host("mimosa", "adupont", os="mac", retired="2026-04-01T00:00:00+00:00")
        made.add_host("orphan", "cmartin", line=False)
        made.add_line(f"{LONG} 0 cmartin")
        made.add_backups("dormeur", ("full", NOW - 172800, 123456789, 98765), ("partial", NOW - 60, 3, 9))
        made.run("register-key", "add", "autumn", "--authorized-keys", made.authorized_keys)
        yield made


def on_terminal(site, width, *arguments):
    """Give the lines that the program shows on a terminal of *width* characters."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    command = [PYTHON, "-I", site.program, *arguments, "--config", site.config]
    done = subprocess.Popen(
        list(map(str, command)), stdout=theirs, stderr=subprocess.PIPE, env={"TERM": "dumb"}
    )
    os.close(theirs)
    said = b""
    try:
        while block := os.read(ours, 65536):
            said += block
    except OSError:  # EIO: the program has ended
        pass
    os.close(ours)
    assert done.communicate()[1] == b""
    return said.decode().replace("\r", "").splitlines()


@pytest.mark.parametrize("arguments", [["list"], ["list", "--wide"]], ids=" ".join)
def test_every_line_of_the_hosts_fits_at_every_width(site, arguments):
    site.as_the_owner()
    *whole, doubt = site.run(*arguments).stdout.splitlines()
    hosts = [line.split()[0] for line in whole]

    for width in (20, 40, 60, 80, 100, 132, 200):
        *shown, last = on_terminal(site, width, *arguments)

        assert (last, doubt.split(":")[0]) == (doubt, "It is not known whether backups are paused")
        assert [line.split()[0] for line in shown] == hosts
        assert max(map(len, shown)) <= max(width, len(LONG))
        # What is left of each column is whole: a number never ends in the middle.
        assert all(set(line.split()) <= set(old.split()) for line, old in zip(shown, whole, strict=True)
                   if "~" not in line)  # fmt: skip
    assert "LAST BACKUP" in shown[0]


def test_register_keys_and_backups_fit_too(site):
    site.as_the_owner()

    keys = on_terminal(site, 40, "register-key", "list", "--authorized-keys", str(site.authorized_keys))
    backups = on_terminal(site, 40, "show", "dormeur")[-3:]

    assert max(map(len, [*keys, *backups])) <= 40
    assert [line.split()[0] for line in backups] == ["BACKUP", "0", "1"]
    assert "98765" in backups[1].split()
