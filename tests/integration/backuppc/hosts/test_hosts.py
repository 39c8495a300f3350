import json
import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from access_lists import ACL, acl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import Host, Lab
from pytest_mock import MockerFixture
from slowness import within

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.hosts import HostsFile, Line, Written, edit
from backuppc_register.backuppc.lock import locked
from backuppc_register.protocol.errors import HostsFileError

HEADER = b"host\tdhcp\tuser\tmoreUsers\n"
SHIPPED = Path("/etc/backuppc/hosts.sample")

# BackupPC's own parser. For each folder on standard input: what a full read sees, and what a read of each
# single host sees; a byte is written as the character of its number.
PARSER = r"""
use strict;
use lib '/usr/share/backuppc/lib';
use BackupPC::Storage::Text;
use JSON::PP;
my $json = JSON::PP->new->ascii->canonical;
$| = 1;
while ( my $folder = <STDIN> ) {
    chomp($folder);
    my $storage = BackupPC::Storage::Text->new({}, {ConfDir => $folder, TopDir => $folder});
    my $all = $storage->HostInfoRead();
    my %single;
    for my $host ( keys(%$all) ) {
        $single{$host} = $storage->HostInfoRead($host)->{$host};
    }
    print $json->encode([$all, \%single]), "\n";
}
"""

Seen = dict[str, tuple[str, str, tuple[str, ...]]]


class Perl:
    """BackupPC's own parser in one process, so that thousands of files take seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            ["perl", "-e", PARSER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def reads(self, content: bytes) -> tuple[Seen, Seen]:
        """Give each host's columns, first as a full read has them, then as a read of that host alone has."""
        assert self._process.stdin
        assert self._process.stdout
        (self._folder / "hosts").write_bytes(content)
        self._process.stdin.write(f"{self._folder}\n")
        self._process.stdin.flush()
        every, single = json.loads(self._process.stdout.readline())
        return self._seen(every), self._seen(single)

    def end(self) -> None:
        self._process.communicate()

    def _seen(self, found: dict[str, dict[str, str | None]]) -> Seen:
        return {self._text(host): self._columns(columns) for host, columns in found.items()}

    def _columns(self, columns: dict[str, str | None]) -> tuple[str, str, tuple[str, ...]]:
        dhcp, user, more = (self._text(columns.get(name)) for name in ("dhcp", "user", "moreUsers"))
        return dhcp, user, tuple(user for user in more.split(",") if user)

    def _text(self, characters: str | None) -> str:
        return (characters or "").encode("latin-1").decode("utf-8", "surrogateescape")


@pytest.fixture(scope="module")
def perl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Perl]:
    perl = Perl(tmp_path_factory.mktemp("perl"))
    yield perl
    perl.end()


def agrees(perl: Perl, content: bytes) -> HostsFile:
    """Make sure that BackupPC sees in *content* what we see; give that."""
    ours = hosts.parse(content)
    last = {line.host: (line.dhcp, line.user, line.more_users) for line in ours.lines}
    first = {line.host: (line.dhcp, line.user, line.more_users) for line in reversed(ours.lines)}
    assert perl.reads(content) == (last, first)
    return ours


def appended(perl: Perl, path: Path, content: bytes, host: str, user: str) -> bytes:
    """Append to a file of *content* and have BackupPC read the result; give its bytes."""
    path.write_bytes(content)
    new = hosts.append(path, hosts.read(path), host, user)
    result = path.read_bytes()
    assert new == hosts.read(path)
    assert [one.line for one in new.written_for(host)] == [Line(host, "0", user, ())]
    assert agrees(perl, result).lines_for(host) == (Line(host, "0", user, ()),)
    return result


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hosts"


