"""The demo's door: arguments in, a story, an exit status."""

import argparse
import signal
import sys
import time
from types import FrameType

from lab import LabError, available, end, kept

from . import laboratory, loopback
from .telling import StoryError, Telling

INTERRUPTED = 130


def main() -> int:
    """Tell the story that this machine and the arguments allow."""
    parser = argparse.ArgumentParser(prog="bin/demo", add_help=False)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--loopback", metavar="REASON", nargs="?", const="as asked")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    telling = Telling()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        return stop() if options.stop else tell(telling, keep=options.keep, reason=options.loopback)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # we are going
        print("\nbin/demo: interrupted; nothing of it is left.", file=sys.stderr)
        return INTERRUPTED
    except (StoryError, LabError, *loopback.ERRORS) as error:
        print(f"\nbin/demo: step {telling.steps} failed: {error}", file=sys.stderr)
        return 1


def tell(telling: Telling, *, keep: bool, reason: str | None) -> int:
    """Tell the story in the lab, or with a *reason* on loopback addresses only; give the exit status."""
    reason = reason or available()
    if reason:
        return loopback.tell(telling, reason)
    laboratory.tell(telling, keep=keep)
    return 0


def stop() -> int:
    """End the labs that `--keep` has left."""
    labs = kept()
    for lab in labs:
        end(lab)
    while kept() & labs:
        time.sleep(0.01)
    print("The kept hosts are gone." if labs else "No hosts were kept.")
    return 0


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
