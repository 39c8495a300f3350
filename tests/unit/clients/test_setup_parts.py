"""The parts of setup.sh: the assembly, the texts in two languages, the functions of each system."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import CHECKOUT
from setup_functions import FUNCTIONS

from backuppc_register import __version__

CLIENTS = CHECKOUT / "clients"
PARTS = CLIENTS / "setup.d"
SAY = r"\b(?:say|note|warn|caution|todo|to_repair|doubt|untested|mark|"
SAY += r"die \d+|heading|step \w+|ask|yes_or_no|each_folder \w+)"
SAY += r" +(?:\\\n *)?"


def test_setup_sh_is_the_assembly_of_its_parts() -> None:
    done = subprocess.run([PARTS / "assemble", "--print"], capture_output=True, check=True, timeout=30)

    assert (CLIENTS / "setup.sh").read_bytes() == done.stdout


def test_the_setup_has_the_version_of_the_package() -> None:
    done = subprocess.run(
        ["sh", CLIENTS / "setup.sh", "--version"], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout == f"setup.sh {__version__}\n"


def test_a_text_without_its_french_is_no_assembly(tmp_path: Path) -> None:
    parts = shutil.copytree(PARTS, tmp_path / "setup.d")
    with (parts / "messages.fr").open("a") as table:
        table.write("\nA new text.\n")

    done = subprocess.run([parts / "assemble"], capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode != 0
    assert "A new text." in done.stderr
    assert not (tmp_path / "setup.sh").exists()


@pytest.mark.parametrize("part", sorted(PARTS.rglob("*.sh")), ids=lambda path: path.name)
def test_no_part_has_more_lines_than_a_module(part: Path) -> None:
    assert len(part.read_text().splitlines()) <= 300


# ---------------------------------------------------------------- English and French


def code() -> str:
    """Return the text of all parts, without comments."""
    text = "\n".join(path.read_text() for path in sorted(PARTS.rglob("*.sh")))
    return re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)


def said() -> list[str]:
    """Return the English texts in the calls of what shows a text."""
    return re.findall(SAY + "'([^']*)'", code())


def pairs() -> list[tuple[str, str]]:
    """Return the pairs of messages.fr."""
    lines = [line for line in (PARTS / "messages.fr").read_text().splitlines() if line and line[0] != "#"]
    return list(zip(lines[::2], lines[1::2], strict=True))


def test_every_text_is_a_literal_that_the_table_can_be_searched_for() -> None:
    passed_on = re.findall(SAY + r"\"\$[@1]\"", code())

    assert len(said()) > 200
    assert len(re.findall(SAY + r"['\"$]", code())) == len(said()) + len(passed_on)


def test_every_text_has_its_french_and_every_french_one_its_text() -> None:
    english = [pair[0] for pair in pairs()]

    assert sorted(set(english)) == sorted(english)
    assert set(english) == set(said())


def test_the_values_of_a_text_are_in_the_same_order_in_both_languages() -> None:
    for english, french in pairs():
        assert re.findall("%.", english) == re.findall("%.", french)
        assert set(re.findall("%.", english)) <= {"%s"}


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_every_shell_finds_every_french_text(shell: str) -> None:
    calls = "".join(f"FORMAT=; french '{english}'; printf '%s\\n' \"$FORMAT\"\n" for english, _ in pairs())

    done = subprocess.run(
        [shell, "-s"], input=FUNCTIONS + calls, capture_output=True, text=True, check=True, timeout=30,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )  # fmt: skip

    assert done.stdout.splitlines() == [french for _, french in pairs()]


# ---------------------------------------------------------------- operating systems


def functions_of(system: str) -> set[str]:
    """Return the functions that os/SYSTEM.sh has for SYSTEM, without its name."""
    text = (PARTS / f"os/{system}.sh").read_text()
    return set(re.findall(rf"^(\w+)_{system}\(\)", text, re.MULTILINE))


def called() -> set[str]:
    """Return the functions that the parts call for whatever system this is."""
    return set(re.findall(r"\bos ([a-z_]+)", re.sub(r"'[^'\n]*'", "", code())))


@pytest.mark.parametrize("system", ["linux", "macos", "unsupported"])
def test_every_system_has_the_functions_that_are_called(system: str) -> None:
    assert functions_of(system) == called()


def test_every_system_has_its_test_here() -> None:
    assert {path.stem for path in PARTS.glob("os/*.sh")} == {"linux", "macos", "unsupported", "packages"}


def test_every_family_has_a_package_for_every_tool() -> None:
    text = (PARTS / "os/packages.sh").read_text()
    head, *rows = (
        line.split() for line in re.findall(r"<<'END'\n(.*)\nEND\n", text, re.DOTALL)[0].split("\n")
    )

    assert head == ["TOOL", "debian", "redhat", "suse", "arch"]
    assert {len(row) for row in rows} == {len(head)}
    assert len({row[0] for row in rows}) == len(rows)
