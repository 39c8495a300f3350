"""Run a blocking call in a thread, with a timeout: getaddrinfo(3), or a library that reads on and on."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def with_timeout(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what *call* returns, or raise what it raises.

    After *seconds* it goes on in a daemon thread, for which the process does not wait when it ends.

    Raises TimeoutError, also if the system has no thread left.
    """
    results: SimpleQueue[tuple[Result] | Exception] = SimpleQueue()
    try:
        Thread(target=lambda: results.put(_outcome(call)), daemon=True).start()
        result = results.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:.1f} s") from None
    except RuntimeError as error:
        raise TimeoutError(str(error)) from error
    if isinstance(result, Exception):
        raise result
    return result[0]


def _outcome(call: Callable[[], Result]) -> tuple[Result] | Exception:
    try:
        return (call(),)
    except Exception as error:  # the caller gets it
        return error