NASTY = {
    "an empty file": b"",
    "one newline": b"\n",
    "only comments": b"# host dhcp user\n#a 0 b\n",
    "only a header": HEADER,
    "a header without end": b"host dhcp user moreUsers",
    "plain": HEADER + b"lab1 0 amartin\nlab10\t0\tbdurand\tcpetit,dgrand\n",
    "no last newline": HEADER + b"lab1 0 amartin",
    "no header": b"lab1 0 amartin\nlab2 0 bdurand\n",
    "windows line ends": b"host dhcp user\r\nlab1 0 amartin\r\nlab2 0 b\r\n",
    "lone carriage returns": b"host dhcp user\nla\rb1 0 a\rb\nlab2 0 b\rlab3 0 c\n",
    "carriage returns alone": b"host dhcp user\rlab1 0 a\rlab2 0 b\r",
    "two carriage returns": b"host dhcp user\nlab1 0 a\r\r\nlab2\r 0 b \r \n",
    "a comment after a carriage return": b"host dhcp user\nlab1 0 a\r#b\nlab2 0 c#\r d\n",
    "a hash inside": HEADER + b"lab1 0 a#b c\nlab2#x 0 b\nlab3 0 #c\n#lab4 0 d\n",
    "an escaped hash": HEADER + b"lab1 0 a\\#b\nlab\\#2 0 b\n",
    "escaped blanks": HEADER + b"la\\ b1 0 a\\ b c\\\td\nlab2\\ \\ x 0 u\nlab3\\  0 y\n",
    "backslashes": HEADER + b"\\ 0 a\n\\\\ 0 b\n\\x 0 c\nlab\\\\ x 0 d\n\\\nlab2 0 e\\\n",
    "duplicates": HEADER + b"lab1 0 a\nlab1 0 b\nLAB1 1 c d\n",
    "a duplicate with fewer columns": HEADER + b"lab1 0 a b\nlab1 0\n",
    "letter case": HEADER + b"DORMEUR 0 Martin\nDormeur 0 martin\n",
    "letter case beyond ascii": HEADER + b"x\\ \xc3\x89 0 a\nx\\ \xc3\xa9 0 b\nx\\ \xc9 0 c\n",
    "leading blanks": HEADER + b" lab1 0 a\n\tlab2 0 b\n\x0blab3 0 c\n",
    "a header after a blank": b" host dhcp user\nlab1 0 a\n",
    "form feeds": HEADER + b"lab1\x0c0\x0ca\nlab2 0 b\x0clab3 0 c\n\x0clab4 0 d\n",
    "vertical tabs": HEADER + b"lab1\x0b0\x0ba\nlab2 0 b\x0b\n",
    "NULs": HEADER + b"lab1\0 0 a\nlab2 0 a\0b\n\0\nlab3 0\0 c\n",
    "separators that are blanks elsewhere": HEADER + b"lab1 0 a\x1cb\nlab2\x1f0 b\nlab3 0\x85c d\xa0e\n",
    "accents in utf-8": HEADER + b"\xc3\xa9t\xc3\xa9 0 a\nlab1 0 ren\xc3\xa9\n",
    "accents in latin-1": HEADER + b"\xe9t\xe9 0 a\nlab1 0 ren\xe9\nlab2 0 \xff\xfe\n",
    "a mark of utf-8": b"\xef\xbb\xbfhost dhcp user\nlab1 0 a\n",
    "the next line of unicode": HEADER + b"lab1 0 a\xe2\x80\xa8lab2 0 b\n",
    "tabs and blanks": HEADER + b"lab1 \t 0 \t\t a \t b \t\n",
    "a lone name": HEADER + b"lab1\nlab2 \nlab3\t#0 a\n",
    "no user": HEADER + b"lab1 0\nlab2 0 #a\n",
    "a name of zero": HEADER + b"0 0 0 0\n0",
    "names that are refused": HEADER + b"a/b 0 a\n../x 0 b\n2001:db8::1 0 c\n[::1] 0 d\na*b 0 e\n",
    "names that are taken": HEADER + b".. 0 a\n-x 0 b\nconfig 0 c\n_a 0 d\n. 0 e\n",
    "many columns": HEADER + b"lab1 0 a b c d e f\n",
    "commas": HEADER + b"lab1 0 a ,b,,c,\nlab2 0 a b, c\nlab3 0 a b,\\ c\n",
    "columns in another order": b"host user moreUsers dhcp\nlab1 a b 0\n",
    "columns of other names": b"name flag owner\nlab1 0 a\n",
    "columns that come twice": b"host user dhcp user user\nlab1 a 0 b\nlab2 a 0 b c\n",
    "a header in capitals": b"HOST DHCP USER\nlab1 0 a\n",
    "two headers": HEADER + HEADER + b"lab1 0 a\n",
    "a lone word first": b"host\nhost dhcp user\nlab1 0 a\n",
    "a very long line": HEADER + b"lab1 0 a " + b"x," * 200_000 + b"\nlab2 0 b\n",
    "very many blanks": HEADER + b"lab1" + b" " * 20_000 + b"0" + b" " * 20_000 + b"a\nlab2 0 b\n",
    "very long comment": b"#" * 300_000 + b"\n" + HEADER + b"lab1 0 a\n",
}


