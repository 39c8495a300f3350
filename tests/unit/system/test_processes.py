"""Programs run with a timeout, without our terminal and environment."""

import os
import time
from pathlib import Path

import pytest
from slowness import within

from backuppc_register.system import processes


def sh(script: str, within: float = 10, **how: object) -> processes.ProgramResult:
    return processes.run(["sh", "-c", script], within, **how)  # type: ignore[arg-type]


def test_it_tells_both_outputs_and_the_status():
    ended = sh("echo said; echo complained >&2; exit 3")

    assert (ended.status, ended.output, ended.errors) == (3, b"said\n", b"complained\n")
    assert ended.error_text == "complained"


def test_a_signal_is_a_negative_status():
    assert sh("kill -9 $$").status == -9


def test_of_a_long_complaint_the_end_is_shown():
    ended = processes.ProgramResult(1, b"", b"x" * 1000 + b" the end \xff\n")

    assert len(ended.error_text) == 300
    assert ended.error_text.endswith("x the end \ufffd")


def test_it_has_no_input_no_terminal_and_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "mac:cmartin")

    ended = sh("cat; env; : 2>/dev/null </dev/tty && echo a terminal")

    told = dict(line.split("=", 1) for line in ended.output.decode().splitlines())
    assert told == {"PATH": processes.PATH, "LC_ALL": "C.UTF-8", "PWD": "/"}


def test_it_is_in_a_session_of_its_own():
    ended = sh("ps -o sid= -p $$; echo $$")

    session, own = map(int, ended.output.split())
    assert session == own != os.getsid(0)


def test_it_works_in_the_folder_and_is_looked_for_in_the_path_and_gets_the_files(tmp_path: Path):
    (tmp_path / "tool").write_text('#!/bin/sh\n/bin/pwd; cat "$1"\n')
    (tmp_path / "tool").chmod(0o755)
    descriptor = os.memfd_create("content")
    os.write(descriptor, b"content")

    try:
        ended = processes.run(
            ["tool", f"/dev/fd/{descriptor}"],
            10,
            folder=tmp_path,
            path=f"{tmp_path}:{processes.PATH}",
            files=(descriptor,),
        )
    finally:
        os.close(descriptor)

    assert ended.output == f"{tmp_path}\ncontent".encode()


def test_a_slow_one_is_ended_with_all_that_it_has_started(tmp_path: Path):
    with pytest.raises(processes.TimedOut, match="sh took too long") as late:
        sh(f"sleep 60 & echo $! >{tmp_path}/pid; echo so far; echo complained >&2; wait", within=0.5)

    assert late.value.output == b"so far\n"
    assert late.value.error_text == "complained"
    assert isinstance(late.value, TimeoutError)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_one_that_writes_without_end_is_ended_before_it_takes_all_memory(mocker):
    mocker.patch.object(processes, "LARGEST_ANSWER", 1 << 20)

    ended = sh("yes complaint >&2")

    assert ended.status == -9
    assert 1 << 20 <= len(ended.errors) < 1 << 21


def test_what_it_left_behind_is_ended_too(tmp_path: Path):
    sh(f"sleep 60 >/dev/null 2>&1 & echo $! >{tmp_path}/pid")

    assert is_gone(int((tmp_path / "pid").read_text()))


def is_gone(pid: int) -> bool:
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # there may be no parent to reap it
            return True
        time.sleep(0.01)
    return False


def test_one_that_is_not_there_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        processes.run(["sh"], 10, path=str(tmp_path))
    with pytest.raises(FileNotFoundError):
        processes.stream(["sh"], path=str(tmp_path))


def test_what_a_long_one_says_is_read_as_it_comes():
    with processes.stream(["sh", "-c", "echo first; echo complained >&2; echo second"]) as said:
        assert list(said) == [b"first\n", b"complained\n", b"second\n"]


# how a program begins


def begins(script: str, told: bytes = b"", length: int = 4, within: float = 10) -> processes.ProgramResult:
    return processes.run_until(["sh", "-c", script], told, lambda said: len(said) >= length, within)


def test_it_is_ended_as_soon_as_it_has_said_enough_with_all_that_it_started(tmp_path: Path):
    started = time.monotonic()

    ended = begins(f"echo $$ > {tmp_path}/pid; printf abcd; sleep 60 & wait")

    assert (ended.output, ended.status) == (b"abcd", -9)
    assert within(time.monotonic() - started, 5)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_it_is_told_what_it_is_to_be_told_byte_by_byte():
    assert begins("cat", b"\0\xff\n\r", 4).output == b"\0\xff\n\r"


def test_what_it_complains_of_counts_as_said_if_that_is_asked_for():
    ended = processes.run_until(["sh", "-c", "echo x >&2; sleep 60"], b"", bool, 10, together=True)

    assert (ended.output, ended.errors) == (b"x\n", b"")


def test_what_ends_before_has_a_status_of_its_own():
    ended = begins("printf ab; echo no >&2; exit 64")

    assert (ended.status, ended.output, ended.error_text) == (64, b"ab", "no")


@pytest.mark.parametrize(
    "script", ["sleep 60", "while sleep 0.2; do echo x >&2; done", "exec >&- 2>&-; sleep 60"]
)
def test_what_says_too_little_too_slowly_is_too_slow(script: str):
    started = time.monotonic()

    with pytest.raises(processes.TimedOut):
        begins(script, within=0.5)

    assert within(time.monotonic() - started, 3)


def test_what_drips_is_not_waited_for_beyond_its_time():
    with pytest.raises(processes.TimedOut):
        begins("while sleep 0.1; do printf x; done", length=1000, within=0.5)


@pytest.mark.parametrize("script", ["yes >&2", "yes"])
def test_what_floods_is_ended_and_not_kept(script: str):
    started = time.monotonic()

    ended = begins(script, length=1 << 30)

    assert ended.status == -9
    one_look_at_both = 2 << 16
    assert len(ended.output) + len(ended.errors) < processes.LARGEST_OUTPUT + one_look_at_both
    assert within(time.monotonic() - started, 5)
