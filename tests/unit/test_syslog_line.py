"""The line in syslog has its fields, no client can forge one, and writing it delays no request."""

import os
import re
import socket
import time
from dataclasses import replace

import pytest
from checkout import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st
from slowness import within

from backuppc_register import syslog_line
from backuppc_register.config import FACILITIES, Syslog
from backuppc_register.protocol import escaping
from backuppc_register.protocol.errors import BadUser, OtherOwner, table

PROTOCOL = CHECKOUT / "docs" / "protocol.md"
CONNECTION = "82.254.212.144 49631 134.158.240.3 22"
FIELDS = ["request", "code", "host", "user", "os", "status", "register_key", "ms", "detail"]

REFUSED = syslog_line.Entry(
    connection=CONNECTION,
    outcome="refusing to re-register client host with username : dormeur adupont",
    level="warning",
    request="48150973",
    code="other-owner",
    host="dormeur",
    user="adupont",
    os="mac",
    register_key="2026",
    ms=95,
    detail="the hosts file says cmartin",
)
EMPTY = syslog_line.Entry(connection="", outcome="internal error", level="err")

any_bytes = st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
a_forger = any_bytes | st.sampled_from(
    [
        "x host=evil",
        "x\nMay  1 00:00:00 dugong success",
        "a=b",
        " code=",
        "\\x20host=evil",
        "-",
        "\r",
        "é =",
        "\udcff",
    ]
)


def cut(line):
    """Cut a line as the reference tells administrators to: at a blank, a field's name and an equals sign."""
    head, *rest = re.split(r" ([a-z_]+)=", line)
    return head, list(zip(rest[::2], rest[1::2], strict=True))


def unescaped(text):
    told = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode("ascii"))
    return told.decode("utf-8", "surrogateescape")


def raw(text):
    return text.encode("utf-8", "surrogateescape")


# the line


def test_a_refusal_is_logged_as_the_reference_shows_it():
    line = syslog_line.line(REFUSED)

    assert line == (
        "82.254.212.144 49631 134.158.240.3 22 "
        "refusing to re-register client host with username : dormeur adupont "
        "request=48150973 code=other-owner host=dormeur user=adupont os=mac status=- "
        "register_key=2026 ms=95 detail=the hosts file says cmartin"
    )
    assert f"\n    {line}\n" in PROTOCOL.read_text("utf-8")


def test_a_success_is_logged_as_the_reference_shows_it():
    connection = CONNECTION.replace("49631", "49630")
    entry = syslog_line.Entry(
        connection, "success", "notice", "48150970", "", "dormeur", "cmartin", "mac", "new", "2026", 187
    )

    assert f"\n    {syslog_line.line(entry)}\n" in PROTOCOL.read_text("utf-8")


def test_every_field_is_there_in_its_order_and_what_is_empty_is_a_hyphen():
    head, fields = cut(syslog_line.line(EMPTY))

    assert head == "internal error"
    assert [name for name, _ in fields] == FIELDS
    assert dict(fields) == dict.fromkeys(FIELDS, "-") | {"ms": "0"}


def test_the_reference_names_the_same_fields():
    rows = re.findall(
        r"(?m)^\| `([a-z_]+)` \| [^|]* \|$", PROTOCOL.read_text("utf-8").partition("## The line in")[2]
    )

    assert rows == FIELDS


@given(st.tuples(*[a_forger] * 8))
def test_whatever_bytes_are_in_the_fields_they_are_read_back_and_no_other(values):
    names = [name for name in FIELDS if name != "ms"]
    told = dict(zip(names, values, strict=True))
    outcome = BadUser(logon=told["user"]).message(escaping.escape_field)
    entry = replace(EMPTY, connection=CONNECTION, outcome=outcome, ms=7, **told)

    line = syslog_line.line(entry)
    head, fields = cut(line)

    assert line.isascii()
    assert line.isprintable()
    assert [name for name, _ in fields] == FIELDS
    assert {name: unescaped(value) for name, value in fields} == {
        name: value or "-" for name, value in (told | {"ms": "7"}).items()
    }
    assert all(" " not in value for name, value in fields if name != "detail")
    assert head.startswith(f"{CONNECTION} bad user request : ")
    assert unescaped(head).endswith(told["user"])


def test_a_logon_cannot_pass_for_a_success():
    error = OtherOwner(host="dormeur", logon="x success request=1 code=- host=evil\n")

    head, fields = cut(syslog_line.line(replace(REFUSED, outcome=error.message(escaping.escape_field))))

    assert head.endswith(r"dormeur x\x20success\x20request\x3d1\x20code\x3d-\x20host\x3devil\x0a")
    assert fields[0] == ("request", "48150973")


def test_a_traceback_stays_one_line():
    line = syslog_line.line(replace(EMPTY, detail="Traceback:\n  File \"x\", line 1\nKeyError: 'é='\n"))

    assert line.endswith(r"""detail=Traceback:\x0a  File "x", line 1\x0aKeyError: '\xc3\xa9\x3d'\x0a""")


@given(st.integers(0, 5), st.integers(3800, 9000), st.sampled_from(["\n", "x", "é", "x\n", "\\="]))
def test_a_detail_that_is_too_long_loses_its_middle_and_no_field(shift, length, filling):
    detail = "first" + "y" * shift + filling * length + "KeyError: 'last'"

    line = syslog_line.line(replace(REFUSED, detail=detail))
    _, fields = cut(line)

    assert len(line) <= 4096
    assert [name for name, _ in fields] == FIELDS
    shown = fields[-1][1]
    assert shown.startswith("first")
    assert shown.endswith("KeyError: 'last'")
    assert not re.search(r"\\(?!x[0-9a-f]{2})", shown)
    head, _, tail = (shown if "..." in shown else "..." + shown).partition("...")
    assert detail.encode().startswith(raw(unescaped(head)))
    assert detail.encode().endswith(raw(unescaped(tail)))


