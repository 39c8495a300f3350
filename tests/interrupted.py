"""Work that is killed at each of its steps, in a child."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

S = TypeVar("S")
STEPS = ("rename", "fsync", "unlink", "mkdir", "replace", "utime", "fchmod")


def steps_of(work: Callable[[], object]) -> int:
    """Count the steps that change what is on disk, which `work` does in a child."""
    return run_and_kill(work, at=None)


def run_and_kill(work: Callable[[], object], *, at: int | None) -> int:
    """Run *work* in a child that kills itself right before its step number *at*; return the steps done."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        done = 0

        def step() -> None:
            nonlocal done
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            os.write(writer, b".")

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name), step))
        try:
            work()
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        return len(pipe.read())


def counted(function: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*args: Any, **settings: Any) -> Any:
        step()
        return function(*args, **settings)

    return wrapped


def kill_everywhere(tmp_path: Path, prepare: Callable[[Path], S], work: Callable[[S], object]) -> Iterator[S]:
    """Yield a site for each step of `work` on `prepare(folder)`, killed right before it."""
    reference = prepare(tmp_path / "reference")
    steps = run_and_kill(lambda: work(reference), at=None)
    assert steps > 5
    for at in range(steps):
        site = prepare(tmp_path / str(at))
        run_and_kill(partial(work, site), at=at)
        yield site
