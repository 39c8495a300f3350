"""Make the operating system fail at one place for a while, as a disk or a file server does."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

CALLS = ("stat", "lstat", "scandir", "open", "listdir", "access")


@contextmanager
def failing(
    place: Path, code: int = errno.EIO, calls: tuple[str, ...] = CALLS, at: int = 0
) -> Iterator[None]:
    """Let the *calls* fail with *code* for *place* and what is below it; only number *at*, 0: all."""
    done = 0

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def failed(path: Any, *args: Any, **options: Any) -> Any:
            nonlocal done
            if not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(place):
                done += 1
                if at in (0, done):
                    raise OSError(code, os.strerror(code), str(path))
            return call(path, *args, **options)

        return failed

    replaced: Any = {name: wrapped(getattr(os, name)) for name in calls}
    with patch.multiple(os, **replaced):
        yield