def test_a_field_that_is_too_long_loses_its_middle_and_pushes_no_other_out():
    line = syslog_line.line(replace(REFUSED, register_key="a" * 60_000 + "z", detail="why"))
    _, fields = cut(line)

    assert [name for name, _ in fields] == FIELDS
    assert re.fullmatch(r"a+\.\.\.a+z", dict(fields)["register_key"])
    assert fields[-1] == ("detail", "why")
    assert len(line) < 4096


@given(a_forger | st.text("a.\\\n=é", min_size=0, max_size=300))
def test_a_value_of_a_malformed_request_is_short_and_shows_where_it_was_cut(logon):
    outcome = BadUser(logon=logon).message(syslog_line.escape_briefly)
    entry = replace(REFUSED, outcome=outcome, user=logon, detail=f"neither: {logon}", brief=True)

    line = syslog_line.line(entry)
    head, fields = cut(line)

    assert len(line) <= 512
    assert [name for name, _ in fields] == FIELDS
    shown = dict(fields)["user"]
    assert head == f"{CONNECTION} bad user request : {shown if logon else ''}"
    start, gap, end = shown.partition("\\...")
    assert raw(logon or "-").startswith(raw(unescaped(start)))
    assert raw(logon or "-").endswith(raw(unescaped(end)))
    assert gap or unescaped(shown) == (logon or "-")
    assert "\\x5c..." in line or "\\." not in line or len(escaping.escape_field(logon)) > 64


def test_a_possible_logon_is_never_cut():
    assert syslog_line.escape_briefly("a" * 64) == "a" * 64


# writing it


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "log"))
        channel.settimeout(5)
        yield channel, Syslog("local3", str(tmp_path / "log"))


def test_it_is_one_datagram_of_the_form_that_syslogs_agree_upon(listener):
    channel, where = listener

    syslog_line.write(REFUSED, where)

    datagram = channel.recv(65536).decode("ascii")
    stamp = r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
    assert re.fullmatch(
        rf"<156>{stamp} backuppc-register\[{os.getpid()}\]: {re.escape(syslog_line.line(REFUSED))}", datagram
    )
    channel.setblocking(False)
    with pytest.raises(BlockingIOError):
        channel.recv(1)


@pytest.mark.parametrize(("level", "severity"), [("err", 3), ("warning", 4), ("notice", 5)])
@pytest.mark.parametrize(
    ("facility", "number"), [("local3", 19), ("local0", 16), ("auth", 4), ("daemon", 3), ("kern", 0)]
)
def test_facility_and_level_are_syslogs_own(listener, level, severity, facility, number):
    channel, where = listener

    syslog_line.write(replace(EMPTY, level=level), replace(where, facility=facility))

    assert channel.recv(65536).startswith(b"<%d>" % (number * 8 + severity))


@pytest.mark.parametrize("level", sorted({"notice"} | {kind.level for kind in table()}))
@pytest.mark.parametrize("facility", FACILITIES)
def test_every_level_and_facility_that_there_is_can_be_written(listener, facility, level):
    channel, where = listener

    syslog_line.write(replace(EMPTY, level=level), replace(where, facility=facility))

    assert channel.recv(65536)


def test_the_numbers_of_the_facilities_are_those_of_the_system():
    import syslog

    known = {name: getattr(syslog, f"LOG_{name.upper()}") // 8 for name in FACILITIES}

    assert known == FACILITIES


def test_a_syslog_with_a_stream_socket_gets_the_line_too(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "log"))
        server.listen(1)
        server.settimeout(5)

        syslog_line.write(REFUSED, Syslog(socket=str(tmp_path / "log")))

        with server.accept()[0] as client:
            client.settimeout(5)
            received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.endswith(b"detail=the hosts file says cmartin\0")


def timed(where, entry=REFUSED):
    began = time.monotonic()
    syslog_line.write(entry, where)
    return time.monotonic() - began


@pytest.mark.parametrize("name", ["missing", "missing/log", "file", ".", "x" * 200])
def test_where_no_syslog_listens_the_request_goes_on_at_once(tmp_path, name):
    (tmp_path / "file").write_text("")

    assert within(timed(Syslog(socket=str(tmp_path / name))), 0.5)
    assert (tmp_path / "file").read_text() == ""


def test_a_syslog_that_died_and_left_its_socket_is_no_reason_to_fail(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "log"))

    assert within(timed(Syslog(socket=str(tmp_path / "log"))), 0.5)


def test_a_syslog_that_takes_nothing_holds_a_request_up_for_a_second_at_the_most(listener):
    _, where = listener
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        others.connect(where.socket)
        others.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                others.send(b"x" * 1000)

        assert within(timed(where), 1.5)


def test_a_stream_that_no_syslogd_accepts_delays_a_request_for_a_second_at_most(tmp_path):
    where = Syslog(socket=str(tmp_path / "log"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(where.socket)
        server.listen(0)

        assert within(max(timed(where) for _ in range(4)), 1.5)


def test_bytes_that_should_have_been_escaped_are_no_reason_to_fail(listener):
    channel, where = listener

    syslog_line.write(replace(EMPTY, outcome="é\udcff"), where)

    assert channel.recv(65536).isascii()