@pytest.mark.parametrize("content", NASTY.values(), ids=NASTY.keys())
def test_BackupPC_reads_it_as_we_do(perl: Perl, content: bytes) -> None:
    agrees(perl, content)


def test_BackupPC_reads_its_shipped_file_as_we_do(perl: Perl) -> None:
    assert agrees(perl, SHIPPED.read_bytes()).lines == (Line("localhost", "0", "backuppc", ()),)


def test_a_line_has_host_dhcp_user_and_more_users() -> None:
    parsed = hosts.parse(HEADER + b"Lab1 0 Martin bdurand,cpetit dropped # note\n")

    assert parsed.lines == (Line("lab1", "0", "Martin", ("bdurand", "cpetit")),)


def test_lines_keep_their_order_and_their_duplicates() -> None:
    parsed = hosts.parse(HEADER + b"b 0 x\na 0 y\nB 0 z\n")

    assert [(line.host, line.user) for line in parsed.lines] == [("b", "x"), ("a", "y"), ("b", "z")]


def test_a_host_is_compared_lower_cased_and_whole() -> None:
    parsed = hosts.parse(HEADER + b"lab10 0 a\nDORMEUR 0 b\nx.univ 0 c\nxauniv 0 d\n")

    assert not parsed.lines_for("lab1")
    assert [line.user for line in parsed.lines_for("Dormeur")] == ["b"]
    assert [line.user for line in parsed.lines_for("x.univ")] == ["c"]


PIECES = [
    *(b"host dhcp user moreUsers\n", b"host", b"dhcp", b"user", b"moreUsers", b"lab1", b"LAB1", b"dormeur"),
    *(b"0", b"1", b"a", b"\n", b"\n", b"\n", b" ", b" ", b" ", b"\t", b"\r", b"\r\n", b"\f", b"\v", b"\0"),
    *(b"#", b"\\", b"\\ ", b"\\\t", b",", b".", b"-", b"_", b"/"),
    *(b"\xc3\xa9", b"\xe9", b"\x85", b"\xa0", b"\x1c"),
]
CONTENTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join), st.binary(max_size=80))
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY, SOME = settings(SHARED, max_examples=1500), settings(SHARED, max_examples=300)


@MANY
@given(content=CONTENTS)
def test_BackupPC_reads_any_bytes_as_we_do(perl: Perl, content: bytes) -> None:
    agrees(perl, content)


@SOME
@given(content=CONTENTS)
def test_every_other_byte_survives_an_append(perl: Perl, path: Path, content: bytes) -> None:
    try:
        result = appended(perl, path, content, "nouveau", "cmartin")
    except HostsFileError:
        assert path.read_bytes() == content
        return

    rest = result.removesuffix(b"nouveau\t0\tcmartin\n")
    at = rest.find(HEADER)
    headless = [rest] if at < 0 else [rest, rest[:at] + rest[at + len(HEADER) :]]
    assert rest != result
    assert content in [*headless, *(text.removesuffix(b"\n") for text in headless)]


@SOME
@given(content=st.lists(st.sampled_from(PIECES), max_size=60).map(lambda pieces: HEADER + b"".join(pieces)))
def test_a_file_with_a_header_can_be_added_to_whatever_else_it_holds(
    perl: Perl, path: Path, content: bytes
) -> None:
    before = hosts.parse(content)

    result = appended(perl, path, content, "nouveau", "cmartin")

    assert result.startswith(content)
    assert hosts.parse(result).lines[:-1] == before.lines


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADER, HEADER + b"nouveau\t0\tcmartin\n"),
        (HEADER + b"a 0 b", HEADER + b"a 0 b\nnouveau\t0\tcmartin\n"),
        (HEADER + b"a 0 b\r", HEADER + b"a 0 b\r\nnouveau\t0\tcmartin\n"),
        (HEADER + b"a 0 b\\", HEADER + b"a 0 b\\\nnouveau\t0\tcmartin\n"),
        (HEADER + b"# note", HEADER + b"# note\nnouveau\t0\tcmartin\n"),
        (b"", HEADER + b"nouveau\t0\tcmartin\n"),
        (b"# note", b"# note\n" + HEADER + b"nouveau\t0\tcmartin\n"),
        (b"#c\na 0 b\nc 1 d\n", b"#c\n" + HEADER + b"a 0 b\nc 1 d\nnouveau\t0\tcmartin\n"),
    ],
)
def test_a_line_is_added_with_what_was_missing(
    perl: Perl, path: Path, content: bytes, expected: bytes
) -> None:
    assert appended(perl, path, content, "nouveau", "cmartin") == expected


