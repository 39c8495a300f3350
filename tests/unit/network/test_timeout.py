"""A call that blocks is left to its thread after the timeout."""

import subprocess
import sys
import threading

import pytest

from backuppc_register.network.timeout import with_timeout


def test_a_result_in_time_is_returned() -> None:
    assert with_timeout(5, lambda: 7) == 7


def test_none_is_a_result() -> None:
    assert with_timeout(5, lambda: None) is None


def test_an_exception_of_the_call_is_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        with_timeout(5, fail)


def test_a_call_that_takes_longer_is_left_alone() -> None:
    released = threading.Event()

    with pytest.raises(TimeoutError, match="no answer within"):
        with_timeout(0.1, released.wait)

    released.set()


def test_a_system_without_threads_is_a_timeout(mocker) -> None:
    mocker.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread"))

    with pytest.raises(TimeoutError, match="can't start"):
        with_timeout(5, lambda: 7)


def test_a_process_does_not_wait_for_it_when_it_ends() -> None:
    program = """
import time
from backuppc_register.network.timeout import with_timeout
try:
    with_timeout(0.1, lambda: time.sleep(60))
except TimeoutError:
    print("given up")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert ended.stdout == "given up\n"
