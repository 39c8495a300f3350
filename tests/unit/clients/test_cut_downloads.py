"""A copy of setup.sh or of rsyncsend.sh that ends too early: not one command of it runs."""

import json
import os
import re
import subprocess
import sys

import pytest
from checkout import CHECKOUT
from setup_functions import TEXT

# As "backuppc-register-admin bundle" fills it, with a text that would end the group.
BUNDLE = TEXT.replace("SERVER=''\n", "SERVER='dugong'\n")
for part in ("register-key", "known-hosts", "wrapper"):
    BUNDLE = BUNDLE.replace(f"\n=== {part} ===\n", f"\nexit 0\n}}\n{part}\n=== {part} ===\n", 1)
WRAPPER = (CHECKOUT / "clients/rsyncsend.sh").read_text()
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
# Run each cut as nobody, and print what a shell says besides that the end is missing. If something runs after
# all, its options change nothing.
DRIVER = r"""
import json, re, subprocess, sys
text, cuts, shell = json.load(sys.stdin)
for cut in cuts:
    words = [*shell, "-s", "--", "--uninstall", "--dry-run"]
    done = subprocess.run(words, input=text[:cut], capture_output=True, text=True, timeout=60)
    # bash also shows the line, and ends with 1 if the cut is inside a parameter.
    expected = r".*(warning: here-document|[Ss]yntax error|unexpected EOF|: line [0-9]+: `).*\n"
    only_syntax = done.stderr and not re.sub(expected, "", done.stderr)
    if done.returncode not in (1, 2) or done.stdout or not only_syntax:
        print(repr(text[cut - 60 : cut]), done)
"""


def cuts(text: str, every: int, tail: int) -> list[int]:
    """Return each *every*-th line end of *text*, the middle of some lines, and each byte of the *tail*."""
    lines = [match.end() for match in re.finditer("\n", text)][::every]
    halves = [at - 3 for at in lines[::7]]
    last = range(len(text) - tail, len(text) - 1)
    begin = text.index("\n{") + 2  # before that there are comments only
    return [at for at in sorted({*lines, *halves, *last}) if begin <= at < len(text) - 1]


@pytest.mark.parametrize(
    ("text", "shell", "every", "tail"),
    [(BUNDLE, ["dash"], 1, 200), (BUNDLE, ["bash"], 199, 30), (BUNDLE, ["bash", "--posix"], 499, 10),
     (WRAPPER, ["bash", "-p"], 23, 60)],
    ids=["setup in dash", "setup in bash", "setup in sh of a Mac", "wrapper"],
)  # fmt: skip
def test_a_cut_file_runs_nothing(text: str, shell: list[str], every: int, tail: int) -> None:
    some = cuts(text, every, tail)

    done = subprocess.run(
        [*NOBODY, sys.executable, "-I", "-S", "-c", DRIVER], input=json.dumps([text, some, shell]),
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip

    assert len(some) > tail
    assert done.stdout == ""


@pytest.mark.parametrize("text", [TEXT, WRAPPER], ids=["setup", "wrapper"])
def test_only_comments_stand_before_the_group_and_nothing_behind_it(text: str) -> None:
    before, _, behind = text.partition("\n{")

    assert [line for line in before.splitlines() if line and not line.startswith("#")] == []
    assert behind.endswith("\nexit\n}\n")