def refused(path: Path, content: bytes, host: str = "nouveau", user: str = "cmartin") -> str:
    """Make sure that the append is refused and nothing is left of it; give the detail."""
    path.write_bytes(content)
    before = path.stat()
    with pytest.raises(HostsFileError) as refusal:
        hosts.append(path, hosts.parse(content), host, user)
    after = path.stat()
    assert path.read_bytes() == content
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return refusal.value.detail


@pytest.mark.parametrize(
    ("host", "user"),
    [
        *(("nouveau", ""), ("nouveau", " "), ("nouveau", "a b"), ("nouveau", "a\tb"), ("nouveau", "a#b")),
        *(("nouveau", "a\nlab1\t0\teve"), ("nouveau", "a\r"), ("nouveau", "a\x0b")),
        *(("", "a"), (" x", "a"), ("x y", "a"), ("x\ny", "a"), ("x#", "a"), ("é", "a"), ("NOUVEAU", "a")),
        *(("x\0", "a"), ("a/b", "a"), ("#x", "a"), ("x\\", "a")),
    ],
)
def test_a_line_that_BackupPC_would_read_otherwise_is_not_written(path: Path, host: str, user: str) -> None:
    refused(path, HEADER + b"lab1 0 amartin\n", host, user)


@pytest.mark.parametrize("host", ["lab1", "lab2"])
def test_no_host_gets_a_second_line(path: Path, host: str) -> None:
    refused(path, HEADER + b"LAB1 0 amartin\nlab2 0\n", host)


def test_a_host_whose_line_passes_for_the_header_gets_no_second_one(path: Path) -> None:
    assert "header" in refused(path, b"nouveau 0 amartin\nlab1 0 a\n")


@pytest.mark.parametrize(
    "header", [b"HOST DHCP USER\n", b"name flag owner\n", b"host user dhcp\n", b"la\\ b \n"]
)
def test_columns_that_are_not_BackupPCs_are_left_to_the_administrator(path: Path, header: bytes) -> None:
    refused(path, header + b"lab1 0 a\n")


def test_a_file_that_changed_since_it_was_read_is_left_alone(path: Path) -> None:
    path.write_bytes(HEADER)
    current = hosts.read(path)
    path.write_bytes(HEADER + b"meanwhile 0 amartin\n")

    with pytest.raises(HostsFileError, match="changed"):
        hosts.append(path, current, "nouveau", "cmartin")

    assert path.read_bytes() == HEADER + b"meanwhile 0 amartin\n"


def test_a_missing_file_is_not_made(path: Path) -> None:
    with pytest.raises(HostsFileError):
        hosts.read(path)
    with pytest.raises(HostsFileError):
        hosts.append(path, HostsFile(()), "nouveau", "cmartin")

    assert not path.exists()


@pytest.mark.parametrize("what", ["folder", "pipe", "link", "dangling link"])
def test_what_is_no_regular_file_is_refused_and_stays(path: Path, what: str) -> None:
    target = path.with_name("target")
    match what:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link":
            target.write_bytes(HEADER)
            path.symlink_to(target)
        case _:
            path.symlink_to(target)
    before = path.lstat()

    with pytest.raises(HostsFileError):
        hosts.read(path)
    with pytest.raises(HostsFileError):
        hosts.append(path, HostsFile((), HEADER), "nouveau", "cmartin")

    assert path.lstat() == before
    assert what != "link" or target.read_bytes() == HEADER


def lost(path: Path, content: bytes, left: bytes) -> tuple[Written, ...]:
    """Let the lines of *content* be lost but for those of *left*; give them."""
    there = {line.host for line in hosts.parse(left).lines}
    path.write_bytes(left)
    return tuple(one for one in hosts.parse(content).written() if one.line.host not in there)


LOST = {
    "plain": b"lab1\t0\tamartin\tbdurand,cpetit",
    "odd blanks": b"lab1   0 \t amartin   ",
    "a comment": b"lab1 0 amartin # Anne's, in room 12",
    "another case": b"LAB1 0 amartin",
    "a carriage return": b"lab1 0 amartin\r",
    "no user": b"lab1 0",
    "an underscore and a dot": b"lab_1.old 0 amartin",
    "a blank in the name": b"lab\\ 1 0 amartin",
    "bytes that are no UTF-8": b"lab1 0 am\xe9lie",
    "more columns than the header": b"lab1 0 amartin bdurand x y",
}


def restore_lines(
    path: Path, current: HostsFile, gone: Sequence[Written]
) -> tuple[HostsFile, tuple[Written, ...]]:
    new, added = edit.with_lines(current, gone)
    return hosts.replace(path, current, new), added


