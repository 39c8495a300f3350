"""The other Debian of the lab: never a stale one, never half of one, and a clear word where there is none."""

import os
import platform
import subprocess
from pathlib import Path

import pytest
from lab import NotGiven, System, debian, unpack
from lab.parts import LabError

TRIXIE = System("trixie", "sudo-rs", "true")
STUBS = {
    "apt-get": "printf 'http://mirror/debian/\\tbookworm main\\nhttp://mirror/debian/\\tbookworm main\\n"
    "http://mirror/security/\\tbookworm-security main\\nhttp://else/\\tjammy main\\n'",
    "apt-helper": 'echo "$2" >>asked; cp answer "$3"',
    "timeout": 'while [ "$1" != "${1#-}" ]; do shift; done; shift; exec "$@"',
    "mmdebstrap": 'if [ "$1" = --version ]; then echo mmdebstrap 1.3.5; exit; fi\n'
    'for word; do case $word in *.tar.new) tar=$word ;; esac; done\n'
    'cat >sources; echo made >>made; mkdir -p content; cp answer content/is\n'
    'tar -cf "$tar" -C content . && exit "$(cat status)"',
}  # fmt: skip


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror's `answer`, and what notes which questions it was asked and what was made of it."""
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nset -e\ncd {tmp_path}\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "answer").write_text("Monday's packages")
    (tmp_path / "status").write_text("0")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(debian, "APT_HELPER", str(tmp_path / "apt-helper"))
    monkeypatch.setattr(debian, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(debian, "PAUSE", 0.01)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})
    return tmp_path


def times_made(mirror: Path) -> int:
    return (mirror / "made").read_text().count("made") if (mirror / "made").exists() else 0


def kept(mirror: Path) -> list[str]:
    return [path.suffix for path in (mirror / "kept").glob("*.tar*")]


def test_a_second_run_takes_what_the_first_has_made(mirror: Path) -> None:
    unpack(TRIXIE, mirror / "first")
    unpack(TRIXIE, mirror / "second")

    assert (times_made(mirror), kept(mirror)) == (1, [".tar"])
    assert (mirror / "second/is").read_text() == "Monday's packages"


def test_its_sources_are_apts_own_with_the_other_release(mirror: Path) -> None:
    unpack(TRIXIE, mirror / "root")

    assert (mirror / "sources").read_text().splitlines() == [
        "deb http://mirror/debian/ trixie main",
        "deb http://mirror/security/ trixie-security main",
    ]
    assert (mirror / "asked").read_text().splitlines() == [
        "http://mirror/debian/dists/trixie/InRelease",
        "http://mirror/security/dists/trixie-security/InRelease",
    ]


def test_a_mirror_with_newer_packages_makes_a_new_one(mirror: Path) -> None:
    unpack(TRIXIE, mirror / "first")
    (mirror / "answer").write_text("Tuesday's packages")
    unpack(TRIXIE, mirror / "second")

    assert (times_made(mirror), kept(mirror)) == (2, [".tar"])
    assert (mirror / "second/is").read_text() == "Tuesday's packages"


@pytest.mark.parametrize("other", [System("trixie", "sudo", "true"), System("trixie", "sudo-rs", "false")])
def test_another_recipe_makes_another_one(mirror: Path, other: System) -> None:
    unpack(TRIXIE, mirror / "first")
    unpack(other, mirror / "second")

    assert times_made(mirror) == 2


def test_what_ended_before_its_end_is_not_taken(mirror: Path) -> None:
    (mirror / "status").write_text("1")
    with pytest.raises(LabError, match="ended with 1"):
        unpack(TRIXIE, mirror / "first")
    half = kept(mirror)
    (mirror / "status").write_text("0")
    unpack(TRIXIE, mirror / "second")

    assert (half, kept(mirror), times_made(mirror)) == ([".new"], [".tar"], 2)


def test_a_mirror_that_does_not_answer_is_asked_three_times_and_gives_none(mirror: Path) -> None:
    unpack(TRIXIE, mirror / "before")
    (mirror / "answer").unlink()
    (mirror / "asked").unlink()

    with pytest.raises(NotGiven, match="http://mirror/debian/dists/trixie/InRelease, 3 times"):
        unpack(TRIXIE, mirror / "root")

    assert (mirror / "asked").read_text().count("/trixie/") == 3
    assert not (mirror / "root").exists()


def test_another_family_than_debian_is_told(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "noble"})

    with pytest.raises(NotGiven, match="apt has no source of noble"):
        unpack(TRIXIE, mirror / "root")


def test_apt_tells_its_sources_before_it_has_fetched_any_list(tmp_path: Path) -> None:
    shown = subprocess.run(
        [debian.TARGETS[0], "-o", f"Dir::State::lists={tmp_path}", *debian.TARGETS[1:]],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert shown.splitlines() == debian.run(debian.TARGETS).splitlines() != []
