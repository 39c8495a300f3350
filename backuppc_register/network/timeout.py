"""No longer than its time for what nothing interrupts: getaddrinfo(3), a library that reads on and on."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

Answer = TypeVar("Answer")


def with_timeout(seconds: float, work: Callable[[], Answer]) -> Answer:
    """Return what *work* returns, or raise what it raises; after *seconds* go on without it.

    It goes on in a daemon thread: the process does not wait for that when it ends.

    Raises TimeoutError, also where the system has no thread left.
    """
    answers: SimpleQueue[tuple[Answer] | Exception] = SimpleQueue()
    try:
        Thread(target=lambda: answers.put(_outcome(work)), daemon=True).start()
        answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:.1f} s") from None
    except RuntimeError as error:
        raise TimeoutError(str(error)) from error
    if isinstance(answer, Exception):
        raise answer
    return answer[0]


def _outcome(work: Callable[[], Answer]) -> tuple[Answer] | Exception:
    try:
        return (work(),)
    except Exception as error:  # whoever waits gets it, and translates it
        return error