def create(path: Path, gone: Sequence[Written]) -> tuple[HostsFile, tuple[Written, ...]]:
    new, added = edit.with_lines(HostsFile(()), gone)
    return hosts.create(path, new), added


def replace_line(path: Path, wanted: Written) -> HostsFile:
    current = hosts.read(path)
    return hosts.replace(path, current, edit.with_replaced(current, wanted))


@pytest.mark.parametrize("line", LOST.values(), ids=LOST)
@pytest.mark.parametrize("left", [b"", HEADER, HEADER + b"lab2 0 b", b"lab2 0 b\n"], ids=repr)
def test_a_lost_line_comes_back_with_its_very_bytes(perl: Perl, path: Path, line: bytes, left: bytes) -> None:
    gone = lost(path, HEADER + line + b"\n", left)

    new, put = restore_lines(path, hosts.read(path), gone)

    after = path.read_bytes()
    assert put == gone
    assert new == hosts.read(path)
    assert after.endswith(b"\n" + line + b"\n")
    assert agrees(perl, after).lines[-1] == gone[0].line
    assert left.removesuffix(b"\n") in after


def test_under_another_header_a_lost_line_keeps_its_meaning(perl: Perl, path: Path) -> None:
    gone = lost(path, b"host user dhcp\nlab1 amartin 0\n", HEADER)

    restore_lines(path, hosts.read(path), gone)

    assert agrees(perl, path.read_bytes()).lines == (Line("lab1", "0", "amartin", ()),)
    assert path.read_bytes() == HEADER + b"lab1\t0\tamartin\t\n"


def test_a_line_that_cannot_mean_the_same_again_is_left_out_and_the_others_are_not(path: Path) -> None:
    gone = lost(path, HEADER + b"lab1 0 amartin bdurand\nlab2 0 cpetit\n", b"host dhcp user\n")

    _, put = restore_lines(path, hosts.read(path), gone)

    assert [one.line.host for one in put] == ["lab2"]
    assert path.read_bytes() == b"host dhcp user\nlab2 0 cpetit\n"


def test_several_lines_of_a_host_come_back_in_their_order(path: Path) -> None:
    gone = lost(path, HEADER + b"lab1 0 a\nlab3 0 c\nlab1 0 b\n", HEADER)

    restore_lines(path, hosts.read(path), gone)

    assert path.read_bytes() == HEADER + b"lab1 0 a\nlab3 0 c\nlab1 0 b\n"


def test_a_host_that_has_a_line_gets_no_second_one(path: Path) -> None:
    path.write_bytes(HEADER + b"lab1 0 bdurand\n")
    gone = hosts.parse(HEADER + b"lab1 0 amartin\n").written()

    with pytest.raises(HostsFileError, match="lab1"):
        restore_lines(path, hosts.read(path), gone)

    assert path.read_bytes() == HEADER + b"lab1 0 bdurand\n"


def test_where_nothing_is_lost_no_byte_is_written(path: Path) -> None:
    path.write_bytes(b"no header 0 x")
    before = path.stat()

    current = hosts.read(path)

    assert edit.with_lines(current, ()) == (current, ())
    assert path.stat() == before


def test_lines_are_not_put_back_into_a_file_that_changed_meanwhile(path: Path) -> None:
    gone = lost(path, HEADER + b"lab1 0 amartin\n", HEADER)
    current = hosts.read(path)
    path.write_bytes(HEADER + b"meanwhile 0 bdurand\n")

    with pytest.raises(HostsFileError, match="changed"):
        restore_lines(path, current, gone)


def test_a_file_that_is_gone_is_made_of_its_lines(perl: Perl, path: Path) -> None:
    gone = hosts.parse(b"host user dhcp\nlab1 amartin 0\nlab2 b 1\n").written()

    new, put = create(path, gone)

    assert (new, put) == (hosts.read(path), gone)
    assert agrees(perl, path.read_bytes()).lines == tuple(one.line for one in gone)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("there", ["a file", "a dangling link"])
def test_what_is_there_is_never_made_anew(path: Path, there: str) -> None:
    if there == "a file":
        path.write_bytes(b"")
    else:
        path.symlink_to("nowhere")

    with pytest.raises(HostsFileError, match="there already"):
        hosts.create(path, hosts.parse(HEADER))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=200) | st.text("ab1 \t\n\\#.\r_", max_size=80).map(str.encode))
