"""A deadline counts down, and no change of the clock moves it."""

import time

import pytest

from backuppc_register.system.deadline import Deadline


@pytest.fixture
def clock(mocker):
    return mocker.patch("time.monotonic", return_value=1000.0)


def test_it_runs_down_and_stays_at_nothing(clock):
    deadline = Deadline(5)

    left = []
    for now in (1000.0, 1002.0, 1004.5, 1005.0, 1100.0):
        clock.return_value = now
        left.append(deadline.remaining())

    assert left == [5.0, 3.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("seconds", [0, -1])
def test_one_in_the_past_has_nothing_left(clock, seconds):
    assert Deadline(seconds).remaining() == 0.0


def test_a_change_of_the_clock_does_not_move_it(mocker):
    deadline = Deadline(60)

    mocker.patch("time.time", return_value=time.time() + 86400)

    assert 59 < deadline.remaining() <= 60
