"""Programs that we start: away from terminal and environment, and ended in time."""

import os
import time
from pathlib import Path

import pytest

from backuppc_register import programs


def sh(script: str, within: float = 10, **how: object) -> programs.Ended:
    return programs.run(["sh", "-c", script], within, **how)  # type: ignore[arg-type]


def test_it_tells_both_outputs_and_the_status():
    ended = sh("echo said; echo complained >&2; exit 3")

    assert (ended.status, ended.said, ended.complained) == (3, b"said\n", b"complained\n")
    assert ended.complaint == "complained"


def test_a_signal_is_a_negative_status():
    assert sh("kill -9 $$").status == -9


def test_of_a_long_complaint_the_end_is_shown():
    ended = programs.Ended(1, b"", b"x" * 1000 + b" the end \xff\n")

    assert len(ended.complaint) == 300
    assert ended.complaint.endswith("x the end \ufffd")


def test_it_has_no_input_no_terminal_and_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "mac:cmartin")

    ended = sh("cat; env; : 2>/dev/null </dev/tty && echo a terminal")

    told = dict(line.split("=", 1) for line in ended.said.decode().splitlines())
    assert told == {"PATH": programs.PATH, "LC_ALL": "C.UTF-8", "PWD": "/"}


def test_it_is_in_a_session_of_its_own():
    ended = sh("ps -o sid= -p $$; echo $$")

    session, own = map(int, ended.said.split())
    assert session == own != os.getsid(0)


def test_it_works_in_the_folder_and_is_looked_for_in_the_path_and_gets_the_files(tmp_path: Path):
    (tmp_path / "tool").write_text('#!/bin/sh\n/bin/pwd; cat "$1"\n')
    (tmp_path / "tool").chmod(0o755)
    descriptor = os.memfd_create("content")
    os.write(descriptor, b"content")

    try:
        ended = programs.run(
            ["tool", f"/dev/fd/{descriptor}"],
            10,
            folder=tmp_path,
            path=f"{tmp_path}:{programs.PATH}",
            files=(descriptor,),
        )
    finally:
        os.close(descriptor)

    assert ended.said == f"{tmp_path}\ncontent".encode()


def test_a_slow_one_is_ended_with_all_that_it_has_started(tmp_path: Path):
    with pytest.raises(programs.TooSlow, match="sh took too long") as late:
        sh(f"sleep 60 & echo $! >{tmp_path}/pid; echo so far; wait", within=0.5)

    assert late.value.said == b"so far\n"
    assert isinstance(late.value, TimeoutError)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_what_it_left_behind_is_ended_too(tmp_path: Path):
    sh(f"sleep 60 >/dev/null 2>&1 & echo $! >{tmp_path}/pid")

    assert is_gone(int((tmp_path / "pid").read_text()))


def is_gone(pid: int) -> bool:
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # nobody may be there to bury it
            return True
        time.sleep(0.01)
    return False


def test_one_that_is_not_there_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        programs.run(["sh"], 10, path=str(tmp_path))
    with pytest.raises(FileNotFoundError):
        programs.output(["sh"], path=str(tmp_path))


def test_what_a_long_one_says_is_read_as_it_comes():
    with programs.output(["sh", "-c", "echo first; echo complained >&2; echo second"]) as said:
        assert list(said) == [b"first\n", b"second\n"]