def test_whatever_the_lines_are_they_come_back(perl: Perl, path: Path, content: bytes) -> None:
    gone = lost(path, HEADER + content, HEADER)

    _, put = restore_lines(path, hosts.read(path), gone)

    assert agrees(perl, path.read_bytes()).lines == tuple(one.line for one in gone)
    assert put == gone


def test_the_mode_is_kept(perl: Perl, path: Path) -> None:
    for mode in (0o640, 0o644, 0o600, 0o660):
        path.write_bytes(HEADER)
        path.chmod(mode)

        hosts.append(path, hosts.read(path), "nouveau", "cmartin")

        assert path.stat().st_mode & 0o7777 == mode
        agrees(perl, path.read_bytes())


def test_an_owner_that_cannot_be_kept_leaves_the_file_as_it_was(path: Path, mocker: MockerFixture) -> None:
    mocker.patch("os.fchown", side_effect=PermissionError(1, "Operation not permitted"))

    assert "chmod g+s" in refused(path, HEADER + b"lab1 0 a\n")


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.rename"])
def test_a_failing_disk_leaves_the_file_as_it_was(path: Path, mocker: MockerFixture, call: str) -> None:
    mocker.patch(call, side_effect=OSError(5, "Input/output error"))

    refused(path, HEADER + b"lab1 0 a\n")


def test_each_version_has_a_later_second_than_the_one_before(perl: Perl, path: Path) -> None:
    path.write_bytes(HEADER)
    seconds = [int(path.stat().st_mtime)]

    for number in range(5):
        hosts.append(path, hosts.read(path), f"lab{number}", "cmartin")
        seconds.append(int(path.stat().st_mtime))

    assert seconds == sorted(set(seconds))
    assert len(agrees(perl, path.read_bytes()).lines) == 5


def test_a_version_from_the_future_gets_a_later_one_still(path: Path) -> None:
    path.write_bytes(HEADER)
    os.utime(path, (4_000_000_000, 4_000_000_000))

    hosts.append(path, hosts.read(path), "nouveau", "cmartin")

    assert int(path.stat().st_mtime) == 4_000_000_001


def test_the_next_second_is_counted_from_the_one_that_has_begun(path: Path) -> None:
    path.write_bytes(HEADER)
    os.utime(path, ns=(0, 4_000_000_000_999_999_950))

    hosts.append(path, hosts.read(path), "nouveau", "cmartin")

    assert path.stat().st_mtime_ns == 4_000_000_001 * 10**9


def test_a_hosts_file_that_is_a_link_is_told_as_such(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(HEADER)
    path.symlink_to("elsewhere")

    with pytest.raises(HostsFileError, match=f"cannot be read: {path} is a symbolic link"):
        hosts.read(path)


def _append_under_lock(path: Path, number: int) -> None:
    with locked(path.parent, 60):
        hosts.append(path, hosts.read(path), f"lab{number}", f"person{number}")


def test_thirty_at_a_time_make_thirty_lines(perl: Perl, path: Path) -> None:
    path.write_bytes(HEADER)
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_append_under_lock, args=(path, number)) for number in range(30)]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    lines = agrees(perl, path.read_bytes()).lines
    assert {(line.host, line.user) for line in lines} == {(f"lab{n}", f"person{n}") for n in range(30)}
    assert len(lines) == 30


def test_ten_thousand_hosts_take_less_than_a_second_of_work(path: Path) -> None:
    path.write_bytes(HEADER + b"".join(b"lab%d\t0\tperson%d\n" % (n, n) for n in range(10_000)))
    start = time.process_time()

    hosts.append(path, hosts.read(path), "nouveau", "cmartin")

    assert within(time.process_time() - start, 1)
    assert len(hosts.read(path).lines) == 10_001


APPEND = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from pathlib import Path
from backuppc_register.backuppc import hosts
from backuppc_register.protocol.errors import HostsFileError
path = Path(sys.argv[1])
try:
    hosts.append(path, hosts.read(path), "nouveau", "cmartin")
except HostsFileError as error:
    sys.exit(f"refused: {error.detail}")
