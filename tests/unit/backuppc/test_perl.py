import json
import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backuppc_register.backuppc.perl import quote

NASTY = [
    "",
    "dormeur.univ-brest.fr",
    "it's",
    "'",
    "\\",
    "\\'",
    "ends with \\",
    "\\\\",
    '"double"',
    "$Conf{X} @ARGV %ENV `id`",
    "'; system('id'); '",
    '"; system("id"); "',
    "a\nb",
    "a\r\nb",
    "'\n$Conf{XferMethod} = 'smb';\n#",
    "\0",
    "\t\x07\x7f",
    "été",
    "\u0100\u20ac\U0001f600 $x @y \"'\\",
    "\x85\xa0\u2028",
    "@{[ `id` ]}",
    "$(id)",
    "=cut\n__END__\n",
    "\\x{41}",
]


def as_perl_sees(literals: list[str]) -> list[str]:
    """Give the values that Perl itself has for *literals*, each character by its number."""
    program = "use strict; use warnings FATAL => 'all';" + "".join(
        f'print join(",", map(ord, split(//, {literal}))), "\\n";\n' for literal in literals
    )
    done = subprocess.run(["perl"], input=program, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return ["".join(chr(int(n)) for n in line.split(",") if n) for line in done.stdout.split("\n")[:-1]]


def test_perl_reads_every_value_back_as_it_was() -> None:
    assert as_perl_sees([quote(text) for text in NASTY]) == NASTY


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=50, max_size=100))
def test_perl_reads_any_text_back_as_it_was(texts: list[str]) -> None:
    assert as_perl_sees([quote(text) for text in texts]) == texts


@given(st.text())
def test_a_literal_is_one_line_of_printable_ascii(text: str) -> None:
    assert re.fullmatch(r"[ -~]+", quote(text))


def test_what_came_as_stray_bytes_is_still_a_literal() -> None:
    stray = b"caf\xe9 'x' $y".decode("utf-8", "surrogateescape")

    subprocess.run(["perl", "-c", "-e", f"my $x = {quote(stray)};"], check=True, capture_output=True)


@pytest.mark.parametrize("text", ["plain", "/var/lib/x y/$HOME", json.dumps({"a": [1]})])
def test_what_can_be_is_written_as_BackupPC_writes_it(text: str) -> None:
    assert quote(text).startswith("'")