"""


def append_as_backuppc(host: Host, path: str) -> Any:
    return host.run(["/usr/bin/python3", "-I", "-B", "-c", APPEND, path], user="backuppc")


def rest_of(lines: tuple[Line, ...], host: str) -> list[Line]:
    return [line for line in lines if line.host != host]


@pytest.mark.parametrize("content", NASTY.values(), ids=NASTY.keys())
def test_every_line_can_be_given_or_removed_and_no_other_host_changes(
    perl: Perl, path: Path, content: bytes
) -> None:
    before = hosts.with_header(hosts.parse(content)).lines  # a header that is missing is restored
    for host in {line.host for line in before}:
        for change in (give, remove):
            path.write_bytes(content)
            try:
                change(path, host)
            except HostsFileError:
                assert path.read_bytes() == content
                continue
            after = agrees(perl, path.read_bytes())
            assert rest_of(after.lines, host) == rest_of(before, host)
            assert [line.user for line in after.lines_for(host)] in ([], ["nouveau"])
            assert all(not line.more_users for line in after.lines_for(host))


def give(path: Path, host: str) -> None:
    new = hosts.give(path, hosts.read(path), host, "nouveau")
    assert new == hosts.read(path)


def remove(path: Path, host: str) -> None:
    new = hosts.remove(path, hosts.read(path), host)
    assert new == hosts.read(path)


@SOME
@given(before=CONTENTS, after=CONTENTS)
def test_every_other_byte_survives_a_gift_and_a_removal(
    perl: Perl, path: Path, before: bytes, after: bytes
) -> None:
    start, line, end = HEADER + before + b"\n", b"Calmar 1 poulpe a,b", b" # note\n" + after
    content = start + line + end
    path.write_bytes(content)
    kept = hosts.parse(content).lines

    try:
        hosts.give(path, hosts.read(path), "calmar", "cmartin")
    except HostsFileError:
        assert path.read_bytes() == content
        return
    assert path.read_bytes() == start + b"Calmar\t1\tcmartin" + end
    assert agrees(perl, path.read_bytes()).lines_for("calmar") == (Line("calmar", "1", "cmartin", ()),)

    was = Written(Line("calmar", "1", "poulpe", ("a", "b")), line + b" # note")
    new = replace_line(path, was)

    assert path.read_bytes() == content
    assert new == hosts.read(path)
    hosts.give(path, hosts.read(path), "calmar", "cmartin")

    remove(path, "CALMAR")

    assert path.read_bytes() == start + after
    assert list(agrees(perl, start + after).lines) == rest_of(kept, "calmar")


@pytest.mark.parametrize(
    ("header", "written", "becomes"),
    [
        (HEADER, b"LAB1 0 a b,c # note", b"LAB1 0 a b,c # note\n"),
        (b"host\tdhcp\tuser\tmoreUsers\tx\n", b"LAB1 0 a b,c # note", b"LAB1 0 a b,c # note\n"),
        (HEADER, b"LAB1 rubbish", b"lab1\t0\ta\tb,c\n"),
        (HEADER, b"LAB1 0 a b,c\nlab2 0 a", b"lab1\t0\ta\tb,c\n"),
        (b"host dhcp user\n", b"LAB1 0 a b,c", None),
        (b"host user dhcp moreUsers\n", b"LAB1 0 a b,c", None),
    ],
)
def test_a_line_is_put_in_the_place_of_another_only_where_it_means_what_it_did(
    path: Path, header: bytes, written: bytes, becomes: bytes | None
) -> None:
    first, last = b"lab0 0 a\n", b"lab2 0 b"
    path.write_bytes(header + first + b"lab1 0 zz\n" + last)
    wanted = Written(Line("lab1", "0", "a", ("b", "c")), written)

    if becomes is None:
        with pytest.raises(HostsFileError, match="as intended"):
            replace_line(path, wanted)
        becomes = b"lab1 0 zz\n"
    else:
        replace_line(path, wanted)

    assert path.read_bytes() == header + first + becomes + last


@pytest.mark.parametrize("lines", [b"", b"lab10 0 a\n", b"lab1 0 a\nLAB1 0 b\n"])
def test_only_a_host_with_exactly_one_line_is_given_or_removed(path: Path, lines: bytes) -> None:
    path.write_bytes(HEADER + lines)

    for change in (give, remove):
        with pytest.raises(HostsFileError, match="lines in the hosts file"):
            change(path, "lab1")

    assert path.read_bytes() == HEADER + lines


@pytest.mark.parametrize("user", ["", "a b", "a#b", "a\nlab2 0 c"])
def test_a_user_that_BackupPC_would_read_otherwise_is_not_written(path: Path, user: str) -> None:
    path.write_bytes(HEADER + b"lab1 0 a\n")

    with pytest.raises(HostsFileError, match=r"as intended|without an owner"):
        hosts.give(path, hosts.read(path), "lab1", user)

    assert path.read_bytes() == HEADER + b"lab1 0 a\n"


@pytest.mark.parametrize("change", ["give", "remove"])
def test_a_change_keeps_the_mode_and_has_a_later_second(path: Path, change: str) -> None:
    path.write_bytes(HEADER + b"lab1 0 a\n")
    path.chmod(0o604)
    os.utime(path, (2_000_000_000, 2_000_000_000))

    if change == "give":
        hosts.give(path, hosts.read(path), "lab1", "b")
    else:
        remove(path, "lab1")

    status = path.stat()
    assert (status.st_mode & 0o777, int(status.st_mtime)) == (0o604, 2_000_000_001)


def test_whoever_may_read_by_an_access_control_list_may_after_a_change(path: Path) -> None:
    path.write_bytes(HEADER + b"lab1 0 a\n")
    os.setxattr(path, ACL, acl(user=4, mask=4))

    hosts.append(path, hosts.read(path), "lab2", "b")
    hosts.give(path, hosts.read(path), "lab1", "b")
    remove(path, "lab2")

    assert os.getxattr(path, ACL) == acl(user=4, mask=4)


def test_a_file_that_changed_since_it_was_read_is_neither_given_nor_shortened(path: Path) -> None:
    path.write_bytes(HEADER + b"lab1 0 a\n")
    seen = hosts.read(path)
    path.write_bytes(HEADER + b"lab1 0 a\nlab2 0 b\n")

    for change in (lambda: hosts.give(path, seen, "lab1", "b"), lambda: hosts.remove(path, seen, "lab1")):
        with pytest.raises(HostsFileError, match="does not hold"):
            change()

    assert path.read_bytes() == HEADER + b"lab1 0 a\nlab2 0 b\n"


def state(host: Host, path: str) -> str:
    looks = f"stat -c '%i %U:%G %a %y' {path}; md5sum {path}; ls -A {Path(path).parent}"
    return host.run(looks, check=True).stdout


@pytest.mark.lab
class TestAsBackupPCsAccount:
    def test_a_full_disk_leaves_the_file_as_it_was(self, lab: Lab) -> None:
        host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
        host.run("mkdir /small; mount -t tmpfs -o size=16k tmpfs /small; chown backuppc /small", check=True)
        host.run("printf 'host dhcp user\\n' > /small/hosts; cat /dev/zero > /small/big", user="backuppc")
        before = state(host, "/small/hosts")

        result = append_as_backuppc(host, "/small/hosts")

        assert "No space left" in result.stderr
        assert state(host, "/small/hosts") == before

    def test_a_closed_folder_leaves_the_file_as_it_was(self, lab: Lab) -> None:
        host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
        host.run("chown root /etc/backuppc", check=True)
        before = state(host, "/etc/backuppc/hosts")

        result = append_as_backuppc(host, "/etc/backuppc/hosts")

        assert "refused: " in result.stderr
        assert state(host, "/etc/backuppc/hosts") == before

    def test_an_unreadable_file_is_a_fault(self, lab: Lab) -> None:
        host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
        host.run("chown root:root /etc/backuppc/hosts; chmod 600 /etc/backuppc/hosts", check=True)

        assert "refused: " in append_as_backuppc(host, "/etc/backuppc/hosts").stderr

    def test_another_owner_leaves_the_file_as_it_was(self, lab: Lab) -> None:
        host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
        host.run("chown root /etc/backuppc/hosts", check=True)
        before = state(host, "/etc/backuppc/hosts")

        result = append_as_backuppc(host, "/etc/backuppc/hosts")

        assert "refused: " in result.stderr
        assert state(host, "/etc/backuppc/hosts") == before

    def test_a_group_that_is_not_ours_needs_a_folder_that_hands_it_on(self, lab: Lab) -> None:
        host = lab.host("dugong.univ-brest.fr", "10.77.0.1")
        host.run("cd /etc/backuppc; chown backuppc:www-data . hosts; chmod 755 .", check=True)
        before = state(host, "/etc/backuppc/hosts")

        as_shipped = append_as_backuppc(host, "/etc/backuppc/hosts")
        untouched = state(host, "/etc/backuppc/hosts")
        host.run("chmod g+s /etc/backuppc", check=True)
        handed_on = append_as_backuppc(host, "/etc/backuppc/hosts")

        assert "chmod g+s /etc/backuppc" in as_shipped.stderr
        assert untouched == before
        assert (handed_on.status, handed_on.stderr) == (0, "")
        assert "backuppc:www-data 644" in state(host, "/etc/backuppc/hosts")
        assert "nouveau\t0\tcmartin\n" in host.read("/etc/backuppc/hosts")
